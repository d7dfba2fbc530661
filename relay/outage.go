package relay

import (
	"sync"
	"sync/atomic"
	"time"
)

// outage remembers whether records can be written, so that a repeated failure is logged once, and its end with how
// long it lasted and how many requests were turned away. The zero value is well.
type outage struct {
	on atomic.Bool // whether since is set: spares every healthy request the lock

	mu     sync.Mutex // guards the fields below
	since  time.Time
	turned int // requests answered 503 since then
}

// begin notes a failure and says whether it is the first.
func (o *outage) begin(now time.Time) (first bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.turned++
	if o.on.Load() {
		return false
	}
	o.since = now
	o.on.Store(true)
	return true
}

// end notes that records can be written. ended says whether that is news.
func (o *outage) end() (since time.Time, turned int, ended bool) {
	if !o.on.Load() {
		return time.Time{}, 0, false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.on.Load() {
		return time.Time{}, 0, false
	}
	since, turned = o.since, o.turned
	o.turned = 0
	o.on.Store(false)
	return since, turned, true
}
