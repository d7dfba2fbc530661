package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/relay"
	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/provider"
	"github.com/hooktape/hooktape/relay/wire"
)

func newVerify(e *env) *cobra.Command {
	var (
		sender            senderFlags
		source, publicURL string
		asJSON            bool
	)
	c := &cobra.Command{
		Use:   "verify ID|FILE",
		Short: "Check a request's signature, and say what is wrong with it",
		Long: `Check who a recorded request is from, or one saved in a file (its exact bytes,
as show --raw prints them; - is the standard input). Where the signature is
another one, verify finds out what was done to the request since it was signed:
JSON printed anew, a final newline, another charset, URL or secret.

The provider and its secret are given with --provider and --secret-file, or they
are those of the record's source in the config file given with -c. Then it says
too when another source's secret would be right.

A file doesn't say when its request came, so the age of its signature is not
looked at.

Exit codes: 0 the request is right, 1 it is not.`,
		Example: `  hooktape verify last --provider github --secret-file github.secret
  hooktape verify 8Q2F4K -c hooktape.hcl
  hooktape verify request.http --provider hmac --secret-file s --signature header=X-Sig`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				return nil
			}
			return misused("hooktape verify last --provider github --secret-file FILE",
				"%s takes one record or file, got %d", c.CommandPath(), len(args))
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := sender.check(); err != nil {
				return err
			}
			v := &verification{env: e, sender: &sender, source: source, publicURL: publicURL}
			found, err := v.run(c.Context(), args[0])
			if err != nil {
				return err
			}
			return e.printFinding(found, asJSON)
		},
	}
	sender.register(c)
	c.Flags().StringVar(&source, "source", "", "check it as one of this source of the config file")
	c.Flags().StringVar(&publicURL, "public-url", "", "the URL that the provider sees, where it signs that")
	jsonFlag(c, &asJSON)
	return c
}

// verification checks one request.
type verification struct {
	env       *env
	sender    *senderFlags
	source    string // "": the record's
	publicURL string // "": that of the configuration, else what the request came to

	provider *provider.Provider
	setting  provider.Setting
	others   []provider.Secret // of other sources
}

// evidence is a request as it was recorded or saved.
type evidence struct {
	name   string // how it is called in what is printed
	file   bool
	source string // of a record; "": none took it
	tls    bool   // how a record's sender came
	provider.Request
}

// verified is what came of it.
type verified struct {
	Request  string `json:"request"`
	Provider string `json:"provider"`
	Right    bool   `json:"right"`
	Kind     string `json:"kind,omitempty"` // of the failure
	Reason   string `json:"reason,omitempty"`
	title    string
}

