package config

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"github.com/hooktape/hooktape/store"
)

// With is the configuration with the sources that were made at run time; c itself is not changed. A source that can't
// stand beside those of the configuration, or beside one made earlier, is left out; refused says why, by its name.
func (c *Config) With(made []store.Source) (with *Config, refused map[string]error) {
	copied := *c
	copied.Sources = slices.Clone(c.Sources)
	refused = make(map[string]error)
	made = slices.SortedStableFunc(slices.Values(made), func(a, b store.Source) int { return a.Created.Compare(b.Created) })
	for _, m := range made {
		s, err := c.make(m)
		if err == nil {
			err = copied.standsAgainst(&s)
		}
		if err != nil {
			refused[m.Name] = err
			continue
		}
		copied.Sources = append(copied.Sources, s)
	}
	return &copied, refused
}

// standsAgainst says why s can't be a source beside those of the configuration; nil: it can.
func (c *Config) standsAgainst(s *Source) error {
	for i := range c.Sources {
		other := &c.Sources[i]
		where := "the config"
		if other.ID != "" {
			where = "use"
		}
		switch {
		case other.Name == s.Name:
			return fmt.Errorf("a source %q is in %s already", s.Name, where)
		case other.place() == s.place():
			return fmt.Errorf("source %q in %s has the path %s already", other.Name, where, s.Path)
		}
	}
	return nil
}

// place is what no two sources may share.
func (s *Source) place() string { return strings.TrimSuffix(s.Path, "/") + " " + s.Host }

// make turns a source made at run time into a Source, whatever other sources there are.
func (c *Config) make(m store.Source) (Source, error) {
	t, err := c.template(m)
	if err != nil {
		return Source{}, err
	}
	if m.Path == "" {
		m.Path = "/" + m.ID
		if t != nil {
			m.Path = strings.TrimSuffix(t.Path, "/") + m.Path
		}
	}
	own, err := decodeMade(m, t == nil)
	if err != nil {
		return Source{}, err
	}
	if t != nil {
		if own, err = t.like(own, m); err != nil {
			return Source{}, err
		}
	}
	if m.Secret == "" || !own.Provider.TakesSecret() {
		own.Setting.Secrets = nil
	}
	own.ID, own.Disabled = m.ID, m.Disabled
	params := map[string]string{"id": m.ID}
	maps.Copy(params, own.Setting.Params)
	own.Setting.Params = params
	return own, nil
}

// template is the source of the configuration that m is modelled on; nil: none.
func (c *Config) template(m store.Source) (*Source, error) {
	if m.Template == "" && m.Provider == "" {
		return nil, errors.New("say who sends to it: a provider, or a template of the config")
	}
	if m.Template != "" {
		t := c.Source(m.Template)
		if t == nil || !t.Template {
			return nil, fmt.Errorf("the config has no template %q: a source block with template = true", m.Template)
		}
		return t, nil
	}
	var found *Source
	for i := range c.Sources {
		s := &c.Sources[i]
		switch {
		case !s.Template || s.Provider == nil || s.Provider.Name != m.Provider:
		case found != nil:
			return nil, fmt.Errorf("the config has several templates for provider %s: %q and %q", m.Provider, found.Name, s.Name)
		default:
			found = s
		}
	}
	return found, nil
}

// like is t with what m says for itself; own is that, decoded.
func (t *Source) like(own Source, m store.Source) (Source, error) {
	if m.Provider != "" && (t.Provider == nil || t.Provider.Name != m.Provider) {
		return Source{}, fmt.Errorf("template %q is not for provider %q", t.Name, m.Provider)
	}
	s := *t
	s.Template = false
	s.Name, s.Path = own.Name, own.Path
	s.Setting.Secrets = []string{m.Secret}
	s.Setting.Params = maps.Clone(t.Setting.Params)
	if s.Setting.Params == nil {
		s.Setting.Params = make(map[string]string)
	}
	maps.Copy(s.Setting.Params, own.Setting.Params)
	if len(own.Targets) > 0 {
		s.Targets = sendTo(t.Targets, own.Targets[0].URL)
	}
	return s, nil
}

// sendTo are targets, or one made for it if there are none, of which the first goes to a URL.
func sendTo(targets []Target, u *url.URL) []Target {
	if len(targets) == 0 {
		return []Target{DefaultTarget(madeTarget, u)}
	}
	targets = slices.Clone(targets)
	targets[0].URL = u
	return targets
}

// madeTarget is the name of the target of a source made at run time whose template has no target.
const madeTarget = "app"

// decodeMade reads what m says for itself as if it stood in a config file, so that the same rules apply. Its provider
// is left out if a template has it.
func decodeMade(m store.Source, withProvider bool) (Source, error) {
	file := hclwrite.NewEmptyFile()
	source := file.Body().AppendNewBlock("source", []string{m.Name}).Body()
	source.SetAttributeValue("path", cty.StringVal(m.Path))
	if withProvider {
		source.SetAttributeValue("provider", cty.StringVal(m.Provider))
		if m.Secret != "" {
			source.SetAttributeValue("secrets", cty.TupleVal([]cty.Value{cty.StringVal(m.Secret)}))
		}
	}
	if len(m.Params) > 0 {
		params := make(map[string]cty.Value, len(m.Params))
		for name, value := range m.Params {
			params[name] = cty.StringVal(value)
		}
		source.SetAttributeValue("params", cty.ObjectVal(params))
	}
	if m.To != "" {
		target := source.AppendNewBlock("target", []string{madeTarget}).Body()
		target.SetAttributeValue("url", cty.StringVal(m.To))
	}
	cfg, diags := decode(file.Bytes(), &surroundings{lookup: func(string) (string, bool) { return "", false }})
	if diags.HasErrors() {
		return Source{}, errors.New(message(diags.Errs()[0].(*hcl.Diagnostic)))
	}
	return cfg.Sources[0], nil
}
