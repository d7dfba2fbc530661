package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

// A pending delivery without a key is in ready. Of those with the same key one is first: it is in ready too, and
// waiting has its id; the others are in waiting, in the order of their records, until they are first.

// deliveryRow is a new delivery, encoded outside the committer.
type deliveryRow struct {
	Delivery
	value *bytes.Buffer // sealed
}

func (r *deliveryRow) encode(d Delivery) error {
	r.Delivery = withDefaults(d)
	facts := newDeliveryFacts(&r.Delivery)
	value, err := packFields(facts.appendTo, nil)
	if err != nil {
		return err
	}
	seal(deliveryKey(nil, &r.Delivery), value)
	r.value = value
	return nil
}

func withDefaults(d Delivery) Delivery {
	if d.State == "" {
		d.State = Pending
	}
	if d.Created.IsZero() {
		d.Created = timeOf(d.Record)
	}
	if d.Due.IsZero() {
		d.Due = d.Created
	}
	return d
}

// stateCodes are the states as they stand in keys. A code is never used again for another state.
var stateCodes = map[State]byte{Pending: 1, Delivered: 2, Failed: 3, Expired: 4, Dropped: 5, Orphaned: 6}

func checkDeliveries(source string, deliveries []Delivery) error {
	for i := range deliveries {
		d := &deliveries[i]
		if _, ok := stateCodes[d.State]; !ok && d.State != "" {
			return fmt.Errorf("delivery to %q: no such state: %q", d.Target, d.State)
		}
		if len(source) > nameMax || len(d.Target) > nameMax {
			return fmt.Errorf("name of source or target longer than %d bytes: %w", nameMax, ErrTooLarge)
		}
	}
	return nil
}

func appendTargetKey(dst []byte, source, target string) []byte {
	return appendName(appendName(dst, source), target)
}

// cutTargetKey reads a target key, and returns what is behind it.
func cutTargetKey(k []byte) (source, target string, rest []byte, ok bool) {
	source, k, ok = cutName(k)
	if ok {
		target, k, ok = cutName(k)
	}
	return source, target, k, ok
}

func cutName(k []byte) (name string, rest []byte, ok bool) {
	if len(k) == 0 || len(k) < 1+int(k[0]) {
		return "", nil, false
	}
	return string(k[1 : 1+k[0]]), k[1+k[0]:], true
}

func deliveryKey(dst []byte, d *Delivery) []byte {
	return appendTargetKey(append(dst, d.Record[:]...), d.Source, d.Target)
}

func stateKey(dst []byte, d *Delivery) []byte {
	dst = appendTargetKey(append(dst, stateCodes[d.State]), d.Source, d.Target)
	return append(dst, d.Record[:]...)
}

func readyKey(dst []byte, d *Delivery) []byte {
	dst = appendTargetKey(dst, d.Source, d.Target)
	dst = binary.BigEndian.AppendUint64(dst, sortable(d.Due))
	return append(dst, d.Record[:]...)
}

// sortable is a time whose order is that of its bytes.
func sortable(t time.Time) uint64 { return uint64(nanos(t)) ^ 1<<63 }

func fromSortable(n uint64) time.Time { return time.Unix(0, int64(n^1<<63)).UTC() }

// waitingKey is the common beginning of all that waits for one key. The key is hashed: it may have any length.
func waitingKey(dst []byte, d *Delivery) []byte {
	sum := sha256.Sum256([]byte(d.Key))
	return append(appendTargetKey(dst, d.Source, d.Target), sum[:waitingHash]...)
}

// waitingHash is how many bytes of a key's hash stand in waitingKey.
const waitingHash = 16

const (
	waitingFirst  = 0 // behind waitingKey: the value is the id of the first
	waitingBehind = 1 // behind waitingKey, and an id behind that
)

// addDelivery writes a delivery of a record that is new.
func (t *txn) addDelivery(r *deliveryRow) error {
	t.key = deliveryKey(t.key[:0], &r.Delivery)
	if err := t.tail(bucketDeliveries).Put(t.key, r.value.Bytes()); err != nil {
		return err
	}
	return t.enlist(&r.Delivery)
}

