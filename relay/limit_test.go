package relay

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/store"
)

func TestARateLetsThroughAsManyAsItSays(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	l := limiterFor(config.Rate{Count: 60, Per: time.Minute}, nil)
	pass := func(n int) (passed int) {
		for range n {
			if l.check(now).verdict == store.Accepted {
				passed++
			}
		}
		return passed
	}
	if n := pass(100); n != 60 {
		t.Errorf("at once %d pass", n)
	}
	f := l.check(now)
	if f.verdict != store.RateLimited || f.status != 429 || fmt.Sprint(f.fields) != "[{Retry-After 1}]" {
		t.Errorf("beyond it: %+v", f)
	}
	now = now.Add(10 * time.Second)
	if n := pass(100); n != 10 {
		t.Errorf("after ten seconds %d pass", n)
	}
	now = now.Add(-time.Hour) // the clock is set back
	pass(1)
	now = now.Add(10 * time.Second)
	if n := pass(100); n != 10 {
		t.Errorf("ten seconds after the clock was set back %d pass", n)
	}
}

func TestBeyondItsRateASourceTurnsAwayAndRecords(t *testing.T) {
	a := startApp(t, always(ok))
	src := acking(a)
	src.Rate = config.Rate{Count: 3, Per: time.Hour}
	other := acking(a)
	other.Name, other.Path = "other", "/other"
	r := start(t, src, other)
	big := fmt.Sprintf("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n%s", strings.Repeat("x", 100_000))
	for i := range 6 {
		if i == 4 { // a reload is no fresh start
			r.Apply(&config.Config{Sources: []config.Source{src, other}})
		}
		got, want := r.send(big), "HTTP/1.1 200 "
		if i >= 3 {
			want = "HTTP/1.1 429 "
		}
		if !strings.HasPrefix(got, want) || i >= 3 && !strings.Contains(got, "\r\nRetry-After: ") {
			t.Errorf("request %d: %q", i+1, got)
		}
	}
	rec := r.last()
	if rec.Verdict != store.RateLimited || !rec.Truncated || rec.Raw.Size > refusedKeep+1000 || rec.Reason == "" {
		t.Errorf("on the tape: %+v", rec)
	}
	if got := r.send("POST /other HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("the other source: %q", got)
	}
	r.untilStates(map[store.State]int{store.Delivered: 4})
}
