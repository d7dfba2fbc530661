package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Ready returns up to limit deliveries that may be sent to a target at now: the longest due first, of each key only
// the first, and none for which skip (nil: skips nothing) returns true. next is when the next one is due that is not
// returned and not skipped; zero when there is none. A caller whose skip knows what is under way sees each once.
//
// skip runs inside a read transaction: it must be quick and must not call the store. A delivery whose row is damaged is
// logged and passed over for good, so that it holds up no other of its key. When that can't be written, the error says
// what is damaged, beside the deliveries that are whole.
func (s *Store) Ready(source, target string, now time.Time, limit int, skip func(ID) bool) (due []Delivery, next time.Time, err error) {
	var damaged []unreadable
	due, next, damaged, err = s.ready(source, target, now, limit, skip)
	if err != nil || len(damaged) == 0 {
		return due, next, err
	}
	if err := s.passOver(damaged); err != nil {
		return due, next, err
	}
	due, next, damaged, err = s.ready(source, target, now, limit, skip)
	if err == nil && len(damaged) > 0 { // more than unreadablesMax: the next call sees to these
		err = damaged[0].err
	}
	return due, next, err
}

// ready is Ready but for what it does with damaged rows.
func (s *Store) ready(source, target string, now time.Time, limit int, skip func(ID) bool) (due []Delivery, next time.Time, damaged []unreadable, err error) {
	prefix := appendTargetKey(nil, source, target)
	w := walk{bucket: bucketReady, low: prefix, high: after(prefix)}
	for err := range s.slices(&w, func(tx *bolt.Tx, k, _ []byte) bool {
		at := fromSortable(binary.BigEndian.Uint64(k[len(prefix):]))
		id := ID(k[len(prefix)+8:])
		if skip != nil && skip(id) {
			return false
		}
		if at.After(now) || len(due) == limit {
			next = at
			return w.end()
		}
		d, err := getDelivery(tx, &Delivery{Record: id, Source: source, Target: target})
		if err != nil {
			damaged = append(damaged, unreadable{Delivery{Record: id, Source: source, Target: target}, bytes.Clone(k), err})
			return len(damaged) == unreadablesMax && w.end()
		}
		due = append(due, *d)
		return false
	}) {
		if err != nil {
			return due, next, damaged, err
		}
	}
	return due, next, damaged, nil
}

// getDelivery reads the row of a delivery that an index says is there.
func getDelivery(tx *bolt.Tx, d *Delivery) (*Delivery, error) {
	key := deliveryKey(nil, d)
	row, err := readDelivery(key, tx.Bucket(bucketDeliveries).Get(key))
	if err == nil && row == nil {
		return nil, fmt.Errorf("delivery of %s to %q: %w: an index has it, but it is not there", d.Record, d.Target, ErrDamaged)
	}
	return row, err
}

// DeliveryQuery chooses deliveries. Empty fields choose all.
type DeliveryQuery struct {
	Source, Target string
	State          State
	// After goes on behind a record: only deliveries of later ones, or with Newest of earlier ones.
	After  ID
	Newest bool // newest record first, else oldest first
}

func (q *DeliveryQuery) match(d *Delivery) bool {
	return (q.Source == "" || q.Source == d.Source) &&
		(q.Target == "" || q.Target == d.Target) &&
		(q.State == "" || q.State == d.State)
}

// AllDeliveries goes through the deliveries that q chooses, in the order of their records. A damaged one comes as an error
// that wraps ErrDamaged, and the next ones follow; an error of another kind is the last to come.
func (s *Store) AllDeliveries(q DeliveryQuery) iter.Seq2[Delivery, error] {
	if q.State != "" && q.State != Delivered {
		return s.deliveriesByState(q)
	}
	return func(yield func(Delivery, error) bool) {
		w := walk{bucket: bucketDeliveries, newest: q.Newest}
		if q.After != (ID{}) && q.Newest {
			w.high = q.After[:]
		} else if q.After != (ID{}) {
			w.low = after(q.After[:])
		}
		page := deliveryPage{q: &q}
		for err := range s.slices(&w, page.visit) {
			if !page.yield(yield) {
				return
			}
			if err != nil {
				yield(Delivery{}, err)
				return
			}
		}
	}
}

// deliveryPage is what one slice found.
type deliveryPage struct {
	q     *DeliveryQuery
	found []foundDelivery
}

