package relay

import (
	"fmt"
	"time"

	"github.com/hooktape/hooktape/store"
)

// What is passed on while its sender waits is no delivery, and would overtake those of its key that wait for the target. So
// it stands in target.turns: behind those of its key that are being passed on, and before the deliveries that come
// later. Where deliveries of its key wait already it becomes one, and is behind them by the order of the tape.

// enterTurns has a request that is to be passed on stand in the order of its key. That is the order of the tape, in which the
// request has no place yet: its id and its turn can't be had at once, and another one may have both in between.
func (r *reception) enterTurns() {
	if r.target != nil && r.owed.Key != "" {
		r.turn = r.target.turns.enter(r.owed.Key)
	}
}

// takeTurn gives the request its place in that order. It is called once it has one on the tape.
func (r *reception) takeTurn() {
	switch {
	case r.turn == nil:
	case r.rec.ID == store.ID{}: // it has none: the tape takes nothing
		r.endTurn()
	default:
		r.turn.settle(r.rec.ID)
	}
}

// endTurn lets the next of the key go on. It may be called again.
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

// comesFirst waits for the turn of a request, and says whether nothing of its key is to come to the target before it. Those
// ahead end with their patience, which is that of the request. Where there is none the target's timeout bounds the wait.
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

// waits says whether deliveries of a key wait for the target, or may: the store can't tell.
func (t *target) waits(key string) bool {
	if t.pending() == 0 {
		return false
	}
	first, err := t.agent.store.PendingOf(t.key.source, t.key.name, key)
	return err != nil || first != store.ID{}
}

// busyKey is the finding about a request that would overtake others of its key, and for which hooktape is not to take over.
func busyKey(t *target) finding {
	return unavailable(30, fmt.Sprintf("others of its key come first to target %q", t.key.name))
}
