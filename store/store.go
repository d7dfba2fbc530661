// Package store keeps the tape: records, their deliveries and attempts, in one bbolt file.
//
// Everything that changes the file goes through one goroutine, the committer:
//
//	Append, Settle, PutMeta, Spool.Write          many goroutines
//	  → enter the queue     id and place are given under one mutex; blocks while the queue is full
//	  → fill                render the answer, encode, checksum: outside the mutex, side by side
//	  → commit              the committer takes all that is filled, in order, up to 4 MiB: one
//	                        transaction with its fsync, and tells every Commit of it
//	                        changes that nobody waits for are held back some milliseconds, to be written together
//
// Refused requests and handshakes that come too fast for a record each are rolled up: one record counts many of them
// (see Record).
//
// Once Commit.Wait has returned nil, the change is on the disk and survives a kill at any instant and a power cut. Reads
// run beside the committer in short read transactions and see what is committed; Sync waits for what is queued.
// All bytes and strings that the store returns are the caller's own.
package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Options say how a store is opened. The zero value opens it for reading and writing.
type Options struct {
	// ReadOnly opens an existing database to be read, beside other readers. Writes return ErrReadOnly.
	ReadOnly bool
	// Timeout bounds the wait for another process to let go of the file. Zero means 100 ms.
	Timeout time.Duration
	// Log is told what an operator should know: a lower-case phrase, then key-value pairs. Nil drops it.
	Log func(msg string, keyvals ...any)
	// Now tells the time for ids. Nil means time.Now.
	Now func() time.Time
	// Retention bounds the tape from the start. The zero value keeps everything.
	Retention Retention
	// Reserve is how many bytes of the disk are held back in PATH.reserve, so that outcomes and deletions can still be
	// written when it is full. Zero holds nothing back.
	Reserve int64
	// SetAside renames a damaged database to PATH.damaged-TIME and goes on with a new one, when Open finds the damage or
	// when records can't be appended any more. Without it, such errors wrap ErrDamaged.
	SetAside bool
	// NoSync skips every fsync: what was committed survives a kill, but not a power cut. For tests only.
	NoSync bool
}

const (
	defaultTimeout = 100 * time.Millisecond
	// queueMax bounds the bytes that wait for the committer. Four groups: one being written, and enough behind it to
	// keep the disk busy.
	queueMax = 4 * groupMax
)

// Store is an open database. Its methods may be called from many goroutines at once.
type Store struct {
	path    string
	options Options
	newest  time.Time // when the newest record came, as of Open
	queue   *queue
	joined  chan struct{} // closed when the committer has returned

	// fileMu is held for reading by every read transaction, for writing while the file is opened again after an
	// error or closed. The committer reads file without it: nobody else changes it before the committer is gone.
	fileMu sync.RWMutex
	file   *file
	opened fs.FileInfo // the file that was last opened as a tape
	closed error       // why file is nil

	observer atomic.Pointer[Observer] // nil: nobody

	// countMu guards what is counted in memory.
	countMu sync.Mutex
	pending map[string]int // deliveries in state Pending, by target key
	skew    skew
	roster  roster
	tally   tally

	evictor *evictor

	short    atomic.Bool  // the disk is full: no records are taken
	capped   atomic.Bool  // the same, because the file may not grow, whatever room the disk has
	gone     atomic.Bool  // the file is not at its path: no records are taken
	backupMu sync.Mutex   // held while a backup is made
	sweepMu  sync.Mutex   // held while deleted sessions are swept
	aside    atomic.Int64 // damaged databases that were set aside
	settled  []Delivery   // reused by each transaction for txn.settled. Committer only
	values   []byte       // reused by each transaction for txn.values. Committer only
	top      int64        // where the pages that bbolt uses end, as of the last commit. Committer only
	spoiled  int          // appends in a row that failed inside bbolt, each in a file just opened. Committer only
	damage   damage       // what was found last. Committer only
	renamed  bool         // a new tape took the place of a damaged one, and a power cut may still undo that. Committer only
	reopened atomic.Int64 // times that the file was closed, or is about to be: a running backup gives way to that
}

