package relay

import (
	"context"
	"sync"
	"time"

	"github.com/hooktape/hooktape/store"
)

// telling knows the answers that senders are getting and the tape does not have yet: a response is passed on while it
// comes, and written down behind its last byte. The zero value has none.
type telling struct {
	mu    sync.Mutex // guards under, for moments
	under map[store.ID]told
}

// told is an answer that a sender is getting.
type told struct {
	ended chan struct{} // closed at its end; nil: nobody has asked, as for most
	until time.Time     // waited for by whoever asks, once somebody has
}

const (
	// endsSoon is how long who asks first waits for the end of an answer: most are over at once.
	endsSoon = time.Second
	// endsNow is how long others wait behind that: a stream of events may go on for hours.
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

// wait is for the end of an answer, until a time.
type wait struct {
	ended <-chan struct{}
	until time.Time
}

// waits are for those that have begun.
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

// Told waits until the answers that senders are getting now are on their way into the store, or ctx ends. Those that go on
// for long are not waited for.
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
