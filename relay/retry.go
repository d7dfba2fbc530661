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

// retryAfterMax bounds the wait that a target can ask for: a typing error there must not hold a delivery for a year.
const retryAfterMax = 24 * time.Hour

// outlook is what is known of a target when an attempt has ended.
type outlook struct {
	away bool      // no connection came about: the target did not see the message
	held bool      // its breaker is open
	off  bool      // the response was not as expected
	back time.Time // when it was last found to be there after it was away, or the agent began
}

// settled is what one attempt made of a delivery: its next state, and when it is tried again if it is still pending.
// The delivery d counts the attempt already; after is the target's Retry-After, now is when the attempt ended, jitter from
// 0 to 1 spreads the retries.
//
// What a target has not taken is tried again until the time that retry.For gives is over: an app in the middle of a
// deployment answers 404 or 401 as easily as 503, and what is thrown away then is gone. 410 (Gone) is the exception:
// with it a receiver says that it will never want this again (RFC 9110, 15.5.11).
//
// A Retry-After that goes beyond that time is obeyed once, within Hold: the target has said when it is ready, and what it
// asked to wait for is not given up untried.
//
// A target that is away takes nothing of retry.For: its deliveries are held until it is back, or until Hold is over.
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

// place is when a delivery falls due: one that its target was away for keeps its place, before those that came later.
func (o outlook) place(d store.Delivery, due time.Time) time.Time {
	if o.away {
		return d.Due
	}
	return due
}

// took says whether a target has taken a message: it answered 2xx, and nothing that was not expected. What becomes of the
// rest of the response is of no matter: who says that it has taken it and then breaks off has taken it, and would take it
// twice.
func took(status int, off bool) bool { return status/100 == 2 && !off }

// lastCall is when a delivery is tried for the last time that is to wait until then, but not beyond hold.
func lastCall(created, then time.Time, hold time.Duration) time.Time {
	if end := created.Add(hold); hold > 0 && then.After(end) {
		return end
	}
	return then
}

// held says whether a delivery goes on waiting for a target that is away.
func held(created time.Time, hold time.Duration, now time.Time) bool {
	return hold == 0 || now.Before(created.Add(hold))
}

// deadline is when a delivery is not tried again: retry.For after it was made, or after its target came back, since
// the wait for it was not the delivery's fault; but then within Hold.
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

// backoff is the wait behind the given number of failed attempts (1 or more): full jitter over an exponential that
// starts at retry.Min and ends at retry.Max, but never shorter than half of retry.Min, so that a failing app gets air.
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

// retryAfter reads the Retry-After of a response: seconds or a date (RFC 9110, 10.2.3). Zero: none, past or unreadable.
// More seconds than there is a number for are very many.
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
