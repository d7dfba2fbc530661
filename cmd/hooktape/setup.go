package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/hooktape/hooktape/relay"
	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/store"
)

// setup holds the configuration together with the sources made at run time: what the agent works by, what the tape
// remembers of it, and what the control API asks about.
type setup struct {
	tape  *store.Store
	base  string       // the URL at which the agent is reached if no public_url is given
	log   hclog.Logger // nil where there is no agent
	agent *relay.Agent // nil: none runs

	// mu guards what follows, and is held while a configuration is taken up.
	mu   sync.Mutex
	cfg  *config.Config    // without the sources made at run time
	url  string            // at which a request has come round; "": none was looked for
	told map[string]string // why sources made at run time are not possible, as last logged
}

// take makes cfg the configuration.
func (s *setup) take(cfg *config.Config) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg = cfg
	return s.apply()
}

// Apply takes up the sources made at run time as they are on the tape now.
func (s *setup) Apply() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.apply()
}

// reachedAt is told the URL at which the agent was found to be reached. A public_url in the configuration wins.
func (s *setup) reachedAt(url string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.url = url
	return s.apply()
}

// apply brings the agent and the tape up to date. Callers hold mu.
func (s *setup) apply() error {
	with := s.merged()
	if s.agent == nil {
		return nil
	}
	s.agent.Apply(with)
	if err := inspect.SaveMask(s.tape, with.Mask); err != nil {
		return fmt.Errorf("write the names to mask to the tape: %w", err)
	}
	sources := s.sources(with)
	err := inspect.SaveSources(s.tape, sources)
	if errors.Is(err, store.ErrTooLarge) {
		s.log.Warn("there are too many sources to remember those made at run time, replay does not know them while no agent runs")
		err = inspect.SaveSources(s.tape, slices.DeleteFunc(sources, func(s inspect.Source) bool { return s.Made }))
	}
	if err != nil {
		return fmt.Errorf("write the sources to the tape: %w", err)
	}
	return nil
}

// merged is the configuration with the sources made at run time. What is wrong with one of them is logged once.
// Callers hold mu, or are alone.
func (s *setup) merged() *config.Config {
	made, err := s.tape.Sources()
	cfg := *s.cfg
	cfg.PublicURL = cmp.Or(cfg.PublicURL, s.url)
	with, refused := cfg.With(made)
	tokens, tokensErr := s.tape.Tokens()
	copies, copiesErr := s.tape.Copies()
	with, closed := with.WithTunnels(tokens, copies)
	if s.log == nil {
		return with
	}
	if err := errors.Join(err, tokensErr, copiesErr); err != nil {
		s.log.Error("can't read all sources and tokens created at run time", "error", err)
	}
	told := make(map[string]string)
	for name, err := range refused {
		s.tell(told, "source "+name, "source made at run time can't be used, the config wins", "source", name, "error", err)
	}
	for name, err := range closed {
		s.tell(told, "tunnel "+name, "tunnel can't be set up as asked for, the config wins", "tunnel", name, "error", err)
	}
	s.told = told
	return with
}

// tell logs a problem with what, unless it was the same the last time.
func (s *setup) tell(told map[string]string, what, phrase string, args ...any) {
	if told[what] = fmt.Sprint(args...); s.told[what] != told[what] {
		s.log.Error(phrase, args...)
	}
}

// Plan says what sources made at run time amount to, by name, and why others are not possible.
func (s *setup) Plan(made []store.Source) (planned map[string]inspect.Source, refused map[string]error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	with, refused := s.cfg.With(made)
	planned = make(map[string]inspect.Source)
	for _, source := range s.sources(with) {
		if source.Made {
			planned[source.Name] = source
		}
	}
	return planned, refused
}

// CheckTunnel says why there can be no tunnel of a name.
func (s *setup) CheckTunnel(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := config.CheckName(name); err != nil {
		return err
	}
	if s.cfg.Edge == nil {
		return errors.New(`the config has no edge block: edge { domain = "hooks.example.com" }`)
	}
	made, err := s.tape.Sources()
	if err != nil {
		return err
	}
	with, _ := s.cfg.With(made)
	_, refused := with.WithTunnels([]store.Token{{Name: name}}, nil)
	return refused[name]
}

// sources is what the tape is to remember of a configuration.
func (s *setup) sources(cfg *config.Config) []inspect.Source {
	sources := make([]inspect.Source, len(cfg.Sources))
	for i := range cfg.Sources {
		sources[i] = s.source(cfg, &cfg.Sources[i])
	}
	return sources
}

func (s *setup) source(cfg *config.Config, c *config.Source) inspect.Source {
	kept := inspect.Source{
		Name: c.Name, Path: c.Path, Host: c.Host, URL: sourceURL(cfg, c, s.base), Made: c.ID != "", ID: c.ID, Template: c.Template,
		Params: c.Setting.Params, Secret: len(c.Setting.Secrets) > 0,
	}
	if c.Provider != nil {
		kept.Provider = c.Provider.Name
	}
	for _, t := range c.Targets {
		target := inspect.Target{
			Name: t.Name, URL: t.URL.String(), KeepHost: t.KeepHost, Forwarded: t.Forwarded, IDHeader: t.IDHeader,
			Timeout: inspect.Milliseconds(t.Timeout), Rewrites: t.Rewrite != nil,
		}
		if t.When != nil {
			target.When = t.When.Source()
		}
		kept.Targets = append(kept.Targets, target)
	}
	return kept
}

// sourceURL is where senders reach a source.
func sourceURL(cfg *config.Config, c *config.Source, base string) string {
	switch {
	case c.Tunnel != "":
		return c.PublicURL // its path is the tunnel's
	case c.PublicURL != "":
		base = c.PublicURL
	case cfg.PublicURL != "":
		base = cfg.PublicURL
	case c.Host != "":
		if u, err := url.Parse(base); err == nil {
			at := c.Host
			if port := u.Port(); port != "" {
				at = net.JoinHostPort(at, port)
			}
			u.Host = at
			base = u.String()
		}
	}
	return base + c.Path
}
