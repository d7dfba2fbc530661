package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"
)

// change is one thing to write. It is made by its caller and belongs to the committer from then on.
type change interface {
	// apply writes it. A *refusal must come before the first write: the transaction goes on without the change.
	// After any other error the transaction is given up. It may be called again, in a new transaction.
	apply(*txn) error
	// release gives its buffers back. err is what Commit.Wait will return.
	release(err error)
}

// refusal is the error of a change that does not fit what is on the tape.
type refusal struct{ error }

func (r *refusal) Unwrap() error { return r.error }

func refuse(format string, args ...any) error { return &refusal{fmt.Errorf(format, args...)} }

// maxFailures is how many changes of a failed group, committed one by one, may fail in a row before the disk is taken
// for the cause.
const maxFailures = 2

// unfitError is the error of a change that could not be applied for a reason other than the disk: a row that it needs is
// damaged, for example.
type unfitError struct{ error }

func (e *unfitError) Unwrap() error { return e.error }

func unfit(err error) bool {
	_, ok := errors.AsType[*unfitError](err)
	return ok
}

// tally counts what the committer did since the store was opened.
type tally struct {
	commits, changes, failures, reopened int64
	failing                              int64 // failures since the last success
	told                                 bool  // the log has the first of them
}

// run is the committer.
func (s *Store) run() {
	defer close(s.joined)
	for {
		group := s.queue.take()
		if len(group) == 0 {
			return
		}
		s.queue.release(s.commitGroup(group))
		s.writeAhead()
	}
}

// writeAhead prepares the file for more commits like the last one, after those who waited for that one were told.
func (s *Store) writeAhead() {
	top := s.evictor.used.Load() + s.evictor.free.Load()
	grown := top - s.top
	s.top = top
	if grown > 0 && grown <= aheadMost && s.file != nil && !s.options.NoSync && !s.short.Load() {
		s.file.writeAhead(s.file.top()) // read anew: a commit that seemed to fail may have reached the file since
	}
}

// commitGroup writes the changes of a group and finishes each Commit of it, in order. It returns the group, together with
// the late changes that turned out to be needed.
func (s *Store) commitGroup(group []*Commit) []*Commit {
	err := s.transact(group)
	late := errors.Is(err, errLate)
	if late || err != nil && len(group) > 1 { // committed alone, one may need a late change that the group had overtaken
		group = s.queue.withLate(group)
	}
	if late {
		err = s.transact(group)
	}
	if err != nil && len(group) > 1 {
		s.commitAlone(group)
		return group
	}
	for _, c := range group {
		c.finish(firstError(err, c.err))
	}
	return group
}

