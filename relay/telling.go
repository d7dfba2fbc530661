package relay

import (
	"context"
	"sync"

	"github.com/hooktape/hooktape/store"
)

// telling knows the answers that senders are getting and the tape does not have yet: a response is passed on while it
// comes, and written down behind its last byte. The zero value has none.
type telling struct {
	mu    sync.Mutex // guards under, for moments
	under map[store.ID]chan struct{}
}

// begin is called before the first byte of an answer is written, and end when the answer is in the queue of the store.
func (t *telling) begin(id store.ID) (end func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.under == nil {
		t.under = make(map[store.ID]chan struct{})
	}
	t.under[id] = nil // nobody waits for most
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if waited := t.under[id]; waited != nil {
			close(waited)
		}
		delete(t.under, id)
	}
}

// waits are those that have begun, each closed when it ends.
func (t *telling) waits() (all []<-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, waited := range t.under {
		if waited == nil {
			waited = make(chan struct{})
			t.under[id] = waited
		}
		all = append(all, waited)
	}
	return all
}

// Told waits until the answers that senders are getting now are on their way into the store, or ctx ends.
func (a *Agent) Told(ctx context.Context) {
	for _, ended := range a.telling.waits() {
		select {
		case <-ended:
		case <-ctx.Done():
			return
		}
	}
}
