package relay

import (
	"time"

	"github.com/hooktape/hooktape/store"
)

// missed tells the breaker that an attempt did not reach the target, or that nothing came back.
func (t *target) missed(s sent) {
	if t.agent.ctx.Err() != nil || s.full {
		return // cut short by our own stop; or it is there, and busy
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case s.attempt != nil && s.attempt.Time.Before(t.back):
		return // it began before the target came back, and says nothing about now
	case s.away:
		t.breaker.fail(t.agent.now())
	case s.silent:
		t.breaker.silence(t.agent.now())
	default:
		return
	}
	t.breaker.why = errAbsent.Error() // for want of an attempt's error
	if s.attempt != nil {
		t.breaker.why = s.attempt.Error
	}
}

// Away reports whether a target counts as away: its deliveries then wait until it is back, without using attempts.
func (a *Agent) Away(source, name string) bool {
	t := a.targetOf(targetKey{source, name})
	return t != nil && t.away()
}

func (t *target) away() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.breaker.open()
}

// outlook returns what is known about the target after an attempt.
func (t *target) outlook(s sent) outlook {
	t.mu.Lock()
	defer t.mu.Unlock()
	return outlook{away: s.away, off: s.unmet != nil, held: t.breaker.open(), back: t.back}
}

// keep is called for a delivery that has to wait. If the target is away, that is announced, once for each absence.
func (t *target) keep() {
	t.mu.Lock()
	tell := t.breaker.open() && !t.breaker.told
	t.breaker.told = t.breaker.open()
	since, why := t.breaker.since, t.breaker.why
	t.mu.Unlock()
	t.rouse()
	if !tell {
		return
	}
	t.agent.log.Warn("target can't be reached, its deliveries are kept", "source", t.key.source, "target", t.key.name,
		"since", since.Format(time.RFC3339), "error", why)
	t.agent.watch.tell(Event{Kind: Away, Source: t.key.source, Target: t.key.name, Since: since})
}

// reached notes that the target is there. If it was away, the deliveries kept for it are counted, so that caughtUp can tell
// when all of them have been tried.
func (t *target) reached() {
	t.mu.Lock()
	was := t.breaker.close()
	if !was.open() {
		t.mu.Unlock()
		return
	}
	t.back = t.agent.now()
	if was.told {
		kept := t.pending() // under mu: none may be tried before it is counted
		t.recovery = &recovery{since: was.since, until: t.back, kept: kept, left: kept}
	}
	t.mu.Unlock()
	t.rouse()
	if was.told {
		t.caughtUp(store.Delivery{}, sent{})
	}
}

// pending is how many deliveries wait for the target.
func (t *target) pending() int { return t.agent.store.PendingCount(t.key.source, t.key.name) }

// caughtUp counts a delivery that was kept while the target was away and has been tried since, and announces that the target
// is back once it was the last one. The zero Delivery counts nothing. Neither does an attempt that began before the target
// was back and found it away: that delivery is still to be tried.
func (t *target) caughtUp(d store.Delivery, s sent) {
	t.mu.Lock()
	r := t.recovery
	if r == nil {
		t.mu.Unlock()
		return
	}
	kept := !d.Created.IsZero() && !d.Created.After(r.until)
	if kept && (s.response != nil || !s.attempt.Time.Before(r.until)) {
		r.left--
		if d.State == store.Delivered {
			r.delivered++
		}
	}
	done := r.left <= 0 || len(t.flying) == 0 && t.pending() == 0 // some may have expired or been dropped
	if done {
		t.recovery = nil
	}
	t.mu.Unlock()
	if !done {
		return
	}
	t.agent.log.Info("target is back", "source", t.key.source, "target", t.key.name, "away", r.until.Sub(r.since).String(),
		"kept", r.kept, "delivered", r.delivered)
	t.agent.watch.tell(Event{
		Kind: Back, Source: t.key.source, Target: t.key.name, Away: r.until.Sub(r.since), Kept: r.kept, Delivered: r.delivered,
	})
}

// tellFailure logs that a target begins to answer with failures and that it takes deliveries again: each once, and for one that
// does both in turn at most once a minute. It also logs every delivery that is given up.
func (t *target) tellFailure(d store.Delivery) {
	log := t.agent.log
	if d.State == store.Failed || d.State == store.Expired {
		log.Warn("delivery given up", "record", d.Record, "source", d.Source, "target", d.Target, "state", d.State,
			"attempts", d.Attempts, "status", d.Status, "error", d.Error)
	}
	if d.Status == 0 {
		return
	}
	const fails, takes = "target answers with failures, will retry (logged once)", "target takes deliveries again"
	t.mu.Lock()
	ends := t.failing && d.State == store.Delivered
	begins, times := !t.failing && d.State == store.Pending, 0 // a delivery given up has been logged above
	if begins {
		begins, times = t.agent.complaints.again(complaint{fails, t.key}, 1, t.agent.now())
	}
	t.failing = (t.failing || begins) && !ends
	t.mu.Unlock()
	switch {
	case begins:
		about := []any{"record", d.Record, "source", d.Source, "target", d.Target, "status", d.Status}
		log.Warn(fails, append(about, sinceThen(times)...)...)
	case ends:
		log.Info(takes, "source", d.Source, "target", d.Target)
	}
}
