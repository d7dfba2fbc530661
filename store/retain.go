package store

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Retention bounds a tape. Its zero value keeps everything.
//
// Records go in the order in which they came, a few in each transaction, beside what is committed anyway. Those that
// were refused, and handshakes, have a budget of their own, 5 % of MaxSize, and go first when they are beyond it, so that
// garbage never evicts the real tape. A record with a pending delivery stays, and so does one that is being answered, for
// up to an hour. These may let the tape grow to one and a half times MaxSize: beyond that Append returns ErrFull, since
// what was acknowledged is not given up for what was not.
//
// A record in a session stays too, whatever its age. So that there is room for what comes, the records of all sessions,
// with their answers and responses, may take half of MaxSize: beyond that sessions stop capturing, and adding to one is
// refused with ErrSessionsFull. When they take more than three quarters of MaxSize on a tape that is too large, because
// MaxSize was lowered or they got many attempts, the oldest records go, in sessions or not. The budget of refused records
// holds in sessions too.
type Retention struct {
	MaxAge  time.Duration // since a record came; zero: any
	MaxSize int64         // bytes that are taken in the file, free pages not counted; zero: any
}

const (
	// refusedShare is the part of MaxSize that refused records may weigh: one in so many.
	refusedShare = 20
	// fullShare is the part of MaxSize that the tape may take beyond it: one in so many.
	fullShare = 2
	// answeringMax is how long a record without an answer counts as being answered.
	answeringMax = time.Hour
	// evictEvery is how often we look for records that became too old while nothing was committed.
	evictEvery = 10 * time.Second
	// regainEvery is how often we look for room while the disk is full, and for a file that was moved away.
	regainEvery = time.Second
	// passEvery is how often at most records that had to stay are looked at again; passShare bounds the part of the time
	// that this takes: one in so many.
	passEvery = time.Minute
	passShare = 20
	// passFull takes the place of both while nothing can be appended: as soon as a delivery ends there may be room.
	passFull = time.Second
	// freeMuch is from how many bytes of free pages on commits are notably slower: their list is 1 MiB then, and a lone
	// commit takes twice the time.
	freeMuch = 1 << 30
	// evictAhead is how many bytes are evicted beyond what is too much, at most the part of MaxSize that aheadShare gives:
	// one in so many. Neighbours that go in one transaction share its cost: their pages are read, and written or freed,
	// once. It is about what deleteMax records of 1 KiB take.
	evictAhead = 1 << 20
	aheadShare = 64
)

// evictor finds what retention deletes. The committer deletes it, with the next group.
type evictor struct {
	retention atomic.Pointer[Retention]
	used      atomic.Int64 // bytes of the file that are taken, as of the last commit
	free      atomic.Int64 // bytes of it that are not
	full      atomic.Bool  // Append is to fail
	evicted   atomic.Int64
	wake      chan struct{}
	stop      chan struct{}
	stopOnce  sync.Once
	joined    chan struct{} // closed when its goroutine has returned

	mu       sync.Mutex    // held while records are looked for; guards what follows
	paused   time.Time     // when nothing could be deleted: a damaged page must not disturb every commit
	at       ID            // all records before it had to stay, the last time they were looked at
	passed   time.Time     // when the tape was last looked at from its beginning
	passing  time.Duration // how long looking for records has taken since
	warned   bool          // it was logged that the records of sessions take most of what they may
	spacious bool          // it was logged that most of the file is free
	ahead    [3]readahead
}

func newEvictor(r Retention) *evictor {
	e := &evictor{
		wake: make(chan struct{}, 1), stop: make(chan struct{}), joined: make(chan struct{}),
		ahead: [...]readahead{{bucket: bucketRecords}, {bucket: bucketAttempts}, {bucket: bucketDeliveries}},
	}
	e.retention.Store(&r)
	return e
}

func (e *evictor) end() {
	e.stopOnce.Do(func() { close(e.stop) })
	<-e.joined
}

// look takes note of a commit.
func (e *evictor) look(f *file, refused bool) {
	used, free := f.room()
	e.used.Store(used)
	e.free.Store(free)
	if size := e.retention.Load().MaxSize; size > 0 && (used > size || refused || e.full.Load()) {
		e.rouse()
	}
}

