package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"time"

	bolt "go.etcd.io/bbolt"
)

const (
	// readMax bounds a read transaction: pages that are freed meanwhile can't be used again before it ends.
	readMax = 5 * time.Millisecond
	// clockEvery is how many keys are visited between looks at the clock.
	clockEvery = 16
	// sliceRecords and sliceBytes bound what a scan holds in memory.
	sliceRecords = 64
	sliceBytes   = 1 << 20
)

// walk is a way through the keys of a bucket from low to below high (nil: to the end), or back, in many short read
// transactions.
type walk struct {
	bucket    []byte
	low, high []byte
	newest    bool
	done      bool
}

// end stops the walk. It returns true, for visit to return.
func (w *walk) end() bool {
	w.done = true
	return true
}

// slices visits the keys of w, slice by slice. It yields after each slice, when no transaction is open. A visit that
// returns true ends its slice. An error is the last to be yielded.
func (s *Store) slices(w *walk, visit func(tx *bolt.Tx, k, v []byte) (full bool)) iter.Seq[error] {
	w.low, w.high = bytes.Clone(w.low), bytes.Clone(w.high)
	return func(yield func(error) bool) {
		for !w.done {
			err := s.view(func(tx *bolt.Tx) error {
				w.slice(tx, visit)
				return nil
			})
			w.done = w.done || err != nil
			if !yield(err) {
				return
			}
		}
	}
}

func (w *walk) slice(tx *bolt.Tx, visit func(tx *bolt.Tx, k, v []byte) bool) {
	c := tx.Bucket(w.bucket).Cursor()
	deadline := time.Now().Add(readMax)
	n := 0
	for k, v := w.first(c); w.within(k); k, v = w.next(c) {
		w.pass(k)
		if visit(tx, k, v) {
			return
		}
		if n++; n%clockEvery == 0 && time.Now().After(deadline) {
			return
		}
	}
	w.done = true
}

func (w *walk) first(c *bolt.Cursor) (k, v []byte) {
	if !w.newest {
		return c.Seek(w.low)
	}
	if w.high != nil {
		if k, _ := c.Seek(w.high); k != nil {
			return c.Prev()
		}
	}
	return c.Last()
}

func (w *walk) next(c *bolt.Cursor) (k, v []byte) {
	if w.newest {
		return c.Prev()
	}
	return c.Next()
}

func (w *walk) within(k []byte) bool {
	return k != nil && bytes.Compare(k, w.low) >= 0 && (w.high == nil || bytes.Compare(k, w.high) < 0)
}

// pass moves the bound behind k, where the next slice begins.
func (w *walk) pass(k []byte) {
	if w.newest {
		w.high = append(w.high[:0], k...)
		return
	}
	w.low = append(append(w.low[:0], k...), 0) // the lowest key above k
}

// after is the lowest key above all that begin with prefix; nil when there is none.
func after(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < math.MaxUint8 {
			high := bytes.Clone(prefix[:i+1])
			high[i]++
			return high
		}
	}
	return nil
}

// Query chooses records. Empty fields choose all.
type Query struct {
	Source  string
	Verdict Verdict
	Session string // name
	// Since and Until bound Record.Time: at or after the one, before the other.
	Since, Until time.Time
	// After goes on behind a record: only later ones, or with Newest only earlier ones.
	After  ID
	Newest bool // newest first, else oldest first
	NoRaw  bool // leave out the inline bytes of Record.Raw
}

