package relay

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/store"
)

// keyServer hands out a key, which can be changed; "" is none.
type keyServer struct {
	*app
	key atomic.Value
}

func startKeyServer(t *testing.T, key string) *keyServer {
	s := &keyServer{}
	s.key.Store(key)
	s.app = startApp(t, func(int, string) string {
		key := s.key.Load().(string)
		if key == "" {
			return "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
		}
		body := fmt.Sprintf(`{"secret": %q}`, key)
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	})
	return s
}

func signedByASNA(key, body string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(body))
	return fmt.Sprintf("POST / HTTP/1.1\r\nHost: h\r\nX-Signature: sha256=%s\r\nContent-Length: %d\r\n\r\n%s",
		strings.ToUpper(hex.EncodeToString(mac.Sum(nil))), len(body), body)
}

// heldClock stands still but for what is added to ahead.
func heldClock() (now func() time.Time, ahead *atomic.Int64) {
	base := time.Now()
	ahead = new(atomic.Int64)
	return func() time.Time { return base.Add(time.Duration(ahead.Load())) }, ahead
}

func keyed(t *testing.T, keys *keyServer) config.Source {
	return configured(t, fmt.Sprintf(`
source "asna" {
  path     = "/"
  provider = "asna"
  key_from {
    url     = "http://%s/v5/keys/webhooks"
    headers = { "Authorization" = "Bearer t0ken" }
  }
}`, keys.addr))
}

func TestAKeyIsAskedForAtStartAndWhenChecksBeginToFail(t *testing.T) {
	keys := startKeyServer(t, "first")
	now, ahead := heldClock()
	r := startWith(t, filepath.Join(t.TempDir(), "tape.db"), Options{Now: now}, keyed(t, keys))
	until(t, "the first answer", func() bool { return r.routes.Load().named("asna").key.current() == "first" })
	if q := keys.requests()[0]; !strings.HasPrefix(q, "GET /v5/keys/webhooks HTTP/1.1\r\n") || !strings.Contains(q, "Authorization: Bearer t0ken\r\n") ||
		!strings.Contains(q, "User-Agent: hooktape\r\n") {
		t.Errorf("%q", q)
	}
	expect := func(what, request string, verdict store.Verdict, asked int) {
		t.Helper()
		r.send(request)
		rec := r.wait(Answered).Record
		if rec.Verdict != verdict || rec.Verified != (verdict == store.Accepted) || len(keys.requests()) != asked {
			t.Errorf("%s: %s (%s), verified %v, asked %d times", what, rec.Verdict, rec.Reason, rec.Verified, len(keys.requests()))
		}
	}
	expect("under the key", signedByASNA("first", "{}"), store.Accepted, 1)
	keys.key.Store("second")
	large := `{"a":"` + strings.Repeat("x", 100<<10) + `"}`
	expect("under one that took its place a moment later", signedByASNA("second", large), store.Accepted, 2)
	expect("and again", signedByASNA("second", "{}"), store.Accepted, 2)
	expect("no signature", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}", store.InvalidSignature, 2)
	for i := 1; i < keyBurst; i++ {
		expect("under a wrong one", signedByASNA("wrong", "{}"), store.InvalidSignature, 2+i)
	}
	expect("under a wrong one, again", signedByASNA("wrong", "{}"), store.InvalidSignature, 1+keyBurst)
	ahead.Add(int64(keyPause))
	keys.key.Store("third")
	expect("under the next, later", signedByASNA("third", "{}"), store.Accepted, 2+keyBurst)
	ahead.Add(int64(keyPause))
	keys.key.Store("")
	expect("while the key can't be had", signedByASNA("fourth", "{}"), store.Unverified, 3+keyBurst)
	expect("under the last that was had", signedByASNA("third", "{}"), store.Accepted, 3+keyBurst)
}

// A sender can begin while no key is known, and end when one is.
func TestWhatBeganBeforeTheKeyCameIsCheckedWithIt(t *testing.T) {
	for by, want := range map[string]store.Verdict{"key": store.Accepted, "wrong": store.InvalidSignature} {
		keys := startKeyServer(t, "")
		now, ahead := heldClock()
		r := startWith(t, filepath.Join(t.TempDir(), "tape.db"), Options{Now: now}, keyed(t, keys))
		until(t, "the first question", func() bool { return len(keys.requests()) == 1 })
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		early := signedByASNA(by, "{}")
		_, _ = io.WriteString(c, early[:len(early)-1])
		until(t, "its head has come", func() bool { return r.exchanges.Load() == 1 })
		keys.key.Store("key")
		ahead.Add(int64(keyPause))
		r.send(signedByASNA("key", "{ }"))
		if rec := r.wait(Answered).Record; !rec.Verified {
			t.Fatalf("with the key: %s (%s)", rec.Verdict, rec.Reason)
		}
		_, _ = io.WriteString(c, early[len(early)-1:])
		if rec := r.wait(Answered).Record; rec.Verdict != want || rec.Verified != (want == store.Accepted) {
			t.Errorf("signed under %q: %s (%s), verified %v", by, rec.Verdict, rec.Reason, rec.Verified)
		}
		r.end()
	}
}

func TestWithoutAKeyNothingIsAccepted(t *testing.T) {
	keys := startKeyServer(t, "")
	now, ahead := heldClock()
	r := startWith(t, filepath.Join(t.TempDir(), "tape.db"), Options{Now: now}, keyed(t, keys))
	for what, request := range map[string]string{
		"signed":     signedByASNA("key", "{}"),
		"not signed": "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
		"empty key":  signedByASNA("", "{}"),
	} {
		answer := r.send(request)
		rec := r.wait(Answered).Record
		if rec.Verdict != store.Unverified || !strings.HasPrefix(answer, "HTTP/1.1 503 ") || !strings.Contains(answer, "Retry-After") {
			t.Errorf("%s: %s, %q", what, rec.Verdict, answer)
		}
	}
	keys.key.Store("key")
	ahead.Add(int64(keyPause))
	r.send(signedByASNA("key", "{}"))
	if rec := r.wait(Answered).Record; rec.Verdict != store.Accepted || !rec.Verified {
		t.Errorf("%s: %s", rec.Verdict, rec.Reason)
	}
}

func TestAReloadKeepsAKeyThatIsAskedForInTheSameWay(t *testing.T) {
	keys := startKeyServer(t, "key")
	src := keyed(t, keys)
	r := start(t, src)
	until(t, "the key", func() bool { return r.routes.Load().named("asna").key.current() == "key" })
	r.Apply(&config.Config{Sources: []config.Source{keyed(t, keys)}})
	if got := r.routes.Load().named("asna").settings().Secrets; len(got) != 1 || got[0] != "key" {
		t.Errorf("%d secrets", len(got))
	}
	if n := len(keys.requests()); n != 1 {
		t.Errorf("asked %d times", n)
	}
}
