package store

import (
	"os"

	bolt "go.etcd.io/bbolt"
)

// Stats are figures for people and metrics. Those since the store was opened begin at zero.
type Stats struct {
	Records int64 // on the tape
	Bytes   int64 // of their requests, without answers and attempts
	Pending int   // deliveries, to all targets
	File    int64 // size of the file
	Free    int64 // bytes inside the file that can be used again

	Commits  int64 // transactions committed since the store was opened
	Changes  int64 // in them
	Failures int64 // transactions that failed
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
	if info, err := os.Stat(s.path); err == nil {
		st.File = info.Size()
	}
	// A store that can't be read now has no figures; the next read says why.
	_ = s.view(func(tx *bolt.Tx) error {
		st.Records = int64(tx.Bucket(bucketRecords).Sequence())
		st.Bytes = int64(tx.Bucket(bucketBySource).Sequence())
		st.Free = int64(tx.DB().Stats().FreeAlloc) + max(st.File-tx.Size(), 0)
		return nil
	})
	return st
}