// commitAlone gives each change of a failed group a transaction of its own, so that one that can't be written fails
// alone. After maxFailures in a row the rest is not tried.
func (s *Store) commitAlone(group []*Commit) {
	failures := 0
	var last error
	for i, c := range group {
		if failures == maxFailures {
			c.finish(firstError(c.err, last))
			continue
		}
		err := s.transact(group[i : i+1])
		switch {
		case unfit(err):
		case err != nil:
			failures, last = failures+1, err
		case c.change != nil:
			failures = 0
		}
		c.finish(firstError(err, c.err))
	}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// transact writes the changes of group in one transaction. A refused change has its own error in c.err; an error
// that is returned is that of the whole group.
func (s *Store) transact(group []*Commit) error {
	changes := 0
	for _, c := range group {
		if c.change != nil {
			changes++
		}
	}
	if changes == 0 {
		return nil
	}
	if s.file == nil {
		if err := s.reopen(); err != nil {
			return s.countFailure(err)
		}
	}
	s.seeToFile()
	t := txn{skew: s.skew, roster: s.roster, pinMax: s.evictor.pinMax(), used: s.evictor.used.Load(), now: s.options.Now, short: s.short.Load(), gone: s.gone.Load(), settled: s.settled, values: s.values}
	defer func() { s.settled, s.values = reuse(t.settled), t.values[:0] }()
	began := time.Now()
	txid, err := s.file.update(func(tx *bolt.Tx) error {
		t.Tx = tx
		return t.applyAll(group)
	})
	if err == nil {
		s.adopt(&t)
		s.landed(&t, group, changes, time.Since(began))
		return nil
	}
	if errors.Is(err, errLate) {
		return err
	}
	aside := s.aside.Load()
	if t.applied || t.Tx == nil || panicked(err) {
		err = s.heal(txid, err)
	}
	if err == nil { // the commit is in the file after all, from which heal has read what adopt would take over
		s.landed(&t, group, changes, time.Since(began))
		return nil
	}
	if t.applied && s.file != nil {
		err = s.file.whyNotLarger(err)
	}
	if s.aside.Load() == aside { // else the file that failed is set aside already
		s.spoil(group, err)
	}
	if s.aside.Load() > aside && s.file != nil {
		return s.transact(group) // into the new database
	}
	if diskFull(err) && s.file != nil && s.runShort(err) {
		return s.transact(group) // now without records
	}
	return s.countFailure(err)
}

// valuesRoom is enough, in bytes, for the values without raw bytes of most groups.
const valuesRoom = 32 << 10

// reuse is s emptied for the next use, so that it keeps nothing alive.
func reuse[T any](s []T) []T {
	clear(s)
	return s[:0]
}

// heal opens the database again after transaction txid failed with cause. When the file has it nevertheless, only its last
// sync can have failed: another commit that succeeds makes it durable, and heal returns nil. A new database, in the place
// of one that was set aside, moved or removed, does not have it, whatever number its own last transaction has; and with
// txid 0 there was none to have.
func (s *Store) heal(txid int, cause error) error {
	aside, failed := s.aside.Load(), s.file.info
	if err := s.reopen(); err != nil {
		return errors.Join(cause, err)
	}
	s.countMu.Lock()
	s.tally.reopened++
	s.countMu.Unlock()
	if s.aside.Load() > aside || !os.SameFile(failed, s.file.info) || txid == 0 {
		return cause
	}
	there := 0
	if err := s.file.view(func(tx *bolt.Tx) error { there = tx.ID(); return nil }); err != nil || there < txid {
		return cause
	}
	if _, err := s.file.update(func(*bolt.Tx) error { return nil }); err != nil {
		return cause
	}
	return nil
}

// adopt takes over what a committed transaction changed of what is kept in memory.
func (s *Store) adopt(t *txn) {
	s.countMu.Lock()
	defer s.countMu.Unlock()
	s.skew, s.roster = t.skew, t.roster
	for target, n := range t.pending {
		if s.pending[target] += n; s.pending[target] == 0 {
			delete(s.pending, target)
		}
	}
}

// landed tells all who have to know that a transaction is on the disk.
func (s *Store) landed(t *txn, group []*Commit, changes int, took time.Duration) {
	s.spoiled = 0
	s.count(changes)
	s.tellEnded(t.ended)
	s.observe(t, group, took)
	s.tellPassedOver(t.passed)
	s.evictor.look(s.file, t.counts.refused > 0)
}

// count counts a transaction, which may be the first after some that failed.
func (s *Store) count(changes int) {
	s.countMu.Lock()
	failed, told := s.tally.failing, s.tally.told
	s.tally.commits++
	s.tally.changes += int64(changes)
	s.tally.failing, s.tally.told = 0, false
	s.countMu.Unlock()
	if told {
		s.options.Log("database commits again", "path", s.path, "failed", failed)
	}
}

func (s *Store) countFailure(err error) error {
	if err == nil {
		return nil
	}
	s.countMu.Lock()
	s.tally.failures++
	s.tally.failing++
	known := unfit(err) || s.short.Load() && diskFull(err) // its caller is told, or the log has it already
	tell := !s.tally.told && !known
	s.tally.told = s.tally.told || tell
	s.countMu.Unlock()
	if tell {
		s.options.Log("database could not commit", "path", s.path, "error", err)
	}
	return fmt.Errorf("commit: %w", err)
}

// txn is the transaction of a group, and what must be counted once it is committed.
type txn struct {
	*bolt.Tx
	cursors            map[string]*bolt.Cursor // those that seek has opened, by bucket
	key                []byte                  // scratch: bbolt copies keys
	values             []byte                  // room for values: bbolt keeps what it is given until the transaction ends
	pending            map[string]int          // change of deliveries in state Pending, by target key
	counts             counts                  // change of what is on the tape
	skew               skew
	skewed             bool
	settled            []Delivery   // that came to a state other than Pending
	passed             []unreadable // deliveries that were passed over
	short              bool         // no records can be taken: the disk is full
	gone               bool         // the same: the file is not at its path
	roster             roster
	sessions           map[uint32]sessionCount // change of what is in each session
	pins               int64                   // change of what all records in sessions weigh
	pinMax             int64                   // how many bytes of the file they may take; 0: any
	used               int64                   // bytes of the file that are taken
	pinFull, pinLooked bool                    // they have reached pinMax; that was looked at
	ended              []string                // sessions whose capturing ended for want of room
	now                func() time.Time

	applied bool // all changes are written: what fails from here on is the commit
}

func (t *txn) applyAll(group []*Commit) error {
	for _, c := range group {
		if c.change == nil {
			continue
		}
		if c.err = c.change.apply(t); c.err == nil {
			continue
		}
		if _, refused := errors.AsType[*refusal](c.err); !refused {
			err := c.err
			c.err = nil
			return &unfitError{err}
		}
	}
	if err := t.writeCounts(); err != nil {
		return err
	}
	t.applied = true
	return nil
}

// writeCounts keeps what must outlive the transaction.
func (t *txn) writeCounts() error {
	if err := t.counts.write(t.Tx); err != nil {
		return err
	}
	if err := t.writeSessions(); err != nil || !t.skewed {
		return err
	}
	return t.skew.write(t.Tx)
}

// seek is Cursor.Seek in a bucket, with one cursor for the whole transaction: it allocates less than one for each key.
func (t *txn) seek(bucket, key []byte) (k, v []byte) {
	c := t.cursors[string(bucket)]
	if c == nil {
		if t.cursors == nil {
			t.cursors = map[string]*bolt.Cursor{}
		}
		c = t.Bucket(bucket).Cursor()
		t.cursors[string(bucket)] = c
	}
	return c.Seek(key)
}

// get is Bucket.Get by seek.
func (t *txn) get(bucket, key []byte) []byte {
	if k, v := t.seek(bucket, key); bytes.Equal(k, key) {
		return v
	}
	return nil
}

// delete is Bucket.Delete by seek.
func (t *txn) delete(bucket, key []byte) error {
	if k, _ := t.seek(bucket, key); !bytes.Equal(k, key) {
		return nil
	}
	return t.cursors[string(bucket)].Delete()
}

// keep is a copy of v that lasts as long as the transaction.
func (t *txn) keep(v []byte) []byte {
	if len(v) > valuesRoom/8 {
		return bytes.Clone(v)
	}
	if cap(t.values)-len(t.values) < len(v) { // values in the old room stay valid
		t.values = make([]byte, 0, valuesRoom)
	}
	at := len(t.values)
	t.values = append(t.values, v...)
	return t.values[at:len(t.values):len(t.values)]
}

// tail is a bucket whose keys only grow, or nearly: pages are filled to the brim.
func (t *txn) tail(name []byte) *bolt.Bucket {
	b := t.Bucket(name)
	b.FillPercent = 1
	return b
}
