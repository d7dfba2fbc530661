package relay

import (
	"context"
	"fmt"
	"time"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/store"
)

// shedBatch is how many changes of deliveries are queued before waiting for their commits.
const shedBatch = 256

// bounded reports whether requests are refused once max_pending deliveries wait.
func (t *target) bounded() bool {
	c := t.config()
	return c.MaxPending > 0 && c.Full != config.FullDrop
}

// enter notes that a request is about to add a delivery, and reports whether there is room for it. leaveEntrance undoes the
// note once the request is recorded. In between the delivery counts twice, so another request may be refused that would
// just have fitted.
func (r *reception) enter(t *target) (room bool) {
	if !t.bounded() {
		return true
	}
	r.entered = append(r.entered, t)
	arriving := int(t.arriving.Add(1))
	return t.pending()+arriving <= t.config().MaxPending
}

func (r *reception) leaveEntrance() {
	for _, t := range r.entered {
		t.arriving.Add(-1)
	}
	r.entered = nil
}

// full is the finding about a request whose target has max_pending deliveries waiting.
func full(t *target) finding {
	return unavailable(30, fmt.Sprintf("target %q has max_pending deliveries waiting, %d", t.key.name, t.config().MaxPending))
}

// makeRoom expires the oldest deliveries beyond max_pending.
func (t *target) makeRoom() {
	c := t.config()
	if c.MaxPending == 0 || c.Full != config.FullDrop {
		return
	}
	excess := t.pending() - c.MaxPending
	if excess <= 0 {
		return
	}
	t.shed(store.Expired, fmt.Sprintf("more than %d were waiting", c.MaxPending), func(store.Delivery) (yes, more bool) {
		excess--
		return excess >= 0, excess >= 0
	})
}

// expire expires the deliveries that have waited for longer than hold.
func (t *target) expire() {
	hold, now := t.config().Hold, t.agent.now()
	if hold == 0 {
		return
	}
	t.shed(store.Expired, fmt.Sprintf("the target was away for longer than %s", hold), func(d store.Delivery) (yes, more bool) {
		recorded := time.UnixMilli(int64(d.Record.Time()))
		return !held(d.Created, hold, now), !held(recorded, hold, now) // made with their records, or later
	})
}

// setBack reports whether the clock on the wall was set back between two readings that are really this far apart.
func setBack(before, now time.Time, apart time.Duration) bool {
	const slack = time.Second                  // clocks are corrected by less all the time
	moved := now.Round(0).Sub(before.Round(0)) // by the clock on the wall
	return moved < apart-slack
}

// hasten makes the deliveries due now that would wait for longer than most: the clock was set back since their last attempt.
// It returns false if it had to leave some alone because their attempts are just ending; that rouses the worker again.
func (t *target) hasten(most time.Duration) (all bool) {
	t.lookAnew()
	now := t.agent.now()
	all = true
	for {
		late, err := t.agent.store.DueAfter(t.key.source, t.key.name, now.Add(most), shedBatch)
		b := batch{agent: t.agent, from: store.Pending, err: err}
		for _, d := range late {
			if t.isBusy(d.Record) {
				all = false
				continue
			}
			d.Due = now
			b.settle(d)
		}
		b.end("clock was set back, deliveries are due again", t.key)
		if len(late) < shedBatch || b.done == 0 {
			return all
		}
	}
}

// shed gives the pending deliveries that choose says yes to another state, in the order of their records, until choose wants
// no more.
func (t *target) shed(to store.State, why string, choose func(store.Delivery) (yes, more bool)) {
	b := batch{agent: t.agent, from: store.Pending}
	query := store.DeliveryQuery{Source: t.key.source, Target: t.key.name, State: store.Pending}
	for d, err := range t.agent.store.AllDeliveries(query) {
		if err != nil {
			b.fail(err)
			continue
		}
		if t.isBusy(d.Record) {
			continue
		}
		yes, more := choose(d)
		if yes {
			d.State, d.Error = to, why
			b.settle(d)
		}
		if !more {
			break
		}
	}
	if b.wait(); b.done > 0 {
		t.agent.tellShed(to, t.key, why, b.done)
	}
	b.failed(t.key)
}

// tellShed logs that deliveries were given up: at once, and then once a minute with how many it were since the last line. Of a
// target that is away with max_pending deliveries waiting, each new one makes the oldest expire.
func (a *Agent) tellShed(to store.State, of targetKey, why string, count int) {
	phrase := "deliveries " + string(to)
	if tell, before := a.complaints.again(complaint{phrase + ": " + why, of}, count, a.now()); tell {
		a.log.Warn(phrase, "source", of.source, "target", of.name, "why", why, "count", before+count)
	}
}

// batch changes the states of many deliveries.
type batch struct {
	agent   *Agent
	from    store.State // deliveries that have left this state meanwhile stay as they are
	commits []*store.Commit
	done    int
	err     error // the first
}

func (b *batch) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

func (b *batch) settle(d store.Delivery) {
	b.commits = append(b.commits, b.agent.store.Settle(d.Record, store.Outcome{From: b.from, Deliveries: []store.Delivery{d}}))
	if len(b.commits) == shedBatch {
		b.wait()
	}
}

func (b *batch) wait() {
	for _, c := range b.commits {
		if err := c.Wait(); err != nil {
			b.fail(err)
		} else if !c.Stale() {
			b.done++
		}
	}
	b.commits = b.commits[:0]
}

// end waits for the last changes, and logs how many there were.
func (b *batch) end(phrase string, of targetKey) {
	b.wait()
	if b.done > 0 {
		b.agent.log.Warn(phrase, "source", of.source, "target", of.name, "count", b.done)
	}
	b.failed(of)
}

// failed complains of the first change that failed, if one did.
func (b *batch) failed(of targetKey) {
	if b.err != nil {
		b.agent.complain("can't change the state of deliveries, will look again", of, b.err)
	}
}

// orphans wakes whoever handles deliveries whose target is not in the configuration: they become orphaned, and pending again
// when it is back.
type orphans struct {
	wake chan struct{} // buffered, one
}

func (o *orphans) rouse() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// seeToOrphans looks for such deliveries whenever it is roused, until ctx ends.
func (a *Agent) seeToOrphans(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.orphans.wake:
		}
		a.turn(store.Pending, store.Orphaned, false, "target left the config, its deliveries are orphaned")
		a.turn(store.Orphaned, store.Pending, true, "target is in the config again, its orphaned deliveries wait for it")
	}
}

// turn changes deliveries from one state to another: those whose targets are configured, or those whose targets are not. An
// orphan that has waited for longer than its target's hold stays one: whoever still wants it can retry it.
func (a *Agent) turn(from, to store.State, configured bool, phrase string) {
	names, err := a.store.TargetsIn(from)
	if err != nil {
		a.complain("can't read which targets have deliveries", targetKey{}, err)
	}
	for _, name := range names {
		t := a.targetOf(targetKey{name.Source, name.Target})
		if configured != (t != nil) {
			continue
		}
		b := batch{agent: a, from: from}
		for d, err := range a.store.AllDeliveries(store.DeliveryQuery{Source: name.Source, Target: name.Target, State: from}) {
			if err != nil {
				b.fail(err)
				continue
			}
			if t != nil && !held(d.Created, t.config().Hold, a.now()) {
				continue
			}
			d.State = to
			b.settle(d)
		}
		b.end(phrase, targetKey{name.Source, name.Target})
		if t != nil {
			t.rouse()
		}
	}
}
