package relay

import (
	"sync"
	"time"

	"github.com/hooktape/hooktape/store"
)

// EventKind says what an Event is about.
type EventKind int

const (
	Answered EventKind = iota // a request was recorded, and answered or refused
	Away                      // a target can't be reached; its deliveries are kept
	Back                      // it can be reached again, and what was kept has been tried
)

// Event is something that an onlooker wants to know at once. Records in it are shared: do not change them.
type Event struct {
	Kind     EventKind
	Record   *store.Record // Answered; with a Count it is a roll-up, of requests of which no event told
	TookOver bool          // Answered: hooktape gave the answer for a target that could not be reached in time, and delivers
	Lost     int           // events not sent before this one, because the onlooker was too slow

	Source, Target string        // Away, Back
	Since          time.Time     // Away: when the target was first found away
	Away           time.Duration // Back: how long it was
	Kept           int           // Back: deliveries that waited
	Delivered      int           // Back: of these, how many the target took with a 2xx
}

// hub hands events to onlookers. It never waits for one: an onlooker that is too slow loses events and is told how many.
type hub struct {
	metrics *metrics // hears of events that were lost

	// mu guards onlookers and what is in them, and is held while an event is handed out, which never blocks.
	mu        sync.Mutex
	onlookers map[*onlooker]struct{}
}

type onlooker struct {
	events chan Event
	lost   int
}

// Watch gives the events from now on, until stop is called; it must be. buffer is how many may wait to be received.
func (a *Agent) Watch(buffer int) (events <-chan Event, stop func()) {
	o := &onlooker{events: make(chan Event, buffer)}
	h := &a.watch
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.onlookers == nil {
		h.onlookers = make(map[*onlooker]struct{})
	}
	h.onlookers[o] = struct{}{}
	return o.events, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.onlookers, o)
	}
}

// tell hands an event to all onlookers. Of a record they get what was found out about it, not its bytes: these are the
// request's own buffers, which are used again.
func (h *hub) tell(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.onlookers) == 0 {
		return
	}
	if e.Record != nil {
		e.Record = withoutBytes(e.Record)
	}
	for o := range h.onlookers {
		e.Lost = o.lost
		select {
		case o.events <- e:
			o.lost = 0
		default:
			o.lost++
			h.metrics.lost.Add(1)
		}
	}
}

func withoutBytes(rec *store.Record) *store.Record {
	bare := *rec
	bare.Raw.Inline = nil
	if rec.Answer != nil {
		answer := *rec.Answer
		answer.Raw.Inline = nil
		bare.Answer = &answer
	}
	return &bare
}
