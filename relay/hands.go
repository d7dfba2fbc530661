package relay

import "sync"

// handsKept is how many idle hands are kept at most: as many as are busy at once under heavy load.
const handsKept = 256

// hands are goroutines that make attempts, and are used again: an attempt calls deeply, perhaps through TLS, and a new goroutine
// would have to grow its stack each time.
type hands struct {
	running sync.WaitGroup

	mu   sync.Mutex    // guards the fields below, for moments
	idle []chan func() // how the idle ones get their work, each buffered for one; the most recently busy is last
	over bool          // hands end when their work is done
}

// do has a hand run work, which must not call hands itself. It never blocks.
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

// rest registers a hand as idle at next, or returns false if the hand is to end.
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
