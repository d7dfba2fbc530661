package store

import (
	"errors"
	"fmt"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
)

// At any instant the file may be truncated by somebody else, or its disk fail, and then bbolt panics wherever it looks at
// mapped memory. Locks that it holds at that moment are never released: each reader begins under bbolt's metalock, which
// the end of a reader and the commit of a writer take too. From then on nobody may wait for them. The file stays mapped,
// is never closed through bbolt, and goroutines that are stuck in bbolt are left behind.

// errLost says that bbolt's locks were lost.
var errLost = fmt.Errorf("%w: it can't be read where each transaction begins", ErrDamaged)

// lostWait is how long a commit that was under way when bbolt's locks were lost has to end by itself. One that takes longer
// is waiting for them, or for the disk, and no longer reads the values that it was given.
const lostWait = 250 * time.Millisecond

// locks knows whether bbolt's locks of one file are lost. Its zero value is not ready: see newLocks.
type locks struct {
	begins sync.Mutex    // held while a transaction begins, and mostly while a reader ends
	lost   chan struct{} // closed when they are lost
	lose   func()        // closes it; may be called again
}

func newLocks() locks {
	lost := make(chan struct{})
	return locks{lost: lost, lose: sync.OnceFunc(func() { close(lost) })}
}

func (l *locks) areLost() bool {
	select {
	case <-l.lost:
		return true
	default:
		return false
	}
}

// view runs fn in a read transaction.
func (f *file) view(fn func(*bolt.Tx) error) error {
	return guard(func() error {
		tx, err := f.begin(false)
		if err != nil {
			return err
		}
		defer f.end(tx)
		return fn(tx)
	})
}

// update runs fn in a read-write transaction that is then committed. It returns the transaction's number too.
func (f *file) update(fn func(*bolt.Tx) error) (txid int, err error) {
	var tx *bolt.Tx
	err = guard(func() (err error) {
		if tx, err = f.begin(true); err != nil {
			return err
		}
		if err = f.hasAll(tx); err == nil {
			txid = tx.ID()
			err = fn(tx)
		}
		if err == nil {
			return f.unlessLost(tx.Commit, lostWait)
		}
		return errors.Join(err, tx.Rollback())
	})
	if panicked(err) && tx != nil && panicked(guard(tx.Rollback)) {
		f.lose() // db.Close would wait for it for ever
	}
	return txid, err
}

// hasAll makes sure that the file was not truncated: what is written behind a gap would be acknowledged, and be gone from
// the tape as soon as the file is set aside.
func (f *file) hasAll(tx *bolt.Tx) error {
	info, err := f.os.Stat()
	if err != nil {
		return err
	}
	if err := checkEnd(info.Size(), tx.Size()); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}

// begin begins a transaction. When bbolt panics in there, its locks are lost.
func (f *file) begin(writable bool) (tx *bolt.Tx, err error) {
	f.begins.Lock()
	defer f.begins.Unlock()
	if f.areLost() {
		return nil, errLost
	}
	defer func() {
		if tx == nil && err == nil {
			f.lose()
		}
	}()
	return f.db.Begin(writable)
}

// end ends a read transaction. It does not wait for one that is about to begin: that one may be waiting for a writer that
// maps the file anew, which in turn waits for this reader.
func (f *file) end(tx *bolt.Tx) {
	if !f.begins.TryLock() {
		_ = f.unlessLost(tx.Rollback, 0)
		return
	}
	defer f.begins.Unlock()
	if !f.areLost() {
		_ = tx.Rollback()
	}
}

// unlessLost runs fn, which takes bbolt's locks. When they are lost, it waits a little longer and then leaves fn behind.
func (f *file) unlessLost(fn func() error, wait time.Duration) error {
	done := make(chan error, 1)
	go func() { done <- guard(fn) }()
	select {
	case err := <-done:
		return err
	case <-f.lost:
	}
	select {
	case err := <-done:
		return err
	case <-time.After(wait):
		return errLost
	}
}
