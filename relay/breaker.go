package relay

import "time"

// The breaker of a target is asked at most this seldom and this often, whatever the target's retry says: a target that
// is back should be noticed soon, and one that is away for days should cost nothing.
const (
	probeMin = 250 * time.Millisecond
	probeMax = 15 * time.Second
)

// breaker remembers whether a target can be reached. It is closed while it can, and opens with the first send that
// nothing of an answer came back from. While it is open deliveries wait, using no attempt, and the target is only
// probed. The zero value is closed. It is a plain value: its target's lock guards it.
type breaker struct {
	since   time.Time // when the target was first found away; zero: closed
	probes  int       // since then
	probeAt time.Time // when to ask next
	kept    int       // deliveries that came to wait since then
	told    bool      // whether somebody was told
}

func (b *breaker) open() bool { return !b.since.IsZero() }

// fail notes that the target could not be reached.
func (b *breaker) fail(now time.Time) {
	if !b.open() {
		*b = breaker{since: now, probeAt: now.Add(probeMin)}
	}
}

// probe says whether to ask now, and when to look again. A probe that is let go counts as failed until close is called.
func (b *breaker) probe(now time.Time) (ask bool, next time.Time) {
	if now.Before(b.probeAt) {
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
