package main

import (
	"cmp"
	"fmt"
	"time"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/relay/provider"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// configSigner signs as the sources of a config file say, where no agent runs.
type configSigner struct {
	tape   *store.Store
	config string
	lookup func(string) (string, bool)
	now    func() time.Time
}

// signer is who signs when no agent does; nil when no config file is given.
func (e *env) signer(tape *store.Store) inspect.Signer {
	if e.config == "" {
		return nil
	}
	return configSigner{tape, e.config, e.lookup, e.now}
}

// withMade is a configuration with the sources that were made at run time, as the tape has them; nil: there is none.
func withMade(cfg *config.Config, tape *store.Store) *config.Config {
	if tape == nil {
		return cfg
	}
	made, _ := tape.Sources() // those that can be read
	with, _ := cfg.With(made)
	return with
}

// Sign implements inspect.Signer.
func (c configSigner) Sign(name string, head *wire.RequestHead, body []byte) (*provider.Signature, error) {
	cfg, err := config.Load(c.config, c.lookup)
	if err != nil {
		return nil, err
	}
	src := withMade(cfg, c.tape).Source(name)
	if src == nil {
		return nil, fmt.Errorf("there is no source %q in %s, and none was made at run time", name, c.config)
	}
	setting := src.Setting
	setting.Path = src.Path
	return src.Sign(&setting, &provider.Request{
		Head: head, Body: body, URL: provider.RequestURL(cmp.Or(src.PublicURL, cfg.PublicURL), head, false), Time: c.now(),
	})
}
