package relay

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/hooktape/hooktape/store"
)

func TestTheWaitForATurnIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l line
		first := l.stand("a")
		if !first.await(time.After(repeatWait), nil) || !l.stand("b").await(time.After(repeatWait), nil) {
			t.Fatal("nobody is ahead, and it waits")
		}
		began := time.Now()
		second := l.stand("a")
		if second.await(time.After(repeatWait), nil) || time.Since(began) != repeatWait {
			t.Errorf("behind one that does not end, after %v", time.Since(began))
		}
		stopping := make(chan struct{})
		close(stopping)
		if second.await(time.After(repeatWait), stopping) {
			t.Error("it has its turn while the agent stops")
		}
	})
}

func has(s *spot) bool {
	select {
	case <-s.turn:
		return true
	default:
		return false
	}
}

func TestALineGoesOnInTheOrderInWhichItCame(t *testing.T) {
	var l line
	first, second, third, fourth := l.stand("a"), l.stand("a"), l.stand("a"), l.stand("a")
	if !has(first) || has(second) {
		t.Error("the first is not the first")
	}
	second.leave() // before it had its turn
	if has(third) {
		t.Error("somebody was let past the first")
	}
	first.leave()
	if !has(third) || has(fourth) {
		t.Error("the next is not the third")
	}
	third.leave()
	fourth.leave()
	if l.stands("a") || len(l.who) != 0 {
		t.Errorf("%d places are left", len(l.who))
	}
}

// TestALineGoesOnInTheOrderOfItsIDs has requests enter, get their ids, settle and leave in any order among each other.
func TestALineGoesOnInTheOrderOfItsIDs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const entering, given, settled, leaves, gone = 0, 1, 2, 3, 4
		var l line
		var last byte // id that was given
		spots, steps, ids := make([]*spot, 5), make([]int, 5), make([]store.ID, 5)
		var went []byte
		for left := gone * len(spots); left > 0; left-- {
			var may []int
			for i, step := range steps {
				if step < leaves || step == leaves && has(spots[i]) {
					may = append(may, i)
				}
			}
			i := rapid.SampledFrom(may).Draw(t, "next")
			switch steps[i] {
			case entering:
				spots[i] = l.enter("a")
			case given:
				last++
				ids[i] = store.ID{last}
			case settled:
				spots[i].settle(ids[i])
			case leaves:
				went = append(went, ids[i][0])
				spots[i].leave()
			}
			steps[i]++
			goes := 0
			for j, s := range spots {
				if s != nil && steps[j] < gone && has(s) {
					goes++
				}
			}
			if goes > 1 {
				t.Fatalf("%d have the turn at once", goes)
			}
		}
		if !slices.IsSorted(went) || len(l.who) != 0 {
			t.Fatalf("they went as %v, and %d places are left", went, len(l.who))
		}
	})
}
