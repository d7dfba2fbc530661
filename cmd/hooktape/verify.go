package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/relay"
	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/inspect"
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
		Long: `Checks who a recorded request is from, or one saved in a file (its exact bytes,
as printed by show --raw; - is stdin). If the signature does not match, verify
finds out what was done to the request since it was signed, if it can: JSON
re-serialized, a final newline, another charset, URL or secret.

--provider and --secret-file give the provider and its secret. Without them,
the running agent's settings for the record's source are used, or those of the
config file given with -c. Then verify also says if another source's secret
would match.

A file does not say when its request came, so the age of its signature is not
checked.

Exit codes: 0 the request is right, 1 it is not.`,
		Example: `  hooktape verify last --provider github --secret-file github.secret
  hooktape verify 8Q2F4K
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
			if err := checkPublicURL(&publicURL); err != nil {
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
	c.Flags().StringVar(&source, "source", "", "check it as a request to this source of the config file")
	c.Flags().StringVar(&publicURL, "public-url", "", "the URL that the provider sees, for providers that sign it")
	jsonFlag(c, &asJSON)
	return c
}

// verification checks one request.
type verification struct {
	env       *env
	sender    *senderFlags
	source    string // "": that of the record
	publicURL string // "": that of the configuration, else what the request came to

	provider *provider.Provider
	setting  provider.Setting
	others   []provider.Secret // of other sources
}

// evidence is a request as it was recorded or saved.
type evidence struct {
	name   string // how to call it in output
	file   bool
	source string // of a record; "": none took it
	tls    bool   // how a record's sender came
	provider.Request
}

// verified is the result of a check.
type verified struct {
	Request string `json:"request"`
	inspect.Verified
}

// findingOf turns the result of a check into a finding.
func findingOf(p *provider.Provider, f *provider.Failure) inspect.Verified {
	found := inspect.Verified{Provider: p.Name, Title: p.Title, Right: f == nil}
	if f != nil {
		found.Kind, found.Reason = string(f.Kind), f.Reason
	}
	return found
}

func (v *verification) run(ctx context.Context, name string) (*verified, error) {
	r, err := v.evidence(ctx, name)
	if err != nil {
		return nil, err
	}
	found := &verified{Request: r.name}
	source := cmp.Or(v.source, r.source)
	if !v.sender.given() && v.publicURL == "" && source != "" {
		asked, err := v.ask(ctx, r, source, &found.Verified)
		if asked || err != nil {
			return found, err
		}
	}
	if err := v.settle(ctx, r, source); err != nil {
		return nil, err
	}
	found.Verified = v.judge(r)
	return found, nil
}

// ask has the running agent check the request: it knows all secrets, even those that providers hand out to it. asked is
// false if none runs.
func (v *verification) ask(ctx context.Context, r *evidence, source string, found *inspect.Verified) (asked bool, err error) {
	t, err := v.env.openTape(ctx, toRead)
	if err != nil {
		return false, nil // a file needs no tape
	}
	defer t.Close()
	if t.store != nil {
		return false, nil
	}
	*found, err = t.Verify(ctx, source, r.Head, r.Body, r.Time, r.tls)
	if err != nil {
		return true, v.withHint(r, apiError("verify", err))
	}
	return true, nil
}

// judge checks the request with what is known of its sender.
func (v *verification) judge(r *evidence) inspect.Verified {
	if r.file { // it does not say when it came
		r.Time, v.setting.Tolerance = v.env.now(), math.MaxInt64
	}
	v.setting.Fetch = relay.FetchKeys(v.env.now)
	r.URL = provider.RequestURL(v.publicURL, r.Head, r.tls)
	f := v.provider.Verify(&r.Request, &v.setting)
	if f != nil {
		explained := *f
		explained.Reason = provider.Explain(v.provider, &r.Request, &v.setting, v.others)
		f = &explained
	}
	return findingOf(v.provider, f)
}

// settle finds out who the sender should be: from the flags, or else from the configuration.
func (v *verification) settle(ctx context.Context, r *evidence, source string) error {
	cfg, err := v.configured(ctx)
	if err != nil {
		return err
	}
	if v.sender.given() {
		p, s, err := v.sender.sender()
		if err != nil {
			return err
		}
		v.provider, v.setting = p, *s
		source = ""
	}
	if err := v.adopt(cfg, source); err != nil {
		return err
	}
	switch {
	case v.provider == nil:
		return v.unknown(r, cfg, source)
	case v.provider.Scheme == nil:
		return misused("", "%s does not sign requests, there is nothing to check", v.provider.Title)
	}
	return nil
}

// configured is the configuration with the sources made at run time, as far as they can be read here; nil if none is
// given.
func (v *verification) configured(ctx context.Context) (*config.Config, error) {
	if v.env.config == "" {
		return nil, nil
	}
	cfg, err := v.env.loadConfig()
	if err != nil {
		return nil, err
	}
	t, err := v.env.openTape(ctx, toRead)
	if err != nil {
		return cfg, nil // there is no tape yet, or it is not needed
	}
	defer t.Close()
	return withMade(cfg, t.store), nil
}

// adopt takes over what the configuration says, and the check of the source of that name.
func (v *verification) adopt(cfg *config.Config, name string) error {
	if cfg == nil {
		return nil
	}
	if v.publicURL == "" {
		v.publicURL = cfg.PublicURL
	}
	for i := range cfg.Sources {
		s := &cfg.Sources[i]
		if s.Name == name && s.Provider != nil {
			if s.Provider.Scheme != nil && !s.Checks() {
				return misused("name a secret with --provider and --secret-file", "verify: source %q has no secret in the configuration", name)
			}
			if s.KeyFrom != nil && len(s.Setting.Secrets) == 0 {
				return cannot("start the agent, or name a secret with --provider and --secret-file",
					"verify: the key of source %q is handed out to a running agent only", name)
			}
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
	return nil
}

// withHint adds how to name the provider, if the request looks like one of a provider's.
func (v *verification) withHint(r *evidence, err error) error {
	if f, ok := errors.AsType[*failure](err); ok && f.hint == "" {
		f.hint = v.hint(r)
	}
	return err
}

// hint says how to name the provider of a request.
func (v *verification) hint(r *evidence) string {
	if p := provider.Recognise(r.Head); p != nil {
		return fmt.Sprintf("it looks like %s: hooktape verify %s %s", p.Title, r.name, flagsFor(p))
	}
	return "name it with --provider and --secret-file, or give the config file of its source with -c"
}

// unknown says that nobody knows the provider.
func (v *verification) unknown(r *evidence, cfg *config.Config, source string) error {
	switch {
	case source == "" || cfg == nil:
		return misused(v.hint(r), "verify: the provider of the request is not known")
	case cfg.Source(source) == nil:
		return misused("hooktape source list shows the sources", "verify: there is no source %q", source)
	}
	return misused(v.hint(r), "verify: source %q has no provider in the configuration", source)
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
		return nil, cannot("give the exact bytes of a request, as hooktape show ID --raw prints them", "verify: %s is not a request: %w", name, err)
	}
	body, err := io.ReadAll(wire.NewBodyReader(head.Framing, bytes.NewReader(raw[len(head.Raw):])))
	if err != nil {
		return nil, cannot("", "verify: the body of %s: %w", name, err)
	}
	return &evidence{name: name, file: true, Request: provider.Request{Head: head, Body: body}}, nil
}

// printFinding prints the finding and returns the exit code.
func (e *env) printFinding(found *verified, asJSON bool) error {
	var err error
	switch {
	case asJSON:
		err = e.printJSON(found)
	case found.Right:
		_, err = fmt.Fprintf(e.stdout, "%s is from %s: the check passed\n", clean(found.Request), found.Title)
	default:
		_, err = fmt.Fprintf(e.stdout, "%s fails the check of %s: %s\n", clean(found.Request), found.Title, clean(found.Reason))
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
