package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/provider"
)

// customProvider is the provider's name when a signature block says how requests are signed.
const customProvider = "hmac"

// provider reads the name of a provider.
func (d *decoder) provider(a *hclsyntax.Attribute, into **provider.Provider) {
	name, ok := d.text(a)
	if !ok || name == customProvider { // that one is made from the signature block
		return
	}
	p, known := provider.Named(name)
	if !known {
		d.fail(a.Expr.Range(), "there is no provider %q%s", name, didYouMean(name, providerNames()))
		return
	}
	*into = p
}

// providerNames are the names that "provider" takes.
func providerNames() []string {
	names := []string{customProvider}
	for _, p := range provider.All() {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	return names
}

func didYouMean(name string, known []string) string {
	if near := expr.Nearest(name, known); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// secrets reads a list of secrets.
func (d *decoder) secrets(a *hclsyntax.Attribute, into *[]string) {
	before := len(d.diags)
	d.texts(a, func(secret string, _ hcl.Range) { *into = append(*into, secret) })
	if len(*into) == 0 && len(d.diags) == before {
		d.fail(a.Expr.Range(), "no secret at all; leave %q out if there is none", a.Name)
	}
}

// params reads { name = "value" }.
func (d *decoder) params(a *hclsyntax.Attribute, into *map[string]string) {
	object, ok := a.Expr.(*hclsyntax.ObjectConsExpr)
	if !ok {
		d.fail(a.Expr.Range(), `%q must be an object: { verify_token = "..." }`, a.Name)
		return
	}
	params := make(map[string]string, len(object.Items))
	for _, item := range object.Items {
		key, diags := item.KeyExpr.Value(nil)
		if diags.HasErrors() || key.IsNull() || key.Type().FriendlyName() != "string" {
			d.fail(item.KeyExpr.Range(), "the name of a param is a word")
			continue
		}
		params[key.AsString()], _ = d.textOf(key.AsString(), item.ValueExpr) // "": what is wrong with it was reported
	}
	*into = params
}

func decodeOnInvalid(d *decoder, s *Source, a *hclsyntax.Attribute) {
	if text, ok := d.oneOf(a, string(RejectInvalid), string(RecordInvalid)); ok {
		s.OnInvalid = OnInvalid(text)
	}
}

// signatureSchema is for the block that describes how a sender signs that is not among the providers.
var signatureSchema = schema[provider.Custom]{
	place: "signature",
	keys: map[string]func(*decoder, *provider.Custom, *hclsyntax.Attribute){
		"header": func(d *decoder, c *provider.Custom, a *hclsyntax.Attribute) { d.fieldName(a, &c.Header) },
		"prefix": func(d *decoder, c *provider.Custom, a *hclsyntax.Attribute) { d.textInto(a, &c.Prefix) },
		"algorithm": func(d *decoder, c *provider.Custom, a *hclsyntax.Attribute) {
			c.Algorithm, _ = d.oneOf(a, algorithms...)
		},
		"encoding": func(d *decoder, c *provider.Custom, a *hclsyntax.Attribute) {
			c.Encoding, _ = d.oneOf(a, "hex", "base64")
		},
		"signed":    func(d *decoder, c *provider.Custom, a *hclsyntax.Attribute) { d.textInto(a, &c.Signed) },
		"timestamp": func(d *decoder, c *provider.Custom, a *hclsyntax.Attribute) { d.fieldName(a, &c.Timestamp) },
		"id":        func(d *decoder, c *provider.Custom, a *hclsyntax.Attribute) { d.fieldName(a, &c.ID) },
	},
}

var algorithms = []string{"sha256", "sha1", "sha384", "sha512"}

func decodeSignature(d *decoder, s *Source, b *hclsyntax.Block) {
	d.unlabeled(b)
	var c provider.Custom
	before := len(d.diags)
	decodeBody(d, &c, b.Body, &signatureSchema)
	if len(d.diags) > before {
		return
	}
	p, err := c.Provider()
	if err != nil {
		d.fail(b.TypeRange, "this can't be checked: %s", err)
		return
	}
	s.Provider = p
}

// checkSender checks what a source says about its sender, taken together.
func (d *decoder) checkSender(s *Source, b *hclsyntax.Block) {
	given := b.Body.Attributes["provider"]
	name := plainText(given)
	signatures := 0
	for _, inner := range b.Body.Blocks {
		if inner.Type != "signature" {
			continue
		}
		if signatures++; signatures > 1 {
			d.fail(inner.TypeRange, "a second signature block in this source")
		}
		if name != customProvider {
			d.fail(inner.TypeRange, "a signature block belongs to provider = %q", customProvider)
		}
	}
	if name == customProvider && signatures == 0 {
		d.fail(given.Expr.Range(), "say how requests are signed in a signature block: signature { header = \"X-Signature\" }")
	}
	for _, key := range []string{"secrets", "on_invalid", "tolerance"} {
		a := b.Body.Attributes[key]
		if a != nil && given == nil && (key != "on_invalid" || s.OnInvalid == RecordInvalid) {
			d.fail(a.NameRange, "%q needs a provider, which says how it is checked; provider = %q takes any HMAC", key, customProvider)
		}
	}
	if s.KeyFrom != nil && given == nil {
		d.fail(b.DefRange(), "key_from needs a provider, which says how requests are signed with the key")
	}
	if s.unprotected() && !s.Template && b.Body.Attributes["secrets"] == nil && given != nil {
		d.fail(given.Expr.Range(), "provider %q signs what it sends: give secrets = [file(\"...\")], or on_invalid = %q to take it unchecked",
			s.Provider.Name, RecordInvalid)
	}
	d.checkParams(s, given)
	d.checkSecrets(s, b.Body.Attributes["secrets"])
}

// checkSecrets finds secrets with which every request would be refused.
func (d *decoder) checkSecrets(s *Source, given *hclsyntax.Attribute) {
	if given == nil || s.Provider == nil {
		return
	}
	for i, secret := range s.Setting.Secrets {
		if err := s.Provider.CheckSecret(secret); err != nil {
			d.fail(given.Expr.Range(), "secret %d is not valid for provider %q: %s", i+1, s.Provider.Name, err)
		}
	}
}

// checkParams finds missing params, without which every request would be refused.
func (d *decoder) checkParams(s *Source, given *hclsyntax.Attribute) {
	if given == nil || !s.Checks() || s.OnInvalid == RecordInvalid {
		return
	}
	for _, name := range s.Provider.Needs {
		if s.Setting.Params[name] == "" {
			d.fail(given.Expr.Range(), "provider %q needs params = { %s = \"...\" }: see %s", s.Provider.Name, name, s.Provider.Doc)
		}
	}
}

// unprotected says whether the source could check who sends, but has nothing to check with.
func (s *Source) unprotected() bool {
	p := s.Provider
	return p != nil && p.Scheme != nil && !p.Optional && !s.Checks() && s.OnInvalid != RecordInvalid
}

// plainText is the value of a key if it is written in quotes, otherwise "".
func plainText(a *hclsyntax.Attribute) string {
	if a == nil {
		return ""
	}
	v, diags := a.Expr.Value(nil)
	if diags.HasErrors() || v.IsNull() || v.Type() != cty.String {
		return ""
	}
	return v.AsString()
}

// adopt takes from the provider what the source does not say itself.
func (d *decoder) adopt(s *Source, b *hclsyntax.Block) {
	given := b.Body.Attributes["provider"]
	p := s.Provider
	if p == nil || given == nil {
		return
	}
	if b.Body.Attributes["methods"] == nil {
		s.Methods = slices.Clone(p.Methods)
	}
	d.speak(s, p, given.Expr.Range())
	if b.Body.Attributes["allow"] == nil {
		for _, network := range p.Allow {
			s.Allow = append(s.Allow, netip.MustParsePrefix(network)) // a constant of ours, which a test parses
		}
	}
}

// speak takes from the provider how its events are named, told apart and answered, unless the source says so itself.
func (d *decoder) speak(s *Source, p *provider.Provider, at hcl.Range) {
	if s.Event == nil && p.Event != "" {
		s.Event = d.builtin(p, "event", p.Event, expr.ParseValue, at)
	}
	if s.Dedupe != nil && s.Dedupe.Key == nil && p.Dedupe != "" {
		s.Dedupe.Key = d.builtin(p, "dedupe", p.Dedupe, expr.ParseText, at)
	}
	if s.Acks == nil {
		s.Acks = d.builtinAcks(p, at)
	}
}

// SentBy makes p the provider of the source: requests are checked as setting says, and named and answered as p has it.
// It is for a source that no file describes: any method and address is accepted.
func (s *Source) SentBy(p *provider.Provider, setting provider.Setting) error {
	var d decoder
	s.Provider, s.Setting = p, setting
	d.speak(s, p, hcl.Range{})
	if d.diags.HasErrors() {
		return errors.New(d.diags[0].Summary)
	}
	return nil
}

// checkDedupe finds a dedupe block that has no key, neither its own nor the provider's.
func (d *decoder) checkDedupe(s *Source, b *hclsyntax.Block) {
	if s.Dedupe == nil || s.Dedupe.Key != nil || s.Provider == nil && b.Body.Attributes["provider"] != nil {
		return
	}
	for _, inner := range b.Body.Blocks {
		if inner.Type == "dedupe" && inner.Body.Attributes["key"] == nil {
			d.fail(inner.TypeRange, "dedupe needs a key: an expression that is the same for duplicates, like json.id")
		}
	}
}

// builtinAcks are the answers that a provider wants.
func (d *decoder) builtinAcks(p *provider.Provider, at hcl.Range) (acks []Ack) {
	for _, its := range p.Acks {
		ack := DefaultAck()
		ack.Deliver = !its.Ignore
		if its.Status != 0 {
			ack.Status = its.Status
		}
		if its.When != "" {
			ack.When = d.builtin(p, "ack when", its.When, expr.Parse, at)
		}
		if its.Body != "" {
			ack.Body = d.builtin(p, "ack body", its.Body, expr.ParseText, at)
		}
		for _, h := range its.Headers {
			ack.Headers = append(ack.Headers, Header{h.Name, d.builtin(p, "ack header", h.Value, expr.ParseText, at)})
		}
		acks = append(acks, ack)
	}
	return acks
}

// builtin compiles an expression of a provider. A wrong one is our mistake, and a test finds it.
func (d *decoder) builtin(p *provider.Provider, what, src string, parse func(string) (*expr.Expr, error), at hcl.Range) *expr.Expr {
	x, err := parse(src)
	if err != nil {
		line, _, _ := strings.Cut(err.Error(), "\n")
		d.fail(at, "the %s expression of provider %s is wrong, please report this: %s", what, p.Name, line)
	}
	return x
}
