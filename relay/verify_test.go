package relay

import (
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/provider"
	"github.com/hooktape/hooktape/store"
)

// checking makes a source check signatures of the body in X-Signature.
func checking(src config.Source, secrets ...string) config.Source {
	p, err := provider.Custom{Header: "X-Signature", Prefix: "sha256="}.Provider()
	if err != nil {
		panic(err)
	}
	src.Provider, src.Setting.Secrets, src.OnInvalid = p, secrets, config.RejectInvalid
	return src
}

// signed is a request with a signature under a secret.
func signed(secret, body string) string {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(body))
	return withSignature("sha256="+hex.EncodeToString(m.Sum(nil)), body)
}

func withSignature(signature, body string) string {
	return fmt.Sprintf("POST /?event=%d HTTP/1.1\r\nHost: h\r\nX-Signature: %s\r\nContent-Length: %d\r\n\r\n%s", len(body), signature, len(body), body)
}

func value(src string) *expr.Expr {
	x, err := expr.ParseValue(src)
	if err != nil {
		panic(err)
	}
	return x
}

func TestWhatIsNotSignedRightIsRefusedAndKeptWhole(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 20<<10)
	right := signed("secret", "hello")
	for what, c := range map[string]struct {
		request string
		status  string
		verdict store.Verdict
		reason  string // a part of it
	}{
		"right":               {right, "200 OK", store.Accepted, ""},
		"right under another": {signed("older secret", "hello"), "200 OK", store.Accepted, ""},
		"large and right":     {signed("secret", big), "200 OK", store.Accepted, ""},
		"in chunks": {
			strings.Replace(right, "Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", 1),
			"200 OK", store.Accepted, "",
		},
		"another body":  {strings.Replace(right, "hello", "hellO", 1), "401 ", store.InvalidSignature, "X-Signature"},
		"a wrong key":   {signed("wrong", "hello"), "401 ", store.InvalidSignature, "X-Signature"},
		"large, wrong":  {signed("wrong", big), "401 ", store.InvalidSignature, "X-Signature"},
		"none":          {strings.Replace(right, "X-Sig", "X-Not-Sig", 1), "401 ", store.InvalidSignature, "X-Signature"},
		"not of a form": {withSignature("sha256=xyz", "hello"), "401 ", store.InvalidSignature, "X-Signature"},
	} {
		t.Run(what, func(t *testing.T) {
			a := startApp(t, always(ok))
			r := start(t, checking(acking(a), "secret", "older secret"))
			answer := r.send(c.request)
			if !strings.HasPrefix(answer, "HTTP/1.1 "+c.status) {
				t.Errorf("answer %q", answer)
			}
			rec := r.wait(Answered).Record
			if rec.Verdict != c.verdict || rec.Verified != (c.verdict == store.Accepted) || !strings.Contains(rec.Reason, c.reason) {
				t.Errorf("%s, verified %v: %s", rec.Verdict, rec.Verified, rec.Reason)
			}
			if rec.Reason != "" && strings.Contains(answer, rec.Reason) {
				t.Errorf("the sender was told why: %q", answer)
			}
			if r.raw(r.last().Raw) != c.request {
				t.Error("not all of it is on the tape")
			}
			if d, err := r.store.Deliveries(rec.ID); err != nil || len(d) > 0 != (c.verdict == store.Accepted) {
				t.Errorf("deliveries %v, %v", d, err)
			}
		})
	}
}

func TestOnInvalidRecordTakesAndMarksWhatIsWrong(t *testing.T) {
	a := startApp(t, always(ok))
	src := checking(acking(a), "secret")
	src.OnInvalid = config.RecordInvalid
	r := start(t, deduping(src))
	for range 2 { // what is not verified is a duplicate of nothing
		if answer := r.send(signed("wrong", "hello")); !strings.HasPrefix(answer, "HTTP/1.1 200 ") {
			t.Errorf("answer %q", answer)
		}
		rec := r.wait(Answered).Record
		if rec.Verdict != store.Accepted || rec.Verified || !strings.HasPrefix(rec.Reason, "not verified: ") {
			t.Errorf("%s, verified %v: %s", rec.Verdict, rec.Verified, rec.Reason)
		}
		until(t, "delivered", func() bool { return r.delivery(rec.ID).State == store.Delivered })
	}
	for _, want := range []store.Verdict{store.Accepted, store.Duplicate} {
		r.send(signed("secret", "hello"))
		if rec := r.wait(Answered).Record; rec.Verdict != want || !rec.Verified {
			t.Errorf("%s, verified %v, want %s", rec.Verdict, rec.Verified, want)
		}
	}
}