// putDelivery writes a delivery that may be there already; with from, only one that is there in this state. It says
// whether it did.
func (t *txn) putDelivery(d Delivery, from State) (put bool, err error) {
	t.key = deliveryKey(t.key[:0], &d)
	old, err := readDelivery(t.key, t.get(bucketDeliveries, t.key))
	if err != nil || from != "" && (old == nil || old.State != from) {
		return false, err
	}
	if from == Pending && old.Attempts > d.Attempts {
		d.catchUp(old)
	}
	return true, t.replaceDelivery(old, d)
}

// catchUp brings d up to date, which its maker derived from a row older than newer: another attempt has ended since.
func (d *Delivery) catchUp(newer *Delivery) {
	d.Attempts, d.Status = newer.Attempts, newer.Status
	if d.State == Pending {
		d.Error, d.Finding = newer.Error, newer.Finding
	}
}

// replaceDelivery writes d in the place of old; nil: there is none. The caller has put its key into t.key.
func (t *txn) replaceDelivery(old *Delivery, d Delivery) error {
	if old != nil {
		d.Key = old.Key
		if d.Created.IsZero() {
			d.Created = old.Created
		}
	}
	d = withDefaults(d)
	facts := newDeliveryFacts(&d)
	if err := t.putFields(t.tail(bucketDeliveries), t.key, facts.appendTo); err != nil {
		return err
	}
	if d.State != Pending && (old == nil || old.State != d.State) {
		t.settled = append(t.settled, d)
	}
	switch {
	case old == nil:
		return t.enlist(&d)
	case old.State == Pending && d.State == Pending:
		return t.postpone(old, &d)
	}
	if err := t.delist(old); err != nil {
		return err
	}
	return t.enlist(&d)
}

// enlist puts a delivery into the indexes of its state.
func (t *txn) enlist(d *Delivery) error {
	if d.State == Delivered {
		return nil
	}
	t.key = stateKey(t.key[:0], d)
	if err := t.Bucket(bucketByState).Put(t.key, nil); err != nil || d.State != Pending {
		return err
	}
	t.countPending(d, 1)
	if d.Key == "" {
		return t.putReady(d)
	}
	waiting := t.Bucket(bucketWaiting)
	t.key = append(waitingKey(t.key[:0], d), waitingFirst)
	if waiting.Get(t.key) == nil {
		if err := waiting.Put(t.key, bytes.Clone(d.Record[:])); err != nil {
			return err
		}
		return t.putReady(d)
	}
	t.key[len(t.key)-1] = waitingBehind
	t.key = append(t.key, d.Record[:]...)
	return waiting.Put(t.key, nil)
}

// delist takes a delivery out of the indexes of its state. The next of its key becomes the first.
func (t *txn) delist(d *Delivery) error {
	if d.State == Delivered {
		return nil
	}
	t.key = stateKey(t.key[:0], d)
	if err := t.Bucket(bucketByState).Delete(t.key); err != nil || d.State != Pending {
		return err
	}
	t.countPending(d, -1)
	if d.Key == "" {
		return t.deleteReady(d)
	}
	if !t.isFirst(d) {
		t.key = append(waitingKey(t.key[:0], d), waitingBehind)
		t.key = append(t.key, d.Record[:]...)
		return t.Bucket(bucketWaiting).Delete(t.key)
	}
	if err := t.deleteReady(d); err != nil {
		return err
	}
	return t.promote(waitingKey(nil, d), d)
}

// postpone moves a pending delivery to another time.
func (t *txn) postpone(old, d *Delivery) error {
	if d.Key != "" && !t.isFirst(d) {
		return nil
	}
	if err := t.deleteReady(old); err != nil {
		return err
	}
	return t.putReady(d)
}

