package config

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"go.uber.org/goleak"

	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/provider"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write the golden files anew")

// environment is what env() finds in tests.
func environment(name string) (string, bool) {
	value, ok := map[string]string{"TOKEN": "hush hush", "EMPTY": "", "APP": "http://127.0.0.1:3000"}[name]
	return value, ok
}

// load loads a config of the given text.
func load(t *testing.T, text string) (*Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hooktape.hcl")
	write(t, path, text)
	return Load(path, environment)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestProblemsAreShownWithTheirPlace holds what people read to the golden file beside each wrong config, and that no
// secret is in it.
func TestProblemsAreShownWithTheirPlace(t *testing.T) {
	files, err := filepath.Glob("testdata/*.hcl")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			_, err := LoadToRun(file, "", environment)
			diags, ok := errors.AsType[*Diagnostics](err)
			if !ok {
				t.Fatalf("%v (%T)", err, err)
			}
			got := filepath.ToSlash(diags.Error()) + "\n"
			if strings.Contains(got, "hush") {
				t.Errorf("a secret is in the message:\n%s", got)
			}
			golden := strings.TrimSuffix(file, ".hcl") + ".golden"
			if *update {
				write(t, golden, got)
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("messages differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestALoopIsOneOnlyWhereTheAgentReceives(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hooktape.hcl")
	write(t, path, "source \"a\" {\n  path = \"/a\"\n  target \"app\" {\n    url = \"http://localhost:7070/a\"\n  }\n}\n")
	for listen, refused := range map[string]bool{"": true, "0.0.0.0:7070": true, "127.0.0.1:7080": false} {
		if _, err := LoadToRun(path, listen, environment); (err != nil) != refused {
			t.Errorf("received at %q: %v", listen, err)
		}
	}
	if _, err := Load(path, environment); err != nil {
		t.Errorf("who only reads it: %v", err)
	}
}

func TestRetentionIsRead(t *testing.T) {
	cfg, err := load(t, "retain {\n  max_age = \"2d\"\n  max_size = \"64MiB\"\n}\n")
	if err != nil || cfg.Retain != (Retain{MaxAge: 48 * time.Hour, MaxSize: 64 << 20}) {
		t.Errorf("%+v %v", cfg, err)
	}
	for _, wrong := range []string{`max_age = "10s"`, `max_size = "1KiB"`, `max_size = "x"`, `for = "1d"`} {
		if _, err := load(t, "retain {\n"+wrong+"\n}\n"); err == nil {
			t.Errorf("%s was taken", wrong)
		}
	}
}

// example is the config file that shows every key.
func example(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../config.example.hcl")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// commented finds keys and blocks that are commented out in the example.
var commented = regexp.MustCompile(`(?m)^(\s*)# (\s*\w+\s+= |\s*\w+( "\w+")? \{|\s*\})`)

// alternatives are parts of the example that have no place beside each other.
var alternatives = []*regexp.Regexp{regexp.MustCompile(`(?m)^ *(cert|key) += "\w+\.pem".*\n`), regexp.MustCompile(`(?ms)^ *acme \{.*?\}.*?\n`)}

func TestTheExampleIsRight(t *testing.T) {
	if _, err := load(t, example(t)); err != nil {
		t.Error(err)
	}
	dir := t.TempDir()
	writePair(t, dir, newPair(t, "hooks.example.com"))
	write(t, filepath.Join(dir, "order.schema.json"), "{}")
	path := filepath.Join(dir, "hooktape.hcl")
	for _, other := range alternatives {
		write(t, path, other.ReplaceAllString(commented.ReplaceAllString(example(t), "$1$2"), ""))
		if _, err := Load(path, environment); err != nil {
			t.Errorf("with all keys: %v", err)
		}
	}
}

func TestTheExampleShowsEveryKey(t *testing.T) {
	text := commented.ReplaceAllString(example(t), "$1$2")
	file, diags := hclsyntax.ParseConfig([]byte(text), "", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	shown := map[string][]string{}
	var walk func(place string, body *hclsyntax.Body)
	walk = func(place string, body *hclsyntax.Body) {
		for name := range body.Attributes {
			shown[place] = append(shown[place], name)
		}
		for _, b := range body.Blocks {
			shown[place] = append(shown[place], b.Type)
			walk(b.Type, b.Body)
		}
	}
	walk("", file.Body.(*hclsyntax.Body))
	for _, p := range places() {
		slices.Sort(shown[p.place])
		if got := slices.Compact(shown[p.place]); !slices.Equal(got, p.names) {
			t.Errorf("in %q the example shows %v of %v", p.place, got, p.names)
		}
	}
}

// TestTheExampleShowsTheDefaults: but for what has no default, decoding it gives what no key at all gives.
func TestTheExampleShowsTheDefaults(t *testing.T) {
	cfg, err := load(t, example(t))
	if err != nil {
		t.Fatal(err)
	}
	source, target, ack := cfg.Sources[0], cfg.Sources[0].Targets[0], cfg.Sources[0].Acks[0]
	want := Default()
	want.Data = filepath.Join(filepath.Dir(cfg.Path), want.Data)
	if diff := cmp.Diff(want, cfg, cmpopts.IgnoreFields(Config{}, "Path", "Sources", "Files")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(DefaultSource("orders", "/webhooks/orders"), source, cmpopts.IgnoreFields(Source{}, "Dedupe", "Acks", "Targets"), cmpopts.IgnoreUnexported(provider.Setting{})); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(DefaultTarget("app", target.URL), target); diff != "" {
		t.Error(diff)
	}
	if source.Dedupe.Window != defaultWindow {
		t.Errorf("dedupe %+v", source.Dedupe)
	}
	if d := DefaultAck(); ack.Status != d.Status || ack.Deliver == d.Deliver {
		t.Errorf("ack %+v", ack) // deliver is shown with the value that is not the default, and says so
	}
}

func TestAllKeysArrive(t *testing.T) {
	cfg, err := load(t, `
listen     = ":0"
inspect    = "[::1]:7071"
data       = "/var/lib/hooktape.db"
public_url = "https://hooks.example.com/in/"
source "a" {
  path     = "/a/"
  host     = "Hooks.Example.com"
  methods  = ["POST", "PUT"]
  respond  = "target"
  patience = "0s"
  target "one" {
    url         = "${env("APP")}/x?y=1"
    when        = json.a == env("TOKEN")
    timeout     = "1d"
    concurrency = 1
    order_by    = json.id
    host        = "original"
    forwarded   = true
    id_header   = "X-Id"
    primary     = 1 == 1
    retry {
      for = "7d12h"
      min = "1ms"
      max = "1ms"
    }
  }
}
source "b" {
  path     = "/a"
  max_body = 5
}
limits { max_body = "1MB" }
`)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Listen != ":0" || cfg.Inspect != "[::1]:7071" || cfg.Data != "/var/lib/hooktape.db" || cfg.PublicURL != "https://hooks.example.com/in" || cfg.Limits.MaxBody != 1_000_000 {
		t.Errorf("%+v", cfg)
	}
	a, b := cfg.Sources[0], cfg.Sources[1]
	if a.Host != "hooks.example.com" || !slices.Equal(a.Methods, []string{"POST", "PUT"}) || a.Respond != RespondTarget || a.Patience != 0 || a.MaxBody != 1_000_000 || b.MaxBody != 5 {
		t.Errorf("%+v\n%+v", a, b)
	}
	one := a.Targets[0]
	if one.URL.String() != "http://127.0.0.1:3000/x?y=1" || !one.KeepHost || !one.Forwarded || !one.Primary || one.IDHeader != "X-Id" || one.Timeout != 24*time.Hour ||
		one.Concurrency != 1 || one.Retry != (Retry{180 * time.Hour, time.Millisecond, time.Millisecond}) || one.OrderBy.Source() != "json.id" {
		t.Errorf("%+v", one)
	}
	if holds, err := one.When.Bool(viewOf(`{"a":"hush hush"}`)); !holds || err != nil {
		t.Errorf("when: %v, %v", holds, err)
	}
}

func viewOf(body string) *expr.View {
	return &expr.View{Record: &store.Record{Method: "POST"}, Head: &wire.RequestHead{}, Body: func() ([]byte, error) { return []byte(body), nil }}
}

func TestRelativePathsAreRelativeToTheFile(t *testing.T) {
	cfg, err := Load("../../config.example.hcl", environment)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join("..", "..", "hooktape.db"); cfg.Data != want {
		t.Errorf("data is %s, want %s", cfg.Data, want)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "url"), "http://127.0.0.1:9/\n")
	write(t, filepath.Join(dir, "c.hcl"), `source "a" {
  path = "/a"
  target "t" { url = file("url") }
}`)
	cfg, err = Load(filepath.Join(dir, "c.hcl"), environment)
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.Sources[0].Targets[0].URL.String(); got != "http://127.0.0.1:9/" {
		t.Errorf("url is %q", got)
	}
	var watched []string
	for _, f := range cfg.Files {
		watched = append(watched, filepath.Base(f.Path))
		if f.Sum == [32]byte{} || !filepath.IsAbs(f.Path) {
			t.Errorf("%+v", f)
		}
	}
	if !slices.Equal(watched, []string{"c.hcl", "url"}) {
		t.Errorf("watched: %v", watched)
	}
}

func TestOneLineEndIsTakenFromAFile(t *testing.T) {
	dir := t.TempDir()
	around := &surroundings{dir: dir}
	for text, want := range map[string]string{"a": "a", "a\n": "a", "a\r\n": "a", "a\n\n": "a\n", " a ": " a ", "a\r": "a"} {
		write(t, filepath.Join(dir, "f"), text)
		if got, err := around.file("f"); got != want || err != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

func TestAFileThatCannotBeReadIsNoProblemOfTheConfig(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "none.hcl"), environment)
	failed, ok := errors.AsType[*LoadError](err)
	if !ok || !errors.Is(err, fs.ErrNotExist) || failed.File.Sum != [32]byte{} {
		t.Errorf("%v (%T)", err, err)
	}
	if _, err := Load(t.TempDir(), environment); err == nil {
		t.Error("a directory was read")
	}
	if _, err := load(t, "listen = \x00"); err == nil {
		t.Error("bytes were read")
	}
}

func TestAByteOrderMarkAndCRLFAreTaken(t *testing.T) {
	cfg, err := load(t, "\uFEFFlisten = \"127.0.0.1:1\"\r\nlimits {\r\n  max_body = \"1KiB\"\r\n}\r\n")
	if err != nil || cfg.Listen != "127.0.0.1:1" || cfg.Limits.MaxBody != 1024 {
		t.Errorf("%+v, %v", cfg, err)
	}
}

func TestAFileWithoutAKeyIsBlank(t *testing.T) {
	for text, want := range map[string]bool{"": true, "\uFEFF\r\n": true, "# source \"a\" {\n# }\n": true, "limits {\n}\n": false, `data = "t.db"`: false} {
		if cfg, err := load(t, text); err != nil || cfg.Blank != want || len(cfg.Sources) != 0 {
			t.Errorf("%q: %+v, %v", text, cfg, err)
		}
	}
}

func TestAckFieldsCannotBreakTheHead(t *testing.T) {
	cfg, err := load(t, `source "a" {
  path = "/a"
  ack {
    headers = { "X-Fixed" = "1", X-Echo = json.echo, X-None = json.none }
  }
}`)
	if err != nil {
		t.Fatal(err)
	}
	ack := cfg.Sources[0].Acks[0]
	fields, err := ack.Fields(viewOf(`{"echo":" a b\t"}`))
	if want := (wire.Fields{{Name: "X-Fixed", Value: "1"}, {Name: "X-Echo", Value: "a b"}}); err != nil || !slices.Equal(fields, want) {
		t.Errorf("%v, %v", fields, err)
	}
	for _, echo := range []string{`a\r\nSet-Cookie: x`, `a\nb`, `a\u0000`, `\r`} {
		if fields, err := ack.Fields(viewOf(`{"echo":"` + echo + `"}`)); err == nil {
			t.Errorf("%s: %v", echo, fields)
		}
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"10s": 10 * time.Second, "1h30m": 90 * time.Minute, "7d": 168 * time.Hour, "7d12h": 180 * time.Hour, "1.5d": 36 * time.Hour, "-1d": -24 * time.Hour, "0s": 0, "0d": 0, "500ms": 500 * time.Millisecond,
	} {
		if got, err := ParseDuration(text); got != want || err != nil {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "10", "d", "1d-1h", "1d1d", "1h1d", "999999999d", "1e5d", "106751d23h59m", " 1s", "1 d", "NaNd", "--1d", "+1d"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "512": 512, "512B": 512, "1KiB": 1024, "32MiB": 32 << 20, "10MB": 10_000_000, "1.5GiB": 3 << 29, "2 KB": 2000, "1TiB": 1 << 40,
	} {
		if got, err := ParseSize(text); got != want || err != nil {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "1e9", "1PiB", "9999999999TiB", "0x10", "1_000", "Inf", "1.2.3MB"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q: %d", text, got)
		}
	}
}

// FuzzLoadNeverPanics: a config that is being edited is read in any state.
func FuzzLoadNeverPanics(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.hcl")
	for _, file := range append(files, "../../config.example.hcl") {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		around := &surroundings{dir: "testdata", lookup: environment}
		cfg, diags := decode(text, around)
		for _, p := range problems("x", text, diags) {
			if p.Message == "" || strings.ContainsAny(p.Message, "\n") || strings.Contains(p.Message, "hush hush") {
				t.Errorf("message %q", p.Message)
			}
		}
		if diags.HasErrors() {
			return
		}
		for _, s := range cfg.Sources {
			if s.MaxBody < 1 || s.Path == "" || s.Name == "" {
				t.Errorf("%+v", s)
			}
			for _, target := range s.Targets {
				if target.URL == nil || target.Timeout <= 0 || target.Concurrency < 1 || target.Retry.Min > target.Retry.Max {
					t.Errorf("%+v", target)
				}
			}
		}
	})
}

func TestTrustedProxiesAreAddressesAndNetworks(t *testing.T) {
	cfg, err := load(t, `trusted_proxies = ["10.0.0.0/8", "127.0.0.1", "::ffff:192.0.2.1", "fd00::/8", "0.0.0.0/0"]`)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(cfg.TrustedProxies); got != "[10.0.0.0/8 127.0.0.1/32 192.0.2.1/32 fd00::/8 0.0.0.0/0]" {
		t.Error(got)
	}
}

func TestTheProviderSaysWhatTheSourceLeavesOpen(t *testing.T) {
	cfg, err := load(t, `
source "all" {
  path     = "/all"
  provider = "iiko"
  dedupe {}
}
source "own" {
  path     = "/own"
  provider = "iiko"
  secrets  = [env("TOKEN"), "another"]
  methods  = ["PUT"]
  event    = json.kind
  params   = { region = "eu" }
  allow    = ["10.0.0.0/8", "127.0.0.1"]
  dedupe {
    key = json.id
  }
  ack {
    status = 202
  }
}
source "custom" {
  path       = "/custom"
  provider   = "hmac"
  on_invalid = "record"
  tolerance  = "1m"
  signature {
    header    = "X-Sig"
    prefix    = "v1="
    algorithm = "sha512"
    encoding  = "base64"
    signed    = "{timestamp}.{id}.{body}"
    timestamp = "X-Time"
    id        = "X-Id"
  }
}
source "addresses" {
  path     = "/addresses"
  provider = "yookassa"
}
source "keyless" {
  path     = "/keyless"
  provider = "aws-sns"
  params   = { topic = "arn:aws:sns:us-west-2:123456789012:orders" }
}
`)
	if err != nil {
		t.Fatal(err)
	}
	if s := cfg.Source("addresses"); len(s.Allow) == 0 || s.Checks() {
		t.Errorf("%+v", s)
	}
	if !cfg.Source("keyless").Checks() {
		t.Error("what fetches its keys is checked without a secret")
	}
	all, own, custom := cfg.Source("all"), cfg.Source("own"), cfg.Source("custom")
	if !slices.Equal(all.Methods, []string{"POST"}) || all.Event == nil || all.Dedupe.Key == nil || len(all.Acks) != 2 || all.Acks[0].Deliver {
		t.Errorf("%+v", all)
	}
	if all.Checks() || !own.Checks() || custom.Checks() {
		t.Error("what can be checked has a secret to check it with")
	}
	if !slices.Equal(own.Methods, []string{"PUT"}) || own.Event.Source() != "json.kind" || own.Dedupe.Key.Source() != "json.id" || own.Acks[0].Status != 202 {
		t.Errorf("%+v", own)
	}
	if !slices.Equal(own.Setting.Secrets, []string{"hush hush", "another"}) || own.Setting.Params["region"] != "eu" || len(own.Allow) != 2 {
		t.Errorf("%+v", own)
	}
	if custom.Provider.Name != "hmac" || custom.OnInvalid != RecordInvalid || custom.Setting.Tolerance != time.Minute {
		t.Errorf("%+v", custom)
	}
}

func TestARepeatOfIikoDiffersInItsCorrelationIdAlone(t *testing.T) {
	cfg, err := load(t, "source \"a\" {\n path = \"/\"\n provider = \"iiko\"\n dedupe {}\n}\n")
	if err != nil {
		t.Fatal(err)
	}
	key := func(body string) string {
		k, err := cfg.Sources[0].Dedupe.Key.String(&expr.View{Record: new(store.Record), Body: func() ([]byte, error) { return []byte(body), nil }})
		if err != nil || k == "" {
			t.Errorf("%s: %q, %v", body, k, err)
		}
		return k
	}
	first := key(`{"transactionDetails": {"correlationId": "c-1", "organizationId": "o"}, "problem": null}`)
	for _, id := range []string{`"c-2"`, `""`, `"a\"}b\\"`, `null`, `17`} {
		if key(`{"transactionDetails": {"correlationId": `+id+`, "organizationId": "o"}, "problem": null}`) != first {
			t.Errorf("%s makes it another one", id)
		}
	}
	for _, update := range []string{
		`{"transactionDetails": {"correlationId": "c-1", "organizationId": "p"}, "problem": null}`,
		`{"transactionDetails": {"correlationId": "c-1", "organizationId": "o"}, "problem": "\"correlationId\": \"c-1\""}`,
	} {
		if key(update) == first {
			t.Errorf("%s is taken for a repeat", update)
		}
	}
}

// TestTheExpressionsOfEveryProviderAreRight: what they say is compiled only where it is used.
func TestTheExpressionsOfEveryProviderAreRight(t *testing.T) {
	for _, p := range provider.All() {
		dedupe := "dedupe {}"
		if p.Dedupe == "" {
			dedupe = ""
		}
		_, err := load(t, fmt.Sprintf("source %q {\n path = \"/\"\n provider = %q\n on_invalid = \"record\"\n %s\n}\n", p.Name, p.Name, dedupe))
		if err != nil {
			t.Error(err)
		}
	}
}
