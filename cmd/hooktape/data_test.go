package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestWhereTheTapeIs(t *testing.T) {
	for name, test := range map[string]struct {
		place place
		want  string
	}{
		"--data wins":          {place{data: "x.db", config: "c.db", name: "n", dir: "/w", state: "/s"}, "x.db"},
		"then the config":      {place{config: "c.db", dir: "/w", state: "/s"}, "c.db"},
		"then --name":          {place{name: "shop", dir: "/w", state: "/s"}, "/s/hooktape/shop.db"},
		"a name of many kinds": {place{name: "Магазин_2.b-c", state: "/s"}, "/s/hooktape/Магазин_2.b-c.db"},
	} {
		got, err := test.place.path()
		if err != nil || got != filepath.FromSlash(test.want) {
			t.Errorf("%s: %s %v", name, got, err)
		}
	}
}

func TestEachFolderHasATapeOfItsOwn(t *testing.T) {
	path := func(dir string) string {
		p, err := place{dir: dir, state: "/s"}.path()
		if err != nil {
			t.Fatal(err)
		}
		return filepath.ToSlash(p)
	}
	one, two := path("/home/a/api"), path("/home/b/api")
	if one == two || one != path("/home/a/api") {
		t.Errorf("%s and %s", one, two)
	}
	for _, p := range []string{one, two} {
		if !strings.HasPrefix(p, "/s/hooktape/api-") || len(p) != len("/s/hooktape/api-123456.db") {
			t.Errorf("path %s", p)
		}
	}
	if p := path("/"); !strings.HasPrefix(p, "/s/hooktape/root-") {
		t.Errorf("path %s", p)
	}
}

func TestNamesThatAreNone(t *testing.T) {
	for _, name := range []string{"a/b", "../x", ".hidden", "a b", "a\x1bb", strings.Repeat("x", 65)} {
		if got, err := (place{name: name, state: "/s"}).path(); err == nil {
			t.Errorf("%q is taken: %s", name, got)
		}
	}
	if _, err := (place{dir: "/w"}).path(); err == nil {
		t.Error("no state directory, and no error")
	}
}

func TestTheStateDirectory(t *testing.T) {
	for _, test := range []struct {
		goos, env, want string
	}{
		{"linux", "XDG_STATE_HOME=/xdg HOME=/h", "/xdg"},
		{"linux", "XDG_STATE_HOME=relative HOME=/h", "/h/.local/state"},
		{"linux", "HOME=/h", "/h/.local/state"},
		{"linux", "", ""},
		{"darwin", "HOME=/h XDG_STATE_HOME=/xdg", "/h/Library/Application Support"},
		{"windows", `LocalAppData=C:/Local HOME=/h`, `C:/Local`},
	} {
		got := stateDir(test.goos, func(key string) (string, bool) {
			for pair := range strings.FieldsSeq(test.env) {
				if k, v, _ := strings.Cut(pair, "="); k == key {
					return v, true
				}
			}
			return "", false
		})
		if filepath.ToSlash(got) != test.want {
			t.Errorf("%s %s: %s, want %s", test.goos, test.env, got, test.want)
		}
	}
}

func TestFlagsAndEnvironmentNameTheTape(t *testing.T) {
	environ := map[string]string{"HOOKTAPE_DATA": "env.db", "HOME": "/h", "XDG_STATE_HOME": "/s", "LocalAppData": "/s"}
	for _, test := range []struct {
		env  env
		want string // "" for an error
	}{
		{env{}, "env.db"},
		{env{data: "flag.db"}, "flag.db"},
		{env{name: "shop"}, "shop.db"},
		{env{name: "shop", data: "flag.db"}, ""},
		{env{name: "shop", config: "c.hcl"}, ""},
	} {
		e := test.env
		e.lookup = func(key string) (string, bool) { v, ok := environ[key]; return v, ok }
		e.getwd = func() (string, error) { return "/w", nil }
		got, err := e.dataOver("")
		if (err != nil) != (test.want == "") || err == nil && filepath.Base(got) != test.want {
			t.Errorf("%+v: %s %v", test, got, err)
		}
	}
}
