package store

import (
	"runtime"
	"sync"
	"time"
)

const (
	// groupMax bounds the values of one transaction, and so what a commit holds in memory and how long it takes.
	groupMax = 4 << 20
	// groupCount bounds the changes of one transaction, for the same reasons.
	groupCount = 4096
	// valueMax bounds one value.
	valueMax = 1 << 20
)

// Commit is a change on its way to the disk.
type Commit struct {
	id     ID
	size   int // bytes that it keeps in memory
	filled bool
	change change // nil: nothing to write, only its place in the queue counts
	first  ID     // the record that this one repeats; zero: none
	stale  bool   // a delivery was not in the state that it was to be changed from
	err    error
	done   sync.WaitGroup
}

// Wait returns when the change is on the disk (nil), or is known not to be (why). It may be called again, and from
// several goroutines.
func (c *Commit) Wait() error {
	c.done.Wait()
	return c.err
}

func (c *Commit) finish(err error) {
	if c.change != nil {
		c.change.release(err)
		c.change = nil
	}
	c.err = err
	c.done.Done()
}

// failed is a Commit that never came into the queue.
func failed(err error) *Commit { return &Commit{err: err} }

// queue keeps the changes in the order in which they were given their ids.
type queue struct {
	now func() time.Time
	max int

	mu     sync.Mutex // guards all below; held for moments only
	room   sync.Cond  // there may be room, or the queue was closed
	more   sync.Cond  // the first is filled, or the queue was closed
	line   []*Commit  // those not taken, in order
	bytes  int        // of those not released
	last   ID         // given
	closed error      // what enter returns once the queue is closed
	group  []*Commit  // taken; the committer's until it takes again
}

func newQueue(max int, last ID, now func() time.Time) *queue {
	q := &queue{now: now, max: max, last: last}
	q.room.L, q.more.L = &q.mu, &q.mu
	return q
}

// enter gives a place and an id. It blocks while the queue is full. The caller must fill the place soon: everyone
// behind it waits.
func (q *queue) enter(size int) (*Commit, error) {
	c := &Commit{size: size}
	c.done.Add(1)
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.closed == nil && q.bytes > 0 && q.bytes+size > q.max {
		q.room.Wait()
	}
	if q.closed != nil {
		return nil, q.closed
	}
	q.last = nextID(q.last, q.now())
	c.id = q.last
	q.line = append(q.line, c)
	q.bytes += size
	return c, nil
}

// newID gives an id without a place.
func (q *queue) newID() ID {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.last = nextID(q.last, q.now())
	return q.last
}

// fill says what the place is for, and how many bytes it really keeps. With an error, or a nil change, it only
// passes through.
func (q *queue) fill(c *Commit, ch change, size int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bytes += size - c.size
	c.change, c.size, c.err, c.filled = ch, size, err, true
	if q.line[0] == c {
		q.more.Signal()
	}
}

// take returns the filled places at the head of the queue, as many as a transaction holds, and none once the queue is
// closed and empty. The slice is valid until the next call.
func (q *queue) take() []*Commit {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.line) == 0 || !q.line[0].filled {
		if len(q.line) == 0 && q.closed != nil {
			return nil
		}
		q.more.Wait()
	}
	q.gather()
	n, bytes := 0, 0
	for n < min(len(q.line), groupCount) && q.line[n].filled {
		if bytes += q.line[n].size; bytes > groupMax && n > 0 {
			break
		}
		n++
	}
	q.group = append(q.group[:0], q.line[:n]...)
	rest := copy(q.line, q.line[n:])
	clear(q.line[rest:])
	q.line = q.line[:rest]
	return q.group
}

// gather lets those run who were woken by the last commit and are about to enter, for as long as more of them come:
// one fsync serves them all. A lone writer is not delayed by it.
func (q *queue) gather() {
	for before := -1; before < len(q.line) && q.bytes < groupMax; {
		before = len(q.line)
		q.mu.Unlock()
		runtime.Gosched()
		q.mu.Lock()
	}
}

// release makes room after the group was committed.
func (q *queue) release(group []*Commit) {
	bytes := 0
	for _, c := range group {
		bytes += c.size
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bytes -= bytes
	q.room.Broadcast()
}

// close lets nobody in any more, with err for those who try. What is in line is still taken.
func (q *queue) close(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed == nil {
		q.closed = err
	}
	q.room.Broadcast()
	q.more.Signal()
}

// load tells how much waits.
func (q *queue) load() (changes, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.line), q.bytes
}
