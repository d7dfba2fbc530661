package relay

import (
	"context"
	"sync"
	"time"

	"github.com/hooktape/hooktape/store"
)

// telling knows the answers that are being sent and are not on the tape yet: a response is passed on while it arrives, and
// recorded after its last byte. The zero value has none.
type telling struct {
	mu    sync.Mutex // guards under, for moments
	under map[store.ID]told
}

// told is an answer that is being sent.
type told struct {
	ended chan struct{} // closed at its end; nil: nobody has asked, as is usual
	until time.Time     // how long to wait for it, set when somebody asks first
}

const (
	// endsSoon is how long the first who asks waits for the end of an answer: most are over at once.
	endsSoon = time.Second
	// endsNow is how long later ones wait once that time is over: a stream of events may go on for hours.
	endsNow = 50 * time.Millisecond
)

// begin is called before the first byte of an answer is written.
func (t *telling) begin(id store.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.under == nil {
		t.under = make(map[store.ID]told)
	}
	t.under[id] = told{}
}

// end is called when the answer is in the queue of the store.
func (t *telling) end(id store.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ended := t.under[id].ended; ended != nil {
		close(ended)
	}
	delete(t.under, id)
}

// wait says to wait for the end of an answer, but not beyond a time.
type wait struct {
	ended <-chan struct{}
	until time.Time
}

// waits returns one for each answer that is being sent.
func (t *telling) waits(now time.Time) (all []wait) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, one := range t.under {
		if one.ended == nil {
			one.ended, one.until = make(chan struct{}), now.Add(endsSoon)
			t.under[id] = one
		}
		all = append(all, wait{one.ended, later(one.until, now.Add(endsNow))})
	}
	return all
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// Told waits until the answers that are being sent now are on their way into the store, or ctx ends. It does not wait for
// answers that go on for long.
func (a *Agent) Told(ctx context.Context) {
	for _, w := range a.telling.waits(time.Now()) {
		timer := time.NewTimer(time.Until(w.until))
		select {
		case <-w.ended:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}
