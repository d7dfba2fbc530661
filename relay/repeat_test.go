package relay

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/store"
)

func deduping(src config.Source) config.Source {
	key, err := expr.Parse("query.event")
	if err != nil {
		panic(err)
	}
	src.Dedupe = &config.Dedupe{Key: key, Window: time.Hour}
	return src
}

func event(name string) string {
	return fmt.Sprintf("POST /?event=%s HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi", name)
}

// verdicts counts the records by verdict.
func (r *rig) verdicts() map[store.Verdict]int {
	r.t.Helper()
	if err := r.store.Sync(); err != nil {
		r.t.Fatal(err)
	}
	n := map[store.Verdict]int{}
	for rec, err := range r.store.Records(store.Query{}) {
		if err != nil {
			r.t.Fatal(err)
		}
		n[rec.Verdict]++
	}
	return n
}

// withoutDate is an answer without what differs from second to second.
func withoutDate(answer string) string {
	lines := strings.SplitAfter(answer, "\r\n")
	kept := lines[:0]
	for _, line := range lines {
		if !strings.HasPrefix(line, "Date: ") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

func TestADuplicateThatAsksForTheHeadAloneLeavesTheConnectionInStep(t *testing.T) {
	for first, second := range map[string]string{"POST": "HEAD", "HEAD": "POST"} {
		a := startApp(t, func(_ int, request string) string {
			if strings.HasPrefix(request, "HEAD") {
				return strings.TrimSuffix(ok, "ok")
			}
			return ok
		})
		r := start(t, deduping(passing(a, time.Minute)))
		r.send(strings.Replace(event("1"), "POST", first, 1))
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patienceOfTests))
		if _, err := io.WriteString(c, strings.Replace(event("1"), "POST", second, 1)+event("2")); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(c)
		for _, method := range []string{second, "POST"} {
			answer, err := http.ReadResponse(in, &http.Request{Method: method})
			if err != nil {
				t.Fatalf("%s behind %s: %v", second, first, err)
			}
			if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode/100 != 2 {
				t.Errorf("%s behind %s got %d, %v", second, first, answer.StatusCode, err)
			}
		}
		if n := r.verdicts()[store.Duplicate]; n != 1 {
			t.Errorf("%d duplicates", n)
		}
	}
}

// Half an answer must not be taken for a whole one the second time either, nor what follows for its rest.
func TestADuplicateOfHalfAnAnswerEndsTheConnection(t *testing.T) {
	for name, half := range map[string]string{
		"of known length": "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
		"in chunks":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			src := deduping(passing(startApp(t, nil), time.Minute))
			src.Targets[0].URL = breaksOff(t, half)
			r := start(t, src)
			for range 2 {
				c, err := net.Dial("tcp", r.addr)
				if err != nil {
					t.Fatal(err)
				}
				_ = c.SetDeadline(time.Now().Add(patienceOfTests))
				if _, err := io.WriteString(c, event("1")+event("2")); err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(c); err != nil || strings.Count(string(got), "HTTP/1.1 ") != 1 || !strings.HasSuffix(strings.TrimSpace(string(got)), "half") {
					t.Errorf("got %q, %v", got, err)
				}
				_ = c.Close()
			}
			if n := r.verdicts()[store.Duplicate]; n != 1 {
				t.Errorf("%d duplicates", n)
			}
		})
	}
}

// breaksOff is the URL of an app that closes its connections behind an answer.
func breaksOff(t *testing.T, answer string) *url.URL {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if q, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				_, _ = io.Copy(io.Discard, q.Body)
				_, _ = io.WriteString(c, answer)
			}
			_ = c.Close()
		}
	}()
	return &url.URL{Scheme: "http", Host: l.Addr().String()}
}

