package provider

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/charmap"
	"pgregory.net/rapid"

	"github.com/hooktape/hooktape/relay/wire"
)

// urlSigner signs the URL and the body, as some providers do.
var urlSigner = Provider{Name: "of the tests", Scheme: &signed{At: "X-Signature", Encoding: base64Padded, Message: "{url}{body}"}}

// TestExplainSaysWhatWasDone: each reason that a check can fail for is told from the others.
func TestExplainSaysWhatWasDone(t *testing.T) {
	custom, err := Custom{Header: "X-Signature", Prefix: "sha256=", Signed: "{timestamp}.{body}", Timestamp: "X-Timestamp"}.Provider()
	if err != nil {
		t.Fatal(err)
	}
	const body = `{"b":[1,2.50],"a":"caf\u00e9 & <tea> http:\/\/x"}` + "\n"
	for _, c := range []struct {
		name     string
		provider *Provider
		body     string
		change   func(r *Request)
		secrets  []string
		want     string
	}{
		{name: "nothing", change: func(*Request) {}, want: ""},
		{name: "header missing", change: unset("X-Signature"), want: "X-Signature is missing"},
		{name: "timestamp missing", change: unset("X-Timestamp"), want: "X-Timestamp is missing"},
		{name: "timestamp is no time", change: set("X-Timestamp", "noon"), want: "X-Timestamp is no time"},
		{
			name: "prefix", change: set("X-Signature", strings.Repeat("ab", 32)),
			want: `X-Signature has nothing that begins with "sha256="`,
		},
		{name: "encoding", change: set("X-Signature", "sha256=hello"), want: "X-Signature is not hex, 5 characters"},
		{
			name: "length", change: set("X-Signature", "sha256=abcdef"),
			want: "a signature has 32 bytes, X-Signature has 3 (6 characters of hex)",
		},
		{
			name: "late", change: func(r *Request) { r.Time = now.Add(time.Hour) },
			want: "the timestamp is 1h0m0s old, 55m0s more than the tolerance of 5m0s; the signature is right",
		},
		{
			name: "a little late", change: func(r *Request) { r.Time = now.Add(5*time.Minute + 40*time.Millisecond) },
			want: "the timestamp is 5m0s old, 40ms more than the tolerance of 5m0s; the signature is right",
		},
		{
			name: "early", change: func(r *Request) { r.Time = now.Add(-6 * time.Minute) },
			want: "the timestamp is 6m0s in the future, 1m0s more than the tolerance of 5m0s; the signature is right",
		},
		{name: "no secret", change: func(*Request) {}, secrets: []string{}, want: "no secret is configured"},
		{
			name: "secret of another source", change: func(*Request) {}, secrets: []string{usualWrong},
			want: `the signature is right for the secret of source "shop", not for the configured one`,
		},
		{
			name: "line end of the secret", change: func(*Request) {}, secrets: []string{usualWrong, usualSecret + "\r\n"},
			want: "the secret is right without the spaces or quotes round it (secret 2 of 2)",
		},
		{
			name: "final newline cut off", change: rewrite(func(b []byte) []byte { return bytes.TrimSuffix(b, []byte("\n")) }),
			want: "the signature is right for the body with a final newline",
		},
		{
			name: "final newline added", body: "x=1", change: rewrite(func(b []byte) []byte { return append(b, '\n') }),
			want: "the signature is right for the body without its final newline",
		},
		{
			name: "CR LF", body: "a\nb\nc", change: rewrite(func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")) }),
			want: "the signature is right for the body with LF instead of CR LF",
		},
		{
			name: "LF", body: "a\r\nb\r\nc", change: rewrite(func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")) }),
			want: "the signature is right for the body with CR LF instead of LF",
		},
		{
			name: "JSON indented", body: `{"a":1,"b":[true]}`, change: rewrite(indentJSON("  ")),
			want: "the signature is right for the JSON as it is written compact: it was parsed and printed again",
		},
		{
			name: "JSON compacted", body: "{\n    \"a\": 1\n}", change: rewrite(func([]byte) []byte { return []byte(`{"a":1}`) }),
			want: "the signature is right for the JSON as it is written indented by 4 spaces: it was parsed and printed again",
		},
		{
			name: "JSON of Python", body: `{"a": 1, "b": "x, y: \"z\""}`,
			change: rewrite(func([]byte) []byte { return []byte(`{"a":1,"b":"x, y: \"z\""}`) }),
			want:   "with spaces behind commas and colons",
		},
		{
			name: "JSON of PHP", body: `{"u":"http:\/\/x\/\u00e9\ud83d\ude00"}`,
			change: rewrite(func([]byte) []byte { return []byte(`{"u":"http://x/é😀"}`) }),
			want:   `compact, with \u and \/ escapes`,
		},
		{
			name: "JSON of Go", body: `{"a":"1 \u003c 2"}`, change: rewrite(func([]byte) []byte { return []byte(`{"a":"1 < 2"}`) }),
			want: "with <, > and & escaped",
		},
		{
			name: "JSON keys", body: `{"a":1,"b":2.50}`, change: rewrite(func([]byte) []byte { return []byte(`{"b":2.50,"a":1}`) }),
			want: "compact, with its keys sorted",
		},
		{
			name: "charset", body: encoded(t, charmap.Windows1251, "заказ оплачен"),
			change: rewrite(func([]byte) []byte { return []byte("заказ оплачен") }),
			want:   "the signature is right for the body in windows-1251, it came in UTF-8",
		},
		{
			name: "charset the other way", body: "заказ оплачен",
			change: rewrite(func([]byte) []byte { return []byte(encoded(t, charmap.KOI8R, "заказ оплачен")) }),
			want:   "the signature is right for the body in UTF-8, it came in KOI8-R",
		},
		{
			name: "byte order mark", body: "\ufeff{}", change: rewrite(func([]byte) []byte { return []byte("{}") }),
			want: "the signature is right for the body with a byte order mark",
		},
		{
			name: "form decoded", body: "name=J%C3%BCrgen+B&a=1", change: rewrite(func([]byte) []byte { return []byte("name=Jürgen B&a=1") }),
			want: "the signature is right for the form encoded, it came decoded",
		},
		{
			name: "form decoded, of %20", body: "name=J%C3%BCrgen%20B&a=1", change: rewrite(func([]byte) []byte { return []byte("name=Jürgen B&a=1") }),
			want: "the signature is right for the form encoded, it came decoded",
		},
		{
			name: "form encoded", body: "payload={\"a\": 1}", change: rewrite(func([]byte) []byte { return []byte("payload=%7B%22a%22%3A+1%7D") }),
			want: "the signature is right for the form decoded",
		},
		{
			name: "form sorted", body: "a=1&b=x+y", change: rewrite(func([]byte) []byte { return []byte("b=x%20y&a=1") }),
			want: "the signature is right for the form encoded anew, its parameters sorted",
		},
		{
			name: "decompressed", body: gzipped("hello tape, hello tape, hello tape"),
			change: rewrite(func([]byte) []byte { return []byte("hello tape, hello tape, hello tape") }),
			want:   "the signature is right for the body compressed: it was decompressed on the way",
		},
		{
			name: "compressed", body: strings.Repeat("hello tape ", 9), change: rewrite(func(b []byte) []byte { return []byte(gzipped(string(b))) }),
			want: "the signature is right for the body decompressed: it was compressed after it was signed",
		},
		{
			name: "URL of the inside", provider: &urlSigner, change: func(r *Request) { r.URL = "http://hooks.example.com/hooks?key=s3cr3t" },
			want: "the signature is right for the URL https://hooks.example.com/hooks?…, and the request came as http://hooks.example.com/hooks?…: public_url says what the provider sees",
		},
		{
			name: "another host", provider: &urlSigner, change: func(r *Request) {
				r.URL = "http://127.0.0.1:7070/hooks?key=s3cr3t"
				set("X-Forwarded-Host", "hooks.example.com")(r)
			},
			want: "the signature is right for the URL https://hooks.example.com/hooks?…",
		},
		{
			name: "true mismatch", change: rewrite(func(b []byte) []byte { return bytes.Replace(b, []byte("1"), []byte("7"), 1) }),
			want: "X-Signature does not match: expected sha256=…89fb, got sha256=…b796; no other configured secret and no known change on the way explains it",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, text, setting := custom, body, &Setting{Secrets: []string{usualSecret}}
			if c.provider != nil {
				p = c.provider
			}
			if c.body != "" {
				text = c.body
			}
			r := signedRequest(t, p, request(t, "POST", "/hooks?key=s3cr3t", text), setting, "")
			c.change(r)
			if c.secrets != nil {
				setting.Secrets = c.secrets
			}
			got := Explain(p, r, setting, []Secret{{"bank", "none of these"}, {"shop", usualSecret}})
			if got != c.want && (c.want == "" || !strings.Contains(got, c.want)) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestJSONIsWrittenOtherwiseButMeansTheSame: what is tried is what some writer could have made of the same values.
func TestJSONIsWrittenOtherwiseButMeansTheSame(t *testing.T) {
	text := rapid.SampledFrom([]string{`\\`, `\/`, `/`, `\"`, `\u003c`, "<", `\u0000`, `\n`, `\ud83d\ude00`, `\ud83d`, "é", ", ", ": ", `\u005c`})
	rapid.Check(t, func(t *rapid.T) {
		word := `"` + strings.Join(rapid.SliceOfN(text, 0, 6).Draw(t, "text"), "") + `"`
		body := []byte(`{"b": [1, 2.50, {}, ` + word + `], "a": {"": null}}`)
		var want any
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatal(err)
		}
		for what, other := range guessJSON(body) {
			var got any
			if err := json.Unmarshal(other, &got); err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("%s: %s became %s, %v", what, body, other, err)
			}
		}
	})
}

// TestExplainOfALargeBodyEnds: the work is bounded whatever a sender sends.
func TestExplainOfALargeBodyEnds(t *testing.T) {
	for _, body := range []string{strings.Repeat("x=1&", 2<<20), strings.Repeat("x=1&", 1<<18), "[" + strings.Repeat(`"a\/\u00e9",`, 4000) + "1]"} {
		r := signedRequest(t, &asna, request(t, "POST", "/", "{}"), &Setting{Secrets: []string{usualSecret}}, "")
		r.Body = []byte(body)
		if got := Explain(&asna, r, &Setting{Secrets: []string{usualSecret}}, nil); !strings.Contains(got, "does not match") {
			t.Error(got)
		}
	}
}

// TestExplainIsBounded: a stranger chooses how deep a body is and how many host names come with it, and an explanation
// is made at once.
func TestExplainIsBounded(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000)
	for what, body := range guessJSON([]byte(deep)) {
		if len(body) > 16*len(deep) {
			t.Errorf("%s: %d bytes of %d", what, len(body), len(deep))
		}
	}
	r := request(t, "POST", "/", "")
	for i := range 5000 {
		r.Head.Fields = append(r.Head.Fields, wire.Field{Name: "X-Forwarded-Host", Value: fmt.Sprintf("%d.example.com", i)})
	}
	checks := new(countingScheme)
	Explain(&Provider{Scheme: checks}, r, new(Setting), nil)
	if most := explainBytes / explainGuess; checks.n < 1000 || checks.n > most {
		t.Errorf("%d checks, at most %d were expected", checks.n, most)
	}
}

// countingScheme refuses, and counts how often.
type countingScheme struct{ n int }

func (c *countingScheme) signsURL() bool { return true }

func (c *countingScheme) Verifier(*Request, *Setting) Verifier {
	c.n++
	return judged{&Failure{Kind: Mismatch}}
}

func (c *countingScheme) Sign(*Request, *Setting, string) (*Signature, error) { return nil, errPublic }

// TestATokenIsNotExplainedByTheBody: a mark in front of a form hides its first parameter, and with it a wrong token.
func TestATokenIsNotExplainedByTheBody(t *testing.T) {
	const body = "auth[application_token]=bad&auth[application_token]=t0ken"
	got := Explain(&bitrix24, request(t, "POST", "/", body), &Setting{Secrets: []string{"t0ken"}}, nil)
	if want := "auth[application_token] of the form is not the configured token"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func unset(name string) func(*Request) {
	return func(r *Request) {
		var rest wire.Fields
		for _, f := range r.Head.Fields {
			if f.Name != name {
				rest = append(rest, f)
			}
		}
		r.Head.Fields = rest
	}
}

func set(name, value string) func(*Request) {
	return func(r *Request) { r.Head.Fields = withFields(r.Head.Fields, wire.Fields{{Name: name, Value: value}}) }
}

func rewrite(change func([]byte) []byte) func(*Request) {
	return func(r *Request) { r.Body = change(bytes.Clone(r.Body)) }
}

func encoded(t *testing.T, charset *charmap.Charmap, text string) string {
	t.Helper()
	s, err := charset.NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func gzipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(text))
	w.Close()
	return b.String()
}
