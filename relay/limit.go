package relay

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/sync/semaphore"
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

// roomWait is how long a request waits for memory. Its bytes are on the disk then; the sender only waits for its answer.
const roomWait = 10 * time.Second

// copies is how many of a body there are while expressions look into it: the bytes, and the text that they become.
const copies = 2

// errNoRoom is why a large body can't be looked into: others take all the memory that there is for them.
var errNoRoom = errors.New("no memory for the body")

// budget is the memory for large bodies that expressions look into: these have to be in memory whole. What streams by
// is not counted: it is bounded for each connection, and by the queue of the store.
type budget struct {
	size int64 // zero: no bound
	left *semaphore.Weighted
}

func newBudget(size int64) *budget { return &budget{size, semaphore.NewWeighted(size)} }

// holding is what one request holds of a budget. The zero holding is nothing.
type holding struct {
	from   *budget
	size   int64
	denied bool // there was no room in time
}

// take waits for its turn, beside what it holds already, but not for longer than roomWait. A body that needs more than the budget takes all of it.
func (h *holding) take(from *budget, size int64) bool {
	if from.size == 0 {
		return true
	}
	size = min(copies*size, from.size-h.size)
	if !from.left.TryAcquire(size) {
		ctx, cancel := context.WithTimeout(context.Background(), roomWait)
		defer cancel()
		if from.left.Acquire(ctx, size) != nil {
			h.denied = true
			return false
		}
	}
	h.from, h.size = from, h.size+size
	return true
}

func (h *holding) giveBack() {
	if h.from != nil {
		h.from.left.Release(h.size)
		h.from, h.size = nil, 0
	}
}

// noRoom is the finding about a request for whose body there was no memory in time.
func noRoom() finding {
	return finding{
		verdict: store.Unavailable,
		reason:  "no memory for the body: limits.memory is taken by others",
		status:  http.StatusServiceUnavailable,
		fields:  wire.Fields{{Name: "Retry-After", Value: "10"}},
	}
}
