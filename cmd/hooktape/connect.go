package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/store"
)

// tape is the tape that a command works on: through the running agent or, when none
// runs, opened by the command itself. Either way the command uses the control
// API.
type tape struct {
	*inspect.Client
	path   string
	store  *store.Store    // nil: an agent runs
	server *inspect.Server // of the store

	temporary string // the folder to remove with it; "": the tape stays
}

// Close closes the tape.
func (t *tape) Close() error {
	t.Client.Close()
	if t.store == nil {
		return nil
	}
	err := t.store.Close()
	if t.temporary != "" {
		err = errors.Join(err, os.RemoveAll(t.temporary))
	}
	return err
}

// access is what a command does with a tape that it has to open itself.
type access int

const (
	toRead access = iota
	toWrite
	toMake // write, and make one if there is none
)

// How often, and how long apart, we look again for an agent whose database is
// locked but whose socket is missing: it is starting or stopping.
const (
	lockedTries = 5
	lockedPause = 100 * time.Millisecond
)

// openTape finds the tape that the flags name, and reaches its agent or opens it.
func (e *env) openTape(ctx context.Context, how access) (*tape, error) {
	path, err := e.dataPath()
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		t, err := e.openTapeAt(ctx, path, how)
		if _, locked := errors.AsType[*store.LockedError](err); !locked || try == lockedTries {
			return t, tapeError(path, err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lockedPause):
		}
	}
}

func (e *env) openTapeAt(ctx context.Context, path string, how access) (*tape, error) {
	client, err := inspect.Dial(ctx, path)
	if err == nil {
		return &tape{Client: client, path: path}, nil
	}
	if !errors.Is(err, inspect.ErrNoAgent) {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil && how != toMake {
		return nil, err
	}
	s, err := store.Open(path, store.Options{ReadOnly: how == toRead, Timeout: lockedPause, Log: e.warn})
	if err != nil {
		return nil, err
	}
	return e.ownTape(s, path), nil
}

// ownTape is a tape that only this command has open.
func (e *env) ownTape(s *store.Store, path string) *tape {
	// What is not answered yet never will be.
	started := time.Now()
	server := &inspect.Server{Store: s, Tapes: tapeFiles{s}, Started: started, Version: programVersion().Version}
	if c := e.configured(s); c != nil {
		server.Signer, server.Rewriter = c, c
	}
	return &tape{Client: inspect.InProcess(server), path: path, store: s, server: server}
}

// warn logs what an operator should know about a tape that a command opens itself.
func (e *env) warn(msg string, keyvals ...any) {
	hclog.New(&hclog.LoggerOptions{Name: "hooktape", Output: e.stderr}).Warn(msg, keyvals...)
}

// tapeError says what to do about a tape that can't be opened.
func tapeError(path string, err error) error {
	locked, isLocked := errors.AsType[*store.LockedError](err)
	_, isOlder := errors.AsType[*store.OlderError](err)
	switch {
	case err == nil || errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return cannot("hooktape http starts recording; --data, --name or -c name another tape",
			"open the tape: there is none at %s yet", path)
	case isLocked:
		holder := "it"
		if locked.PID != 0 {
			holder = fmt.Sprintf("process %d", locked.PID)
		}
		return cannot("wait until "+holder+" has ended or stop it, or name another tape with --name or --data",
			"open the tape: %w", err)
	case isOlder:
		return cannot("start hooktape http or run on it once: the tape as it is now is kept beside it", "open the tape: %w", err)
	case errors.Is(err, store.ErrNoTape):
		return cannot("name another file", "open the tape: %w", err)
	case errors.Is(err, store.ErrDamaged):
		return cannot("hooktape check --data FILE says where; hooktape salvage FILE copies what can be read",
			"open the tape: %w", err)
	case errors.Is(err, syscall.ENOSPC):
		return cannot("make room on its disk: the tape is as it was", "open the tape: %w", err)
	case errors.Is(err, fs.ErrPermission):
		return cannot("the tape and its agent belong to the user who started it", "open the tape: %w", err)
	}
	return cannot("", "open the tape: %w", err)
}

// apiError gives a refusal of the control API its exit code and hint.
func apiError(doing string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	problem, ok := errors.AsType[*inspect.Problem](err)
	if !ok {
		return cannot("", "%s: %w", doing, err)
	}
	switch problem.Kind {
	case inspect.Misused:
		return misused("", "%s: %w", doing, err)
	case inspect.Ambiguous:
		return misused("give more letters of the id", "%s: %w%s", doing, err, candidates(problem.IDs))
	case inspect.Unknown:
		return &failure{exitNotSo, fmt.Errorf("%s: %w", doing, err), "hooktape list shows the records"}
	case inspect.NoAttempt:
		return &failure{exitNotSo, fmt.Errorf("%s: %w", doing, err), "hooktape show ID lists the attempts of a record"}
	case inspect.NoSession:
		return &failure{exitNotSo, fmt.Errorf("%s: %w", doing, err), "hooktape session list shows the sessions"}
	}
	return cannot("", "%s: %w", doing, err)
}

// candidates lists ids, one a line.
func candidates(ids []store.ID) string {
	var text string
	for _, id := range ids {
		text += "\n  " + id.String()
	}
	return text
}
