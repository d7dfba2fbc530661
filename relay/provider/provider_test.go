package provider

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/wire"
)

// now is the time of tests.
var now = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

// request makes a request from its parts: fields are name, value, name, value.
func request(t testing.TB, method, target, body string, fields ...string) *Request {
	t.Helper()
	raw := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: hooks.example.com\r\nContent-Length: %d\r\n", method, target, len(body))
	for i := 0; i < len(fields); i += 2 {
		raw += fields[i] + ": " + fields[i+1] + "\r\n"
	}
	head, err := wire.ParseRequestHead([]byte(raw + "\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	return &Request{Head: head, Body: []byte(body), URL: "https://hooks.example.com" + target, Time: now}
}

// signedRequest is r as the scheme signs it.
func signedRequest(t testing.TB, p *Provider, r *Request, s *Setting, id string) *Request {
	t.Helper()
	g, err := p.Scheme.Sign(r, s, id)
	if err != nil {
		t.Fatalf("%s: sign: %v", p.Name, err)
	}
	return applied(r, g)
}

func TestTheTableIsSortedSoThatNamesAreFound(t *testing.T) {
	for i, p := range table {
		if i > 0 && table[i-1].Name >= p.Name {
			t.Errorf("%q comes before %q", table[i-1].Name, p.Name)
		}
		if found, ok := Named(p.Name); !ok || found != p {
			t.Errorf("Named(%q) does not find it", p.Name)
		}
	}
	if _, ok := Named("nobody"); ok {
		t.Error(`Named("nobody") finds somebody`)
	}
}

func TestASNASignsTheBodyInUpperCase(t *testing.T) {
	s := &Setting{Secrets: []string{"9xU78vt430"}}
	r := signedRequest(t, &asna, request(t, "POST", "/", `{"Event":"stocks_full"}`), s, "")
	// printf '{"Event":"stocks_full"}' | openssl dgst -sha256 -hmac 9xU78vt430
	const want = "sha256=E3BD1C37F87E0ABF199891D63307CE2569E20BA5B5A15924F815B85148381747"
	if got, _ := r.Head.Fields.Get("X-Signature"); got != want {
		t.Errorf("X-Signature: %s, want %s", got, want)
	}
	if f := asna.Verify(r, s); f != nil {
		t.Errorf("its own signature is refused: %v", f)
	}
	r.Head.Fields = withFields(r.Head.Fields, wire.Fields{{Name: "X-Signature", Value: strings.ToLower(want)}})
	if f := asna.Verify(r, s); f != nil {
		t.Errorf("lower case is refused: %v", f)
	}
	r.Body[0] ^= 1
	if f := asna.Verify(r, s); f == nil || f.Kind != Mismatch {
		t.Errorf("an altered body is %v", f)
	}
}
