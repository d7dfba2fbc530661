package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"slices"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/store"
)

func newRun(e *env) *cobra.Command {
	var flags agentFlags
	c := &cobra.Command{
		Use:   "run --config FILE",
		Short: "Run the agent with a config file",
		Long: `Runs the agent that the config file describes, and reloads the file when it
changes, and on SIGHUP. If the changed file is invalid, this is logged and
nothing changes.`,
		Example: `  hooktape check --config hooktape.hcl
  hooktape run --config hooktape.hcl`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := flags.check(); err != nil {
				return err
			}
			return e.run(c.Context(), &flags)
		},
	}
	flags.register(c, "info")
	return c
}

// run runs the agent of a config file.
func (e *env) run(ctx context.Context, flags *agentFlags) error {
	cfg, err := e.loadConfigToRun(flags.listen)
	if err != nil {
		return err
	}
	flags.over(cfg)
	if cfg.Data, err = e.dataOver(cfg.Data); err != nil {
		return err
	}
	signals, stop := e.hangups()
	defer stop()
	s := &service{env: e, flags: flags, cfg: cfg, data: cfg.Data, reserve: serverReserve}
	s.greet = func(at addresses) error {
		fmt.Fprintf(e.stdout, "receiving on %s://%s\n", cfg.Scheme(), at.receiving)
		fmt.Fprintf(e.stdout, "inspect on %s://%s\n", inspectScheme(cfg), at.inspecting)
		if at.plain != "" {
			fmt.Fprintf(e.stdout, "answering the CA on http://%s\n", at.plain)
		}
		return nil
	}
	s.reload = func(ctx context.Context, log hclog.Logger, setup *setup) error {
		r := &reloader{service: s, log: log, setup: setup, current: cfg}
		return config.Watch(ctx, cfg.Files, config.WatchOptions{Reload: signals}, r.reload)
	}
	return s.serve(ctx)
}

// loadConfig reads the file that -c names.
func (e *env) loadConfig() (*config.Config, error) {
	return e.loadConfigWith(config.Load)
}

// loadConfigToRun is loadConfig for an agent that receives at listen; "": where the file says.
func (e *env) loadConfigToRun(listen string) (*config.Config, error) {
	return e.loadConfigWith(func(path string, lookup func(string) (string, bool)) (*config.Config, error) {
		return config.LoadToRun(path, listen, lookup)
	})
}

func (e *env) loadConfigWith(load func(string, func(string) (string, bool)) (*config.Config, error)) (*config.Config, error) {
	if e.config == "" {
		return nil, misused("give it with --config FILE; config.example.hcl shows every key", "no config file is given")
	}
	cfg, err := load(e.config, e.lookup)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, misused("--config FILE names it; config.example.hcl shows every key", "%w", err)
	}
	if err != nil {
		return nil, misused("", "%w", err)
	}
	return cfg, nil
}

// reloader takes up a changed config file.
type reloader struct {
	*service
	log     hclog.Logger
	setup   *setup
	current *config.Config
}

// reload is called by config.Watch, one call at a time. It returns the files to watch from now on.
func (r *reloader) reload() []config.File {
	cfg, err := config.LoadToRun(r.env.config, r.flags.listen, r.env.lookup)
	if err != nil {
		r.refuse(err)
		if diags, ok := errors.AsType[*config.Diagnostics](err); ok {
			return diags.Files
		}
		return r.current.Files
	}
	// Copying a file onto a full disk leaves an empty one, which would remove every source.
	if cfg.Blank && !r.current.Blank {
		r.refuse(errBlank)
		return cfg.Files
	}
	r.flags.over(cfg)
	if cfg.Data, err = r.env.dataOver(cfg.Data); err != nil {
		r.refuse(err)
		return cfg.Files
	}
	r.tellFixed(cfg)
	r.current = cfg
	r.tape.SetRetention(store.Retention(cfg.Retain))
	if err := r.setup.take(cfg); err != nil {
		r.log.Error("part of the config could not be applied", "error", err)
	}
	r.setup.agent.RetryCertificates()
	r.log.Info("config reloaded", "sources", len(cfg.Sources))
	return cfg.Files
}

// errBlank is why a file is not taken up that is empty now and was not before.
var errBlank = errors.New("the file is empty or has only comments: to receive nothing, stop the agent")

func (r *reloader) refuse(err error) {
	r.log.Error("config is not valid and changes nothing", "error", err)
}

// tellFixed logs which keys differ from when the agent started, unless the last reload did.
func (r *reloader) tellFixed(cfg *config.Config) {
	fresh := fixedKeys(r.current, cfg)
	for _, key := range fixedKeys(r.cfg, cfg) {
		if slices.Contains(fresh, key) {
			r.log.Warn("this key takes effect at the next start only", "key", key)
		}
	}
}

// inspectTLS says whether the inspect address speaks TLS.
func inspectTLS(cfg *config.Config) bool { return cfg.TLS != nil && cfg.TLS.Inspect }

// plainAddress is where a CA is answered over plain HTTP; "": nowhere.
func plainAddress(cfg *config.Config) string {
	if cfg.TLS == nil || cfg.TLS.ACME == nil {
		return ""
	}
	return cfg.TLS.ACME.HTTP
}

func inspectScheme(cfg *config.Config) string {
	if inspectTLS(cfg) {
		return "https"
	}
	return "http"
}

// fixedKeys are the keys that differ although a running agent can't change them.
func fixedKeys(old, new *config.Config) (keys []string) {
	for key, differs := range map[string]bool{
		"listen": old.Listen != new.Listen, "inspect": old.Inspect != new.Inspect, "data": old.Data != new.Data,
		"uplink":      !reflect.DeepEqual(old.Uplink, new.Uplink),
		"http":        plainAddress(old) != plainAddress(new),
		"tls":         (old.TLS == nil) != (new.TLS == nil) || inspectTLS(old) != inspectTLS(new),
		"connections": old.Limits.Connections != new.Limits.Connections, "head": old.Limits.Head != new.Limits.Head,
	} {
		if differs {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}
