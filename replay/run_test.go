package replay

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// sleepUntil waits in the time of a synctest bubble.
func sleepUntil(ctx context.Context, until time.Time) bool {
	return ctx.Err() == nil && sleep(ctx, time.Until(until))
}

// range on which shots are fired in a test.
type shooting struct {
	mu     sync.Mutex // guards what follows
	sent   []string   // "NAME at TIME SINCE THE START, late LATENESS"
	began  time.Time
	under  int // way
	most   int // of them at once
	failAt string
}

// fakeShot takes its time.
type fakeShot struct {
	on       *shooting
	name     string
	recorded time.Duration
	key      string
	takes    time.Duration
	prepare  func(context.Context) error
}

func (f *fakeShot) Recorded() (time.Time, string) { return time.Unix(0, 0).Add(f.recorded), f.key }

func (f *fakeShot) Prepare(ctx context.Context) error {
	if f.prepare == nil {
		return nil
	}
	return f.prepare(ctx)
}

var errFailed = errors.New("failed")

func (f *fakeShot) Send(ctx context.Context, due time.Time) error {
	f.on.begin(f.name, due)
	defer f.on.end()
	if f.on.failAt == f.name {
		return errFailed
	}
	sleep(ctx, f.takes)
	return nil
}

func (s *shooting) begin(name string, due time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	line := fmt.Sprintf("%s at %v", name, time.Since(s.began))
	if late := time.Since(due); !due.IsZero() && late > 0 {
		line += fmt.Sprintf(", late %v", late)
	}
	s.sent = append(s.sent, line)
	s.under++
	s.most = max(s.most, s.under)
}

func (s *shooting) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.under--
}

func (s *shooting) shots(of ...*fakeShot) iter.Seq2[Shot, error] {
	return func(yield func(Shot, error) bool) {
		for _, f := range of {
			shot := *f
			shot.on = s
			if !yield(&shot, nil) {
				return
			}
		}
	}
}

func runIn(t *testing.T, o Options, shots ...*fakeShot) *shooting {
	t.Helper()
	s := &shooting{began: time.Now()}
	o.Wait = sleepUntil
	if err := Run(t.Context(), s.shots(shots...), o); err != nil {
		t.Error(err)
	}
	return s
}

func (s *shooting) want(t *testing.T, lines ...string) {
	t.Helper()
	if !slices.Equal(s.sent, lines) {
		t.Errorf("sent %q, want %q", s.sent, lines)
	}
}

const second = time.Second

func TestWithoutAPaceOneIsSentBehindTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := runIn(t, Options{}, &fakeShot{name: "a", takes: second}, &fakeShot{name: "b", recorded: time.Hour, takes: second}, &fakeShot{name: "c"})
		s.want(t, "a at 0s", "b at 1s", "c at 2s")
	})
}

func TestAtAPaceShotsDoNotWaitForOneAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := runIn(t, Options{Pace: Pace{Speed: 2}, Loops: 2},
			&fakeShot{name: "a", takes: time.Hour}, &fakeShot{name: "b", recorded: 2 * second, takes: time.Hour}, &fakeShot{name: "c", recorded: 10 * second})
		s.want(t, "a at 0s", "b at 1s", "c at 5s", "a at 5s", "b at 6s", "c at 10s")
	})
}

func TestWhatIsLateIsSaidAndMakesNoOtherLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := runIn(t, Options{Pace: Pace{Speed: 1}, Concurrency: 1},
			&fakeShot{name: "a", takes: 3 * second}, &fakeShot{name: "b", recorded: second}, &fakeShot{name: "c", recorded: 5 * second})
		s.want(t, "a at 0s", "b at 3s, late 2s", "c at 5s")
	})
}

func TestNoMoreAreUnderWayThanAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shots []*fakeShot
		for range 100 {
			shots = append(shots, &fakeShot{name: "a", takes: second})
		}
		if s := runIn(t, Options{Concurrency: 7}, shots...); s.most != 7 || len(s.sent) != 100 {
			t.Errorf("%d were sent, %d at once", len(s.sent), s.most)
		}
		if s := runIn(t, Options{Pace: Pace{Rate: 1e6}}, shots...); s.most != pacedConcurrency {
			t.Errorf("%d were sent at once", s.most)
		}
	})
}

func TestThoseOfAKeyKeepTheirOrderAndHoldUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := runIn(t, Options{Concurrency: 8},
			&fakeShot{name: "a1", key: "a", takes: 5 * second}, &fakeShot{name: "a2", key: "a", takes: second}, &fakeShot{name: "a3", key: "a"},
			&fakeShot{name: "b1", key: "b", takes: second}, &fakeShot{name: "b2", key: "b", takes: second},
			&fakeShot{name: "c", takes: 2 * second})
		slices.Sort(s.sent)
		s.want(t, "a1 at 0s", "a2 at 5s", "a3 at 6s", "b1 at 0s", "b2 at 1s", "c at 0s")
	})
}

func TestManyOfOneKeyWaitInBoundedRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shots []*fakeShot
		var want []string
		for i := range 3 * ahead {
			name := fmt.Sprint(i)
			shots = append(shots, &fakeShot{name: name, key: "a", takes: second})
			want = append(want, fmt.Sprintf("%d at %v", i, time.Duration(i)*second))
		}
		runIn(t, Options{Concurrency: 4}, shots...).want(t, want...)
	})
}

