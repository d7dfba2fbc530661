package main

import (
	"cmp"
	"fmt"
	"time"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/relay/provider"
	"github.com/hooktape/hooktape/relay/wire"
)

// configSigner signs as the sources of a config file say, where no agent runs.
type configSigner struct {
	config string
	lookup func(string) (string, bool)
	now    func() time.Time
}

// signer is who signs when no agent does; nil when no config file is given.
func (e *env) signer() inspect.Signer {
	if e.config == "" {
		return nil
	}
	return configSigner{e.config, e.lookup, e.now}
}

// Sign implements inspect.Signer.
func (c configSigner) Sign(name string, head *wire.RequestHead, body []byte) (*provider.Signature, error) {
	cfg, err := config.Load(c.config, c.lookup)
	if err != nil {
		return nil, err
	}
	src := cfg.Source(name)
	if src == nil {
		return nil, fmt.Errorf("%s has no source %q", c.config, name)
	}
	setting := src.Setting
	setting.Path = src.Path
	return src.Sign(&setting, &provider.Request{
		Head: head, Body: body, URL: provider.RequestURL(cmp.Or(src.PublicURL, cfg.PublicURL), head, false), Time: c.now(),
	})
}
