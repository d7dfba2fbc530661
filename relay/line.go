package relay

import (
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"github.com/hooktape/hooktape/store"
)

// line lets those who stand for the same thing go one after another. The zero value is empty.
type line struct {
	mu  sync.Mutex // guards who and the spots in it, for moments
	who map[place][]*spot
}

// place is a hash of what somebody stands for, since that may have any length.
type place [sha256.Size]byte

// spot is one of those who stand in a line.
type spot struct {
	line *line
	at   place
	turn chan struct{} // closed when nobody stands before it

	settled bool     // its order is known
	order   store.ID // zero: that in which they came
	goes    bool     // turn is closed
}

// stand takes a spot behind all others for the same. Nobody in the line may use enter. It never waits.
func (l *line) stand(same string) *spot {
	s := l.enter(same)
	s.settle(store.ID{})
	return s
}

// enter takes a spot whose order is known only later. Turns go in the order of ids if everybody enters before getting an id,
// and settles or leaves afterwards. It never waits.
func (l *line) enter(same string) *spot {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.who == nil {
		l.who = make(map[place][]*spot)
	}
	s := &spot{line: l, at: sha256.Sum256([]byte(same)), turn: make(chan struct{})}
	l.who[s.at] = append(l.who[s.at], s)
	return s
}

// settle moves the spot ahead of those that are settled with a later id, but leaves it behind those that are not settled:
// their ids may be earlier. Whoever enters from now on gets a later id, so nobody is ever put ahead of one who has the turn.
func (s *spot) settle(order store.ID) {
	s.line.mu.Lock()
	defer s.line.mu.Unlock()
	all := s.out()
	later := slices.IndexFunc(all, func(o *spot) bool { return o.settled && o.order.Compare(order) > 0 })
	if later < 0 {
		later = len(all)
	}
	s.settled, s.order = true, order
	s.line.goOn(s.at, slices.Insert(all, later, s))
}

// out returns the others who stand there. The caller holds mu.
func (s *spot) out() []*spot {
	all := s.line.who[s.at]
	i := slices.Index(all, s)
	return slices.Delete(all, i, i+1)
}

// goOn sets who stands at a place, and gives the turn to the first of them if it is settled. The caller holds mu.
func (l *line) goOn(at place, all []*spot) {
	if len(all) == 0 {
		delete(l.who, at)
		return
	}
	l.who[at] = all
	if first := all[0]; first.settled && !first.goes {
		first.goes = true
		close(first.turn)
	}
}

// await waits for the turn, and returns false if one of the channels ends the wait first. Either may be nil.
func (s *spot) await(over <-chan time.Time, stopping <-chan struct{}) bool {
	select {
	case <-s.turn:
		return true
	case <-over:
	case <-stopping:
	}
	return false
}

// leave gives the turn to the next. It must be called once, and may be called before the spot has had its turn.
func (s *spot) leave() {
	s.line.mu.Lock()
	defer s.line.mu.Unlock()
	s.line.goOn(s.at, s.out())
}

// stands reports whether somebody stands for that.
func (l *line) stands(same string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.who[sha256.Sum256([]byte(same))]) > 0
}
