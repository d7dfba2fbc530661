package relay

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/store"
)

const failing503 = "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"

// states counts the deliveries on the tape by their states.
func (r *rig) states() map[store.State]int {
	r.t.Helper()
	if err := r.store.Sync(); err != nil {
		r.t.Fatal(err)
	}
	n := map[store.State]int{}
	for d, err := range r.store.AllDeliveries(store.DeliveryQuery{}) {
		if err != nil {
			r.t.Fatal(err)
		}
		n[d.State]++
	}
	return n
}

func (r *rig) untilStates(want map[store.State]int) {
	r.t.Helper()
	until(r.t, fmt.Sprint(want), func() bool { return fmt.Sprint(r.states()) == fmt.Sprint(want) })
}

func body(n int) string {
	s := strconv.Itoa(n)
	return fmt.Sprintf("POST /?n=%d HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", n, len(s), s)
}

func TestWhatWaitsForATargetThatStaysAwayExpires(t *testing.T) {
	a := startApp(t, always(ok))
	a.stop()
	src := acking(a)
	src.Targets[0].Hold = 300 * time.Millisecond
	r := start(t, src)
	for i := range 3 {
		r.send(body(i))
	}
	r.untilStates(map[store.State]int{store.Expired: 3})
	a.up()
	r.send(body(3))
	r.untilStates(map[store.State]int{store.Expired: 3, store.Delivered: 1})
}

func TestAnOpenBreakerUsesNoAttempt(t *testing.T) {
	a := startApp(t, always(ok))
	a.stop()
	src := acking(a)
	src.Targets[0].Concurrency = 1
	r := start(t, src)
	for i := range 5 {
		r.send(body(i))
	}
	r.wait(Away)
	until(t, "it asks", func() bool { return r.probes("ack", "app") >= 2 })
	a.up()
	r.untilStates(map[store.State]int{store.Delivered: 5})
	used := 0
	for d, err := range r.store.AllDeliveries(store.DeliveryQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		used += d.Attempts
	}
	if used != 1+5 {
		t.Errorf("%d attempts found out that the target is away", used-5)
	}
}

// probes is how often a target that is away was asked whether it is there.
func (r *rig) probes(source, name string) int {
	t := r.targetOf(source, name)
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.breaker.probes
}

// untilIdle waits until no attempt for a target is under way.
func (r *rig) untilIdle(source, name string) {
	r.t.Helper()
	t := r.targetOf(source, name)
	until(r.t, "no attempt is under way", func() bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		return len(t.flying) == 0
	})
}

func (r *rig) targetOf(source, name string) *target {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.targets[targetKey{source, name}]
}

func TestATargetThatAnswersNothingIsAskedWithOneDeliveryAtATime(t *testing.T) {
	var well atomic.Bool
	var under, most atomic.Int32
	a := startApp(t, func(int, string) string {
		if well.Load() {
			return ok
		}
		n := under.Add(1)
		defer under.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		return ""
	})
	r := start(t, acking(a))
	const n = 40
	for i := range n {
		r.send(body(i))
	}
	r.wait(Away)
	until(t, "attempts of before have ended", func() bool { return under.Load() == 0 })
	most.Store(0)
	before := len(a.requests())
	until(t, "it asks", func() bool { return len(a.requests()) >= before+2 })
	if most.Load() > 1 {
		t.Errorf("%d deliveries at once while it answers nothing", most.Load())
	}
	well.Store(true)
	r.wait(Back)
	r.untilStates(map[store.State]int{store.Delivered: n})
}