func TestWithoutAKeyNothingIsTaken(t *testing.T) {
	src := checking(acking(startApp(t, always(ok))), "")
	src.OnInvalid = config.RecordInvalid // that is for what is known to be wrong
	r := start(t, src)
	answer := r.send(signed("", "hello"))
	if !strings.HasPrefix(answer, "HTTP/1.1 503 ") || !strings.Contains(answer, "Retry-After: ") {
		t.Errorf("answer %q", answer)
	}
	if rec := r.wait(Answered).Record; rec.Verdict != store.Unverified || rec.Verified {
		t.Errorf("%s: %s", rec.Verdict, rec.Reason)
	}
}

func TestAWrongTokenIsUnauthorized(t *testing.T) {
	iiko, _ := provider.Named("iiko")
	src := acking(startApp(t, always(ok)))
	src.Provider, src.Setting.Secrets, src.OnInvalid = iiko, []string{"token"}, config.RejectInvalid
	src.Event = value(iiko.Event)
	r := start(t, src)
	for token, want := range map[string]store.Verdict{"token": store.Accepted, "tokem": store.Unauthorized, "": store.Unauthorized} {
		r.send("POST / HTTP/1.1\r\nHost: h\r\nauthToken: " + token + "\r\nContent-Length: 17\r\n\r\n{\"type\":\"CREATE\"}")
		if rec := r.wait(Answered).Record; rec.Verdict != want || rec.Event != "CREATE" {
			t.Errorf("token %q: %s %s, event %q", token, rec.Verdict, rec.Reason, rec.Event)
		}
	}
}

func TestOnlyAllowedAddressesAreListenedTo(t *testing.T) {
	for network, want := range map[string]store.Verdict{"127.0.0.0/8": store.Accepted, "10.0.0.0/8": store.AddressNotAllowed} {
		src := acking(startApp(t, always(ok)))
		src.Allow = []netip.Prefix{netip.MustParsePrefix(network)}
		src.Methods = []string{"GET", "POST"}
		r := start(t, src)
		r.send(post)
		rec := r.wait(Answered).Record
		if rec.Verdict != want || rec.Answer.Status != map[store.Verdict]int{store.Accepted: 200, store.AddressNotAllowed: 403}[want] {
			t.Errorf("%s: %s %d", network, rec.Verdict, rec.Answer.Status)
		}
		if r.raw(r.last().Raw) != post {
			t.Errorf("%s: not all of it is on the tape", network)
		}
	}
}

// greeting is a provider that asks who is there with GET and with POST, of which only a hello is signed.
func greeting(t *testing.T) *provider.Provider {
	p, err := provider.Custom{Header: "X-Signature", Prefix: "sha256="}.Provider()
	if err != nil {
		t.Fatal(err)
	}
	greeting := *p
	greeting.Handshake = func(r *provider.Request, s *provider.Setting) *provider.Reply {
		switch {
		case r.Head.Method == "GET" && r.Head.Path() == s.Path:
			return &provider.Reply{Status: 200, Body: []byte(r.Head.Query()), Open: true}
		case string(r.Body) == "hello":
			return &provider.Reply{Status: 202}
		case strings.HasPrefix(string(r.Body), "challenge "):
			return &provider.Reply{Status: 200, Body: r.Body, Open: true}
		}
		return nil
	}
	return &greeting
}

