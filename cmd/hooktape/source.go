package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/relay"
	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/relay/provider"
)

func newSource(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "source",
		Short: "Create, list, enable, disable and delete sources",
		Long: `Sources are defined in the config file, or created at run time, each with an id
in its URL and a secret of its own. The latter are stored on the tape: they
work at once, and survive restarts. What they do with requests is defined by a
template in the config: a source with template = true. A source in the config
file wins over one with the same name or path.`,
		Args: cobra.ArbitraryArgs,
		RunE: parentOnly,
	}
	c.AddCommand(
		newSourceCreate(e), newSourceList(e),
		newSourceChange(e, "enable", "Let a source that was disabled take requests again", (*inspect.Client).EnableSource),
		newSourceChange(e, "disable", "Refuse the requests of a source: its senders get 410", (*inspect.Client).DisableSource),
		newSourceChange(e, "delete", "Forget a source that was made at run time; its records stay", (*inspect.Client).DeleteSource),
	)
	return c
}

// sourceFlags are what source create says of a source.
type sourceFlags struct {
	inspect.NewSource
	params, paramFiles []string
	secretFile         string
	asJSON             bool
}

func newSourceCreate(e *env) *cobra.Command {
	var f sourceFlags
	c := &cobra.Command{
		Use:   "create NAME --provider PROVIDER | --like TEMPLATE",
		Short: "Create a source with an id and a secret of its own",
		Long: `Creates a source and prints its URL and its secret, which is not shown again.
It is configured by the config's template for the provider, or by the one that
--like names. Without a template, the provider alone defines how requests are
checked and answered, and --to where they go.

If no agent is running, -c names the config of the one that will.`,
		Example: `  hooktape source create crm --provider metrika --param counter_id=12345678 --param-file token=metrika.token
  hooktape source create shop --provider stripe --secret-file whsec.txt --to http://127.0.0.1:3000/stripe`,
		Args: oneName,
		RunE: func(c *cobra.Command, args []string) error {
			f.Name = args[0]
			return e.createSource(c.Context(), &f)
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.Provider, "provider", "", "the provider: how requests are signed, answered and named")
	var names []string
	for _, p := range provider.All() {
		names = append(names, p.Name)
	}
	completed(c, "provider", strings.Join(names, ", "))
	flags.StringVar(&f.Template, "like", "", "the template in the config to use")
	flags.StringVar(&f.To, "to", "", "URL that requests go to, instead of the template's first target")
	flags.StringVar(&f.Path, "path", "", "its path (default: the template's, then the id)")
	flags.StringArrayVar(&f.params, "param", nil, "K=V: a string, params.K in expressions; repeatable")
	flags.StringArrayVar(&f.paramFiles, "param-file", nil, "K=FILE: the same, read from a file; repeatable")
	flags.StringVar(&f.secretFile, "secret-file", "", "file with its secret, if the provider gave it (default: a random one is made)")
	jsonFlag(c, &f.asJSON)
	return c
}

// oneName takes the name of a source.
func oneName(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return misused("usage: "+c.UseLine(), "%s takes one name of a source, got %d", c.CommandPath(), len(args))
	}
	return nil
}

func (e *env) createSource(ctx context.Context, f *sourceFlags) error {
	if err := f.gather(); err != nil {
		return err
	}
	t, err := e.openSources(ctx, toMake)
	if err != nil {
		return err
	}
	defer t.Close()
	made, err := t.CreateSource(ctx, f.NewSource)
	if err != nil {
		return sourceError("create source", err)
	}
	if f.asJSON {
		return e.printJSON(made)
	}
	for _, line := range [][2]string{{"name", made.Name}, {"id", made.ID}, {"url", made.URL}, {"secret", made.Secret}} {
		if line[1] != "" {
			fmt.Fprintf(e.stdout, "%-7s %s\n", line[0], line[1])
		}
	}
	if made.Secret != "" {
		fmt.Fprintln(e.stderr, "the secret is not shown again")
	}
	return nil
}

