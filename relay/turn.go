package relay

import (
	"fmt"
	"time"

	"github.com/hooktape/hooktape/store"
)

// A request that is passed on while its sender waits is no delivery, so the order of deliveries does not hold it back: it
// could overtake those with its key (order_by) that wait for the target. So it takes a place in target.turns, behind
// requests with its key that are being passed on, and ahead of deliveries that come later. If deliveries with its key wait
// already, it becomes a delivery itself, and comes behind them in the order of the tape.

// enterTurns puts a request that is to be passed on into the line of its key. The line goes in the order of the tape, where the
// request has no id yet: id and turn can't be taken in one step, and another request may get both in between.
func (r *reception) enterTurns() {
	if r.target != nil && r.owed.Key != "" {
		r.turn = r.target.turns.enter(r.owed.Key)
	}
}

// takeTurn fixes the request's place in the line. It is called once the request has its id.
func (r *reception) takeTurn() {
	switch {
	case r.turn == nil:
	case r.rec.ID == store.ID{}: // it got none: nothing can be written
		r.endTurn()
	default:
		r.turn.settle(r.rec.ID)
	}
}

// endTurn lets the next request with the key go on. Further calls do nothing.
func (r *reception) endTurn() {
	if r.turn == nil {
		return
	}
	r.turn.leave()
	r.turn = nil
	if r.target.pending() > 0 {
		r.target.rouse()
	}
}

// comesFirst waits for the request's turn, and reports whether nothing else with its key must reach the target first. The
// wait ends: requests ahead of it have the same patience. With no patience the target's timeout limits it.
func (r *reception) comesFirst() bool {
	if r.turn == nil {
		return true
	}
	var over <-chan time.Time
	if r.src.Patience == 0 {
		timer := time.NewTimer(r.target.config().Timeout)
		defer timer.Stop()
		over = timer.C
	}
	return r.turn.await(over, nil) && !r.target.waits(r.owed.Key)
}

// waits reports whether deliveries with a key wait for the target. If the store can't tell, it assumes so.
func (t *target) waits(key string) bool {
	if t.pending() == 0 {
		return false
	}
	first, err := t.agent.store.PendingOf(t.key.source, t.key.name, key)
	return err != nil || first != store.ID{}
}

// busyKey is the finding about a request that would overtake others of its key, and for which hooktape is not to take over.
func busyKey(t *target) finding {
	return unavailable(30, fmt.Sprintf("earlier records with the same key still wait for target %q", t.key.name))
}
