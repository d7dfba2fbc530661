package replay

import (
	"math"
	"time"
)

// Pace says when requests are due. The zero Pace has none wait: as fast as it
// goes.
//
// It is a value and knows no clock: the times of records go in, times since the
// start come out. What is due is due at an absolute time, so that a request
// that is late makes no other late.
type Pace struct {
	Speed  float64       // how many times as fast as the requests came; 0: as fast as it goes
	MaxGap time.Duration // no pause is longer, as it is replayed; 0: none is cut
	Rate   float64       // so many a second, evenly, whenever they came; 0: Speed counts
}

// paced says whether requests are due at a time.
func (p Pace) paced() bool { return p.Speed > 0 || p.Rate > 0 }

// step is the place of a request in a replay. The zero step is before the first.
type step struct {
	n     int // requests up to this one
	first time.Time
	last  time.Time     // when this one was recorded
	cut   time.Duration // of the recorded time since the first that is not waited for
	due   time.Duration // since the start
}

// next is the step of the request that comes behind s and was recorded at a
// time. One that was recorded before the request in front of it, as in the next
// loop, is due with it.
func (p Pace) next(s step, recorded time.Time) step {
	if s.n == 0 {
		return step{n: 1, first: recorded, last: recorded}
	}
	now := step{n: s.n + 1, first: s.first, last: recorded, cut: s.cut, due: s.due}
	switch gap := recorded.Sub(s.last); {
	case p.Rate > 0:
		now.due = seconds(float64(s.n) / p.Rate)
	case p.Speed <= 0:
	case gap < 0:
		now.cut += gap
	default:
		if p.MaxGap > 0 {
			now.cut += max(0, gap-seconds(p.MaxGap.Seconds()*p.Speed))
		}
		now.due = seconds((recorded.Sub(s.first) - now.cut).Seconds() / p.Speed)
	}
	return now
}

// seconds is a time of so many seconds; what does not fit is the longest one.
func seconds(s float64) time.Duration {
	if s >= float64(math.MaxInt64)/float64(time.Second) {
		return math.MaxInt64
	}
	return time.Duration(math.Round(s * float64(time.Second)))
}

const (
	// timerSlack is how late a timer may strike: on Linux the runtime waits in
	// whole milliseconds when it has nothing else to do (runtime/netpoll_epoll.go).
	timerSlack = 2 * time.Millisecond
	// napSlack is how late a nap may end.
	napSlack = 150 * time.Microsecond
	// longestNap is how long a wait can't be interrupted.
	longestNap = timerSlack
)

// rest is how to pass the time until something is due: with a timer first, then
// with short naps, and at last only letting others run.
func rest(left time.Duration) (timer, nap time.Duration) {
	switch {
	case left > timerSlack:
		return left - timerSlack, 0
	case left > napSlack:
		return 0, min(left-napSlack, longestNap)
	}
	return 0, 0
}