type foundDelivery struct {
	delivery Delivery
	err      error
}

func (p *deliveryPage) visit(_ *bolt.Tx, k, v []byte) (full bool) {
	d, err := readDelivery(k, v)
	if err == nil && !p.q.match(d) {
		return false
	}
	p.add(d, err)
	return len(p.found) >= sliceRecords
}

func (p *deliveryPage) add(d *Delivery, err error) {
	f := foundDelivery{err: err}
	if err == nil {
		f.delivery = *d
	}
	p.found = append(p.found, f)
}

func (p *deliveryPage) yield(yield func(Delivery, error) bool) bool {
	for _, f := range p.found {
		if !yield(f.delivery, f.err) {
			return false
		}
	}
	p.found = p.found[:0]
	return true
}

// deliveriesByState goes through the index by state, which is sorted by target first: so the lists of all targets are
// merged. Each slice has its own transaction, and goes on behind the last record of the slice before.
func (s *Store) deliveriesByState(q DeliveryQuery) iter.Seq2[Delivery, error] {
	return func(yield func(Delivery, error) bool) {
		for {
			page := deliveryPage{q: &q}
			more := false
			err := s.view(func(tx *bolt.Tx) error {
				more = page.merge(tx)
				return nil
			})
			if !page.yield(yield) {
				return
			}
			if err != nil {
				yield(Delivery{}, err)
			}
			if err != nil || !more {
				return
			}
		}
	}
}

// merge finds the next deliveries behind q.After, and moves q.After. Those of one record stay together.
func (p *deliveryPage) merge(tx *bolt.Tx) (more bool) {
	lists := p.lists(tx)
	deadline := time.Now().Add(readMax)
	for {
		id, ok := first(lists, p.q.Newest)
		if !ok {
			return false
		}
		if len(p.found) >= sliceRecords || time.Now().After(deadline) {
			return true
		}
		for _, l := range lists {
			if l.id == id && l.more {
				p.add(getDelivery(tx, &Delivery{Record: id, Source: l.source, Target: l.target}))
				l.read(l.walk.next(l.cursor))
			}
		}
		p.q.After = id
	}
}

// stateList is a list of records in an index: those with deliveries of one state and target, or those of one verdict.
type stateList struct {
	source, target string
	cursor         *bolt.Cursor
	walk           walk
	prefix         []byte
	id             ID // of the next
	more           bool
}

func (l *stateList) read(k, _ []byte) {
	if l.more = l.walk.within(k); l.more {
		l.id = ID(k[len(l.prefix):])
	}
}

// lists are those of all targets that q chooses, each at its first behind q.After.
func (p *deliveryPage) lists(tx *bolt.Tx) (lists []*stateList) {
	state := []byte{stateCodes[p.q.State]}
	c := tx.Bucket(bucketByState).Cursor()
	for k, _ := c.Seek(state); bytes.HasPrefix(k, state); {
		source, target, _, ok := cutTargetKey(k[1:])
		if !ok {
			break
		}
		prefix := appendTargetKey(bytes.Clone(state), source, target)
		if p.q.match(&Delivery{Source: source, Target: target, State: p.q.State}) {
			l := &stateList{source: source, target: target, cursor: tx.Bucket(bucketByState).Cursor(), prefix: prefix}
			l.walk = p.q.bounds(prefix)
			l.read(l.walk.first(l.cursor))
			lists = append(lists, l)
		}
		k, _ = c.Seek(after(prefix))
	}
	return lists
}

// bounds is the way through the keys that begin with prefix, behind q.After.
func (q *DeliveryQuery) bounds(prefix []byte) walk {
	w := walk{low: prefix, high: after(prefix), newest: q.Newest}
	if q.After == (ID{}) {
		return w
	}
	bound := append(bytes.Clone(prefix), q.After[:]...)
	if q.Newest {
		w.high = bound
	} else {
		w.low = append(bound, 0)
	}
	return w
}

// first is the record that comes first in any of the lists.
func first(lists []*stateList, newest bool) (id ID, ok bool) {
	for _, l := range lists {
		if !l.more {
			continue
		}
		if order := l.id.Compare(id); !ok || (order < 0) != newest && order != 0 {
			id, ok = l.id, true
		}
	}
	return id, ok
}
