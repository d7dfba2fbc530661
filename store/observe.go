package store

import "time"

// Observer is told what was committed, for metrics. Its functions are called by the committer, which waits for them:
// they must be quick and must not call the store. Nil functions are not called.
type Observer struct {
	Committed func(Committed)
	// Settled gets each delivery that came to a state other than Pending, as it is now.
	Settled func(Delivery)
}

// Committed is one transaction.
type Committed struct {
	Changes int           // how many it wrote
	Bytes   int           // that these kept in memory: about what they write
	Took    time.Duration // from its beginning until it was on the disk
	Writing time.Duration // of that, writing to the file and syncing it
}

// Observe has o told of commits from now on, in the place of the observer before.
func (s *Store) Observe(o Observer) { s.observer.Store(&o) }

// observe tells of a transaction that was committed.
func (s *Store) observe(t *txn, group []*Commit, took time.Duration) {
	o := s.observer.Load()
	if o == nil {
		return
	}
	if o.Committed != nil {
		stats := t.Stats()
		c := Committed{Took: took, Writing: stats.GetWriteTime()}
		for _, one := range group {
			if one.change != nil && one.err == nil {
				c.Changes++
				c.Bytes += one.size
			}
		}
		o.Committed(c)
	}
	if o.Settled != nil {
		for _, d := range t.settled {
			o.Settled(d)
		}
	}
}
