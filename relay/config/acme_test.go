package config

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCertificatesOfACAAreForListedNames(t *testing.T) {
	cfg, err := load(t, `
data = "tape.db"
tls {
  acme {
    names = ["Hooks.Example.com", "alice.hooks.example.com."]
  }
}
`)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"hooks.example.com", "alice.hooks.example.com"}
	if a := cfg.TLS.ACME; !slices.Equal(a.Names, want) || a.Directory != defaultDirectory || a.HTTP != "" || !slices.Equal(cfg.TLS.Names(), want) {
		t.Errorf("%+v", a)
	}
	if got := cfg.Certificates().Folder; got != cfg.Data+".acme" || !strings.HasSuffix(cfg.Data, "tape.db") {
		t.Errorf("cache %s", got)
	}
	cfg, err = load(t, "tls {\n acme {\n names = [\"a.example.com\"]\n cache = \"certs\"\n http = \":80\"\n}\n}\n")
	if err != nil || cfg.Certificates().Folder != filepath.Join(filepath.Dir(cfg.Path), "certs") {
		t.Errorf("%v: cache %s", err, cfg.Certificates().Folder)
	}
}

func TestWhatACACanNotBeAskedForIsRefused(t *testing.T) {
	const domain = "edge {\n domain = \"hooks.example.com\"\n}\n"
	for name, c := range map[string]struct{ acme, beside, after, why string }{
		"a wildcard":             {acme: `names = ["*.hooks.example.com"]`, why: "no wildcard certificates"},
		"an address":             {acme: `names = ["192.0.2.1"]`, why: "not for addresses"},
		"an address in brackets": {acme: `names = ["[::1]"]`, why: "not for addresses"},
		"a URL":                  {acme: `names = ["https://hooks.example.com"]`, why: "write a host name"},
		"a name twice":           {acme: `names = ["a.example.com", "A.example.com"]`, why: "is in the list already"},
		"no name":                {acme: `names = []`, why: "the list is empty"},
		"no names":               {why: "acme needs the names"},
		"certificate files":      {acme: `names = ["a.example.com"]`, beside: `key = "key.pem"`, why: "can't be used with an acme block"},
		"a CA without TLS":       {acme: "names = [\"a.example.com\"]\n directory = \"http://ca.example.com\"", why: "must begin with https://"},
		"no mail address":        {acme: "names = [\"a.example.com\"]\n email = \"ops\"", why: "is an address like"},
		"an edge elsewhere":      {acme: `names = ["alice.hooks.example.com"]`, after: domain, why: `"hooks.example.com" is not among the names`},
		"a second block":         {acme: "names = [\"a.example.com\"]\n}\nacme {\n names = [\"a.example.com\"]", why: "a second acme block"},
		"a slip":                 {acme: `name = ["a.example.com"]`, why: `did you mean "names"?`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, "tls {\n"+c.beside+"\nacme {\n"+c.acme+"\n}\n}\n"+c.after)
			diags, ok := errors.AsType[*Diagnostics](err)
			if !ok || !strings.Contains(diags.Error(), c.why) {
				t.Errorf("got %v", err)
			}
		})
	}
	public := "public_url = \"https://other.example.com/x\"\n" + domain
	if _, err := load(t, "tls {\n acme {\n names = [\"other.example.com\"]\n}\n}\n"+public); err != nil {
		t.Errorf("an edge that is reached by another name: %v", err)
	}
}
