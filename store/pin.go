package store

import (
	bolt "go.etcd.io/bbolt"
)

// pinWarn is the part of what the records of sessions may weigh from which on an operator is told: so many percent.
const pinWarn = 80

// pinMax is what the records of all sessions may weigh; 0: anything.
func (e *evictor) pinMax() int64 { return e.retention.Load().MaxSize / pinShare }

func (s *Store) hasSessions() bool {
	s.countMu.Lock()
	defer s.countMu.Unlock()
	return len(s.roster.rows) > 0
}

// judgePins tells once when the records of sessions have taken most of what they may.
func (s *Store) judgePins() {
	limit := s.evictor.pinMax()
	if limit == 0 || !s.hasSessions() {
		s.evictor.warned = false
		return
	}
	var weight int64
	// A store that can't be read has no figures; the next read says why.
	_ = s.view(func(tx *bolt.Tx) error { weight = pinnedWeight(tx); return nil })
	most := weight >= limit/100*pinWarn
	if most && !s.evictor.warned {
		s.options.Log("records of sessions take most of the room that they may, delete a session or raise max_size",
			"path", s.path, "bytes", weight, "limit", limit)
	}
	s.evictor.warned = most
}

// tellEnded tells which sessions ended for want of room.
func (s *Store) tellEnded(names []string) {
	for _, name := range names {
		s.options.Log("session ended, the records of sessions have all the room that they may take", "session", name,
			"limit", s.evictor.pinMax())
	}
}
