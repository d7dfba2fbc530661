package relay

import (
	"crypto/sha256"
	"slices"
	"sync"
	"time"
)

// line lets those who stand for the same go one after another, in the order in which they came. The zero value is empty.
type line struct {
	mu  sync.Mutex // guards who, for moments
	who map[place][]*spot
}

// place is where those stand who are for the same: a hash, since that may have any length.
type place [sha256.Size]byte

// spot is one of those who stand in a line.
type spot struct {
	line *line
	at   place
	turn chan struct{} // closed when nobody stands before it
}

// stand takes the last spot of those for the same. It never waits.
func (l *line) stand(same string) *spot {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.who == nil {
		l.who = make(map[place][]*spot)
	}
	s := &spot{line: l, at: sha256.Sum256([]byte(same)), turn: make(chan struct{})}
	l.who[s.at] = append(l.who[s.at], s)
	if len(l.who[s.at]) == 1 {
		close(s.turn)
	}
	return s
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
	l := s.line
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.who[s.at]
	i := slices.Index(all, s)
	all = slices.Delete(all, i, i+1)
	l.who[s.at] = all
	switch {
	case len(all) == 0:
		delete(l.who, s.at)
	case i == 0:
		close(all[0].turn)
	}
}

// stands says whether somebody stands for that.
func (l *line) stands(same string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.who[sha256.Sum256([]byte(same))]) > 0
}