// Open opens the database at path, and makes it when there is none. Pieces whose record never came are swept. A database
// of an earlier format is migrated, and a copy of it as it was is kept beside it.
//
// The error is a *LockedError when another process still has the database open after the timeout, a *NewerError when its
// format is a later one, and with ReadOnly an *OlderError when it is an earlier one. It wraps ErrDamaged when the database
// can't be read, ErrNoTape when the file is something else, and with ReadOnly fs.ErrNotExist when there is none.
func Open(path string, o Options) (*Store, error) {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Store{path: path, options: o, joined: make(chan struct{}), pending: map[string]int{}}
	s.evictor = newEvictor(o.Retention)
	last, err := s.begin()
	if at, ok := err.(*fs.PathError); ok && at.Path == path {
		err = at.Err // the path is named below
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	s.newest = timeOf(last)
	s.queue = newQueue(queueMax, last, o.Now)
	if o.ReadOnly {
		s.queue.close(ErrReadOnly)
		close(s.joined)
		close(s.evictor.joined)
		return s, nil
	}
	s.evictor.look(s.file, true)
	s.keepReserve()
	go s.run()
	go s.evict()
	return s, nil
}

// begin loads the file, after what only Open does: it makes a database where there is none, and deletes pieces whose
// record never came. When the file is opened again after an error, a missing database stays missing, and such pieces
// belong to spools.
func (s *Store) begin() (last ID, err error) {
	if s.options.ReadOnly {
		return s.load()
	}
	if err := create(s.path, s.options); err != nil {
		return ID{}, err
	}
	if last, err = s.load(); err != nil {
		return ID{}, err
	}
	_ = os.Remove(s.path + nextMark) // left by a process that was killed: it is made under the lock that we have now
	swept, err := s.file.sweep()
	if diskFull(err) { // pieces that nobody reads can wait
		s.runShort(err)
		err = nil
	}
	if swept > 0 {
		s.options.Log("removed bodies whose record was never completed", "bodies", swept)
	}
	if err != nil {
		s.file.close()
	}
	return last, err
}

// load opens the file and builds what is kept in memory. It returns the newest id.
func (s *Store) load() (last ID, err error) {
	if err := s.keepName(); err != nil {
		return ID{}, err
	}
	before, statErr := os.Stat(s.path)
	cause := s.damage.of(before, s.options.Now())
	if cause == nil {
		last, err = s.loadFile()
		if errors.Is(err, ErrNoTape) && statErr == nil && s.opened != nil && os.SameFile(before, s.opened) {
			err = fmt.Errorf("%w: what was a tape is %w", ErrDamaged, err) // truncated, and then filled by writeAhead
		}
		if statErr != nil || !errors.Is(err, ErrDamaged) {
			return last, err
		}
		cause, s.damage = err, damage{before, err, s.options.Now()}
	}
	if !s.options.SetAside {
		return ID{}, cause
	}
	if err := s.setAside(before, cause); err != nil {
		return ID{}, err
	}
	return s.loadFile()
}

func (s *Store) loadFile() (last ID, err error) {
	f, err := openFile(s.path, s.options)
	if err != nil {
		return ID{}, err
	}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	var pending map[string]int
	var lag skew
	var sessions roster
	err = f.view(func(tx *bolt.Tx) error {
		pending = countPending(tx)
		lag = readSkew(tx)
		sessions = readRoster(tx)
		if k, _ := tx.Bucket(bucketRecords).Cursor().Last(); len(k) == len(last) {
			last = ID(k)
		}
		return nil
	})
	if err != nil {
		return ID{}, err
	}
	s.countMu.Lock()
	s.pending, s.skew, s.roster = pending, lag, sessions
	s.countMu.Unlock()
	s.file, s.opened, s.closed = f, f.info, nil
	return last, nil
}

// Path is where the database is.
func (s *Store) Path() string { return s.path }

// Close lets the committer finish what is queued, and closes the file. Later calls return ErrClosed.
func (s *Store) Close() error {
	s.evictor.end()
	s.queue.close(ErrClosed)
	<-s.joined
	s.reopened.Add(1)
	s.fileMu.Lock()
	defer s.fileMu.Unlock()
	f := s.file
	s.file, s.closed = nil, ErrClosed
	if f == nil {
		return nil
	}
	return f.close()
}

// reopen closes the file and opens it again, so that nothing is left of a transaction that failed half-way.
// Committer only.
func (s *Store) reopen() error {
	s.reopened.Add(1)
	s.fileMu.Lock()
	defer s.fileMu.Unlock()
	if s.file != nil {
		if err := s.file.close(); err != nil {
			s.options.Log("database could not be closed", "path", s.path, "error", err)
		}
		s.file = nil
	}
	s.gone.Store(false) // what is opened is what the path names
	if _, err := s.load(); err != nil {
		s.closed = fmt.Errorf("database could not be opened again: %w", err)
		return s.closed
	}
	return nil
}

// view runs fn in a read transaction. fn must be done within readMax, must not wait, and must not call the store.
func (s *Store) view(fn func(*bolt.Tx) error) error {
	s.fileMu.RLock()
	defer s.fileMu.RUnlock()
	if s.file == nil {
		return s.closed
	}
	return s.file.view(fn)
}

// guard runs fn, and turns a panic of bbolt or a fault in the mapped file into an error that wraps ErrDamaged.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{p}
		}
	}()
	return fn()
}

// panicError is what came out of bbolt instead of an error.
type panicError struct{ cause any }

func (e *panicError) Error() string { return fmt.Sprintf("database damaged: %v", e.cause) }
func (e *panicError) Unwrap() error { return ErrDamaged }

func panicked(err error) bool {
	_, ok := errors.AsType[*panicError](err)
	return ok
}
