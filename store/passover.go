package store

import "bytes"

// unreadablesMax is how many unreadable deliveries Ready finds at once.
const unreadablesMax = 256

// unreadable is a pending delivery whose row can't be read, or is not there.
type unreadable struct {
	of    Delivery // only Record, Source and Target
	ready []byte   // its key in the bucket ready
	err   error
}

// passOver takes deliveries whose rows can't be read out of the line, so that those behind them with the same key go on.
// They stay in the index of the pending ones, where lists name them, and retention keeps their records, for Salvage.
func (s *Store) passOver(damaged []unreadable) error {
	var commits []*Commit
	for i := range damaged {
		c, err := s.queue.enter(0)
		if err != nil {
			return damaged[i].err // open for reading only
		}
		s.queue.fill(c, &passOverChange{unreadable: damaged[i]}, 0, nil)
		commits = append(commits, c)
	}
	for i, c := range commits {
		if c.Wait() != nil {
			return damaged[i].err
		}
	}
	return nil
}

// tellPassedOver logs each delivery that will not be made.
func (s *Store) tellPassedOver(damaged []unreadable) {
	for _, u := range damaged {
		s.options.Log("damaged delivery will not be made, later ones with its key go on", "record", u.of.Record,
			"source", u.of.Source, "target", u.of.Target, "error", u.err)
	}
}

type passOverChange struct{ unreadable }

func (c *passOverChange) apply(t *txn) error {
	if err := t.Bucket(bucketReady).Delete(c.ready); err != nil {
		return err
	}
	t.passed = append(t.passed, c.unreadable)
	if prefix := t.firstOfKey(&c.of); prefix != nil {
		return t.promote(prefix, &c.of)
	}
	return nil
}

func (c *passOverChange) release(error) {}

// firstOfKey is the waitingKey of a delivery that is the first of its key; nil when it is the first of none. It is looked
// for by the record, since the key itself stands in the row, which can't be read.
func (t *txn) firstOfKey(d *Delivery) []byte {
	target := appendTargetKey(nil, d.Source, d.Target)
	c := t.Bucket(bucketWaiting).Cursor()
	for k, v := c.Seek(target); bytes.HasPrefix(k, target) && len(k) > len(target)+waitingHash; {
		prefix := bytes.Clone(k[:len(target)+waitingHash])
		if k[len(prefix)] == waitingFirst && bytes.Equal(v, d.Record[:]) {
			return prefix
		}
		k, v = c.Seek(after(prefix))
	}
	return nil
}