// gather reads what the flags name.
func (f *sourceFlags) gather() error {
	f.Params = make(map[string]string)
	for _, param := range f.params {
		name, value, ok := strings.Cut(param, "=")
		if !ok || name == "" {
			return misused("write --param counter_id=12345678", "--param %q is not K=V", name)
		}
		f.Params[name] = value
	}
	for _, param := range f.paramFiles {
		name, path, ok := strings.Cut(param, "=")
		if !ok || name == "" {
			return misused("write --param-file token=token.txt", "--param-file %q is not K=FILE", param)
		}
		value, err := secretIn(path, "--param-file")
		if err != nil {
			return err
		}
		f.Params[name] = value
	}
	if f.secretFile == "" {
		return f.checkSecret()
	}
	var err error
	f.Secret, err = secretIn(f.secretFile, "--secret-file")
	return err
}

// checkSecret finds providers for which we can't make up a secret: theirs is a key that they show.
func (f *sourceFlags) checkSecret() error {
	p, ok := provider.Named(f.Provider)
	if !ok || slices.ContainsFunc(inspect.NewSecrets(), func(secret string) bool { return p.CheckSecret(secret) == nil }) {
		return nil
	}
	return misused("give it with --secret-file FILE", "create source: %s gives you the secret, it can't be made up here", p.Title)
}

func newSourceList(e *env) *cobra.Command {
	return newListing("List sources and their state", e.openSources, e.listSources)
}

func (e *env) listSources(ctx context.Context, t *tape, asJSON bool) error {
	table := newTable(e.stdout, e.inkFor(e.stdout), "NAME", "STATE", "PROVIDER", "TARGETS", "URL", "REASON")
	table.long = 4
	var listed []inspect.ListedSource
	row := func(s inspect.ListedSource) []cell {
		listed = append(listed, s)
		return sourceCells(s)
	}
	l := listing[inspect.ListedSource]{table, row, asJSON, func(err error) error { return sourceError("list sources", err) }, "the tape knows no source yet"}
	if _, err := l.print(e, t.ListSources(ctx)); err != nil {
		return err
	}
	return e.printRegistrations(listed)
}

func sourceCells(s inspect.ListedSource) []cell {
	targets := make([]string, len(s.Targets))
	for i, t := range s.Targets {
		targets[i] = t.Name
	}
	return []cell{
		{text: s.Name},
		{text: string(s.State), paint: paintSource(s.State)},
		{text: orDash(s.Provider)},
		{text: orDash(strings.Join(targets, ", "))},
		{text: orDash(s.URL)},
		{text: s.Reason},
	}
}

func paintSource(state inspect.SourceState) func(ink, string) string {
	switch state {
	case inspect.Active:
		return ink.green
	case inspect.Template:
		return ink.dim
	case inspect.Unusable:
		return ink.red
	}
	return ink.yellow
}

// newSourceChange is a command that changes one source.
func newSourceChange(e *env, verb, short string, do func(*inspect.Client, context.Context, string) (inspect.ListedSource, error)) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   verb + " NAME",
		Short: short,
		Args:  oneName,
		RunE: func(c *cobra.Command, args []string) error {
			t, err := e.openSources(c.Context(), toWrite)
			if err != nil {
				return err
			}
			defer t.Close()
			source, err := do(t.Client, c.Context(), args[0])
			switch {
			case err != nil:
				return sourceError(verb+" source", err)
			case asJSON:
				return e.printJSON(source)
			}
			fmt.Fprintf(e.stderr, "source %s %sd\n", source.Name, verb)
			return nil
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

// sourceError gives a refusal of the control API its exit code and hint.
func sourceError(doing string, err error) error {
	failed := apiError(doing, err)
	if f, ok := failed.(*failure); ok && f.code == exitNotSo {
		f.hint = "hooktape source list shows the sources"
	}
	return failed
}

// openSources is openTape for commands about sources: when no agent runs, the config that -c names says what they amount
// to.
func (e *env) openSources(ctx context.Context, how access) (*tape, error) {
	t, err := e.openTape(ctx, how)
	if err != nil || t.store == nil || e.config == "" {
		return t, err
	}
	cfg, err := e.loadConfig()
	if err != nil {
		t.Close()
		return nil, err
	}
	setup := &setup{tape: t.store, cfg: cfg, base: cfg.Scheme() + "://" + cfg.Listen}
	t.server.Setup = setup
	if how != toRead {
		t.server.Subscriber = relay.New(relay.Options{Store: t.store}, setup.merged())
	}
	return t, nil
}
