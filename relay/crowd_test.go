package relay

import (
	"testing"
	"time"
)

func TestATunnelHasRoomAgainWhenNoRequestWasWithoutAPlaceForAWhile(t *testing.T) {
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var c crowd
	steps := []struct {
		after       time.Duration
		turn        bool // a request finds no place
		first, over bool
		turned      int
	}{
		{after: 0},
		{after: 1 * time.Second, turn: true, first: true},
		{after: 2 * time.Second, turn: true},
		{after: crowdCalm}, // behind the first of them, not the last
		{after: 2*time.Second + crowdCalm, over: true, turned: 2},
		{after: 2 * time.Minute},
		{after: 3 * time.Minute, turn: true, first: true},
		{after: 4 * time.Minute, over: true, turned: 1},
	}
	for _, s := range steps {
		now := begin.Add(s.after)
		if s.turn {
			if first := c.turn(now); first != s.first {
				t.Errorf("after %s it is the first: %t", s.after, first)
			}
			continue
		}
		since, turned, over := c.over(now)
		if over != s.over || turned != s.turned || over && since.IsZero() {
			t.Errorf("after %s: over %t, %d turned since %s", s.after, over, turned, since)
		}
	}
}