func TestHandsAreShakenByTheAgentAlone(t *testing.T) {
	a := startApp(t, always(ok))
	src := checking(passing(a, time.Minute), "secret")
	src.Path, src.Methods, src.Provider = "/in", []string{"POST"}, greeting(t)
	r := start(t, src)
	at := func(request string) string { return strings.Replace(request, " /", " /in", 1) }
	for what, c := range map[string]struct {
		request, answer string
		verdict         store.Verdict
	}{
		"another method":       {"GET /in?hi HTTP/1.1\r\nHost: h\r\n\r\n", "200 OK", store.Handshake},
		"at another path":      {"GET /in/x HTTP/1.1\r\nHost: h\r\n\r\n", "405 ", store.MethodNotAllowed},
		"with a body":          {"GET /in HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx", "405 ", store.MethodNotAllowed},
		"signed":               {at(signed("secret", "hello")), "202 ", store.Handshake},
		"not signed as it was": {at(signed("wrong", "hello")), "401 ", store.InvalidSignature},
		"an event":             {at(signed("secret", "event")), "201 ", store.Accepted},
	} {
		answer := r.send(c.request)
		rec := r.wait(Answered).Record
		if !strings.HasPrefix(answer, "HTTP/1.1 "+c.answer) || rec.Verdict != c.verdict {
			t.Errorf("%s: %s, answer %q", what, rec.Verdict, answer)
		}
		if c.verdict == store.Handshake && !strings.Contains(answer, "X-Content-Type-Options: nosniff\r\n") {
			t.Errorf("%s: a browser may take it for a page: %q", what, answer)
		}
	}
	if n := len(a.requests()); n != 1 {
		t.Errorf("the app got %d requests", n)
	}
}

func TestARecordHasTheNamesOfItsEvents(t *testing.T) {
	for _, c := range []struct {
		event, body string
		first       string
		all         int
	}{
		{"json.type", `{"type": "paid"}`, "paid", 0},
		{"json[*].type", `[{"type": "paid"}, {"type": "sent"}, {"type": "paid"}, {}]`, "paid", 2},
		{"json[*].type", `not json`, "", 0},
		{"header.x-odd", `{}`, "spaces", 0},
		{"json.type", `{"type": {"a": 1}}`, "", 0},
	} {
		src := acking(startApp(t, always(ok)))
		src.Event = value(c.event)
		r := start(t, src)
		r.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: h\r\nX-Odd:  spaces \r\nContent-Length: %d\r\n\r\n%s", len(c.body), c.body))
		r.wait(Answered)
		if rec := r.last(); rec.Event != c.first || len(rec.Events) != c.all {
			t.Errorf("%s of %s: %q, %q", c.event, c.body, rec.Event, rec.Events)
		}
	}
}

func TestCompressedBodiesAreDecodedForExpressionsAndCheckedAsTheyCame(t *testing.T) {
	pack := func(text string) string {
		var b strings.Builder
		w := gzip.NewWriter(&b)
		io.WriteString(w, text)
		w.Close()
		return b.String()
	}
	for what, c := range map[string]struct {
		body  string
		event string
	}{
		"small":            {pack(`{"type": "paid"}`), "paid"},
		"large":            {pack(`{"type": "paid", "data": "` + strings.Repeat("x", 1<<20) + `"}`), "paid"},
		"beyond the bound": {pack(`{"type": "paid", "data": "` + strings.Repeat("x", 16<<20) + `"}`), ""},
		"not what it says": {`{"type": "paid"}`, "paid"},
	} {
		t.Run(what, func(t *testing.T) {
			src := checking(acking(startApp(t, always(ok))), "secret")
			src.Event = value("json.type")
			r := start(t, src)
			request := strings.Replace(signed("secret", c.body), "Host: h\r\n", "Host: h\r\nContent-Encoding: gzip\r\n", 1)
			r.send(request)
			r.wait(Answered)
			rec := r.last()
			if !rec.Verified || rec.Event != c.event {
				t.Errorf("%s %s, event %q", rec.Verdict, rec.Reason, rec.Event)
			}
			if r.raw(rec.Raw) != request {
				t.Error("the record is not what came")
			}
		})
	}
}