func TestBeyondMaxPendingTheSenderIsTurnedAway(t *testing.T) {
	a := startApp(t, always(ok))
	for name, src := range map[string]config.Source{"ack": acking(a), "take over": passing(a, time.Millisecond)} {
		t.Run(name, func(t *testing.T) {
			a.stop()
			src.Targets[0].MaxPending = 3
			r := start(t, src)
			var senders sync.WaitGroup
			var taken, turnedAway atomic.Int32
			for i := range 20 {
				senders.Go(func() {
					answer := r.send(body(i))
					switch {
					case strings.HasPrefix(answer, "HTTP/1.1 200 "):
						taken.Add(1)
					case strings.HasPrefix(answer, "HTTP/1.1 503 ") && strings.Contains(answer, "\r\nRetry-After: "):
						turnedAway.Add(1)
					default:
						t.Errorf("answer %q", answer)
					}
				})
			}
			senders.Wait()
			if taken.Load() > 3 || taken.Load()+turnedAway.Load() != 20 {
				t.Errorf("%d taken, %d turned away", taken.Load(), turnedAway.Load())
			}
			want := map[store.State]int{store.Pending: int(taken.Load())}
			if name == "take over" {
				want[store.Failed] = int(turnedAway.Load()) // once the attempts under way when patience was over have ended
			}
			r.untilStates(want)
			records := 0
			for rec, err := range r.store.Records(store.Query{}) {
				if err != nil {
					t.Fatal(err)
				}
				records++
				if name == "ack" && rec.Answer.Status == 503 && (rec.Verdict != store.Unavailable || rec.Truncated) {
					t.Errorf("%+v", rec)
				}
			}
			if records != 20 {
				t.Errorf("%d records", records)
			}
			a.up()
			until(t, "delivered", func() bool { return r.states()[store.Delivered] == int(taken.Load()) })
			until(t, "there is room again", func() bool { return !strings.HasPrefix(r.send(body(99)), "HTTP/1.1 503") })
		})
	}
}

func TestBeyondMaxPendingTheOldestExpires(t *testing.T) {
	a := startApp(t, always(ok))
	a.stop()
	src := acking(a)
	src.Targets[0].MaxPending, src.Targets[0].Full = 3, config.FullDrop
	r := start(t, src)
	for i := range 10 {
		if got := r.send(body(i)); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Fatalf("answer %q", got)
		}
		if i == 0 { // one with an attempt under way would not expire
			r.wait(Away)
			r.untilIdle("ack", "app")
		}
	}
	r.untilStates(map[store.State]int{store.Expired: 7, store.Pending: 3})
	a.up()
	r.untilStates(map[store.State]int{store.Expired: 7, store.Delivered: 3})
	for _, got := range a.requests() {
		if !strings.HasSuffix(got, "7") && !strings.HasSuffix(got, "8") && !strings.HasSuffix(got, "9") {
			t.Errorf("not among the newest: %q", got)
		}
	}
}

func TestDeliveriesOfATargetThatLeftAreOrphanedUntilItIsBack(t *testing.T) {
	a := startApp(t, always(ok))
	a.stop()
	path := filepath.Join(t.TempDir(), "tape.db")
	r := startOn(t, path, acking(a))
	r.send(body(1))
	r.wait(Away)
	renamed := acking(a)
	renamed.Targets[0].Name = "other"
	r.Apply(&config.Config{Sources: []config.Source{renamed}})
	r.untilStates(map[store.State]int{store.Orphaned: 1})
	r.Apply(&config.Config{Sources: []config.Source{acking(a)}})
	r.untilStates(map[store.State]int{store.Pending: 1})
	r.end()

	left := startOn(t, path, renamed) // it leaves while no agent runs
	left.untilStates(map[store.State]int{store.Orphaned: 1})
	left.end()

	a.up()
	back := startOn(t, path, acking(a))
	back.untilStates(map[store.State]int{store.Delivered: 1})
}

func TestAnAttemptUnderWayWhenItsTargetLeavesCounts(t *testing.T) {
	for name, there := range map[string]bool{"gone in the end": false, "back in the end": true} {
		t.Run(name, func(t *testing.T) {
			hold, held := make(chan bool), make(chan bool, 1)
			a := startApp(t, func(int, string) string { held <- true; <-hold; return ok })
			r := start(t, acking(a))
			r.send(body(1))
			<-held
			for range 10 { // it comes and goes
				r.Apply(&config.Config{})
				r.untilStates(map[store.State]int{store.Orphaned: 1})
				r.Apply(&config.Config{Sources: []config.Source{acking(a)}})
				r.untilStates(map[store.State]int{store.Pending: 1})
			}
			if !there {
				r.Apply(&config.Config{})
			}
			close(hold)
			r.untilStates(map[store.State]int{store.Delivered: 1})
			r.end() // whatever was about to start has started
			if n := len(a.requests()); n != 1 {
				t.Errorf("the app got it %d times", n)
			}
		})
	}
}

