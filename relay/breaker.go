package relay

import "time"

// probeMin and probeMax limit the time between two probes of a target that is away, whatever its retry says: its return should
// be noticed soon, and an absence of days should cost nothing.
const (
	probeMin = 250 * time.Millisecond
	probeMax = 15 * time.Second
)

// silenceMax is how many attempts in a row may stay unanswered before the target counts as away: one or two may as easily be
// the fault of the message as of the target.
const silenceMax = 5

// breaker remembers whether a target can be reached; while it can, it is closed. It opens with the first attempt for which no
// connection could be made, and when too many attempts in a row were accepted but not answered: the app hangs, or there is a
// proxy whose app is gone. While it is open, deliveries wait without using attempts, and the target is only probed: by a
// connection or, where that would tell nothing, by one delivery at a time. The zero value is closed. It is a plain value,
// guarded by its target's lock.
type breaker struct {
	since   time.Time // when the target was first found away; zero: closed
	silent  int       // attempts in a row that were accepted but not answered
	mute    bool      // it accepts connections but answers nothing
	probes  int       // since it was found away
	probeAt time.Time // when to probe next
	told    bool      // the absence has been announced
	why     string    // the error of the last attempt that found it away or silent
}

func (b *breaker) open() bool { return !b.since.IsZero() }

// fail notes that no connection to the target could be made.
func (b *breaker) fail(now time.Time) {
	if !b.open() {
		*b = breaker{since: now, probeAt: now.Add(probeMin)}
	}
	b.mute = false
}

// silence notes that the target accepted a request and sent nothing back.
func (b *breaker) silence(now time.Time) {
	b.silent++
	if !b.open() && b.silent >= silenceMax {
		*b = breaker{since: now, probeAt: now.Add(probeMin), silent: b.silent, mute: true}
	}
}

// probe reports whether to probe now, and when to look again. A probe counts as failed unless close is called.
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

// close notes that the target is there, and returns what was known about its absence.
func (b *breaker) close() (was breaker) {
	was, *b = *b, breaker{}
	return was
}
