package relay

import (
	"context"
	"errors"
	"net"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/store"
)

// settleRetry is how long to wait after the outcome of an attempt could not be written: while the disk is full or failing,
// the target should not get the same record over and over.
const settleRetry = 2 * time.Second

// targetKey names a target.
type targetKey struct{ source, name string }

// target makes the deliveries to one target. Its worker starts as many attempts at once as the configuration allows; each
// runs on one of Agent.hands.
type target struct {
	agent *Agent
	key   targetKey
	aim   atomic.Pointer[aim] // changed by Agent.Apply
	wake  chan struct{}       // buffered, one: there may be something to do

	// end stops the worker, which then closes ended. Both are nil before start; end is nil while no worker should run.
	// Agent.mu guards them.
	end   context.CancelFunc
	ended chan struct{}

	fault    atomic.Bool  // the store could not read all deliveries, and this has been logged
	gone     atomic.Bool  // no longer in the configuration
	arriving atomic.Int32 // requests that are adding a delivery and are not in the store yet; counted where max_pending bounds them
	turns    line         // of requests that are passed on, by their key (order_by)

	// mu guards the fields below. It is never held during I/O.
	mu       sync.Mutex
	flying   map[store.ID]bool // deliveries with an attempt under way
	landed   map[store.ID]bool // deliveries whose attempt ended since the worker last began to look at the store
	breaker  breaker
	failing  bool      // the last response was no 2xx, and this has been logged
	back     time.Time // when the target last came back, or the agent started
	recovery *recovery // nil: nothing is being caught up with
}

// recovery counts how far a target that has come back has caught up with the deliveries kept for it.
type recovery struct {
	since, until    time.Time // of the absence
	kept, delivered int
	left            int // deliveries not tried yet since
}

func newTarget(a *Agent, key targetKey) *target {
	return &target{
		agent: a, key: key, wake: make(chan struct{}, 1), back: a.now(),
		flying: make(map[store.ID]bool), landed: make(map[store.ID]bool),
	}
}

func (t *target) config() *config.Target { return &t.aim.Load().Target }

// start starts the worker unless it is running. The new worker waits for a previous one to end: two at once could start the
// same attempt.
func (t *target) start(ctx context.Context) {
	if t.end != nil {
		return
	}
	before := t.ended
	ctx, t.end = context.WithCancel(ctx)
	ended := make(chan struct{})
	t.ended = ended
	t.agent.sending.Go(func() {
		defer close(ended)
		if before != nil {
			<-before
		}
		t.work(ctx)
	})
}

// leave stops the worker: the target is no longer in the configuration.
func (t *target) leave() {
	t.gone.Store(true)
	if t.end != nil {
		t.end()
		t.end = nil
	}
}

// rouse tells the worker that there may be something to do; or, when the target has left the configuration, whoever handles
// orphaned deliveries. It never blocks.
func (t *target) rouse() {
	if t.gone.Load() {
		t.agent.orphans.rouse()
		return
	}
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// work starts attempts as they fall due, until ctx ends.
func (t *target) work(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	t.hasten(max(t.config().Retry.Max, retryAfterMax))
	wall, steady := t.agent.now(), time.Now()
	back := false // the clock was set back, and not every delivery could be made due yet
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.wake:
		case <-timer.C:
		}
		now, at := t.agent.now(), time.Now()
		back = back || setBack(wall, now, at.Sub(steady))
		wall, steady = now, at
		if back {
			back = !t.hasten(t.config().Retry.Max)
		}
		if next := t.dispatch(ctx); !next.IsZero() {
			timer.Reset(max(0, next.Sub(t.agent.now())))
		}
	}
}

// dispatch starts what is due and says when to look again; zero: when roused.
func (t *target) dispatch(ctx context.Context) (next time.Time) {
	t.lookAnew()
	t.makeRoom()
	free, again := t.free(ctx)
	if free <= 0 {
		return again
	}
	due, next, err := t.ready(free)
	if err != nil && !t.fault.Swap(true) {
		t.agent.complain("can't read all pending deliveries (logged once)", t.key, err)
	}
	if err != nil && len(due) == 0 {
		return t.agent.now().Add(settleRetry)
	}
	for _, d := range due {
		t.claim(d.Record)
		t.agent.hands.do(func() { t.deliver(d) })
	}
	switch {
	case !again.IsZero():
		return again
	case len(due) == free:
		return time.Time{} // landing rouses
	}
	return next
}

