package relay

import (
	"testing"
	"testing/synctest"
	"time"
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

func TestALineGoesOnInTheOrderInWhichItCame(t *testing.T) {
	var l line
	has := func(s *spot) bool {
		select {
		case <-s.turn:
			return true
		default:
			return false
		}
	}
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
