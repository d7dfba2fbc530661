package store

import (
	"runtime"
	"slices"
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
	// A late change waits for others to be written with, lateMin at least and lateMax at most, or until there are lateCount.
	// In between it joins the next group but starts none: a change that came during that commit would wait for its end.
	lateMin   = 5 * time.Millisecond
	lateMax   = 20 * time.Millisecond
	lateCount = 512
)

// order says when a change may be written.
type order int

const (
	inTurn order = iota // behind all that entered before it
	ahead               // the same, but it may overtake late ones: it has nothing to do with them
	late                // behind all that entered before it; up to lateMax later, unless somebody waits for it
)

// Commit is a change on its way to the disk.
type Commit struct {
	id     ID
	size   int // bytes that it keeps in memory
	order  order
	queue  *queue // nil: it never came into one
	filled bool
	whole  bool   // no late change from before it is missing in its group. Committer only
	change change // nil: nothing to write, only its place in the queue counts
	first  ID     // the record that this one repeats; zero: none
	stale  bool   // a delivery was not in the state that it was to be changed from
	err    error
	done   sync.WaitGroup
}

// Wait returns when the change is on the disk (nil), or is known not to be (why). It may be called again, and from
// several goroutines.
func (c *Commit) Wait() error {
	if c.order == late {
		c.queue.hurry()
	}
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

// queue keeps the changes in the order in which they were given their ids, and gives them to the committer in groups.
// Late ones, which nobody waits for, stay in line while others are taken: many of them together write each page once,
// and the others are on the disk sooner.
type queue struct {
	now func() time.Time
	max int

	mu     sync.Mutex  // guards all below; held for moments only
	room   sync.Cond   // there may be room, or the queue was closed
	more   sync.Cond   // there may be something to take, or the queue was closed
	line   []*Commit   // those not taken, in order
	late   int         // how many of them are late
	join   bool        // the late ones are to be taken with the next that is not late
	flush  bool        // the late ones are to be taken at once
	expiry *time.Timer // sets join, and then flush; nil before the first late one
	bytes  int         // of all that is not released
	last   ID          // the last id given
	closed error       // what enter returns once the queue is closed
	group  []*Commit   // taken; the committer's until it takes again
}

func newQueue(max int, last ID, now func() time.Time) *queue {
	q := &queue{now: now, max: max, last: last}
	q.room.L, q.more.L = &q.mu, &q.mu
	return q
}

// enter gives a place and an id. It blocks while the queue is full. The caller must fill the place soon: everyone
// behind it waits. The change is written in its turn.
func (q *queue) enter(size int) (*Commit, error) { return q.enterAs(inTurn, size) }

// enterAs is enter for a change that may be written in another order.
func (q *queue) enterAs(o order, size int) (*Commit, error) {
	c := &Commit{size: size, order: o, queue: q}
	c.done.Add(1)
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.closed == nil && q.bytes > 0 && q.bytes+size > q.max {
		q.flushLate()
		q.room.Wait()
	}
	if q.closed != nil {
		return nil, q.closed
	}
	q.last = nextID(q.last, q.now())
	c.id = q.last
	q.line = append(q.line, c)
	q.bytes += size
	if o == late {
		q.countLate()
	}
	return c, nil
}

// countLate sees to it that the late ones are taken in time. The caller holds mu.
func (q *queue) countLate() {
	q.late++
	switch {
	case q.late >= lateCount:
		q.flushLate()
	case q.late > 1:
	case q.expiry == nil:
		q.expiry = time.AfterFunc(lateMin, q.expire)
	default:
		q.expiry.Reset(lateMin)
	}
}

// expire is called when late ones have waited for lateMin, and then for lateMax.
func (q *queue) expire() {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.late == 0:
	case q.join:
		q.flushLate()
	default:
		q.join = true
		q.expiry.Reset(lateMax - lateMin)
	}
}

// hurry has the late ones written now.
func (q *queue) hurry() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.flushLate()
}

// flushLate has the late ones taken with the next group. The caller holds mu.
func (q *queue) flushLate() {
	if q.late > 0 {
		q.flush = true
		q.more.Signal()
	}
}

// newID gives an id without a place.
func (q *queue) newID() ID {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.last = nextID(q.last, q.now())
	return q.last
}

// fill puts a change into its place, and says how many bytes it really keeps. With an error, or a nil change, the place
// only passes through the queue.
func (q *queue) fill(c *Commit, ch change, size int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bytes += size - c.size
	c.change, c.size, c.err, c.filled = ch, size, err, true
	if c.order != late || q.flush || q.line[len(q.line)-1] != c { // those behind a late one may wait for it to be filled
		q.more.Signal()
	}
}

// take returns the filled places at the head of the queue, as many as a transaction holds, without the late ones where
// these can wait, and none once the queue is closed and empty. The slice is valid until the next call.
func (q *queue) take() []*Commit {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.isReady() {
		if len(q.line) == 0 && q.closed != nil {
			return nil
		}
		q.more.Wait()
	}
	q.gather()
	n, all := q.head()
	all = all || q.join
	q.group = q.group[:0]
	rest := q.line[:0]
	for i, c := range q.line {
		switch {
		case i >= n || !all && c.order == late:
			rest = append(rest, c)
			continue
		case c.order == late:
			q.late--
		}
		q.group = append(q.group, c)
	}
	clear(q.line[len(rest):])
	q.line = rest
	q.flush, q.join = q.flush && q.late > 0, q.join && q.late > 0
	return q.group
}

// withLate is a group that was taken, together with the late changes that it had overtaken.
func (q *queue) withLate(group []*Commit) []*Commit {
	q.mu.Lock()
	defer q.mu.Unlock()
	last := group[len(group)-1].id
	rest := q.line[:0]
	for _, c := range q.line {
		if c.order != late || c.id.Compare(last) > 0 {
			rest = append(rest, c)
			continue
		}
		q.late--
		group = append(group, c)
	}
	clear(q.line[len(rest):])
	q.line = rest
	q.flush, q.join = q.flush && q.late > 0, q.join && q.late > 0
	slices.SortFunc(group, func(a, b *Commit) int { return a.id.Compare(b.id) })
	for _, c := range group {
		c.whole = true
	}
	q.group = group
	return group
}

// isReady says whether there is something to take.
func (q *queue) isReady() bool {
	n, all := q.head()
	return n > 0 && all || slices.ContainsFunc(q.line[:n], func(c *Commit) bool { return c.order != late })
}

// head is how many places at the head of the queue are filled and fit into a transaction, and whether all of them are to
// be taken, the late ones too.
func (q *queue) head() (n int, all bool) {
	all = q.flush || q.closed != nil
	for bytes := 0; n < len(q.line) && q.line[n].filled; n++ {
		if bytes += q.line[n].size; n == groupCount || bytes > groupMax && n > 0 {
			return n, true
		}
		all = all || q.line[n].order == inTurn
	}
	return n, all
}

// gather lets goroutines run that the last commit woke and that are about to enter, for as long as more of them come:
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

// close makes enter fail with err from now on. What is in line is still taken.
func (q *queue) close(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed == nil {
		q.closed = err
	}
	if q.expiry != nil {
		q.expiry.Stop()
	}
	q.room.Broadcast()
	q.more.Signal()
}

// load is how many changes are in line, and the bytes of all that is not released.
func (q *queue) load() (changes, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.line), q.bytes
}
