package relay

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/time/rate"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// limiter bounds the requests that a source takes: a bucket that holds as many as the rate has, so that any pattern
// that keeps to the rate passes.
type limiter struct {
	rate   config.Rate
	bucket *rate.Limiter
}

// limiterFor is a limiter for a rate: the one from before, if it has the same. Nil is no bound.
func limiterFor(r config.Rate, before *limiter) *limiter {
	switch {
	case r == config.Rate{}:
		return nil
	case before != nil && before.rate == r:
		return before
	}
	return &limiter{r, rate.NewLimiter(rate.Limit(float64(r.Count)/r.Per.Seconds()), r.Count)}
}

// check judges a request by those that came before.
func (l *limiter) check(now time.Time) finding {
	turn := l.bucket.ReserveN(now, 1)
	wait := turn.DelayFrom(now)
	if wait == 0 {
		return finding{verdict: store.Accepted}
	}
	turn.CancelAt(now)
	seconds := int((wait + time.Second - 1) / time.Second)
	return finding{
		verdict: store.RateLimited,
		reason:  fmt.Sprintf("more than %d requests in %s", l.rate.Count, l.rate.Per),
		status:  http.StatusTooManyRequests,
		fields:  wire.Fields{{Name: "Retry-After", Value: strconv.Itoa(seconds)}},
	}
}
