package relay

import "sync"

// handsKept is how many hands wait for something to do at most: as many as are busy at once where much comes in.
const handsKept = 256

// hands are goroutines that make attempts of deliveries, each one after another. An attempt goes deep, through TLS maybe; a
// new goroutine would grow its stack anew for each.
type hands struct {
	running sync.WaitGroup

	mu   sync.Mutex    // guards the fields below, for moments
	idle []chan func() // what the idle ones take their work from, with room for one; that which was busy last comes last
	over bool          // none waits any more
}

// do has a hand do something that calls no hands itself. It never waits.
func (h *hands) do(work func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := len(h.idle) - 1
	if last < 0 {
		h.running.Go(func() { h.labour(work) })
		return
	}
	h.idle[last] <- work
	h.idle = h.idle[:last]
}

func (h *hands) labour(work func()) {
	next := make(chan func(), 1)
	for ok := true; ok; {
		work()
		if !h.rest(next) {
			return
		}
		work, ok = <-next
	}
}

// rest lets a hand wait at next. It is false when it is to go.
func (h *hands) rest(next chan func()) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over || len(h.idle) == handsKept {
		return false
	}
	h.idle = append(h.idle, next)
	return true
}

// dismiss ends the hands, each when its work is done, and waits for them.
func (h *hands) dismiss() {
	h.mu.Lock()
	h.over = true
	for _, next := range h.idle {
		close(next)
	}
	h.idle = nil
	h.mu.Unlock()
	h.running.Wait()
}
