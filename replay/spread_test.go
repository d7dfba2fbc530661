package replay

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestASpreadTellsQuantilesToTwoPercent(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, most := range []float64{10, 1e4, 1e9, 1e13, math.MaxInt64} {
		var s Spread
		var all []time.Duration
		for range 5000 {
			d := time.Duration(math.Exp(random.Float64() * math.Log(most)))
			s.Add(d)
			all = append(all, d)
		}
		slices.Sort(all)
		for _, part := range []float64{0, 0.01, 0.5, 0.9, 0.99, 0.999, 1} {
			want := all[max(0, int(math.Ceil(part*float64(len(all))))-1)]
			got := s.Quantile(part)
			if got < want || float64(got-want) > 0.02*float64(want) {
				t.Errorf("up to %g: the %g quantile is %d, want %d", most, part, got, want)
			}
		}
		if s.Max() != all[len(all)-1] || s.Count() != 5000 {
			t.Errorf("max %v of %d", s.Max(), s.Count())
		}
	}
}

func TestRungsAreWithoutGapsAndInOrder(t *testing.T) {
	for _, d := range []time.Duration{0, 1, 63, 64, 127, 128, 129, 255, 256, 1 << 20, 1<<20 + 1<<14, math.MaxInt64 - 1, math.MaxInt64} {
		p := rung(d)
		if end(p) < d || p > 0 && end(p-1) >= d {
			t.Errorf("%d is counted at %d, which ends at %d, behind one that ends at %d", d, p, end(p), end(p-1))
		}
	}
	var none Spread
	none.Add(-5)
	if none.Quantile(1) != 0 || none.Max() != 0 || new(Spread).Quantile(0.5) != 0 {
		t.Error("what is below zero counts as zero")
	}
}
