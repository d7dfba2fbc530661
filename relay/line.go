package relay

import (
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"github.com/hooktape/hooktape/store"
)

// line lets those who stand for the same go one after another. The zero value is empty.
type line struct {
	mu  sync.Mutex // guards who and the spots in it, for moments
	who map[place][]*spot
}

// place is where those stand who are for the same: a hash, since that may have any length.
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

// stand takes the last spot of those for the same, in a line where all do so. It never waits.
func (l *line) stand(same string) *spot {
	s := l.enter(same)
	s.settle(store.ID{})
	return s
}

// enter takes a spot of those for the same whose order is known only later: whoever enters before its id is given, and
// settles or leaves behind that, has its turn in the order of the ids. It never waits.
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

// settle puts the spot before those that are settled with a later id. It stays behind those that are not: their ids may be
// earlier. Who enters from now on has a later one, and so nobody ever comes before one who has the turn.
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

// out is who stands there but for the spot. The caller holds mu.
func (s *spot) out() []*spot {
	all := s.line.who[s.at]
	i := slices.Index(all, s)
	return slices.Delete(all, i, i+1)
}

// goOn makes all those who stand at a place, and gives the turn to the first of them as soon as that is known. The caller
// holds mu.
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

// await says whether the turn has come, before the time is over or something else ends. A channel that is nil never does.
func (s *spot) await(over <-chan time.Time, stopping <-chan struct{}) bool {
	select {
	case <-s.turn:
		return true
	case <-over:
	case <-stopping:
	}
	return false
}

// leave gives the turn to the next. It may be called before the spot has had its turn, and once.
func (s *spot) leave() {
	s.line.mu.Lock()
	defer s.line.mu.Unlock()
	s.line.goOn(s.at, s.out())
}

// stands says whether somebody stands for that.
func (l *line) stands(same string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.who[sha256.Sum256([]byte(same))]) > 0
}
