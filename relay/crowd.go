package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hooktape/hooktape/relay/tunnel"
)

// crowdCalm is how long every request must have found a place in a tunnel for it to count as having room again: longer than
// a request waits for a place.
const crowdCalm = 3 * dialTimeout

// crowd remembers that a tunnel had no place for requests, for example because its app hangs, so that this is logged once, and
// its end with how many requests there were. The zero value has room.
type crowd struct {
	mu          sync.Mutex // guards the fields below, for moments
	since, last time.Time  // the first and the last request without a place; zero: there is room
	turned      int        // how many these were
}

// turn notes that there was no place for a request, and reports whether it is the first.
func (c *crowd) turn(now time.Time) (first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if first = c.turned == 0; first {
		c.since = now
	}
	c.last = now
	c.turned++
	return first
}

// over reports, once, that there is room again, since when there was none, and for how many requests.
func (c *crowd) over(now time.Time) (since time.Time, turned int, over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.turned == 0 || now.Sub(c.last) < crowdCalm {
		return time.Time{}, 0, false
	}
	since, turned = c.since, c.turned
	c.since, c.last, c.turned = time.Time{}, time.Time{}, 0
	return since, turned, true
}

// openFor opens a stream of a laptop for a request, and tells once that there is no place for one.
func (a *Agent) openFor(ctx context.Context, l *laptop) (net.Conn, error) {
	conn, err := l.link.Open(ctx)
	if errors.Is(err, tunnel.ErrFull) && ctx.Err() == context.DeadlineExceeded && l.crowd.turn(a.now()) {
		a.log.Warn("tunnel has as many requests under way as it takes, further ones wait here (logged once)", "tunnel", l.name, "remote", l.remote,
			"under-way", l.link.Traffic().Streams)
	}
	return conn, err
}

// noteRoom tells that a tunnel takes requests again. It is called for each.
func (a *Agent) noteRoom(l *laptop) {
	if since, turned, over := l.crowd.over(a.now()); over {
		a.log.Info("tunnel takes requests again", "tunnel", l.name, "remote", l.remote, "since", since.Format(time.RFC3339), "waited", turned)
	}
}

// crowded is the finding about a request for which there was no place in a tunnel: those under way take them all.
func crowded(t *target) finding {
	return unavailable(10, fmt.Sprintf("the tunnel of target %q has as many requests under way as it takes", t.key.name))
}