// ready returns the deliveries that may be sent now, at most limit, and when the next one falls due.
func (t *target) ready(limit int) (due []store.Delivery, next time.Time, err error) {
	held := t.agent.edge.held(t.config().Tunnel)
	var behind map[store.ID]bool // they wait for a request with their key that is being passed on, which rouses the worker at its end
	wait := func(id store.ID) bool { return behind[id] || t.isBusy(id) || id.Compare(held) <= 0 }
	for {
		due, next, err = t.agent.store.Ready(t.key.source, t.key.name, t.agent.now(), limit, wait)
		n := len(due)
		due = slices.DeleteFunc(due, func(d store.Delivery) bool {
			if d.Key == "" || !t.turns.stands(d.Key) {
				return false
			}
			if behind == nil {
				behind = make(map[store.ID]bool)
			}
			behind[d.Record] = true
			return true
		})
		if len(due) == n || err != nil {
			return due, next, err
		}
	}
}

// free returns how many attempts may start now, and when to look again in any case (zero: no need). While the breaker is
// open and deliveries wait, it probes from time to time whether the target is back.
func (t *target) free(ctx context.Context) (n int, again time.Time) {
	if name := t.config().Tunnel; name != "" && !t.findLaptop(name) {
		return 0, t.agent.now().Add(probeMax)
	}
	t.mu.Lock()
	room := t.config().Concurrency - len(t.flying)
	if !t.breaker.open() {
		t.mu.Unlock()
		return room, time.Time{}
	}
	ask, again := t.breaker.probe(t.agent.now())
	mute, flying := t.breaker.mute, len(t.flying)
	t.mu.Unlock()
	switch {
	case !ask, t.pending() == 0:
		return 0, again
	case mute:
		t.expire()
		return 1 - flying, again
	case !reachable(ctx, t.config().URL):
		t.expire()
		return 0, again
	}
	t.reached()
	return room, time.Time{}
}

// findLaptop reports whether the laptop of a tunnel is connected, and updates the breaker. Probing would be no use: it is the
// laptop that connects.
func (t *target) findLaptop(name string) (there bool) {
	if t.agent.edge.at(name) == nil {
		t.missed(sent{away: true})
		t.expire()
		return false
	}
	t.mu.Lock()
	back := t.breaker.open() && !t.breaker.mute
	t.mu.Unlock()
	if back {
		t.reached()
	}
	return true
}

// arrival is closed when a laptop connects; nil if the target is no tunnel.
func (t *target) arrival() <-chan struct{} {
	if t.config().Tunnel == "" {
		return nil
	}
	return t.agent.edge.arrival()
}

// reachable reports whether a connection to the host of a URL can be made.
func reachable(ctx context.Context, u *url.URL) bool {
	port := u.Port()
	if port == "" {
		port = u.Scheme // net resolves "http" and "https"
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// lookAnew is called before looking at the store, which shows the outcome of every attempt that has landed by now.
func (t *target) lookAnew() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.landed)
}

// isBusy reports whether a delivery has an attempt under way, or had one since the worker began to look at the store: what it
// reads there may be older than that attempt's outcome.
func (t *target) isBusy(id store.ID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.flying[id] || t.landed[id]
}

// claim marks a delivery as having an attempt under way, so that the worker starts no other. land undoes it.
func (t *target) claim(id store.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.flying[id] = true
}

func (t *target) land(id store.ID) {
	t.mu.Lock()
	delete(t.flying, id)
	t.landed[id] = true
	t.mu.Unlock()
	t.caughtUp(store.Delivery{}, sent{})
	t.rouse()
}