// promote makes the one behind d the first of its key, whose rows in waiting begin with prefix. Those that can't be read
// are passed over and taken out of the line: they must hold up neither d nor those behind them.
func (t *txn) promote(prefix []byte, d *Delivery) error {
	waiting := t.Bucket(bucketWaiting)
	first := append(bytes.Clone(prefix), waitingFirst)
	behind := append(bytes.Clone(prefix), waitingBehind)
	for {
		k, _ := waiting.Cursor().Seek(behind)
		if !bytes.HasPrefix(k, behind) {
			return waiting.Delete(first)
		}
		k = bytes.Clone(k)
		of := Delivery{Record: ID(k[len(behind):]), Source: d.Source, Target: d.Target}
		next, damage := getDelivery(t.Tx, &of)
		if err := waiting.Delete(k); err != nil {
			return err
		}
		if damage != nil {
			t.passed = append(t.passed, unreadable{of: of, err: damage})
			continue
		}
		if err := waiting.Put(first, bytes.Clone(next.Record[:])); err != nil {
			return err
		}
		return t.putReady(next)
	}
}

func (t *txn) isFirst(d *Delivery) bool {
	t.key = append(waitingKey(t.key[:0], d), waitingFirst)
	return bytes.Equal(t.Bucket(bucketWaiting).Get(t.key), d.Record[:])
}

func (t *txn) putReady(d *Delivery) error {
	t.key = readyKey(t.key[:0], d)
	return t.Bucket(bucketReady).Put(t.key, nil)
}

func (t *txn) deleteReady(d *Delivery) error {
	t.key = readyKey(t.key[:0], d)
	return t.Bucket(bucketReady).Delete(t.key)
}

func (t *txn) countPending(d *Delivery, n int) {
	if t.pending == nil {
		t.pending = map[string]int{}
	}
	t.pending[string(appendTargetKey(nil, d.Source, d.Target))] += n
}

// readDelivery reads a row; nil when there is none.
func readDelivery(key, value []byte) (*Delivery, error) {
	if value == nil {
		return nil, nil
	}
	id := ID(key[:len(ID{})])
	source, target, _, ok := cutTargetKey(key[len(id):])
	var facts deliveryFacts
	_, err := unpack(key, value, &facts)
	if err == nil && !ok {
		err = errVersion
	}
	if err != nil {
		return nil, fmt.Errorf("delivery of %s to %q: %w: %w", id, target, ErrDamaged, err)
	}
	d := facts.delivery(id, source, target)
	return &d, nil
}

// countPending counts the pending deliveries of each target.
func countPending(tx *bolt.Tx) map[string]int {
	counts := map[string]int{}
	pending := []byte{stateCodes[Pending]}
	c := tx.Bucket(bucketByState).Cursor()
	for k, _ := c.Seek(pending); bytes.HasPrefix(k, pending) && len(k) > len(ID{}); k, _ = c.Next() {
		counts[string(k[1:len(k)-len(ID{})])]++
	}
	return counts
}

// Deliveries are those of a record, by target; none when it has none, or is not there. A damaged one is left out, and the
// error wraps ErrDamaged.
func (s *Store) Deliveries(id ID) (all []Delivery, err error) {
	var damaged []error
	err = s.view(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketDeliveries).Cursor()
		for k, v := c.Seek(id[:]); bytes.HasPrefix(k, id[:]); k, v = c.Next() {
			d, err := readDelivery(k, v)
			if err != nil {
				damaged = append(damaged, err)
				continue
			}
			all = append(all, *d)
		}
		return nil
	})
	return all, errors.Join(append(damaged, err)...)
}

// Pending tells how many deliveries wait for a target, and when the oldest of them was recorded; the zero time when
// there is none.
func (s *Store) Pending(source, target string) (n int, oldest time.Time, err error) {
	key := appendTargetKey(nil, source, target)
	s.countMu.Lock()
	n = s.pending[string(key)]
	s.countMu.Unlock()
	if n == 0 {
		return 0, time.Time{}, nil
	}
	prefix := append([]byte{stateCodes[Pending]}, key...)
	err = s.view(func(tx *bolt.Tx) error {
		k, _ := tx.Bucket(bucketByState).Cursor().Seek(prefix)
		if bytes.HasPrefix(k, prefix) && len(k) == len(prefix)+len(ID{}) {
			oldest = timeOf(ID(k[len(prefix):]))
		}
		return nil
	})
	return n, oldest, err
}