func TestAShotIsPreparedShortlyBeforeItIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var prepared []time.Duration
		note := func(context.Context) error { prepared = append(prepared, time.Since(began)); return nil }
		slow := func(ctx context.Context) error { sleep(ctx, 2*second); return nil }
		s := runIn(t, Options{Pace: Pace{Speed: 1}},
			&fakeShot{name: "a", prepare: slow}, &fakeShot{name: "b", recorded: time.Hour, prepare: note}, &fakeShot{name: "c", recorded: 2 * time.Hour, prepare: note})
		s.want(t, "a at 2s", "b at 1h0m2s", "c at 2h0m2s") // the clock starts with the first that is ready
		if want := []time.Duration{time.Hour + second, 2*time.Hour + second}; !slices.Equal(prepared, want) {
			t.Errorf("prepared at %v, want %v", prepared, want)
		}
	})
}

func TestAnErrorEndsTheRun(t *testing.T) {
	many := func(n int) (shots []*fakeShot) {
		for i := range n {
			shots = append(shots, &fakeShot{name: fmt.Sprint(i), key: fmt.Sprint(i % 2), takes: second})
		}
		return shots
	}
	for name, c := range map[string]struct {
		change func(shots []*fakeShot, s *shooting)
		sent   int
	}{
		"of sending": {func(_ []*fakeShot, s *shooting) { s.failAt = "2" }, 3},
		"of preparing": {func(shots []*fakeShot, _ *shooting) {
			shots[2].prepare = func(context.Context) error { return errFailed }
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, shots := &shooting{began: time.Now()}, many(2000)
				c.change(shots, s)
				err := Run(t.Context(), s.shots(shots...), Options{})
				if !errors.Is(err, errFailed) || len(s.sent) > c.sent {
					t.Errorf("%v, %q", err, s.sent)
				}
			})
		})
	}
}

func TestWhatCouldBeReadIsSentBeforeTheError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shooting{began: time.Now()}
		shots := func(yield func(Shot, error) bool) {
			for range 3 {
				yield(&fakeShot{on: s, name: "a", takes: second}, nil)
			}
			yield(nil, errFailed)
		}
		if err := Run(t.Context(), shots, Options{}); !errors.Is(err, errFailed) || len(s.sent) != 3 {
			t.Errorf("%v, %q", err, s.sent)
		}
	})
}

func TestAnInterruptEndsAllThatWaits(t *testing.T) {
	for name, c := range map[string]struct {
		o   Options
		key string
	}{
		"for its time":     {Options{Pace: Pace{Rate: 0.001}}, ""},
		"for its response": {Options{Concurrency: 2}, ""},
		"for its key":      {Options{Concurrency: 2}, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, interrupt := context.WithCancelCause(t.Context())
				s := &shooting{began: time.Now()}
				var shots []*fakeShot
				for range 3 * ahead {
					shots = append(shots, &fakeShot{name: "a", key: c.key, takes: time.Hour})
				}
				time.AfterFunc(second, func() { interrupt(errFailed) })
				c.o.Wait = sleepUntil
				if err := Run(ctx, s.shots(shots...), c.o); !errors.Is(err, errFailed) || len(s.sent) > 2 || time.Since(s.began) > 2*second {
					t.Errorf("%v, %q after %v", err, s.sent, time.Since(s.began))
				}
			})
		})
	}
}

func TestAWaitIsExactEnough(t *testing.T) {
	for range 20 {
		due := time.Now().Add(5 * time.Millisecond)
		if !waitUntil(t.Context(), due) || time.Now().Before(due) {
			t.Fatal("it ended early")
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if waitUntil(ctx, time.Now().Add(time.Hour)) {
		t.Error("it did not see the end of its context")
	}
}

// countedShot notes its number with the others of its key.
type countedShot struct {
	n    int
	key  string
	sent *sync.Map // *[]int by key; who sends one of a key has it alone
}

func (c *countedShot) Recorded() (time.Time, string) { return time.Time{}, c.key }
func (c *countedShot) Prepare(context.Context) error { return nil }
func (c *countedShot) Send(context.Context, time.Time) error {
	of, _ := c.sent.Load(c.key)
	numbers := of.(*[]int)
	*numbers = append(*numbers, c.n)
	return nil
}

func TestAsFastAsItGoesEachIsSentOnceBehindThoseOfItsKey(t *testing.T) {
	const shots = 5000
	for _, keys := range []int{1, 3, 40, 2 * ahead} {
		var sent sync.Map
		want := make([][]int, keys)
		for k := range keys {
			sent.Store(fmt.Sprint(k), new([]int))
		}
		err := Run(t.Context(), func(yield func(Shot, error) bool) {
			for n := range shots {
				k := n * n % keys
				want[k] = append(want[k], n)
				if !yield(&countedShot{n, fmt.Sprint(k), &sent}, nil) {
					return
				}
			}
		}, Options{Concurrency: 16})
		if err != nil {
			t.Fatal(err)
		}
		for k := range keys {
			if of, _ := sent.Load(fmt.Sprint(k)); !slices.Equal(*of.(*[]int), want[k]) {
				t.Errorf("of %d keys, those of %d came as %v", keys, k, *of.(*[]int))
			}
		}
	}
}

func TestOfNothingThereIsOneLoop(t *testing.T) {
	looked := 0
	err := Run(t.Context(), func(func(Shot, error) bool) {
		looked++
	}, Options{Loops: 1000})
	if err != nil || looked != 1 {
		t.Errorf("looked %d times: %v", looked, err)
	}
}

func TestNoLoopBeginsWhenTheRunIsOver(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() {
		over <- Run(ctx, func(yield func(Shot, error) bool) {
			if ctx.Err() == nil { // as a tape ends that nobody waits for
				cancel()
				yield(&countedShot{}, nil)
			}
		}, Options{Loops: math.MaxInt})
	}()
	select {
	case err := <-over:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it goes on")
	}
}
