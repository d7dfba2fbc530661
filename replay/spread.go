package replay

import (
	"math"
	"math/bits"
	"time"
)

// Spread counts durations, so that it can be told below what most of them lie.
// It takes the same memory however many there are, and tells them to 2 %. The
// zero Spread is empty.
type Spread struct {
	n      int64
	max    time.Duration
	counts []int64 // by rung
}

// rungBits is how many of the leading bits of a duration tell its rung.
const rungBits = 6

// rung is where a duration is counted: one rung for each nanosecond at first,
// then 64 for each doubling.
func rung(d time.Duration) int {
	v := uint64(max(0, d))
	shift := max(0, bits.Len64(v)-1-rungBits)
	return shift<<rungBits + int(v>>shift)
}

// end is the longest duration that is counted on a rung.
func end(rung int) time.Duration {
	shift := max(0, rung>>rungBits-1)
	return time.Duration(uint64(rung-shift<<rungBits+1)<<shift - 1)
}

// Add counts a duration; one below zero as zero.
func (s *Spread) Add(d time.Duration) {
	if s.counts == nil {
		s.counts = make([]int64, rung(math.MaxInt64)+1)
	}
	s.n++
	s.max = max(s.max, d)
	s.counts[rung(d)]++
}

// Count is how many durations were added.
func (s *Spread) Count() int64 { return s.n }

// Max is the longest duration, exactly; 0 when there is none.
func (s *Spread) Max() time.Duration { return s.max }

// Quantile is a duration that this part of all, from 0 to 1, did not exceed; 0
// when there is none.
func (s *Spread) Quantile(part float64) time.Duration {
	rank := int64(math.Ceil(part * float64(s.n)))
	var seen int64
	for rung, n := range s.counts {
		if seen += n; n > 0 && seen >= rank {
			return min(end(rung), s.max)
		}
	}
	return s.max
}
