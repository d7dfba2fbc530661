package relay

import "time"

// The breaker of a target is asked at most this seldom and this often, whatever the target's retry says: a target that
// is back should be noticed soon, and one that is away for days should cost nothing.
const (
	probeMin = 250 * time.Millisecond
	probeMax = 15 * time.Second
)

// silenceMax is how many sends in a row may stay without an answer before the target counts as away: one or two are
// the fault of what was sent as easily as that of the target.
const silenceMax = 5

// breaker remembers whether a target can be reached. It is closed while it can. It opens with the first send for which
// no connection came about, and when too many in a row were taken but not answered: an app that hangs, or a proxy whose
// app is gone. While it is open deliveries wait, using no attempt, and the target is only probed: by a connection or,
// where that would say nothing, by one delivery at a time. The zero value is closed. It is a plain value: its target's
// lock guards it.
type breaker struct {
	since   time.Time // when the target was first found away; zero: closed
	silent  int       // sends in a row that were taken but not answered
	mute    bool      // it takes connections but answers nothing
	probes  int       // since it was found away
	probeAt time.Time // when to ask next
	told    bool      // whether somebody was told
	why     string    // the error of the last send that found it away or silent
}

func (b *breaker) open() bool { return !b.since.IsZero() }

// fail notes that no connection to the target came about.
func (b *breaker) fail(now time.Time) {
	if !b.open() {
		*b = breaker{since: now, probeAt: now.Add(probeMin)}
	}
	b.mute = false
}

// silence notes that the target took a send and gave nothing of an answer.
func (b *breaker) silence(now time.Time) {
	b.silent++
	if !b.open() && b.silent >= silenceMax {
		*b = breaker{since: now, probeAt: now.Add(probeMin), silent: b.silent, mute: true}
	}
}

// probe says whether to ask now, and when to look again. A probe that is let go counts as failed until close is called.
func (b *breaker) probe(now time.Time) (ask bool, next time.Time) {
	if now.Before(b.probeAt) && b.probeAt.Sub(now) <= probeMax { // more: the clock was set back
		return false, b.probeAt
	}
	b.probes++
	wait := probeMax
	if b.probes < 8 {
		wait = min(probeMin<<b.probes, probeMax)
	}
	b.probeAt = now.Add(wait)
	return true, b.probeAt
}

// close notes that the target is there, and gives back what was known of its absence.
func (b *breaker) close() (was breaker) {
	was, *b = *b, breaker{}
	return was
}