func (e *evictor) rouse() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// SetRetention changes how the tape is bounded, from now on.
func (s *Store) SetRetention(r Retention) {
	s.evictor.retention.Store(&r)
	s.evictor.rouse()
}

// evict runs until the store is closed.
func (s *Store) evict() {
	e := s.evictor
	defer close(e.joined)
	tick := time.NewTimer(evictEvery)
	defer tick.Stop()
	s.sweepOn()
	for {
		select {
		case <-e.stop:
			return
		case <-tick.C:
		case <-e.wake:
		}
		s.evictAll()
		s.sweepOn()
		s.regain()
		s.seeToFile()
		if s.short.Load() || s.gone.Load() {
			tick.Reset(regainEvery)
		} else {
			tick.Reset(evictEvery)
		}
	}
}

// evictAll deletes until the tape is within its bounds, or holds nothing more that may go.
func (s *Store) evictAll() {
	e := s.evictor
	e.mu.Lock()
	defer e.mu.Unlock()
	if s.options.Now().Sub(e.paused).Abs() < passEvery {
		return
	}
	e.again(s.options.Now())
	for !e.stopped() {
		now, r := s.options.Now(), *e.retention.Load()
		ch, err := s.evictable(r, now)
		if err != nil || len(ch.ids) == 0 {
			break // what can't be read now is looked at again in a while
		}
		err = s.delete(ch)
		e.evicted.Add(int64(ch.done.Records))
		if len(ch.left) > 0 && ch.left[0].Compare(e.at) < 0 { // not where they are refused ones, which e.at knows nothing of
			e.at = ch.left[0]
		}
		if errors.Is(err, ErrClosed) {
			break
		}
		if err != nil {
			s.options.Log("old records could not be deleted, will retry", "path", s.path, "error", err)
			e.paused = now
			break
		}
	}
	s.judgeFull()
	s.judgePins()
	s.judgeFree()
}

func (e *evictor) stopped() bool {
	select {
	case <-e.stop:
		return true
	default:
		return false
	}
}

// again goes back to the records that had to stay, unless that was a moment ago.
func (e *evictor) again(now time.Time) {
	wait := max(passEvery, passShare*e.passing)
	if e.full.Load() {
		wait = passFull
	}
	if since := now.Sub(e.passed); since < 0 || since >= wait {
		e.at, e.passed, e.passing = ID{}, now, 0
	}
}

// judgeFull decides whether Append takes records, once nothing more is found to evict.
func (s *Store) judgeFull() {
	e := s.evictor
	size := e.retention.Load().MaxSize
	full := size > 0 && e.used.Load() > size+size/fullShare
	if e.full.Swap(full) != full {
		msg := "tape takes records again"
		if full {
			msg = "tape is full of pending deliveries and requests under way, no more are taken"
		}
		s.options.Log(msg, "path", s.path, "used", e.used.Load(), "max-size", size)
	}
}

// judgeFree logs once when most of a large file is free pages: bbolt writes the list of them with each commit.
func (s *Store) judgeFree() {
	e := s.evictor
	used, free := e.used.Load(), e.free.Load()
	switch {
	case free < freeMuch/2:
		e.spacious = false
	case free >= freeMuch && free > used && !e.spacious:
		e.spacious = true
		s.options.Log("most of the tape's file is free, and the list of its free pages makes each commit slower; hooktape compact makes the file small again",
			"path", s.path, "free", free, "used", used)
	}
}

// evictable finds records that should go: unproven ones beyond their budget, else the oldest.
func (s *Store) evictable(r Retention, now time.Time) (*deleteChange, error) {
	ch := &deleteChange{}
	if r.MaxSize > 0 {
		ch.keep = stays(now, false)
		ids, err := s.evictableRefused(r.MaxSize/refusedShare, ch.keep, deleteMax)
		if ch.ids = ids; err != nil || len(ids) > 0 {
			return ch, err
		}
		if over := s.evictor.used.Load() - r.MaxSize; over > 0 {
			ch.enough = over + min(evictAhead, r.MaxSize/aheadShare)
		}
	}
	release := s.pinExcess(r)
	if release > 0 {
		ch.enough, s.evictor.at = release, ID{}
	}
	ch.keep = stays(now, release == 0)
	if r.MaxAge > 0 {
		ch.old = floorID(now.Add(-r.MaxAge))
	}
	return ch, s.findOldest(ch, release == 0)
}

