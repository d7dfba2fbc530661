package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/provider"
)

// senderFlags are the flags that say who sends and how to check that, when no configuration does.
type senderFlags struct {
	provider    string
	secretFiles []string
	params      []string
	signature   []string
	tolerance   string
}

func (f *senderFlags) register(c *cobra.Command) {
	f.registerSigning(c)
	c.Flags().StringVar(&f.tolerance, "tolerance", "", "how far a signature's time may differ from ours (default: the provider's)")
}

// registerSigning registers the flags about who signs, and how.
func (f *senderFlags) registerSigning(c *cobra.Command) {
	c.Flags().StringVar(&f.provider, "provider", "", "github, stripe, ...; hmac with --signature: any HMAC scheme")
	f.registerKeys(c)
	c.Flags().StringArrayVar(&f.signature, "signature", nil,
		"KEY=VALUE for --provider hmac: header, prefix, algorithm, encoding, signed, timestamp, id; repeatable")
	_ = c.RegisterFlagCompletionFunc("provider", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return providerNames(), cobra.ShellCompDirectiveNoFileComp
	})
}

// registerKeys registers the flags about what the provider signs with.
func (f *senderFlags) registerKeys(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.secretFiles, "secret-file", nil, "file with the secret that the provider signs with; repeatable")
	c.Flags().StringArrayVar(&f.params, "param", nil, "NAME=VALUE, what else the provider needs; repeatable")
}

// customProvider is the provider that --signature describes.
const customProvider = "hmac"

func providerNames() []string {
	names := []string{customProvider}
	for _, p := range provider.All() {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	return names
}

// given says whether the flags name a provider.
func (f *senderFlags) given() bool { return f.provider != "" }

// check finds flags that mean nothing without a provider.
func (f *senderFlags) check() error {
	if !f.given() && (f.secretFiles != nil || f.params != nil || f.signature != nil || f.tolerance != "") {
		return misused("name it with --provider", "--secret-file, --param, --signature and --tolerance need a provider")
	}
	return nil
}

// sender reads what the flags say.
func (f *senderFlags) sender() (*provider.Provider, *provider.Setting, error) {
	p, err := f.named()
	if err != nil {
		return nil, nil, err
	}
	s, err := f.setting()
	if err != nil {
		return nil, nil, err
	}
	if s.Secrets == nil && p.TakesSecret() && !p.Optional {
		return nil, nil, misused("put the secret into a file and name it with --secret-file",
			"%s signs what it sends, and no secret is given to check it with", p.Title)
	}
	for _, name := range p.Needs {
		if s.Params[name] == "" {
			return nil, nil, misused("see "+p.Doc, "%s can't be checked without --param %s=VALUE", p.Title, name)
		}
	}
	for i, secret := range s.Secrets {
		if err := p.CheckSecret(secret); err != nil {
			return nil, nil, misused("see "+p.Doc, "--secret-file %s has no valid secret for %s: %w", f.secretFiles[i], p.Title, err)
		}
	}
	return p, s, nil
}

// setting reads what the flags say about keys.
func (f *senderFlags) setting() (*provider.Setting, error) {
	s := new(provider.Setting)
	for _, path := range f.secretFiles {
		secret, err := secretIn(path, "--secret-file")
		if err != nil {
			return nil, err
		}
		s.Secrets = append(s.Secrets, secret)
	}
	var err error
	if s.Params, err = pairs("--param", f.params); err != nil {
		return nil, err
	}
	if s.Tolerance, err = someTime("--tolerance", f.tolerance); err != nil {
		return nil, err
	}
	return s, nil
}

// secretIn reads the file that a flag names.
func secretIn(path, flag string) (string, error) {
	secret, err := config.ReadSecret(path)
	if err != nil {
		return "", misused("", "%s: %w", flag, err)
	}
	return secret, nil
}

// over has a source check requests as the flags say, if they say anything.
func (f *senderFlags) over(s *config.Source) error {
	if !f.given() {
		return nil
	}
	p, setting, err := f.sender()
	if err != nil {
		return err
	}
	return s.SentBy(p, *setting)
}

// flagsFor are the flags with which requests of p are checked.
func flagsFor(p *provider.Provider) string {
	flags := "--provider " + p.Name
	for _, name := range p.Needs {
		flags += " --param " + name + "=VALUE"
	}
	if p.TakesSecret() {
		flags += " --secret-file FILE"
	}
	return flags
}

func (f *senderFlags) named() (*provider.Provider, error) {
	if f.provider == customProvider {
		return f.custom()
	}
	if f.signature != nil {
		return nil, misused("", "--signature belongs to --provider %s", customProvider)
	}
	return providerNamed(f.provider)
}

func providerNamed(name string) (*provider.Provider, error) {
	p, ok := provider.Named(name)
	if ok {
		return p, nil
	}
	hint := "hooktape trigger --list shows them; hmac takes any HMAC"
	if near := expr.Nearest(name, providerNames()); near != "" {
		hint = "did you mean " + near + "?"
	}
	return nil, misused(hint, "there is no provider %q", name)
}

func (f *senderFlags) custom() (*provider.Provider, error) {
	const hint = "say how requests are signed: --signature header=X-Signature --signature prefix=sha256="
	values, err := pairs("--signature", f.signature)
	if err != nil {
		return nil, err
	}
	var c provider.Custom
	keys := map[string]*string{
		"header": &c.Header, "prefix": &c.Prefix, "algorithm": &c.Algorithm, "encoding": &c.Encoding,
		"signed": &c.Signed, "timestamp": &c.Timestamp, "id": &c.ID,
	}
	for key, value := range values {
		into, ok := keys[key]
		if !ok {
			return nil, misused(hint, "--signature: there is no %q", key)
		}
		*into = value
	}
	p, err := c.Provider()
	if err != nil {
		return nil, misused(hint, "--signature: %w", err)
	}
	return p, nil
}

// pairs reads NAME=VALUE arguments; nil when there are none.
func pairs(flag string, args []string) (map[string]string, error) {
	if args == nil {
		return nil, nil
	}
	values := make(map[string]string, len(args))
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok || name == "" {
			return nil, misused("", "%s %q is not NAME=VALUE", flag, arg)
		}
		values[name] = value
	}
	return values, nil
}
