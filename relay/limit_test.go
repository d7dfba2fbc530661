package relay

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/expr"
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

func TestTheWaitForMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(100)
		var large, small, more holding
		if !large.take(b, 1000) { // alone
			t.Fatal("a body larger than the budget is never taken")
		}
		began := time.Now()
		if small.take(b, 1) || !small.denied || time.Since(began) != roomWait {
			t.Errorf("without room, after %v: %+v", time.Since(began), small)
		}
		small.giveBack() // it has nothing
		taken := make(chan bool)
		go func() { taken <- more.take(b, 30) }()
		synctest.Wait()
		large.giveBack()
		if !<-taken {
			t.Error("it does not get its turn")
		}
		more.giveBack()
		more.giveBack()
		if !b.left.TryAcquire(100) {
			t.Error("something was not given back")
		}
	})
}

// TestManyLargeBodiesAtOnceStayWithinTheMemory: a condition looks into each of them. HOOKTAPE_LARGE=1 makes it 300 bodies
// of 20 MB.
func TestManyLargeBodiesAtOnceStayWithinTheMemory(t *testing.T) {
	senders, size := 60, 2_000_000
	if os.Getenv("HOOKTAPE_LARGE") != "" {
		senders, size = 300, 20_000_000
	}
	memory, slack := int64(8*size), int64(64<<20) // slack: what streams by, the store's queue, and what is collected late
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	a := startApp(t, always(ok))
	a.stop()
	src := acking(a)
	src.MaxBody = 1 << 30
	when, err := expr.Parse(`json.last == "yes"`)
	if err != nil {
		t.Fatal(err)
	}
	src.Targets[0].When = when
	r := start(t, src)
	r.patience = 10 * time.Minute
	r.Apply(&config.Config{Sources: []config.Source{src}, Limits: config.Limits{Memory: memory}})

	head := `{"first": "`
	body := head + strings.Repeat("x", size-len(head)-17) + `", "last": "yes"}`
	request := fmt.Sprintf("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)

	var peak, taken, turnedAway atomic.Int64
	done, watched := make(chan bool), make(chan bool)
	go func() {
		defer close(watched)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak.Store(max(peak.Load(), int64(m.HeapAlloc)-int64(before.HeapAlloc)))
			}
		}
	}()
	var sending sync.WaitGroup
	for range senders {
		sending.Go(func() {
			switch got := r.send(request); {
			case strings.HasPrefix(got, "HTTP/1.1 200 "):
				taken.Add(1)
			case strings.HasPrefix(got, "HTTP/1.1 503 ") && strings.Contains(got, "\r\nRetry-After: "):
				turnedAway.Add(1)
			default:
				t.Errorf("answer %q", got)
			}
		})
	}
	sending.Wait()
	close(done)
	<-watched
	t.Logf("%d bodies of %d bytes: %d taken, %d turned away, peak %d MiB over a budget of %d MiB",
		senders, size, taken.Load(), turnedAway.Load(), peak.Load()>>20, memory>>20)
	if peak.Load() > memory+slack {
		t.Errorf("%d bytes at the peak, the memory is %d", peak.Load(), memory)
	}
	if pending := r.states()[store.Pending]; pending != int(taken.Load()) {
		t.Errorf("%d were taken, %d are pending", taken.Load(), pending)
	}
	if got := r.verdicts(); got[store.Accepted] != int(taken.Load()) || got[store.Unavailable] != int(turnedAway.Load()) {
		t.Errorf("verdicts %v", got)
	}
}
