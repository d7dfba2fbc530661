package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/store"
)

// openTapeFile imports a tape file into a tape of its own, which is removed when closed. It knows the sources of the config
// file, if one is given. Damage of the file is reported.
func (e *env) openTapeFile(ctx context.Context, doing, name string) (t *tape, of inspect.Imported, err error) {
	from := &importing{env: e, doing: doing}
	file, all, err := from.open(name)
	if err != nil {
		return nil, of, err
	}
	defer file.Close()
	if t, err = e.temporaryTape(); err != nil {
		return nil, of, cannot("set TMPDIR to another folder for it", "%s: make a temporary tape: %w", doing, err)
	}
	if of, err = from.read(ctx, t, name, file, all); err == nil {
		err = e.furnish(t)
	}
	if err != nil {
		return nil, of, errors.Join(err, t.Close())
	}
	return t, of, nil
}

// temporaryTape makes a tape that is removed when closed.
func (e *env) temporaryTape() (*tape, error) {
	dir, err := os.MkdirTemp("", "hooktape-tape-*")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "tape.db")
	s, err := store.Open(path, store.Options{NoSync: true, Log: e.warn})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	t := e.ownTape(s, path)
	t.temporary = dir
	return t, nil
}

// furnish lets a tape that only this command has open know the sources of the config file, if one is given, as if an agent
// ran with it. The tape itself does not change.
func (e *env) furnish(t *tape) error {
	if e.config == "" || t.store == nil {
		return nil
	}
	cfg, err := e.loadConfig()
	if err != nil {
		return err
	}
	cfg = withMade(cfg, t.store)
	t.server.Known = &inspect.Known{Sources: (&setup{tape: t.store, cfg: cfg}).sources(cfg), Mask: cfg.Mask}
	return nil
}