// deliver makes one attempt for a claimed delivery.
func (t *target) deliver(d store.Delivery) {
	defer t.land(d.Record)
	defer t.agent.survive(func() { t.agent.pause(settleRetry) })
	m, err := t.agent.load(d.Record)
	if err != nil {
		t.giveUp(d, err)
		return
	}
	m.attempt = d.Attempts + 1
	t.settle(d, t.agent.send(t.agent.ctx, t, m))
}

// giveUp ends a delivery whose record is gone or damaged. If the record just can't be read at the moment, the delivery is
// left alone for a while.
func (t *target) giveUp(d store.Delivery, err error) {
	d.State, d.Error = store.Failed, err.Error()
	switch {
	case errors.Is(err, store.ErrNotFound):
		d.State = store.Dropped
	case !errors.Is(err, store.ErrDamaged):
		t.agent.log.Error("record can't be read, will try again", "record", d.Record, "source", t.key.source, "target", t.key.name, "error", err)
		t.agent.pause(settleRetry)
		return
	}
	t.agent.log.Error("record can't be delivered", "record", d.Record, "source", t.key.source, "target", t.key.name, "error", err)
	t.write(d, store.Outcome{Deliveries: []store.Delivery{d}})
}

// settle reads the response of an attempt, and writes down the new state of the delivery.
func (t *target) settle(d store.Delivery, s sent) {
	a := t.agent
	kept := a.store.Spool()
	defer kept.Discard()
	defer s.abandon()
	var after time.Duration
	if s.response != nil {
		t.reached()
		after = retryAfter(s.response.Head.Fields, a.now())
		s.copyTo(kept, a.now)
		t.judge(&s, kept)
	}
	if a.ctx.Err() != nil && s.attempt.Error != "" {
		return // cut short by our own stop: it stays pending
	}
	if s.absent {
		t.missed(s)
		t.keep()
		return // it stays as it was
	}
	d.Attempts++
	s.describe(&d)
	t.missed(s)
	d.State, d.Due = settled(d, t.outlook(s), t.config(), after, a.now(), t.jitter())
	if s.hopeless {
		d.State = store.Failed
	}
	if s.response == nil {
		t.keep()
	}
	o := s.outcome()
	o.Deliveries = s.deliveries(d)
	if d.State != store.Delivered {
		o.From = store.Pending // somebody may have dropped it meanwhile
	}
	s.keep(&o, kept)
	if t.write(d, o) {
		t.wakeFollower(&s)
		if s.unmet != errNotYet || d.State != store.Pending {
			t.tellFailure(d)
		}
		a.log.Debug("attempt made", "record", d.Record, "source", d.Source, "target", d.Target, "attempt", d.Attempts,
			"status", d.Status, "state", d.State, "error", d.Error)
		t.caughtUp(d, s)
	}
}

// jitter spreads the retries of a target. A follower asks exactly as often as it is configured to.
func (t *target) jitter() float64 {
	if t.follows() {
		return 1
	}
	return t.agent.jitter()
}

// write commits an outcome. If that fails, the delivery is unchanged in the store, and left alone for a while.
func (t *target) write(d store.Delivery, o store.Outcome) bool {
	a := t.agent
	err := a.store.Settle(d.Record, o).Wait()
	if err == nil {
		return true
	}
	phrase := "can't record the result of an attempt, the request will be sent again"
	if errors.Is(err, store.ErrNotFound) { // it was deleted, or is on a damaged tape that was set aside
		phrase = "result of an attempt not recorded, its record is no longer on the tape"
	}
	a.complain(phrase, t.key, err, "record", d.Record)
	a.pause(settleRetry)
	return false
}

// pause waits, at most until the agent's grace is over.
func (a *Agent) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-a.ctx.Done():
	}
}

// targetOf returns the target with a key, or nil if the configuration has none.
func (a *Agent) targetOf(key targetKey) *target {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.targets[key]
}

// Wake makes a target look for due deliveries at once, after some were changed from outside.
func (a *Agent) Wake(source, name string) {
	t := a.targetOf(targetKey{source, name})
	if t == nil {
		a.orphans.rouse()
		return
	}
	t.mu.Lock()
	t.breaker.probeAt = time.Time{}
	t.mu.Unlock()
	t.rouse()
}
