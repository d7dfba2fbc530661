package relay

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// waiting is a rig with one delivery that waits for a target that is away, and no attempt under way.
func waiting(t *testing.T, retry time.Duration) (*rig, *target, store.Delivery) {
	a := startApp(t, always(ok))
	a.stop()
	src := acking(a)
	src.Targets[0].Retry.Max = retry
	r := start(t, src)
	r.send(post)
	r.wait(Away)
	r.untilIdle("ack", "app")
	return r, r.targetOf("ack", "app"), r.delivery(r.last().ID)
}

func TestAnAttemptFromBeforeTheTargetWasBackIsNotWhatWasKept(t *testing.T) {
	r, target, d := waiting(t, time.Second)
	back := time.Now()
	target.mu.Lock()
	target.recovery = &recovery{until: back, kept: 1, left: 1}
	target.mu.Unlock()
	early, late := back.Add(-time.Second), back.Add(time.Second)
	target.caughtUp(d, sent{attempt: &store.Attempt{Time: early}})
	target.mu.Lock()
	if target.recovery == nil || target.recovery.left != 1 {
		t.Errorf("an attempt that found it away: %+v", target.recovery)
	}
	target.mu.Unlock()
	d.State = store.Delivered
	target.caughtUp(d, sent{attempt: &store.Attempt{Time: late}, response: &wire.Response{}})
	if e := r.wait(Back); e.Kept != 1 || e.Delivered != 1 {
		t.Errorf("told %+v", e)
	}
}

func TestAnAttemptFromBeforeTheTargetWasBackDoesNotMakeItAwayAgain(t *testing.T) {
	_, target, d := waiting(t, time.Hour)
	target.claim(d.Record) // else the worker finds out at once that it is away still
	target.reached()
	target.missed(sent{attempt: &store.Attempt{Time: time.Now().Add(-time.Minute)}, away: true})
	if target.away() {
		t.Error("what failed before it was back counts")
	}
	target.missed(sent{attempt: &store.Attempt{Time: time.Now().Add(time.Minute)}, away: true})
	if !target.away() {
		t.Error("what fails since does not count")
	}
}

func TestTheLogSaysWhyATargetCannotBeReached(t *testing.T) {
	a := startApp(t, always(ok))
	a.stop()
	var log syncBuilder
	r := startWith(t, tapeIn(t), Options{Log: hclog.New(&hclog.LoggerOptions{Output: &log})}, acking(a))
	r.send(post)
	r.wait(Away)
	if text := log.String(); !strings.Contains(text, `error="connect: `) {
		t.Errorf("the log says %s", text)
	}
}

// Deliveries end side by side: the last to be written down is not the last to be counted.
func TestATargetIsBackWhenTheLastOfItsAttemptsHasLanded(t *testing.T) {
	r, target, d := waiting(t, time.Hour)
	d.State = store.Delivered
	if err := r.store.Settle(d.Record, store.Outcome{Deliveries: []store.Delivery{d}}).Wait(); err != nil {
		t.Fatal(err)
	}
	first, second := store.ID{1}, d.Record
	target.claim(first)
	target.claim(second)
	back := time.Now()
	target.mu.Lock()
	target.recovery = &recovery{until: back, kept: 3, left: 3} // one of the three has expired
	target.mu.Unlock()
	s := sent{attempt: &store.Attempt{Time: back}, response: &wire.Response{}}
	target.caughtUp(d, s)
	target.caughtUp(d, s)
	target.land(first)
	target.land(second)
	if e := r.wait(Back); e.Kept != 3 || e.Delivered != 2 {
		t.Errorf("told %+v", e)
	}
}

func TestADeliveryWhoseAttemptIsJustEndingIsMadeDueOnceItHas(t *testing.T) {
	r, target, d := waiting(t, time.Second)
	d.Due = time.Now().Add(1000 * time.Hour)
	if err := r.store.Settle(d.Record, store.Outcome{Deliveries: []store.Delivery{d}}).Wait(); err != nil {
		t.Fatal(err)
	}
	target.claim(d.Record)
	if target.hasten(time.Hour) || !r.delivery(d.Record).Due.Equal(d.Due) {
		t.Errorf("while it is under way: %+v", r.delivery(d.Record))
	}
	target.land(d.Record)
	if !target.hasten(time.Hour) || r.delivery(d.Record).Due.After(time.Now()) {
		t.Errorf("when it has landed: %+v", r.delivery(d.Record))
	}
}
