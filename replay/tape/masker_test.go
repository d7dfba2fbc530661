package tape

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/mask"
	"github.com/hooktape/hooktape/relay/provider"
	"github.com/hooktape/hooktape/relay/wire"
)

func gzipped(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// request is a recording of a request with a body; a head that says Transfer-Encoding gets it in chunks of 7 bytes.
func request(head, body string) *Recording {
	raw := body
	if strings.Contains(head, "chunked") {
		raw = ""
		for rest := body; rest != ""; {
			n := min(7, len(rest))
			raw += fmt.Sprintf("%X;a=b\r\n%s\r\n", n, rest[:n])
			rest = rest[n:]
		}
		raw += "0\r\nX-Token: " + theSecret + "\r\n\r\n"
	} else {
		head += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	all := head + "\r\n" + raw
	return &Recording{
		ID: "01KA000000000000000000000A", Known: true, Time: Time{time.Unix(1700000000, 0)}, Verdict: "accepted", Method: "POST", Target: "/", Host: "a",
		Source: "shop", Verified: true, HeadSize: len(head) + 2, BodySize: int64(len(body)), Request: Bytes([]byte(all)),
	}
}

const (
	theSecret = "S3cretTok3n0fTheShop"
	thePerson = "jo.doe@example.com"
)

func newTestMasker(t testing.TB, paths ...string) *Masker {
	t.Helper()
	var all []MaskPath
	for _, text := range paths {
		p, err := ParseMaskPath(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	m := NewMasker([]byte("key"), mask.Names{"phone"}, all, map[string]*SignedSource{"shop": {Provider: "github"}, "std": {Provider: "standard-webhooks"}})
	t.Cleanup(func() { m.Close() })
	return m
}

// everywhereIn is all that a reader of a recording could find: bytes, bodies without codings, and what is known.
func everywhereIn(t testing.TB, r *Recording) string {
	t.Helper()
	var b strings.Builder
	facts, err := stdjson.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	b.Write(facts)
	look := func(block Block, headSize int, method string) {
		m := openMessage(block.inline, headSize, method)
		b.WriteString(m.head)
		b.Write(m.raw)
		b.Write(m.body)
		for _, unescape := range []func(string) (string, error){url.QueryUnescape, url.PathUnescape} {
			if text, err := unescape(m.head + string(m.body)); err == nil {
				b.WriteString(text)
			}
		}
	}
	look(r.Request, r.HeadSize, "")
	if r.Answer != nil {
		look(r.Answer.Response, r.Answer.HeadSize, "POST")
	}
	for i := range r.Attempts {
		a := &r.Attempts[i]
		b.Write(a.Head)
		if a.Sent != nil {
			b.Write(a.Sent.inline)
		}
		look(a.Response, a.HeadSize, "POST")
	}
	return b.String()
}

// TestAMaskedRecordingHoldsNoSecret, wherever and however it stood, and is whole.
func TestAMaskedRecordingHoldsNoSecret(t *testing.T) {
	const head = "POST /hook/" + "?token=" + theSecret + "&q=1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + theSecret + "\r\nX-Plain:  kept \r\n"
	json := `{"token": "` + theSecret + `", "n" : 1.50, "customer":{"email":"` + thePerson + `","phone":79001234567}, "url":"https://x/?s=` + theSecret + `"}`
	form := "auth%5Bapplication_token%5D=" + theSecret + "&data%5Bemail%5D=" + url.QueryEscape(thePerson) + "&x=%20y"
	multipart := "--B\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n" + theSecret + "\r\n--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a\"\r\n\r\n\x00\xff\r\n--B--\r\n"
	for _, c := range []struct {
		name   string
		r      *Recording
		unread int
	}{
		{"json", request(head+"Content-Type: application/json\r\n", json), 0},
		{"form", request(head+"Content-Type: application/x-www-form-urlencoded\r\n", form), 0},
		{"multipart", request(head+"Content-Type: multipart/form-data; boundary=B\r\n", multipart), 0},
		{"gzip", request(head+"Content-Type: application/json\r\nContent-Encoding: gzip\r\n", gzipped(t, json)), 0},
		{"chunked", request(head+"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n", json), 0},
		{"chunked gzip", request(head+"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n", gzipped(t, json)), 0},
		{"binary", request(head+"Content-Type: application/octet-stream\r\n", "\x00\xff\xfe "+theSecret), 1},
		{"encrypted", request(head+"Content-Type: application/json\r\nContent-Encoding: aes128gcm\r\n", "\x00\xff"), 1},
		{"bytes", &Recording{Known: true, Verdict: "malformed", Request: Bytes([]byte("POST /?token=" + theSecret + " HTTP/9.9\r\nX-Token:" + theSecret))}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			response := "HTTP/1.1 200 OK\r\nSet-Cookie: sid=" + theSecret + "\r\nContent-Length: 27\r\n\r\n" + "you said " + theSecret[:18]
			answer := "HTTP/1.1 200 OK\r\nContent-Length: 29\r\n\r\nyou said " + theSecret
			c.r.Answer = &Answer{Status: 200, HeadSize: strings.Index(answer, "you"), Response: Bytes([]byte(answer))}
			sent := Bytes([]byte(json))
			c.r.Attempts = []Attempt{{
				Number: 1, URL: "http://u:" + theSecret + "@h/?token=" + theSecret, Error: "no " + theSecret, Sent: &sent, HeadSize: strings.Index(response, "you"),
				Head: fmt.Appendf(nil, "POST / HTTP/1.1\r\nHost: a\r\nX-Token: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", theSecret, len(json)), Response: Bytes([]byte(response)),
			}}
			before := everywhereIn(t, c.r)
			m := newTestMasker(t, "json.customer.email", "form.data.email")
			masked, err := m.Mask(c.r)
			if err != nil {
				t.Fatal(err)
			}
			text := everywhereIn(t, masked)
			apart := newTestMasker(t, "json.customer.email", "form.data.email")
			apart.together = 0
			if again, err := apart.Mask(c.r); err != nil || everywhereIn(t, again) != text || apart.Unread != m.Unread {
				t.Errorf("one message at a time gives another recording: %v", err)
			}
			if a := masked.Attempts[0]; !strings.Contains(string(a.Head), "X-Token: "+m.found[theSecret]+"\r\n") {
				t.Errorf("the same secret has another fake in what was sent: %s", a.Head)
			}
			for _, secret := range []string{theSecret, thePerson, "79001234567"} {
				if i := strings.Index(text, secret); i >= 0 {
					t.Errorf("%s is there: %.300q", secret, text[max(0, i-100):])
				}
			}
			if everywhereIn(t, c.r) != before {
				t.Error("the recording itself was changed")
			}
			if m.Unread != c.unread {
				t.Errorf("%d bodies could not be looked into, want %d", m.Unread, c.unread)
			}
			checkWhole(t, masked)
		})
	}
}

// checkWhole checks that lengths and chunks fit.
func checkWhole(t *testing.T, r *Recording) {
	t.Helper()
	if r.HeadSize == 0 {
		return
	}
	head, err := wire.ParseRequestHead(r.Request.inline)
	if err != nil || len(head.Raw) != r.HeadSize {
		t.Fatalf("head of %d bytes: %v", r.HeadSize, err)
	}
	body, _, err := wire.DecodeBody(head.Framing, r.Request.inline[r.HeadSize:])
	if err != nil {
		t.Errorf("%v: %q", err, r.Request.inline[r.HeadSize:])
	}
	if int64(len(body)) != r.BodySize {
		t.Errorf("the body has %d bytes, and is said to have %d", len(body), r.BodySize)
	}
	if plain, err := wire.DecodeContent(head.Fields, body, 1<<20); err != nil || strings.Contains(head.Raw, "application/json") && wire.IsText(plain) && !stdjson.Valid(plain) {
		t.Errorf("%v: %q", err, plain)
	}
	if value, ok := head.Fields.Get("X-Plain"); ok && value != "kept" {
		t.Error(head.Raw)
	}
}

func TestMaskingLeavesAllOtherBytes(t *testing.T) {
	r := request("POST /a?b=c HTTP/1.1\r\nhOst: a\r\nX-Empty:\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n", `{ "a":1.0,"a": 2 , "ttt":"`+strings.Repeat("x", 40)+`"}`)
	r.Verified = false
	masked, err := newTestMasker(t).Mask(r)
	if err != nil {
		t.Fatal(err)
	}
	got, want := string(masked.Request.inline), string(r.Request.inline)
	if i := strings.Index(want, "\r\n0\r\n"); len(got) != len(want) || got[:i] != want[:i] {
		t.Errorf("%q\nwas %q", got, want)
	}
}

// TestVerifiedRequestsAreSignedWithATestSecret that the masker tells, and no others.
func TestVerifiedRequestsAreSignedWithATestSecret(t *testing.T) {
	for _, c := range []struct{ source, provider, extra string }{
		{"shop", "github", "X-Hub-Signature-256: sha256=" + strings.Repeat("0", 64) + "\r\n"},
		{"std", "standard-webhooks", "webhook-id: msg_1\r\nwebhook-timestamp: 1\r\nwebhook-signature: v1," + base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\r\n"},
	} {
		for _, coding := range []string{"", "Content-Encoding: gzip\r\n", "Transfer-Encoding: chunked\r\n"} {
			body := `{"password":"` + theSecret + `"}`
			if strings.Contains(coding, "gzip") {
				body = gzipped(t, body)
			}
			r := request("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"+c.extra+coding, body)
			r.Source = c.source
			m := newTestMasker(t)
			masked, err := m.Mask(r)
			if err != nil || len(m.Signing()) != 1 || len(m.Unsigned) > 0 {
				t.Fatal(err, m.Signing(), m.Unsigned)
			}
			checkWhole(t, masked)
			head, _ := wire.ParseRequestHead(masked.Request.inline)
			decoded, _, _ := wire.DecodeBody(head.Framing, masked.Request.inline[masked.HeadSize:])
			p, _ := provider.Named(c.provider)
			asked := &provider.Request{Head: head, Body: decoded, Time: r.Time.Time}
			v := p.Scheme.Verifier(asked, &provider.Setting{Secrets: []string{m.Signing()[0].Secret}})
			_, _ = v.Write(decoded)
			if failure := v.Verify(); failure != nil {
				t.Errorf("%s %s: %s\n%s", c.source, coding, failure, head.Raw)
			}
			r.Verified = false
			m = newTestMasker(t)
			if _, err := m.Mask(r); err != nil || len(m.Signing()) > 0 {
				t.Error("a request that was not verified is signed", err)
			}
		}
	}
}

// TestATapeTellsNoMoreThanSigningNeeds of what a source is set up with.
func TestATapeTellsNoMoreThanSigningNeeds(t *testing.T) {
	for _, c := range []struct {
		provider string
		params   map[string]string
	}{
		{"meta", map[string]string{"verify_token": theSecret}},
		{"vk", map[string]string{"confirmation": theSecret, "login": thePerson}},
		{"azure-eventgrid", map[string]string{"query": "key", "other": theSecret}},
	} {
		m := NewMasker([]byte("key"), nil, nil, map[string]*SignedSource{"shop": {Provider: c.provider, Params: c.params}})
		zeros := strings.Repeat("0", 64)
		if _, err := m.Mask(request("POST /?key=k HTTP/1.1\r\nHost: a\r\nX-Hub-Signature-256: sha256="+zeros+"\r\n", `{"secret":"s"}`)); err != nil {
			t.Fatal(err)
		}
		all := m.Signing()
		if len(all) != 1 {
			t.Fatalf("%s: %v", c.provider, m.Unsigned)
		}
		if p := all[0].Params; len(p) > 0 && (len(p) > 1 || p["query"] != "key") || c.params["query"] != p["query"] {
			t.Errorf("%s: %v", c.provider, p)
		}
	}
}

// TestFactsHoldNothingThatAPathLeadsTo, however short it is.
func TestFactsHoldNothingThatAPathLeadsTo(t *testing.T) {
	const query = "?a=b&name=Ivan"
	r := request("POST /"+query+" HTTP/1.1\r\nHost: a\r\nX-Tenant: Omsk\r\nContent-Type: application/json\r\n", `{"email":"ann@example.com","n":[{"kind":"vip"},{"kind":"b2b"}],"id":77}`)
	r.URL, r.Target, r.Trace, r.Event, r.Events, r.Reason = "http://a/"+query, "/"+query, "ann@example.com", "vip", []string{"vip", "b2b"}, "Omsk"
	r.Attempts = []Attempt{{URL: "http://app/" + query + "#end", Error: "Omsk: no such tenant", Finding: "order 77, of \"Ivan\""}}
	r.Deliveries = []Delivery{{Key: "shop-77", Error: "not a b2b.", Finding: "Ivan"}}
	before := everywhereIn(t, r)
	masked, err := newTestMasker(t, "json.email", "json.n[*].kind", "json.id", "header.x-tenant", "query.name").Mask(r)
	if err != nil {
		t.Fatal(err)
	}
	text := everywhereIn(t, masked) + masked.URL
	for _, secret := range []string{"Ivan", "Omsk", "ann@example", "vip", "b2b", "77"} {
		if i := strings.Index(text, secret); i >= 0 {
			t.Errorf("%s is there: %.200q", secret, text[max(0, i-100):])
		}
	}
	if everywhereIn(t, r) != before {
		t.Error("the recording itself was changed")
	}
	if _, after, _ := strings.Cut(masked.URL, "?"); !strings.HasSuffix(masked.Target, "?"+after) || masked.Trace == "" {
		t.Errorf("the facts say different things: %s, %s, %s", masked.URL, masked.Target, masked.Trace)
	}
	checkWhole(t, masked)
}

// TestMalformedRequestsAreMaskedByPathsToo, as far as lines tell what is what.
func TestMalformedRequestsAreMaskedByPathsToo(t *testing.T) {
	r := &Recording{Known: true, Verdict: "malformed", Request: Bytes([]byte("POST /?name=Ivan HTTP/9.9\r\nX-Tenant: Omsk"))}
	masked, err := newTestMasker(t, "query.name", "header.x-tenant").Mask(r)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(masked.Request.inline); strings.Contains(text, "Ivan") || strings.Contains(text, "Omsk") {
		t.Error(text)
	}
}

func TestMaskPaths(t *testing.T) {
	m := newTestMasker(t)
	for _, c := range []struct{ path, kind, text string }{
		{"json.a[*].b", "application/json", `{"a":[{"b":"XXXX1"},{"b":[22,"XXXX1"]}],"b":"kept1","c":{"a":"kept1"}}`},
		{"json.*.name", "application/json", `{"x":{"name":"XXXX1"},"name":"kept1"}`},
		{"form.data.phone", "application/x-www-form-urlencoded", "data%5Bphone%5D=XXXX1&phone=kept1"},
		{"header.x-p*", "", "GET /x-p HTTP/1.1\r\nX-Phone: XXXX1\r\nX-Phon: XXXX1\r\nPhone: kept1\r\n\r\n"},
		{"json.phone", "application/json", `{"phone":"XXXX1","n":"kept1","phone":"XXXX1`},
		{"json.phone", "application/json", `{"n":["kept1`},
		{"json.phone", "application/json", `{"phone":{"a":["XXXX1\`},
		{"json.phone", "application/json", "\ufeff {\"phone\":\"XXXX1\"}"},
		{"json.phone", "application/x-ndjson", "{\"phone\":\"XXXX1\"}\n}{\"n\":\"kept1\"}\n{\"phone\":\"XXXX1\"}"},
		{`json["a/*"].b`, "application/json", `{"a/b":{"b":"XXXX1"},"a":{"b":"kept1"}}`},
		{"query.name", "", "GET /?name=XXXX1&n=kept1 HTTP/1.1\r\nname: kept1\r\n\r\n"},
	} {
		parsed, err := ParseMaskPath(c.path)
		if err != nil {
			t.Fatal(err)
		}
		got := maskPath(parsed).head(m.fakes, c.text)
		if c.kind != "" {
			got = string(maskPath(parsed).body(m.fakes, c.kind, []byte(c.text)))
		}
		if strings.Contains(got, "XXXX1") || strings.Count(got, "kept1") != strings.Count(c.text, "kept1") || len(got) != len(c.text) {
			t.Errorf("%s: %s", c.path, got)
		}
	}
	for _, text := range []string{"", "json", "body.a", "header.a.b", "json..a"} {
		if _, err := ParseMaskPath(text); err == nil {
			t.Errorf("%q is a path", text)
		}
	}
}

// TestDigestsAreThoseOfTheMaskedBody, so that nobody can guess from them what was masked.
func TestDigestsAreThoseOfTheMaskedBody(t *testing.T) {
	digests := func(body string) string {
		sha, md := sha256.Sum256([]byte(body)), md5.Sum([]byte(body))
		s, m := base64.StdEncoding.EncodeToString(sha[:]), base64.StdEncoding.EncodeToString(md[:])
		return fmt.Sprintf("Content-Digest: sha-256=:%s:\r\nDigest: SHA-256=%s,MD5=%s\r\nContent-MD5: %s\r\nx-amz-content-sha256: %x\r\nETag: W/\"%x\"\r\n", s, s, m, m, sha, md)
	}
	plain := `{"pin":"1234","name":"n"}`
	for _, coding := range []string{"", "Content-Encoding: gzip\r\n"} {
		body := plain
		if coding != "" {
			body = gzipped(t, plain)
		}
		r := request("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"+coding+digests(body), body)
		r.Source, r.Attempts = "", []Attempt{{Number: 1, Head: r.Request.inline[:r.HeadSize]}}
		masked, err := newTestMasker(t).Mask(r)
		if err != nil {
			t.Fatal(err)
		}
		raw := string(masked.Request.inline)
		head, now := raw[:masked.HeadSize], raw[masked.HeadSize:]
		if now == body || !strings.Contains(head, digests(now)) {
			t.Errorf("%s%q", head, now)
		}
		if sent := string(masked.Attempts[0].Head); sent != head {
			t.Errorf("what was sent on has another head:\n%s\n%s", sent, head)
		}
	}
}

// TestTheFinalResponseTellsHowItIsCoded, and not an interim one, as other tools record them.
func TestTheFinalResponseTellsHowItIsCoded(t *testing.T) {
	body := gzipped(t, `{"token":"`+theSecret+`"}`)
	head := fmt.Sprintf("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n", len(body))
	r := request("POST / HTTP/1.1\r\nHost: a\r\n", "")
	r.Answer = &Answer{Status: 200, HeadSize: len(head), Response: Bytes([]byte(head + body))}
	masked, err := newTestMasker(t).Mask(r)
	if err != nil {
		t.Fatal(err)
	}
	from, err := gzip.NewReader(bytes.NewReader(masked.Answer.Response.inline[masked.Answer.HeadSize:]))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(from); err != nil || strings.Contains(string(text), theSecret) {
		t.Errorf("%v: %s", err, text)
	}
}

func TestWhatIsTooLargeToMaskIsSaid(t *testing.T) {
	r := request("POST / HTTP/1.1\r\nHost: a\r\n", "")
	r.Request = Opened(openMax+1, func() (io.ReadCloser, error) { return nil, errors.New("nobody needs it") })
	_, err := newTestMasker(t).Mask(r)
	if !isTooLarge(err) {
		t.Error(err)
	}
	w := NewHARWriter(io.Discard, Info{})
	if err := w.Write(r); !isTooLarge(err) {
		t.Error(err)
	}
	if err := errors.Join(w.Write(request("POST / HTTP/1.1\r\nHost: a\r\n", "")), w.Close()); err != nil {
		t.Error(err)
	}
}

// TestChunksThatBreakOffAreMasked: a secret may stand across the border of two of them.
func TestChunksThatBreakOffAreMasked(t *testing.T) {
	r := request("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n", `{"token":"`+theSecret+`"}`)
	whole := r.Request.inline
	r.Verdict = "incomplete"
	for cut := r.HeadSize + 1; cut < len(whole); cut++ {
		r.Request = Bytes(whole[:cut])
		masked, err := newTestMasker(t).Mask(r)
		if err != nil {
			t.Fatal(err)
		}
		data := func(raw []byte) string { return string(dechunked(raw[r.HeadSize:])) }
		now, was := data(masked.Request.inline), data(r.Request.inline)
		if len(now) != len(was) || len(was) > 13 && now[10:13] == was[10:13] {
			t.Fatalf("cut at %d: %q, was %q", cut, now, was)
		}
	}
	r.Request = Bytes(append(bytes.Clone(whole), `{"token":"`+theSecret+`"}`...)) // and what is behind the end
	masked, err := newTestMasker(t).Mask(r)
	if err != nil || strings.Contains(string(masked.Request.inline), theSecret) {
		t.Errorf("%v: %q", err, masked.Request.inline)
	}
}
