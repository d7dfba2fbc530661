package config

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/hooktape/hooktape/store"
)

const templates = `
public_url = "https://hooks.example.com"
source "conversions" {
  path     = "/webhook/offline-conversions"
  provider = "metrika"
  template = true
  rate     = "60/m"
  max_body = "10MB"
  params   = { zone = "Europe/Moscow", counter_id = "0" }
  target "upload" {
    url     = "https://api.example.com/"
    timeout = "7s"
  }
  target "copy" {
    url = "https://copy.example.com/"
  }
}
source "plain" {
  path     = "/plain/"
  provider = "iiko"
  template = true
}
source "shop" {
  path = "/shop"
}
`

func TestAMadeSourceIsLikeItsTemplate(t *testing.T) {
	cfg, err := load(t, templates)
	if err != nil {
		t.Fatal(err)
	}
	crm := store.Source{Name: "crm", ID: "5f0c", Provider: "metrika", Secret: "s3cret", Params: map[string]string{"counter_id": "42"}}
	with, refused := cfg.With([]store.Source{crm})
	if len(refused) > 0 || len(cfg.Sources) != 3 {
		t.Fatalf("refused %v", refused)
	}
	s := with.Source("crm")
	if s.Path != "/webhook/offline-conversions/5f0c" || s.Provider.Name != "metrika" || s.Template || s.Disabled || s.ID != "5f0c" {
		t.Errorf("%+v", s)
	}
	if s.Rate != (Rate{Count: 60, Per: time.Minute}) || s.MaxBody != 10_000_000 || len(s.Methods) == 0 || len(s.Acks) == 0 || s.Targets[0].Timeout != 7*time.Second {
		t.Errorf("the template's keys do not hold: %+v", s)
	}
	if got := s.Setting.Secrets; len(got) != 1 || got[0] != "s3cret" {
		t.Errorf("secrets %q", got)
	}
	if want := map[string]string{"zone": "Europe/Moscow", "counter_id": "42", "id": "5f0c"}; !maps.Equal(s.Setting.Params, want) {
		t.Errorf("params %v", s.Setting.Params)
	}
	if got := cfg.Source("conversions").Setting.Params; got["counter_id"] != "0" {
		t.Errorf("the template changed: %v", got)
	}
}

func TestAMadeSourceHasItsOwnPathAndTarget(t *testing.T) {
	cfg, err := load(t, templates)
	if err != nil {
		t.Fatal(err)
	}
	with, refused := cfg.With([]store.Source{
		{Name: "a", ID: "1", Template: "conversions", Secret: "x", Path: "/own", To: "http://127.0.0.1:3000/in", Disabled: true},
		{Name: "b", ID: "2", Template: "plain", Secret: "x", To: "http://127.0.0.1:3000/in"},
		{Name: "c", ID: "3", Provider: "asna", Secret: "x", To: "http://127.0.0.1:3000/${id}"},
		{Name: "d", ID: "4", Provider: "iiko", Secret: "x"},
	})
	if len(refused) > 0 {
		t.Fatal(refused)
	}
	a, b, c, d := with.Source("a"), with.Source("b"), with.Source("c"), with.Source("d")
	if a.Path != "/own" || !a.Disabled || len(a.Targets) != 2 || a.Targets[0].Name != "upload" || a.Targets[0].URL.Host != "127.0.0.1:3000" {
		t.Errorf("%+v", a)
	}
	if got := cfg.Source("conversions").Targets[0].URL.Host; got != "api.example.com" {
		t.Errorf("the template's target changed: %s", got)
	}
	if b.Path != "/plain/2" || len(b.Targets) != 1 || b.Targets[0].Name != "app" || b.Targets[0].Timeout == 0 {
		t.Errorf("%+v", b)
	}
	if c.Path != "/3" || c.Provider.Name != "asna" || len(c.Methods) == 0 || c.Targets[0].URL.Path != "/${id}" || !c.Checks() {
		t.Errorf("%+v", c)
	}
	if d.MaxBody != cfg.Limits.MaxBody || len(d.Acks) != 2 {
		t.Errorf("%+v", d)
	}
}

func TestTheConfigWinsOverMadeSources(t *testing.T) {
	cfg, err := load(t, templates)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		made store.Source
		want string
	}{
		{store.Source{Name: "shop", ID: "1", Provider: "asna"}, `a source "shop" is in the config already`},
		{store.Source{Name: "plain", ID: "1", Provider: "asna"}, `a source "plain" is in the config already`},
		{store.Source{Name: "crm", ID: "1", Provider: "asna", Path: "/shop/"}, `source "shop" in the config has the path /shop/ already`},
		{store.Source{Name: "crm", ID: "1", Provider: "asna", Path: "/used"}, `source "first" in use has the path /used already`},
		{store.Source{Name: "crm", ID: "1"}, `say who sends to it: a provider, or a template of the config`},
		{store.Source{Name: "crm", ID: "1", Provider: "asnaa"}, `there is no provider "asnaa"; did you mean "asna"?`},
		{store.Source{Name: "crm", ID: "1", Provider: "asna", Template: "plain"}, `template "plain" is not for provider "asna"`},
		{store.Source{Name: "crm", ID: "1", Template: "shop"}, `the config has no template "shop": a source block with template = true`},
		{store.Source{Name: "c r m", ID: "1", Provider: "asna"}, `a name has up to 64 letters`},
		{store.Source{Name: "crm", ID: "1", Provider: "asna", Path: "own"}, `"path" must begin with "/"`},
		{store.Source{Name: "crm", ID: "1", Provider: "asna", To: "ftp://x"}, `"url" must begin with http`},
		{store.Source{Name: "crm", ID: "1", Provider: "asna", Params: map[string]string{"k": ""}}, `"k" is empty`},
	} {
		test.made.Secret, test.made.Created = "a secret", time.Unix(2, 0)
		first := store.Source{Name: "first", ID: "0", Provider: "iiko", Secret: "another", Path: "/used", Created: time.Unix(1, 0)}
		with, refused := cfg.With([]store.Source{test.made, first})
		if err := refused[test.made.Name]; err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %s", test.made, err, test.want)
		}
		if len(refused) != 1 || with.Source("first") == nil || len(with.Sources) != len(cfg.Sources)+1 {
			t.Errorf("%+v: %d sources, refused %v", test.made, len(with.Sources), refused)
		}
	}
}

func TestSeveralTemplatesOfAProviderAreNamed(t *testing.T) {
	cfg, err := load(t, templates+`
source "more" {
  path     = "/more"
  provider = "metrika"
  template = true
}
`)
	if err != nil {
		t.Fatal(err)
	}
	_, refused := cfg.With([]store.Source{
		{Name: "a", ID: "1", Provider: "metrika", Secret: "x"},
		{Name: "b", ID: "2", Provider: "metrika", Template: "more", Secret: "x"},
	})
	if len(refused) != 1 || refused["a"] == nil || !strings.Contains(refused["a"].Error(), `"conversions" and "more"`) {
		t.Errorf("%v", refused)
	}
}
