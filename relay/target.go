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

// settleRetry is the wait before a delivery is tried again whose outcome could not be written: the disk is full or
// failing, and the target should not get the same record over and over while it is.
const settleRetry = 2 * time.Second

// targetKey names a target.
type targetKey struct{ source, name string }

// target brings deliveries to one target. Its worker starts attempts, as many at once as the configuration allows;
// each is made by one of Agent.hands.
type target struct {
	agent *Agent
	key   targetKey
	aim   atomic.Pointer[aim] // changed by Agent.Apply
	wake  chan struct{}       // one place: there may be something to do

	// end ends the worker, which then closes ended; both are nil before start, and end is nil when no worker is to be at
	// work. Agent.mu guards them.
	end   context.CancelFunc
	ended chan struct{}

	fault    atomic.Bool  // the store could not read all deliveries, and somebody was told
	gone     atomic.Bool  // not in the configuration any more
	arriving atomic.Int32 // requests on their way into the store with a delivery, counted where it is bounded
	turns    line         // of requests that are passed on, by the key of their order

	// mu guards the fields below. It is never held during I/O.
	mu       sync.Mutex
	flying   map[store.ID]bool // deliveries with an attempt under way
	landed   map[store.ID]bool // those whose attempt ended since the worker began to look at the store
	breaker  breaker
	failing  bool      // the last response was no 2xx, and somebody was told
	back     time.Time // when the target was last found to be there after it was away, or the agent began
	recovery *recovery // nil: nothing is being caught up with
}

// recovery counts what a target that is back still has to be brought of what was kept for it.
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

// start begins the worker unless it is at work. One that was told to end is waited for: there is never a second one
// that would start the same attempt.
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

// leave ends the worker: the target is not in the configuration any more.
func (t *target) leave() {
	t.gone.Store(true)
	if t.end != nil {
		t.end()
		t.end = nil
	}
}

// rouse tells the worker that there may be something to do, or where there is none any more, the one that sees to what
// such targets leave behind. It never blocks.
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
	back := false // the clock was set back, and not all that waits for it could be made due
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
		t.agent.complain("can't read all that is to be delivered, told once", t.key, err)
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

// ready is what may be sent now, at most limit, and when the next falls due.
func (t *target) ready(limit int) (due []store.Delivery, next time.Time, err error) {
	held := t.agent.edge.held(t.config().Tunnel)
	var behind map[store.ID]bool // requests of their keys that are being passed on: they rouse when they are through
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

// free is how many attempts may start now, and when to look again whatever becomes of them; zero: no need. While the
// breaker is open and something waits, it asks from time to time whether the target is there.
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

// findLaptop says whether the laptop of a tunnel is there, and notes it. It comes and goes by itself: nobody asks for it.
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

// arrival is closed when a laptop comes; nil where the target waits for none.
func (t *target) arrival() <-chan struct{} {
	if t.config().Tunnel == "" {
		return nil
	}
	return t.agent.edge.arrival()
}

// reachable says whether a connection to the host of a URL comes about.
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

// lookAnew is called before the store is looked at: whatever has landed until now shows there.
func (t *target) lookAnew() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.landed)
}

// isBusy says whether a delivery has an attempt under way, or had one when the worker began to look at the store: what
// is read there may be older than the attempt's outcome.
func (t *target) isBusy(id store.ID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.flying[id] || t.landed[id]
}

// claim keeps the worker from starting an attempt of a delivery that has one under way. land ends it.
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

// deliver makes one attempt of a delivery that was claimed.
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

// giveUp ends a delivery whose record is gone or damaged. When it just can't be read now, it is left alone for a while.
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

// settle reads the response of an attempt and writes down what it made of the delivery.
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

// jitter spreads the retries of a target. One that only asks does so as often as it is told to.
func (t *target) jitter() float64 {
	if t.follows() {
		return 1
	}
	return t.agent.jitter()
}

// write commits an outcome. When that fails the delivery is still what it was; it is left alone for a while.
func (t *target) write(d store.Delivery, o store.Outcome) bool {
	a := t.agent
	err := a.store.Settle(d.Record, o).Wait()
	if err == nil {
		return true
	}
	phrase := "can't write what became of an attempt, the record will be sent again"
	if errors.Is(err, store.ErrNotFound) { // it was deleted, or is on a damaged tape that was set aside
		phrase = "what became of an attempt is not written, its record is not on the tape any more"
	}
	a.complain(phrase, t.key, err, "record", d.Record)
	a.pause(settleRetry)
	return false
}

// pause waits, but not for longer than the agent may.
func (a *Agent) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-a.ctx.Done():
	}
}

// targetOf is the target of a key; nil when the configuration has none.
func (a *Agent) targetOf(key targetKey) *target {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.targets[key]
}

// Wake makes a target look at once for deliveries to make: some were changed from outside.
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
