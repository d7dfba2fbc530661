package store_test

import (
	"testing"

	"github.com/hooktape/hooktape/store"
)

func TestAnObserverHearsOfWhatWasCommitted(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	var commits []store.Committed
	var settled []store.Delivery
	s.Observe(store.Observer{
		Committed: func(c store.Committed) { commits = append(commits, c) },
		Settled:   func(d store.Delivery) { settled = append(settled, d) },
	})
	rec := keep(t, s, fromIiko(), body(1, 1000), to("app", "", 0))
	if len(commits) != 1 || commits[0].Changes != 1 || commits[0].Bytes < 1000 {
		t.Errorf("%+v", commits)
	}
	if c := commits[0]; c.Writing <= 0 || c.Took < c.Writing {
		t.Errorf("took %v, writing %v", c.Took, c.Writing)
	}
	d := deliveryOf(t, s, rec.ID)
	for _, state := range []store.State{store.Pending, store.Failed, store.Failed, store.Pending, store.Delivered} {
		settle(t, s, d, state, 0)
	}
	if len(settled) != 2 || settled[0].State != store.Failed || settled[1].State != store.Delivered ||
		settled[1].Target != "app" || !settled[1].Created.Equal(d.Created) {
		t.Errorf("%+v", settled)
	}
}