// Records goes through the records that q chooses, in the order of their ids. It sees those committed before it
// began, and perhaps later ones. A record that is damaged comes as an error that names it and wraps ErrDamaged; the
// next ones follow. An error of another kind is the last to come; it wraps ErrNotFound when there is no such session.
func (s *Store) Records(q Query) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		w, err := s.recordWalk(&q)
		if err != nil {
			yield(nil, err)
			return
		}
		page := recordPage{q: &q}
		for err := range s.slices(&w, page.visit) {
			for _, f := range page.found {
				if !yield(f.record, f.err) {
					return
				}
			}
			clear(page.found)
			page.found, page.size = page.found[:0], 0
			if err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

// recordWalk chooses the shortest way to the records that q asks for.
func (s *Store) recordWalk(q *Query) (w walk, err error) {
	w.bucket = bucketRecords
	var prefix []byte
	switch {
	case q.Session != "":
		if w, err = s.sessionWalk(q.Session); err != nil {
			return w, err
		}
		prefix = w.low
	case indexed(q.Verdict):
		w.bucket, prefix = bucketByVerdict, appendName(nil, string(q.Verdict))
	case q.Source != "":
		w.bucket, prefix = bucketBySource, appendName(nil, q.Source)
	}
	w.low, w.high, w.newest = prefix, after(prefix), q.Newest
	s.countMu.Lock()
	skew := s.skew
	s.countMu.Unlock()
	if !q.Since.IsZero() {
		id := floorID(q.Since.Add(-skew.lead()))
		w.low = append(bytes.Clone(prefix), id[:]...)
	}
	if !q.Until.IsZero() {
		id := floorID(q.Until.Add(skew.lag() + time.Millisecond))
		w.high = append(bytes.Clone(prefix), id[:]...)
	}
	if q.After == (ID{}) {
		return w, nil
	}
	bound := append(bytes.Clone(prefix), q.After[:]...)
	if q.Newest {
		if w.high == nil || bytes.Compare(bound, w.high) < 0 {
			w.high = bound
		}
	} else if bound = append(bound, 0); bytes.Compare(bound, w.low) > 0 {
		w.low = bound
	}
	return w, nil
}

func (q *Query) match(f *recordFacts) bool {
	return (q.Source == "" || q.Source == f.Source) &&
		(q.Verdict == "" || q.Verdict == f.Verdict) &&
		(q.Since.IsZero() || f.Time >= q.Since.UnixNano()) &&
		(q.Until.IsZero() || f.Time < q.Until.UnixNano())
}

// recordPage is what one slice found.
type recordPage struct {
	q       *Query
	found   []foundRecord
	size    int
	members membership
}

type foundRecord struct {
	record *Record
	err    error
}

func (p *recordPage) visit(tx *bolt.Tx, k, v []byte) (full bool) {
	id := ID(k[len(k)-len(ID{}):])
	if len(k) > len(id) {
		v = tx.Bucket(bucketRecords).Get(id[:])
	}
	r, err := readRecord(tx, id, v, p.q)
	if r != nil {
		r.Session = p.members.names(tx, id)
	}
	if r == nil && err == nil {
		return false
	}
	p.found = append(p.found, foundRecord{r, err})
	if r != nil {
		p.size += len(r.Raw.Inline)
	}
	return len(p.found) >= sliceRecords || p.size >= sliceBytes
}

// readRecord reads a record and its answer; nil when q does not choose it.
func readRecord(tx *bolt.Tx, id ID, value []byte, q *Query) (*Record, error) {
	var facts recordFacts
	raw, err := unpack(id[:], value, &facts)
	if err != nil {
		return nil, fmt.Errorf("record %s: %w: %w", id, ErrDamaged, err)
	}
	if !q.match(&facts) {
		return nil, nil
	}
	r := facts.record(id)
	if q.NoRaw {
		raw = nil
	}
	r.Raw = rawOf(raw, facts.Pieces, facts.Size)
	late, err := readLateAnswer(tx, id)
	if err != nil {
		r.Damage = fmt.Errorf("answer of record %s: %w: %w", id, ErrDamaged, err)
	}
	if late != nil {
		r.Answer = late
	}
	return r, nil
}

func readLateAnswer(tx *bolt.Tx, id ID) (*Answer, error) {
	var key [20]byte
	k := appendNumbered(key[:0], id, lateAnswer)
	value := tx.Bucket(bucketAttempts).Get(k)
	if value == nil {
		return nil, nil
	}
	var facts answerFacts
	if _, err := unpack(k, value, &facts); err != nil {
		return nil, err
	}
	return facts.answer(), nil
}

// Get returns a record with its answer. The error wraps ErrNotFound or ErrDamaged.
func (s *Store) Get(id ID) (r *Record, err error) {
	err = s.view(func(tx *bolt.Tx) (err error) {
		value := tx.Bucket(bucketRecords).Get(id[:])
		if value == nil {
			return fmt.Errorf("record %s: %w", id, ErrNotFound)
		}
		if r, err = readRecord(tx, id, value, &Query{}); err == nil {
			r.Session = new(membership).names(tx, id)
		}
		return err
	})
	return r, err
}

// Attempts are those made with a record, in the order of their numbers. A damaged one is left out, and the error
// wraps ErrDamaged.
func (s *Store) Attempts(id ID) (all []Attempt, err error) {
	var damaged error
	w := walk{bucket: bucketAttempts, low: appendNumbered(nil, id, lateAnswer+1), high: after(id[:])}
	size := 0
	for err := range s.slices(&w, func(_ *bolt.Tx, k, v []byte) bool {
		number := binary.BigEndian.Uint32(k[len(id):])
		var facts attemptFacts
		response, err := unpack(k, v, &facts)
		if err != nil {
			damaged = fmt.Errorf("attempt %d of record %s: %w: %w", number, id, ErrDamaged, err)
			return false
		}
		all = append(all, facts.attempt(id, int(number), response))
		size += len(response)
		return size/sliceBytes > (size-len(response))/sliceBytes
	}) {
		if err != nil {
			return all, err
		}
	}
	return all, damaged
}