func ordered(a *app) config.Source {
	src := acking(a)
	src.Targets[0].Concurrency = 8
	by, err := expr.Parse("query.key")
	if err != nil {
		panic(err)
	}
	src.Targets[0].OrderBy = by
	return src
}

// TestAKeyIsDeliveredInItsOrderThroughFailuresAndARestart: of three keys one fails at first, and holds up no other.
func TestAKeyIsDeliveredInItsOrderThroughFailuresAndARestart(t *testing.T) {
	var bad atomic.Bool
	bad.Store(true)
	var mu sync.Mutex
	taken, under := map[string][]string{}, map[string]int{}
	a := startApp(t, func(_ int, request string) string {
		line, _, _ := strings.Cut(request, " HTTP")
		key, n, _ := strings.Cut(line[strings.Index(line, "key=")+4:], "&n=")
		mu.Lock()
		defer mu.Unlock()
		if under[key]++; under[key] > 1 {
			t.Errorf("two of key %s at once", key)
		}
		defer func() { under[key]-- }()
		if key == "bad" && bad.Load() {
			return failing503
		}
		taken[key] = append(taken[key], n)
		return ok
	})
	path := filepath.Join(t.TempDir(), "tape.db")
	r := startOn(t, path, ordered(a))
	const each = 12
	send := func(from, to int) {
		for n := from; n < to; n++ {
			for _, key := range []string{"bad", "a", "b"} {
				r.send(fmt.Sprintf("POST /?key=%s&n=%d HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", key, n))
			}
		}
	}
	all := func(keys ...string) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return !slices.ContainsFunc(keys, func(key string) bool { return len(taken[key]) < each })
		}
	}
	send(0, each/2)
	until(t, "the other keys are delivered", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(taken["a"]) == each/2 && len(taken["b"]) == each/2
	})
	r.end()
	r = startOn(t, path, ordered(a))
	send(each/2, each)
	until(t, "the other keys are delivered", all("a", "b"))
	bad.Store(false)
	until(t, "all is delivered", all("bad", "a", "b"))
	r.untilStates(map[store.State]int{store.Delivered: 3 * each})
	for key, got := range taken {
		for i, n := range got {
			if n != strconv.Itoa(i) {
				t.Errorf("key %s came as %v", key, got)
				break
			}
		}
	}
}

// TestAClockThatIsSetBackHoldsNoDelivery: neither while the agent runs nor over a restart.
func TestAClockThatIsSetBackHoldsNoDelivery(t *testing.T) {
	var ahead atomic.Int64
	ahead.Store(int64(1000 * time.Hour))
	clock := func() time.Time { return time.Now().Round(0).Add(time.Duration(ahead.Load())) }
	a := startApp(t, func(n int, _ string) string {
		if n == 1 {
			return failing503
		}
		return ok
	})
	for name, restart := range map[string]bool{"running": false, "restarted": true} {
		t.Run(name, func(t *testing.T) {
			ahead.Store(int64(1000 * time.Hour))
			a.mu.Lock()
			a.got = nil
			a.mu.Unlock()
			path := filepath.Join(t.TempDir(), "tape.db")
			src := acking(a)
			src.Targets[0].Retry.Min, src.Targets[0].Retry.Max = 30*time.Minute, 40*time.Minute
			r := startWith(t, path, Options{Now: clock}, src)
			r.send(body(1))
			id := r.wait(Answered).Record.ID
			until(t, "one attempt failed", func() bool { return r.delivery(id).Attempts == 1 })
			ahead.Store(0)
			if restart {
				r.end()
				r = startWith(t, path, Options{Now: clock}, src)
			}
			until(t, "delivered", func() bool { r.Wake("ack", "app"); return r.delivery(id).State == store.Delivered })
		})
	}
}

func TestAClockThatIsSetForwardHarmsNothing(t *testing.T) {
	var ahead atomic.Int64
	a := startApp(t, always(ok))
	a.stop()
	r := startWith(t, filepath.Join(t.TempDir(), "tape.db"), Options{Now: func() time.Time {
		return time.Now().Round(0).Add(time.Duration(ahead.Load()))
	}}, acking(a))
	r.send(body(1))
	r.wait(Away)
	ahead.Store(int64(1000 * time.Hour))
	a.up()
	r.untilStates(map[store.State]int{store.Delivered: 1})
}

