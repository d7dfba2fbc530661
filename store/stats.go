package store

import (
	"os"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Stats are figures for people and metrics. Those since the store was opened begin at zero.
type Stats struct {
	Records int64     // on the tape
	Bytes   int64     // of their requests, answers and responses, as they were on the wire
	Refused int64     // what refused records weigh: their bytes, and 512 each
	Pending int       // deliveries, to all targets
	Pinned  int64     // bytes of the file that the records of sessions take, about
	PinMax  int64     // how many they may take; 0: any
	Oldest  time.Time // when the oldest record came; zero when there is none
	File    int64     // size of the file
	Used    int64     // bytes of it that are taken: what Retention.MaxSize bounds; 0 for a reader
	Free    int64     // bytes inside the file that can be used again
	Evicted int64     // records that retention has deleted since the store was opened

	Commits  int64 // transactions committed since the store was opened
	Changes  int64 // in them
	Failures int64 // transactions that failed
	SetAside int64 // damaged databases that were given another name
	Reopened int64 // times that the database was opened again after one

	Queued      int // changes that wait for their commit now
	QueuedBytes int
}

// Stats returns what is known now. What can't be read is zero.
func (s *Store) Stats() Stats {
	var st Stats
	st.Queued, st.QueuedBytes = s.queue.load()
	s.countMu.Lock()
	for _, n := range s.pending {
		st.Pending += n
	}
	t := s.tally
	s.countMu.Unlock()
	st.Commits, st.Changes, st.Failures, st.Reopened = t.commits, t.changes, t.failures, t.reopened
	st.SetAside = s.aside.Load()
	st.PinMax = s.evictor.pinMax()
	st.Used, st.Evicted = s.evictor.used.Load(), s.evictor.evicted.Load()
	if info, err := os.Stat(s.path); err == nil {
		st.File = info.Size()
	}
	// A store that can't be read now has no figures; the next read says why.
	_ = s.view(func(tx *bolt.Tx) error {
		c := readCounts(tx)
		st.Pinned = pinnedPart(st.Used, pinnedWeight(tx), c)
		st.Records, st.Bytes, st.Refused = c.records, c.bytes+c.replies, c.refused
		if k, _ := tx.Bucket(bucketRecords).Cursor().First(); len(k) == len(ID{}) {
			st.Oldest = timeOf(ID(k))
		}
		st.Free = int64(tx.DB().Stats().FreeAlloc) + max(st.File-tx.Size(), 0)
		return nil
	})
	return st
}
