package config

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func variationsOf(t *testing.T, text string) ([]Variation, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vary.hcl")
	write(t, path, text)
	return LoadVariations(path, environment)
}

func TestVariationsAreRead(t *testing.T) {
	got, err := variationsOf(t, `
variation "as recorded" {}
variation "payed" {
  set = {
    "json.where[1].column" = "payed"
    "json.n"               = 17
    "query.page"           = 2
    "header.authorization" = "Bearer ${env("TOKEN")}"
    "form.ok"              = true
  }
  add   = { "json.where[2]" = { column = "payed", value = [1, null, "<"] }, "json.x" = null, "json.s" = "17" }
  unset = ["header.x-date", "json.a[0]"]
}
`)
	want := []Variation{{Name: "as recorded"}, {
		Name: "payed",
		Set: []Assignment{
			{"json.where[1].column", `"payed"`}, {"json.n", "17"}, {"query.page", "2"}, {"header.authorization", "Bearer hush hush"}, {"form.ok", "true"},
		},
		Add:   []Assignment{{"json.where[2]", `{"column":"payed","value":[1,null,"\u003c"]}`}, {"json.x", "null"}, {"json.s", `"17"`}},
		Unset: []string{"header.x-date", "json.a[0]"},
	}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
}

func TestWrongVariationsAreShownWithTheirPlace(t *testing.T) {
	for text, want := range map[string]string{
		``:                       "vary.hcl:1,1: there is no variation",
		`variation { set = {} }`: `:1,1: a variation has one name: write variation "NAME" { ... }`,
		`variation "" {}`:        ":1,11: a name has up to 64 characters",
		"variation \"a\" {}\n\nvariation \"a\" {}":           ":3,11: a second variation of this name; the first is in line 1",
		`variation "a" { sets = {} }`:                        `unknown key "sets"; did you mean "set"?`,
		`source "a" {}`:                                      `unknown block "source"`,
		`variation "a" { set = "json.a=1" }`:                 `"set" must be an object: { "json.order.id" = 17 }`,
		`variation "a" { set = { json.a = 1 } }`:             `put the path in quotes`,
		`variation "a" { set = { "jsn.a" = 1 } }`:            `:1,25: "jsn.a" is no path: unknown variable "jsn"; did you mean "json"?`,
		`variation "a" { unset = ["json..a"] }`:              `"json..a" is no path`,
		`variation "a" { set = { "query.a" = [1] } }`:        `only parts of json can be other than text`,
		`variation "a" { set = { "query.a" = null } }`:       `only parts of json can be other than text`,
		`variation "a" { set = { "query.a" = json.a } }`:     `it cannot depend on a record`,
		`variation "a" { set = { "query.a" = env("NOT") } }`: `environment variable NOT is not set`,
		"variation \"a\" {\n":                                "this block is not closed",
	} {
		_, err := variationsOf(t, text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n%v\nwant %s", text, err, want)
		}
	}
	if _, err := LoadVariations(filepath.Join(t.TempDir(), "none.hcl"), environment); err == nil {
		t.Error("a file that is not there was read")
	}
}