// TestReloadsUnderLoadLoseNothing: a hundred of them, while senders send. Each answer is that of a configuration which was
// in force between the request and the answer.
func TestReloadsUnderLoadLoseNothing(t *testing.T) {
	a := startApp(t, always(ok))
	r := start(t, acking(a))
	var applied, applying atomic.Int32
	other := config.Source{Name: "other", Path: "/other", Respond: config.RespondAck, MaxBody: 1 << 20}
	stop := make(chan bool)
	var senders sync.WaitGroup
	var sent atomic.Int32
	for range 4 {
		senders.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				n := sent.Add(1)
				first := applied.Load()
				got := r.send(body(int(n)))
				version := int32(0)
				if _, text, told := strings.Cut(got, "X-Version: "); told {
					fmt.Sscan(text, &version)
				}
				if !strings.HasPrefix(got, "HTTP/1.1 200 ") || version < first || version > applying.Load() {
					t.Errorf("answer %q, by a configuration from %d to %d", got, first, applying.Load())
				}
			}
		})
	}
	for i := range 100 {
		src := acking(a)
		src.Targets[0].Concurrency = 1 + i%8
		version, err := expr.ParseText(strconv.Itoa(i + 1))
		if err != nil {
			t.Fatal(err)
		}
		src.Acks = []config.Ack{{Status: 200, Deliver: true, Headers: []config.Header{{Name: "X-Version", Value: version}}}}
		cfg := &config.Config{Sources: []config.Source{src}}
		if i%2 == 0 {
			cfg.Sources = append(cfg.Sources, other)
		}
		before := sent.Load()
		applying.Store(int32(i + 1))
		r.Apply(cfg)
		applied.Store(int32(i + 1))
		until(t, "more requests", func() bool { return sent.Load() > before })
	}
	close(stop)
	senders.Wait()
	r.untilStates(map[store.State]int{store.Delivered: int(sent.Load())})
	seen := map[string]bool{}
	for _, got := range a.requests() {
		if line, _, _ := strings.Cut(got, "\r\n"); seen[line] {
			t.Errorf("delivered twice: %s", line)
		} else {
			seen[line] = true
		}
	}
}

// TestATargetMayFailInEveryWay: whatever it does, the delivery is made in the end, and only once it was taken.
func TestATargetMayFailInEveryWay(t *testing.T) {
	for name, misbehave := range map[string]func(net.Conn){
		"hangs": func(c net.Conn) { c.Read(make([]byte, 1)); <-time.After(time.Second) },
		"resets in the response": func(c net.Conn) {
			fmt.Fprint(c, "HTTP/1.1 500 Oh\r\nContent-Length: 10\r\n\r\nhalf")
			c.(*net.TCPConn).SetLinger(0)
		},
		"garbage":                 func(c net.Conn) { fmt.Fprint(c, "\x00\x01\x02 who knows\r\n\r\n") },
		"trickles":                func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 2"); <-time.After(time.Second) },
		"cut head":                func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Le") },
		"refuses before the body": func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			a := startApp(t, always(ok))
			a.stop()
			l, err := a.held.Listen()
			if err != nil {
				t.Fatal(err)
			}
			var serving sync.WaitGroup
			serving.Go(func() {
				for range 2 {
					c, err := l.Accept()
					if err != nil {
						return
					}
					misbehave(c)
					c.Close()
				}
				l.Close()
			})
			src := acking(a)
			src.Targets[0].Timeout = 500 * time.Millisecond
			r := start(t, src)
			request := "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 80000\r\n\r\n" + strings.Repeat("x", 80_000)
			if got := r.send(request); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
				t.Fatalf("answer %q", got)
			}
			id := r.wait(Answered).Record.ID
			serving.Wait()
			patient := acking(a) // now it may be slow
			patient.Targets[0].Timeout = patienceOfTests
			r.Apply(&config.Config{Sources: []config.Source{patient}})
			a.up()
			until(t, "delivered", func() bool { return r.delivery(id).State == store.Delivered })
			if got := a.requests(); len(got) != 1 || !strings.HasSuffix(got[0], "xxx") || len(got[0]) < 80_000 {
				t.Errorf("the app got %d requests", len(got))
			}
		})
	}
}