// findOldest finds the records for ch, going on where it stopped the last time. With pins, those of sessions are passed over.
func (s *Store) findOldest(ch *deleteChange, pins bool) error {
	began := time.Now()
	defer func() { s.evictor.passing += time.Since(began) }()
	for i := range s.evictor.ahead {
		s.evictor.ahead[i].from(s, s.evictor.at[:])
	}
	owing, pins := s.owing(), pins && s.hasSessions()
	deliveries, members := rowsOf{bucket: bucketDeliveries}, rowsOf{bucket: bucketMembers}
	w := walk{bucket: bucketRecords, low: s.evictor.at[:]}
	rows := int64(0) // bytes of the rows found: the records weigh at least as much
	for err := range s.slices(&w, func(tx *bolt.Tx, k, v []byte) bool {
		id := ID(k)
		if rows >= ch.enough && id.Compare(ch.old) >= 0 || s.evictor.stopped() {
			return w.end()
		}
		if !(owing && owed(tx, &deliveries, id)) && !(pins && members.some(tx, id, anyRow)) {
			ch.ids = append(ch.ids, id) // the committer looks closer
			rows += int64(len(v))
		}
		s.evictor.at, _ = step(id, 1)
		return len(ch.ids) == deleteMax && w.end()
	}) {
		if err != nil {
			return err
		}
	}
	return nil
}

// evictableRefused finds the oldest unproven records, while all of them together weigh more than budget.
func (s *Store) evictableRefused(budget int64, stay keeper, n int) (ids []ID, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		over := readCounts(tx).refused - budget
		lists := refusedLists(tx)
		deadline := time.Now().Add(readMax)
		for over > 0 && len(ids) < n && time.Now().Before(deadline) {
			id, ok := first(lists, false)
			if !ok {
				return nil
			}
			for _, l := range lists {
				if l.id == id && l.more {
					l.read(l.cursor.Next())
				}
			}
			var facts removalFacts
			if _, err := unpack(id[:], tx.Bucket(bucketRecords).Get(id[:]), &facts); err == nil && !stay(tx, id, &facts) {
				ids = append(ids, id)
				over -= facts.counts().refused
			}
		}
		return nil
	})
	return ids, err
}

// refusedLists are the records of each unproven verdict, each list at its oldest.
func refusedLists(tx *bolt.Tx) (lists []*stateList) {
	c := tx.Bucket(bucketByVerdict).Cursor()
	for k, _ := c.First(); k != nil; {
		verdict, _, ok := cutName(k)
		if !ok {
			break
		}
		prefix := appendName(nil, verdict)
		if Verdict(verdict).unproven() {
			l := &stateList{cursor: tx.Bucket(bucketByVerdict).Cursor(), prefix: prefix}
			l.walk = walk{low: prefix, high: after(prefix)}
			l.read(l.walk.first(l.cursor))
			lists = append(lists, l)
		}
		k, _ = c.Seek(after(prefix))
	}
	return lists
}

// stays says which records retention keeps: those with a pending delivery, those that are being answered, and with pins
// those of sessions.
func stays(now time.Time, pins bool) keeper {
	deliveries, members := rowsOf{bucket: bucketDeliveries}, rowsOf{bucket: bucketMembers}
	return func(tx *bolt.Tx, id ID, facts *removalFacts) bool {
		if facts.Answer == nil && !facts.Verdict.Refused() && now.Sub(timeOf(id)) < answeringMax {
			if late, err := readLateAnswer(tx, id); late == nil || err != nil {
				return true
			}
		}
		return owed(tx, &deliveries, id) || pins && members.some(tx, id, anyRow)
	}
}

// owed says whether a delivery of the record is pending, or may be because it can't be read.
func owed(tx *bolt.Tx, deliveries *rowsOf, id ID) bool {
	return deliveries.some(tx, id, func(k, v []byte) bool {
		d, err := readDelivery(k, v)
		return err != nil || d.State == Pending
	})
}

// owing says whether any delivery is pending.
func (s *Store) owing() bool {
	s.countMu.Lock()
	defer s.countMu.Unlock()
	return len(s.pending) > 0
}
