package replay

import (
	"sync"
	"time"
)

// ahead is how many shots are read before they are sent, and how many may wait for those of their key: memory stays
// flat, however many there are.
const ahead = 256

// plan holds the shots that were read and are not sent yet, in their order. They come into a ring; a shot that is taken out
// of it while another of its key is under way waits in a list of its key.
//
//	add → toPrepare → isPrepared → take ──────────→
//	                                   ↘ waiting → after
//
// At full speed nobody is woken for a single shot: whoever adds goes on when half of the ring is free, and whoever takes
// finds the next shot prepared already.
type plan struct {
	mu         sync.Mutex // guards what follows; not held while a shot is prepared or sent
	room       sync.Cond  // for who adds: half of the ring is free
	unprepared sync.Cond  // for who prepares: there is one more
	first      sync.Cond  // for who takes: the first may go on

	ring  [ahead]slot // a shot that was read as the nth is at n%ahead
	read  int         // shots, so far
	given int         // of them to be prepared
	taken int         // of them

	waiting map[string][]slot // by the keys under way
	behind  int               // shots in waiting
	ended   bool              // no more is added
	stopped bool              // no more is taken
}

func newPlan() *plan {
	p := &plan{waiting: make(map[string][]slot)}
	p.room.L, p.unprepared.L, p.first.L = &p.mu, &p.mu, &p.mu
	return p
}

// slot is a shot and its place.
type slot struct {
	Shot
	key      string
	due      time.Duration // since the start
	prepared bool
}

// add puts a shot behind the others, once there is room. It is false when the plan has stopped.
func (p *plan) add(s slot) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for room := 1; p.free() < room && !p.stopped; room = ahead / 2 {
		p.room.Wait()
	}
	if p.stopped {
		return false
	}
	p.ring[p.read%ahead] = s
	p.read++
	p.unprepared.Signal()
	return true
}

// end says that no more is added.
func (p *plan) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.unprepared.Broadcast()
	p.first.Broadcast()
}

// stop ends all that waits, and has nothing taken any more.
func (p *plan) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	p.room.Broadcast()
	p.unprepared.Broadcast()
	p.first.Broadcast()
}

// toPrepare waits for the next shot to be prepared, which is the caller's until isPrepared; nil: there are no more.
func (p *plan) toPrepare() *slot {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.given == p.read && !p.ended && !p.stopped {
		p.unprepared.Wait()
	}
	if p.given == p.read || p.stopped {
		return nil
	}
	s := &p.ring[p.given%ahead]
	p.given++
	return s
}

// isPrepared says that a shot is.
func (p *plan) isPrepared(s *slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.prepared = true
	if s == &p.ring[p.taken%ahead] {
		p.first.Signal()
	}
}

// dueNext waits until the next shot is prepared, and says when it is due; more is false when there are no more. Nobody else
// may take it meanwhile.
func (p *plan) dueNext() (due time.Duration, more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.over() {
		if s := p.next(); s != nil {
			return s.due, true
		}
		p.first.Wait()
	}
	return 0, false
}

// take waits until the next shot is prepared, and takes it. Where goes is false, another shot of its key is under way, and
// whoever sends that one gets this one from after. When too many wait for their key, take waits too. more is false when
// there are no more.
func (p *plan) take() (s slot, goes, more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.over() {
		if s := p.next(); s != nil && (p.mayGo(s.key) || p.behind < ahead) {
			s, goes := p.remove()
			return s, goes, true
		}
		p.first.Wait()
	}
	return slot{}, false, false
}

// after is the shot that waited for the one of its key that was just sent; ok is false when none did.
func (p *plan) after(key string) (s slot, ok bool) {
	if key == "" {
		return slot{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.first.Signal() // there is room, or it goes now
	those := p.waiting[key]
	if len(those) == 0 {
		delete(p.waiting, key)
		return slot{}, false
	}
	s, those[0] = those[0], slot{}
	p.waiting[key] = those[1:]
	p.behind--
	return s, true
}

// The methods below are for who holds mu.

func (p *plan) free() int { return ahead - (p.read - p.taken) }

// over says whether there is nothing to be taken any more.
func (p *plan) over() bool { return p.stopped || p.ended && p.taken == p.read }

// next is the next shot, if it is prepared; else nil.
func (p *plan) next() *slot {
	if s := &p.ring[p.taken%ahead]; s.prepared {
		return s
	}
	return nil
}

// mayGo says whether no shot of a key is under way.
func (p *plan) mayGo(key string) bool {
	_, busy := p.waiting[key]
	return !busy
}

// remove takes the next shot out of the ring, and has it wait for those of its key unless it goes.
func (p *plan) remove() (s slot, goes bool) {
	next := &p.ring[p.taken%ahead]
	s, *next = *next, slot{}
	p.taken++
	if p.free() == ahead/2 {
		p.room.Signal()
	}
	if p.over() {
		p.first.Broadcast()
	} else if p.next() != nil {
		p.first.Signal()
	}
	goes = p.mayGo(s.key)
	switch {
	case !goes:
		p.waiting[s.key] = append(p.waiting[s.key], s)
		p.behind++
	case s.key != "":
		p.waiting[s.key] = nil
	}
	return s, goes
}
