package relay

import (
	"context"
	"sync"
	"time"
)

// outageLook is how often it is tried during an outage whether records can be written again, and how long none must have failed
// for the outage to be over.
const outageLook = time.Second

// outage remembers that records can't be written, so that a repeated failure is logged once, and its end with how long it
// lasted and how many requests were turned away. One record that could be written does not end it: others that fail at the
// same time would begin the next outage. begun must be buffered, one.
type outage struct {
	begun chan struct{} // has a value when seeToOutages should look

	mu     sync.Mutex // guards the fields below
	since  time.Time  // zero: all is well
	why    error      // the last failure
	turned int        // requests answered 503 since then
	last   int        // turned, at the last look
}

// begin notes a failure and says whether it is the first.
func (o *outage) begin(now time.Time, why error) (first bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.turned++
	o.why = why
	if !o.since.IsZero() {
		return false
	}
	o.since = now
	select {
	case o.begun <- struct{}{}:
	default:
	}
	return true
}

// on says whether an outage goes on.
func (o *outage) on() bool { return o.cause() != nil }

// cause is why records can't be written; nil when they can.
func (o *outage) cause() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.why
}

// calm reports whether no record has failed since the last call.
func (o *outage) calm() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	last := o.last
	o.last = o.turned
	return last == o.turned
}

// end notes that records can be written.
func (o *outage) end() (since time.Time, turned int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	since, turned = o.since, o.turned
	o.since, o.why, o.turned, o.last = time.Time{}, nil, 0, 0
	return since, turned
}

// seeToOutages finds out when records can be written again. It writes on its own account: a load balancer that looks at /readyz
// sends no request that could show it.
func (a *Agent) seeToOutages(ctx context.Context) {
	tick := time.NewTicker(outageLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.outage.begun:
		}
		for a.outage.on() {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if a.outage.calm() && a.store.Probe() == nil {
				since, turned := a.outage.end()
				a.log.Info("recording again", "away", a.now().Sub(since).String(), "turned-away", turned)
			}
		}
	}
}
