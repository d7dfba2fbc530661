package store

import (
	"bytes"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// rebuildGroup is how many records are put into the indexes in one transaction.
const rebuildGroup = 1000

// rebuild makes the indexes and counts of a tape that has only rows: records, pieces, attempts, deliveries, sessions and
// their members. What belongs to no record is taken away.
func (s *salvage) rebuild() error {
	if _, err := s.into.file.update(emptySessions); err != nil {
		return err
	}
	after := []byte{}
	for after != nil {
		t := txn{skew: s.into.skew}
		_, err := s.into.file.update(func(tx *bolt.Tx) (err error) {
			t.Tx = tx
			if after, err = s.index(&t, after); err != nil {
				return err
			}
			return t.writeCounts()
		})
		if err != nil {
			return err
		}
		s.into.skew = t.skew
	}
	_, err := s.into.file.update(func(tx *bolt.Tx) error {
		return errors.Join(s.orphans(tx, bucketAttempts), s.orphans(tx, bucketDeliveries), s.orphans(tx, bucketMembers), s.markUnused(tx))
	})
	return err
}

// index puts the next records into the indexes and returns the last of them; nil when there are no more.
func (s *salvage) index(t *txn, after []byte) ([]byte, error) {
	c := t.Bucket(bucketRecords).Cursor()
	k, v := c.Seek(after)
	if bytes.Equal(k, after) {
		k, v = c.Next()
	}
	for n := 0; k != nil; k, v = c.Next() {
		if err := s.indexRecord(t, ID(k), v); err != nil {
			return nil, err
		}
		if n++; n == rebuildGroup {
			return bytes.Clone(k), nil
		}
	}
	return nil, nil
}

func (s *salvage) indexRecord(t *txn, id ID, value []byte) error {
	var facts recordFacts
	if _, err := unpack(id[:], value, &facts); err != nil {
		return err
	}
	s.done.Records++
	var answer int64
	if facts.Answer != nil {
		answer = facts.Answer.Size
	}
	count, replies := newCounts(facts.Verdict, facts.Size, answer), t.counts.replies
	t.counts.add(count)
	t.observe(id, facts.Time/1e6)
	if err := t.index(id, facts.Source, facts.Verdict); err != nil {
		return err
	}
	raws := []Raw{rawOf(nil, facts.Pieces, facts.Size)}
	if facts.Answer != nil {
		raws = append(raws, facts.Answer.answer().Raw)
	}
	raws, err := s.indexReplies(t, id, raws)
	if err != nil {
		return err
	}
	for _, raw := range raws {
		if !wholePieces(t.Tx, raw) {
			s.done.Incomplete++
			break
		}
	}
	count.replies = t.counts.replies - replies
	return errors.Join(t.rejoin(id, count), s.indexDeliveries(t, id))
}

// emptySessions sets the counts of the sessions that were found to zero, since their records are counted anew.
func emptySessions(tx *bolt.Tx) error {
	if tx.Bucket(bucketSessions) == nil && tx.Bucket(bucketMembers) == nil {
		return nil
	}
	t := txn{Tx: tx}
	if err := t.makeSessionBuckets(); err != nil {
		return err
	}
	found := map[uint32]*sessionFacts{}
	var last uint32
	if err := eachSession(tx, func(number uint32, f *sessionFacts, err error) {
		found[number], last = f, max(last, number) // its checksum held when it was copied
	}); err != nil {
		return err
	}
	for number, f := range found {
		f.Records, f.Bytes = 0, 0
		if err := t.putSession(number, f); err != nil {
			return err
		}
	}
	return tx.Bucket(bucketSessions).SetSequence(uint64(last))
}

// rejoin puts a record into the index of its sessions. A session whose own row is lost gets a new row and name.
func (t *txn) rejoin(id ID, c counts) error {
	var errs []error
	in := false
	eachMember(t.Tx, id, func(number uint32) {
		in = true
		if _, err := readSessionRow(t.Tx, number); err != nil {
			b := t.Bucket(bucketSessions)
			errs = append(errs, b.SetSequence(max(b.Sequence(), uint64(number))),
				t.putSession(number, &sessionFacts{Name: fmt.Sprint("salvaged-", number), Created: nanos(timeOf(id))}))
		}
		t.key = appendBySessionKey(t.key[:0], number, id)
		errs = append(errs, t.Bucket(bucketBySession).Put(t.key, nil))
		t.countSession(number, sessionCount{1, c.bytes + c.replies})
	})
	if in {
		t.pins += c.weight()
	}
	return errors.Join(errs...)
}

func (s *salvage) indexReplies(t *txn, id ID, raws []Raw) ([]Raw, error) {
	c := t.Bucket(bucketAttempts).Cursor()
	for k, v := c.Seek(id[:]); bytes.HasPrefix(k, id[:]) && len(k) == len(id)+4; k, v = c.Next() {
		kept, err := readReplies(k, v)
		if err != nil {
			return raws, err
		}
		if n, _ := numberOf(k, id); n != lateAnswer {
			s.done.Attempts++
		}
		t.counts.replies += sizeOfAll(kept)
		raws = append(raws, kept...)
	}
	return raws, nil
}

func (s *salvage) indexDeliveries(t *txn, id ID) error {
	c := t.Bucket(bucketDeliveries).Cursor()
	for k, v := c.Seek(id[:]); bytes.HasPrefix(k, id[:]); k, v = c.Next() {
		d, err := readDelivery(bytes.Clone(k), v)
		if err != nil {
			return err
		}
		s.done.Deliveries++
		if d.State == Pending {
			s.done.Pending++
		}
		if err := t.enlist(d); err != nil {
			return err
		}
	}
	return nil
}

// wholePieces says whether all the pieces of raw are there.
func wholePieces(tx *bolt.Tx, raw Raw) bool {
	if raw.Pieces == (ID{}) {
		return true
	}
	n := uint32((raw.Size + pieceSize - 1) / pieceSize)
	for i := range n {
		if tx.Bucket(bucketPieces).Get(appendNumbered(nil, raw.Pieces, i)) == nil {
			return false
		}
	}
	return true
}

// orphans deletes the rows of a bucket whose record is not there.
func (s *salvage) orphans(tx *bolt.Tx, bucket []byte) error {
	var gone [][]byte
	if tx.Bucket(bucket) == nil {
		return nil
	}
	c := tx.Bucket(bucket).Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		if tx.Bucket(bucketRecords).Get(k[:len(ID{})]) == nil {
			gone = append(gone, bytes.Clone(k))
		}
	}
	s.done.Lost += len(gone)
	for _, k := range gone {
		if err := tx.Bucket(bucket).Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// markUnused marks the pieces that nothing refers to, so that the next Open sweeps them.
func (s *salvage) markUnused(tx *bolt.Tx) error {
	used := map[ID]bool{}
	note := func(raw Raw) {
		if raw.Pieces != (ID{}) {
			used[raw.Pieces] = true
		}
	}
	c := tx.Bucket(bucketRecords).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		var facts removalFacts
		if _, err := unpack(k, v, &facts); err != nil {
			return err
		}
		note(rawOf(nil, facts.Pieces, facts.Size))
		if facts.Answer != nil {
			note(rawOf(nil, facts.Answer.Pieces, facts.Answer.Size))
		}
	}
	c = tx.Bucket(bucketAttempts).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		raws, err := readReplies(k, v)
		if err != nil {
			return err
		}
		for _, raw := range raws {
			note(raw)
		}
	}
	c = tx.Bucket(bucketPieces).Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		if id := ID(k[:len(ID{})]); !used[id] {
			used[id] = true
			if err := tx.Bucket(bucketUploads).Put(id[:], nil); err != nil {
				return err
			}
		}
	}
	return nil
}
