package expr

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

var update = flag.Bool("update", false, "write the golden files anew")

// compiled compiles an expression of a config file.
func compiled(t *testing.T, src string, load *Load) *Expr {
	t.Helper()
	parsed, diags := hclsyntax.ParseExpression([]byte(src), "", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatalf("%s: %v", src, diags)
	}
	load.Text = []byte(src)
	e, diags := Compile(parsed, load)
	if diags.HasErrors() {
		t.Fatalf("%s: %v", src, diags)
	}
	return e
}

// TestMistakesAreShownWithTheirPlace holds what people read to testdata/mistakes.golden.
func TestMistakesAreShownWithTheirPlace(t *testing.T) {
	var b strings.Builder
	for _, src := range []string{
		``, ` `, `jsn.a == 1`, `heders.x == null`, `uper("x") == "X"`, `json.a >`, `((`, `json.a = 1`, `event`, `"text"`, `42`, `[1] == 1 ? true : 2`,
		`status == "200"`, `verified == "true"`, `id.x == 1`, `response.stats == 200`, `upper("a", "b") == ""`, `try() == 1`, `env("TOKEN") == "x"`, `file("/etc/passwd") == "x"`,
		`range(5) == []`, `setproduct([1]) == []`, `hmac("k") == ""`, `1e999999999 > 1`, `"a" + 1 == 2`, `[for x in json : y] == []`, "\tsource ==\n\tevnt", `тело == "x"`,
		`{a.b = 1} == {}`, `json.a == "` + strings.Repeat("x", 300) + `" && jsn`, `json[null] == 1`, `try(json.a, json.b...) == 1`,
		"event == \"\xff\"", `jsno.a == 1`, `evetn == "x"`, `regex("(", body) == "x"`, `regexreplace(body, "a{1001}", "") == "x"`, `[for x in json : regexall("\\p{Kot}", x)] == []`,
	} {
		_, err := Parse(src)
		if err == nil {
			t.Errorf("%q was taken", src)
			continue
		}
		if _, ok := errors.AsType[*SyntaxError](err); !ok {
			t.Errorf("%q: %T", src, err)
		}
		b.WriteString(err.Error() + "\n\n")
	}
	golden := filepath.Join("testdata", "mistakes.golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("messages differ (-want +got):\n%s", diff)
	}
}

func TestEnvAndFileAreReadWhenCompiled(t *testing.T) {
	reads := 0
	load := &Load{
		Env: func(name string) (string, error) {
			reads++
			if name == "MISSING" {
				return "", errors.New("environment variable MISSING is not set")
			}
			return "value of " + name, nil
		},
		File: func(name string) (string, error) { return "text of " + name, nil },
	}
	for src, want := range map[string]string{
		`env("A")`:                    "value of A",
		`"${env("A")}/x"`:             "value of A/x",
		`file("f")`:                   "text of f",
		`try(env("MISSING"), "none")`: "none",
		`upper(env("a"))`:             "VALUE OF A",
		`"${env("A")} ${method}"`:     "value of A POST",
	} {
		e := compiled(t, src, load)
		before := reads
		for range 2 {
			if got, err := e.String(viewOf("", "")); got != want || err != nil {
				t.Errorf("%s: %q, %v", src, got, err)
			}
		}
		if reads != before {
			t.Errorf("%s was read for a record", src)
		}
	}
	for src, want := range map[string]string{
		`env("MISSING")`: "environment variable MISSING is not set",
		`env(method)`:    "env() takes a name in quotes: it is read when the config is loaded",
	} {
		load.Text = []byte(src)
		parsed, _ := hclsyntax.ParseExpression(load.Text, "", hcl.InitialPos)
		if _, diags := Compile(parsed, load); len(diags) != 1 || Message(diags[0]) != want {
			t.Errorf("%s: %v", src, diags)
		}
	}
}

func TestSecretsAreInNoError(t *testing.T) {
	load := &Load{Env: func(string) (string, error) { return "s3cr3t", nil }}
	for _, src := range []string{`parseint("${env("T")}${json.x}", 10)`, `regex("(${env("T")}", body)`, `lookup({}, env("T"))`, `timeadd(env("T"), json.x)`, `jsondecode("${env("T")}${json.x}")`} {
		load.Text = []byte(src)
		parsed, diags := hclsyntax.ParseExpression(load.Text, "", hcl.InitialPos)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		e, diags := Compile(parsed, load)
		text := diags.Error()
		if !diags.HasErrors() {
			_, err := e.String(viewOf("", `{"x":"1h"}`))
			if err == nil {
				t.Errorf("%s did not fail", src)
				continue
			}
			text = err.Error()
		}
		if strings.Contains(text, "s3cr3t") {
			t.Errorf("%s: %s", src, text)
		}
	}
}