func TestADuplicateIsAnsweredLikeTheFirstAndNotDelivered(t *testing.T) {
	big := "HTTP/1.1 202 Taken\r\nX-From: app\r\nTransfer-Encoding: chunked\r\n\r\n11170\r\n" + strings.Repeat("x", 70_000) + "\r\n0\r\n\r\n"
	for name, c := range map[string]struct {
		respond string
		source  func(*app) config.Source
	}{
		"acked":             {ok, acking},
		"passed":            {ok, func(a *app) config.Source { return passing(a, time.Minute) }},
		"passed in chunks":  {big, func(a *app) config.Source { return passing(a, time.Minute) }},
		"without any body":  {"HTTP/1.1 204 None\r\n\r\n", func(a *app) config.Source { return passing(a, time.Minute) }},
		"with an ack block": {ok, withAck},
	} {
		t.Run(name, func(t *testing.T) {
			a := startApp(t, always(c.respond))
			path := filepath.Join(t.TempDir(), "tape.db")
			r := startOn(t, path, deduping(c.source(a)))
			first := r.send(event("1"))
			second := r.send(event("1"))
			r.end()
			r = startOn(t, path, deduping(c.source(a))) // it is remembered
			third := r.send(event("1"))
			if withoutDate(second) != withoutDate(first) || withoutDate(third) != withoutDate(first) {
				t.Errorf("the first got %q, the others %q, %q", clipped(first), clipped(second), clipped(third))
			}
			rec := r.wait(Answered).Record
			if rec.Verdict != store.Duplicate {
				t.Errorf("told as %+v", rec)
			}
			kept := r.last()
			if kept.Verdict != store.Duplicate || kept.Answer == nil || r.raw(kept.Answer.Raw) != third {
				t.Errorf("on the tape: %+v, answer %+v", kept, kept.Answer)
			}
			r.untilStates(map[store.State]int{store.Delivered: 1})
			if got := r.verdicts(); got[store.Duplicate] != 2 || got[store.Accepted] != 1 {
				t.Errorf("verdicts %v", got)
			}
			if n := len(a.requests()); n != 1 {
				t.Errorf("the app got it %d times", n)
			}
			if r.send(event("2")); len(a.requests()) != 2 {
				until(t, "another event is delivered", func() bool { return len(a.requests()) == 2 })
			}
		})
	}
}

func clipped(s string) string { return s[:min(len(s), 200)] }

func withAck(a *app) config.Source {
	src := acking(a)
	text, err := expr.Parse("query.event")
	if err != nil {
		panic(err)
	}
	src.Acks = []config.Ack{{Status: 201, Body: text, Deliver: true}}
	return src
}

func TestEqualRequestsAtOnceAreDeliveredOnce(t *testing.T) {
	a := startApp(t, always(ok))
	for name, src := range map[string]config.Source{"acked": acking(a), "passed": passing(a, time.Minute)} {
		t.Run(name, func(t *testing.T) {
			a.mu.Lock()
			a.got = nil
			a.mu.Unlock()
			r := start(t, deduping(src))
			var senders sync.WaitGroup
			for i := range 64 {
				senders.Go(func() {
					if got := r.send(event(fmt.Sprint(i % 4))); !strings.HasPrefix(got, "HTTP/1.1 20") {
						t.Errorf("answer %q", got)
					}
				})
			}
			senders.Wait()
			r.untilStates(map[store.State]int{store.Delivered: 4})
			if n := len(a.requests()); n != 4 {
				t.Errorf("the app got %d", n)
			}
			if got := r.verdicts(); got[store.Accepted] != 4 || got[store.Duplicate] != 60 {
				t.Errorf("verdicts %v", got)
			}
		})
	}
}

func TestWhatTheAppRefusedIsNoFirst(t *testing.T) {
	var refused atomic.Int32
	a := startApp(t, func(int, string) string {
		if refused.Add(1) <= 3 {
			return failing503
		}
		return ok
	})
	r := start(t, deduping(passing(a, time.Minute)))
	var senders sync.WaitGroup
	var taken, turnedAway atomic.Int32
	for range 16 {
		senders.Go(func() {
			if got := r.send(event("1")); strings.HasPrefix(got, "HTTP/1.1 201 ") {
				taken.Add(1)
			} else if strings.HasPrefix(got, "HTTP/1.1 503 ") {
				turnedAway.Add(1)
			}
		})
	}
	senders.Wait()
	if taken.Load() != 13 || turnedAway.Load() != 3 || len(a.requests()) != 4 {
		t.Errorf("%d taken, %d turned away, the app got %d", taken.Load(), turnedAway.Load(), len(a.requests()))
	}
}

func TestRequestsWithoutAKeyAndRefusedOnesAreNoDuplicates(t *testing.T) {
	a := startApp(t, always(ok))
	src := deduping(acking(a))
	src.Methods = []string{"POST"}
	r := start(t, src)
	for range 2 {
		r.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
		r.send("GET /?event=1 HTTP/1.1\r\nHost: h\r\n\r\n")
	}
	r.send(event("1"))
	if got := r.verdicts(); got[store.Accepted] != 3 || got[store.MethodNotAllowed] != 2 {
		t.Errorf("verdicts %v", got)
	}
}