func (v *verification) run(ctx context.Context, name string) (*verified, error) {
	r, err := v.evidence(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := v.settle(r); err != nil {
		return nil, err
	}
	if v.provider.Scheme == nil {
		return nil, misused("", "%s signs nothing, there is nothing to check", v.provider.Title)
	}
	if r.file { // it does not say when it came
		r.Time, v.setting.Tolerance = v.env.now(), math.MaxInt64
	}
	v.setting.Fetch = relay.FetchKeys(v.env.now)
	r.URL = provider.RequestURL(v.publicURL, r.Head, r.tls)
	found := &verified{Request: r.name, Provider: v.provider.Name, Right: true, title: v.provider.Title}
	if f := v.provider.Verify(&r.Request, &v.setting); f != nil {
		found.Right, found.Kind = false, string(f.Kind)
		found.Reason = provider.Explain(v.provider, &r.Request, &v.setting, v.others)
	}
	return found, nil
}

// settle finds out who the sender is said to be: by the flags, else by the configuration.
func (v *verification) settle(r *evidence) error {
	var cfg *config.Config
	if v.env.config != "" {
		var err error
		if cfg, err = config.Load(v.env.config, v.env.lookup); err != nil {
			return misused("", "%w", err)
		}
	}
	if v.sender.given() {
		p, s, err := v.sender.sender()
		if err != nil {
			return err
		}
		v.provider, v.setting = p, *s
		v.adopt(cfg, "")
		return nil
	}
	name := v.source
	if name == "" {
		name = r.source
	}
	v.adopt(cfg, name)
	if v.provider != nil {
		return nil
	}
	return v.unknown(r, cfg, name)
}

// adopt takes over what the configuration says, and the check of the source of that name.
func (v *verification) adopt(cfg *config.Config, name string) {
	if cfg == nil {
		return
	}
	if v.publicURL == "" {
		v.publicURL = cfg.PublicURL
	}
	for i := range cfg.Sources {
		s := &cfg.Sources[i]
		if s.Name == name && s.Provider != nil {
			v.provider, v.setting = s.Provider, s.Setting
			if s.PublicURL != "" {
				v.publicURL = s.PublicURL
			}
			continue
		}
		for _, secret := range s.Setting.Secrets {
			v.others = append(v.others, provider.Secret{Source: s.Name, Value: secret})
		}
	}
}

// unknown says how to name the provider.
func (v *verification) unknown(r *evidence, cfg *config.Config, source string) error {
	hint := "name it with --provider and --secret-file, or give the config file of its source with -c"
	if p := provider.Recognise(r.Head); p != nil {
		hint = fmt.Sprintf("it looks like %s: hooktape verify %s %s", p.Title, r.name, flagsFor(p))
	}
	if cfg != nil && source != "" {
		return misused(hint, "verify: source %q has no provider in the configuration", source)
	}
	return misused(hint, "verify: nobody says whose request it is")
}

// evidence reads a file, if there is one of that name, or a record.
func (v *verification) evidence(ctx context.Context, name string) (*evidence, error) {
	if name == "-" {
		return readEvidence("the request", v.env.stdin)
	}
	if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() && name != "last" && !strings.HasPrefix(name, "last~") {
		f, err := os.Open(name)
		if err != nil {
			return nil, cannot("", "verify: %w", err)
		}
		defer f.Close()
		return readEvidence(name, f)
	}
	return v.record(ctx, name)
}

// record reads a record from the tape.
func (v *verification) record(ctx context.Context, name string) (*evidence, error) {
	t, err := v.env.openTape(ctx, toRead)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	rec, err := t.Record(ctx, name, false)
	if err != nil {
		return nil, apiError("verify", err)
	}
	if rec.Truncated {
		return nil, cannot("", "verify: only the beginning of %s is kept", ending(rec.ID))
	}
	raw, err := t.Raw(ctx, rec.ID.String())
	if err != nil {
		return nil, apiError("verify", err)
	}
	defer raw.Close()
	r, err := readEvidence(ending(rec.ID), raw)
	if err != nil {
		return nil, err
	}
	r.file, r.source, r.tls, r.Time = false, rec.Source, rec.TLS, rec.Time.Time
	return r, nil
}

// readEvidence takes the bytes of a request apart.
func readEvidence(name string, from io.Reader) (*evidence, error) {
	raw, err := io.ReadAll(from)
	if err != nil {
		return nil, cannot("", "verify: read %s: %w", name, err)
	}
	head, err := wire.ParseRequestHead(raw)
	if err != nil {
		return nil, cannot("it is to be the exact bytes of a request, as hooktape show ID --raw prints them", "verify: %s is no request: %w", name, err)
	}
	body, err := io.ReadAll(wire.NewBodyReader(head.Framing, bytes.NewReader(raw[len(head.Raw):])))
	if err != nil {
		return nil, cannot("", "verify: the body of %s: %w", name, err)
	}
	return &evidence{name: name, file: true, Request: provider.Request{Head: head, Body: body}}, nil
}

// printFinding prints it and gives the exit code.
func (e *env) printFinding(found *verified, asJSON bool) error {
	var err error
	switch {
	case asJSON:
		err = e.printJSON(found)
	case found.Right:
		_, err = fmt.Fprintf(e.stdout, "%s is from %s: it is right\n", clean(found.Request), found.title)
	default:
		_, err = fmt.Fprintf(e.stdout, "%s can't be taken for %s's: %s\n", clean(found.Request), found.title, clean(found.Reason))
	}
	switch {
	case err != nil:
		return err
	case found.Right:
		return nil
	case found.Kind == string(provider.Unavailable):
		return &failure{code: exitCannot}
	}
	return notSo()
}
