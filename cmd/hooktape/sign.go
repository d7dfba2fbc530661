package main

import (
	"cmp"
	"fmt"
	"sync"
	"time"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/provider"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// freshTime is how long a config file that was read stays valid: reading it for each of many requests would take longer than
// sending them, but its secrets may rotate meanwhile.
const freshTime = time.Second

// configured signs and rewrites as the sources of a config file say, when no agent runs.
type configured struct {
	tape   *store.Store
	config string
	lookup func(string) (string, bool)
	now    func() time.Time

	// mu guards the fields below, also while the file is read: the others need what is in it.
	mu    sync.Mutex
	cfg   *config.Config // nil: not read yet
	made  *config.Config // cfg, with the sources that were made at run time
	since time.Time      // when they were read
}

// configured is what the config file says; nil if none is given.
func (e *env) configured(tape *store.Store) *configured {
	if e.config == "" {
		return nil
	}
	return &configured{tape: tape, config: e.config, lookup: e.lookup, now: e.now}
}

// withMade is a configuration with the sources, tunnels and copies made at run time, as the tape has them; nil if there is no
// configuration.
func withMade(cfg *config.Config, tape *store.Store) *config.Config {
	if tape == nil {
		return cfg
	}
	made, _ := tape.Sources() // those that can be read
	with, _ := cfg.With(made)
	tokens, _ := tape.Tokens()
	copies, _ := tape.Copies()
	with, _ = with.WithTunnels(tokens, copies)
	return with
}

// source is a source of the file as it is now, or one that was made at run time.
func (c *configured) source(name string) (*config.Config, *config.Source, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cfg == nil || time.Since(c.since) > freshTime {
		cfg, err := config.Load(c.config, c.lookup)
		if err != nil {
			return nil, nil, err
		}
		c.cfg, c.made, c.since = cfg, withMade(cfg, c.tape), time.Now()
	}
	src := c.made.Source(name)
	if src == nil {
		return nil, nil, fmt.Errorf("there is no source %q in %s, and none was made at run time", name, c.config)
	}
	return c.cfg, src, nil
}

// Sign implements inspect.Signer.
func (c *configured) Sign(name string, head *wire.RequestHead, body []byte) (*provider.Signature, error) {
	cfg, src, err := c.source(name)
	if err != nil {
		return nil, err
	}
	setting := src.Setting
	setting.Path = src.Path
	return src.Sign(&setting, &provider.Request{
		Head: head, Body: body, URL: provider.RequestURL(cmp.Or(src.PublicURL, cfg.PublicURL), head, false), Time: c.now(),
	})
}

// Rewrite implements inspect.Rewriter.
func (c *configured) Rewrite(source, target string, v *expr.View) (wire.Edit, []byte, error) {
	_, src, err := c.source(source)
	if err != nil {
		return wire.Edit{}, nil, err
	}
	return src.Rewrite(target, v)
}
