package store

import (
	bolt "go.etcd.io/bbolt"
)

const (
	// pinShare is the part of Retention.MaxSize that the records of sessions may take: one in so many.
	pinShare = 2
	// releaseShare is the part that is kept free of them, even if records in sessions must go: one in so many.
	releaseShare = 4
	// pinWarn is how many percent of what they may take they have when an operator is told. After they had less than
	// pinCalm it is told again: eviction moves them up and down.
	pinWarn, pinCalm = 80, 50
)

// pinMax is how many bytes of the file the records of all sessions may take; 0: any.
func (e *evictor) pinMax() int64 { return e.retention.Load().MaxSize / pinShare }

// pinnedWeight is what all records in sessions weigh.
func pinnedWeight(tx *bolt.Tx) int64 {
	if b := tx.Bucket(bucketMembers); b != nil {
		return int64(b.Sequence())
	}
	return 0
}

// pinnedPart is how many of the used bytes of the file belong to records in sessions: used times their part of what all
// records weigh. Where used is not known, which is so for a reader, it is their weight.
func pinnedPart(used, pinned int64, all counts) int64 {
	whole := all.bytes + all.replies + all.records*refusedWeight
	if used == 0 || whole == 0 {
		return pinned
	}
	return int64(float64(used) * min(1, float64(pinned)/float64(whole)))
}

// sessionsFull says whether the sessions have all the room that they may take. Once in a transaction is enough: that is
// small beside the room.
func (t *txn) sessionsFull() bool {
	if t.pinMax > 0 && !t.pinLooked {
		t.pinLooked = true
		t.pinFull = pinnedPart(t.used, pinnedWeight(t.Tx), readCounts(t.Tx)) >= t.pinMax
	}
	return t.pinFull
}

// pinnedNow is how many bytes of the file the records of sessions take.
func (s *Store) pinnedNow() (n int64) {
	if !s.hasSessions() {
		return 0
	}
	// A store that can't be read has no figures; the next read says why.
	_ = s.view(func(tx *bolt.Tx) error {
		n = pinnedPart(s.evictor.used.Load(), pinnedWeight(tx), readCounts(tx))
		return nil
	})
	return n
}

// pinExcess is how many bytes must go of what the records of sessions take: none while the tape is within its bounds.
func (s *Store) pinExcess(r Retention) int64 {
	if r.MaxSize == 0 || s.evictor.used.Load() <= r.MaxSize {
		return 0
	}
	return max(0, s.pinnedNow()-r.MaxSize+r.MaxSize/releaseShare)
}

func (s *Store) hasSessions() bool {
	s.countMu.Lock()
	defer s.countMu.Unlock()
	return len(s.roster.rows) > 0
}

// judgePins logs once when the records of sessions take most of what they may.
func (s *Store) judgePins() {
	limit := s.evictor.pinMax()
	taken := s.pinnedNow()
	switch {
	case limit == 0 || taken < limit/100*pinCalm:
		s.evictor.warned = false
	case taken >= limit/100*pinWarn && !s.evictor.warned:
		s.evictor.warned = true
		s.options.Log("records of sessions take most of the room that they may, delete a session or raise max_size",
			"path", s.path, "bytes", taken, "limit", limit)
	}
}

// tellEnded logs which sessions stopped capturing for want of room.
func (s *Store) tellEnded(names []string) {
	for _, name := range names {
		s.options.Log("session ended, the records of sessions have all the room that they may take", "session", name,
			"limit", s.evictor.pinMax())
	}
}
