package relay

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// retryAfterMax limits the wait that a target can ask for: a typo there must not hold up a delivery for a year.
const retryAfterMax = 24 * time.Hour

// outlook is what is known about a target when an attempt has ended.
type outlook struct {
	away bool      // no connection was made: the target has not seen the message
	held bool      // its breaker is open
	off  bool      // the response was not as expected
	back time.Time // when it last came back, or the agent started
}

// settled decides what one attempt makes of a delivery: its next state and, if it is still pending, when it is tried again.
// The delivery d already counts the attempt; after is the target's Retry-After, now is when the attempt ended, and jitter,
// from 0 to 1, spreads the retries.
//
// A message that the target did not take is tried again until retry.For is over, whatever the status: an app in the middle
// of a deployment answers 404 or 401 as easily as 503, and a message given up then is lost. The exception is 410 (Gone),
// with which a receiver says that it will never want it (RFC 9110, section 15.5.11).
//
// A Retry-After that goes beyond retry.For is obeyed once, within Hold: the target has said when it will be ready, so the
// delivery is tried then before it is given up.
//
// While a target is away, retry.For does not run: its deliveries are held until it is back, or until Hold is over.
func settled(d store.Delivery, o outlook, c *config.Target, after time.Duration, now time.Time, jitter float64) (store.State, time.Time) {
	switch {
	case took(d.Status, o.off):
		return store.Delivered, time.Time{}
	case d.Status == http.StatusGone:
		return store.Failed, time.Time{}
	}
	due := now
	after = min(after, retryAfterMax)
	if !o.away { // its breaker holds the delivery back until it is there
		due = now.Add(max(after, backoff(c.Retry, d.Attempts-d.Awaited, jitter)))
	}
	if o.held && c.Retry.For > 0 {
		if held(d.Created, c.Hold, now) {
			return store.Pending, o.place(d, due)
		}
		return store.Expired, time.Time{}
	}
	end := deadline(d.Created, o.back, c)
	switch {
	case !due.After(end):
		return store.Pending, o.place(d, due)
	case after > 0 && now.Before(end):
		return store.Pending, lastCall(d.Created, now.Add(after), c.Hold)
	}
	return store.Failed, time.Time{}
}

// place is when a delivery falls due. If its target was away it keeps its old time, and so its place before later ones.
func (o outlook) place(d store.Delivery, due time.Time) time.Time {
	if o.away {
		return d.Due
	}
	return due
}

// took reports whether a target has taken a message: it answered 2xx, and its response was as expected. It does not matter
// if the response broke off after that: sent again, the message would be taken twice.
func took(status int, off bool) bool { return status/100 == 2 && !off }

// lastCall is the time of a delivery's last attempt: then, or the end of hold if that is earlier.
func lastCall(created, then time.Time, hold time.Duration) time.Time {
	if end := created.Add(hold); hold > 0 && then.After(end) {
		return end
	}
	return then
}

// held reports whether a delivery goes on waiting for a target that is away. Zero hold means for ever.
func held(created time.Time, hold time.Duration, now time.Time) bool {
	return hold == 0 || now.Before(created.Add(hold))
}

// deadline is when a delivery is given up: retry.For after it was made; or after its target came back, since the absence
// should not use up its time, but then at the end of Hold at the latest.
func deadline(created, back time.Time, c *config.Target) time.Time {
	end := created.Add(c.Retry.For)
	if !back.After(created) {
		return end
	}
	late := back.Add(c.Retry.For)
	if most := created.Add(c.Hold); c.Hold > 0 && late.After(most) {
		late = most
	}
	if late.After(end) {
		return late
	}
	return end
}

// backoff is how long to wait after the given number of failed attempts (1 or more): full jitter over an exponential from
// retry.Min to retry.Max, but at least half of retry.Min, to give a failing app some air.
// See "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
func backoff(retry config.Retry, attempts int, jitter float64) time.Duration {
	ceiling := retry.Max
	if shift := attempts - 1; shift < 32 {
		if grown := retry.Min << shift; grown > 0 && grown < retry.Max {
			ceiling = grown
		}
	}
	return max(time.Duration(jitter*float64(ceiling)), min(retry.Min/2, ceiling))
}

// retryAfter reads the Retry-After of a response: seconds or a date (RFC 9110, section 10.2.3). It is zero if there is none,
// or if it is past or unreadable. A number of seconds that overflows counts as the largest one.
func retryAfter(fields wire.Fields, now time.Time) time.Duration {
	v, ok := fields.Get("Retry-After")
	if !ok {
		return 0
	}
	if s, err := strconv.ParseUint(v, 10, 31); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(s) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}
