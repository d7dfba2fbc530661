package replay

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/relay/wire/wiretest"
)

// clockShots are how many shots a turn of BenchmarkClock has, at 1,000 a second: with -benchtime 6x it takes a minute.
const clockShots = 10_000

// BenchmarkClock: requests that came at random, 1,000 a second, are sent on the original clock. What counts is the
// metric "within-1ms-%": how many of them are sent within a millisecond of their time.
func BenchmarkClock(b *testing.B) {
	peer := wiretest.Start(b)
	bench := newBenchReplay(b, wiretest.Request(), Aim{Route: wire.Route{URL: peer.App()}, Timeouts: wire.Timeouts{FirstByte: time.Minute}})
	var late Spread
	within := 0
	for b.Loop() {
		on := &clocked{bench: bench}
		if err := Run(b.Context(), on.shots(), Options{Pace: Pace{Speed: 1}}); err != nil {
			b.Fatal(err)
		}
		for _, by := range on.late {
			late.Add(by)
			if by <= time.Millisecond {
				within++
			}
		}
	}
	b.ReportMetric(100*float64(within)/float64(late.Count()), "within-1ms-%")
	for _, q := range Quantiles {
		b.ReportMetric(float64(late.Quantile(q.Part).Microseconds()), fmt.Sprintf("late-%s-us", q.Name))
	}
	b.ReportMetric(0, "ns/op")
}

// clocked notes how late requests are sent.
type clocked struct {
	bench *benchReplay
	mu    sync.Mutex // guards late
	late  []time.Duration
}

func (c *clocked) shots() iter.Seq2[Shot, error] {
	return func(yield func(Shot, error) bool) {
		random := rand.New(rand.NewPCG(1, 2))
		at := time.Unix(0, 0)
		for range clockShots {
			at = at.Add(time.Duration(random.ExpFloat64() * float64(time.Millisecond)))
			if !yield(&clockedShot{benchShot{benchReplay: c.bench}, c, at}, nil) {
				return
			}
		}
	}
}

// clockedShot is one of these requests.
type clockedShot struct {
	benchShot
	clock *clocked
	at    time.Time
}

func (s *clockedShot) Recorded() (time.Time, string) { return s.at, "" }

func (s *clockedShot) Send(_ context.Context, due time.Time) error {
	result, err := s.send()
	if err != nil {
		return err
	}
	s.clock.mu.Lock()
	defer s.clock.mu.Unlock()
	s.clock.late = append(s.clock.late, result.Time.Sub(due))
	return nil
}
