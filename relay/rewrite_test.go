package relay

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// configured is the first source of a config file's text.
func configured(t *testing.T, text string) config.Source {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hooktape.hcl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path, os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Sources[0]
}

// rewriting is a source whose one target rewrites; respond is "ack" or "target".
func rewriting(t *testing.T, a *app, respond, keys string) config.Source {
	return configured(t, fmt.Sprintf(`
source "s" {
  path     = "/"
  respond  = %q
  patience = "0s"
  target "t" {
    url = "http://%s"
    retry { for = "0s" }
    rewrite {
      %s
    }
  }
}`, respond, a.addr, keys))
}

func TestALargeBodyIsRewrittenAndKeptAsItWasSent(t *testing.T) {
	for _, respond := range []string{"ack", "target"} {
		t.Run(respond, func(t *testing.T) {
			a := startApp(t, always(ok))
			r := start(t, rewriting(t, a, respond, `body = "[${body}${body}]"`))
			body := strings.Repeat("0123456789abcdef", 20<<10) // in pieces
			r.send(fmt.Sprintf("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
			id := r.wait(Answered).Record.ID
			until(t, "the delivery", func() bool { return r.delivery(id).State == store.Delivered })
			head := fmt.Sprintf("POST /x HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n", a.addr, 2*len(body)+2)
			sent := "[" + body + body + "]"
			if got := a.requests(); len(got) != 1 || got[0] != head+sent {
				t.Fatalf("%d requests", len(got))
			}
			attempts, err := r.store.Attempts(id)
			if err != nil || len(attempts) != 1 || attempts[0].Head != head || attempts[0].Sent == nil || !attempts[0].Edited {
				t.Fatalf("%+v, %v", attempts, err)
			}
			if r.raw(*attempts[0].Sent) != sent {
				t.Error("another body is on the tape than was sent")
			}
		})
	}
}

func TestWhatARewriteDoesNotNameStaysByteForByte(t *testing.T) {
	a := startApp(t, always(ok))
	r := start(t, rewriting(t, a, "ack", `headers = { "x-odd" = "even" }`))
	const chunked = "Transfer-Encoding: chunked\r\n\r\n5;ext=\"1\"\r\nhello\r\n0\r\nX-T: trailer\r\n\r\n"
	r.send("POST /a//b?x=%20 HTTP/1.1\r\nhost: h\r\nX-Odd:   spaces \r\n" + chunked)
	id := r.wait(Answered).Record.ID
	until(t, "the delivery", func() bool { return r.delivery(id).State == store.Delivered })
	want := "POST /a//b?x=%20 HTTP/1.1\r\nhost: " + a.addr + "\r\nX-Odd:   even \r\n" + chunked
	if got := a.requests(); len(got) != 1 || got[0] != want {
		t.Errorf("%q", got)
	}
	if attempts, err := r.store.Attempts(id); err != nil || attempts[0].Sent != nil {
		t.Errorf("the record's body was sent, and is kept again: %v, %v", attempts, err)
	}
}

func TestARewriteThatFailsIsAnAttemptThatSaysSo(t *testing.T) {
	a := startApp(t, always(ok))
	r := start(t, rewriting(t, a, "target", `body = unixtime(json.when)`))
	answer := r.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}")
	id := r.wait(Answered).Record.ID
	d := r.delivery(id)
	if !strings.HasPrefix(answer, "HTTP/1.1 502 ") || d.State != store.Failed || !strings.HasPrefix(d.Error, "rewrite body: unixtime(json.when): ") {
		t.Errorf("%q, %+v", answer, d)
	}
	if got := a.requests(); len(got) != 0 {
		t.Errorf("sent %q", got)
	}
}

// TestARewriteThatCantReadTheBodyIsTriedAgain: it is not the record's fault.
func TestARewriteThatCantReadTheBodyIsTriedAgain(t *testing.T) {
	a := startApp(t, always(ok))
	src := rewriting(t, a, "ack", `body = "${json.a}"`)
	r := start(t, src)
	head, err := wire.ParseRequestHead([]byte("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 70000\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	m := message{rec: &store.Record{BodySize: 70000}, head: head, raw: store.Raw{Pieces: store.ID{1}, Size: int64(len(head.Raw)) + 70000}}
	s := sent{attempt: new(store.Attempt)}
	if _, err := r.prepare(newAim(src, src.Targets[0]), m, &s); err == nil || s.hopeless {
		t.Errorf("%v, hopeless: %v", err, s.hopeless)
	}
}
