package store

import (
	"bytes"
	"time"

	bolt "go.etcd.io/bbolt"
)

// TargetName names a target: its source, and its own name there.
type TargetName struct{ Source, Target string }

// TargetsIn are the targets that have deliveries in a state. For Delivered, of which there is no index, there are none.
func (s *Store) TargetsIn(state State) (names []TargetName, err error) {
	prefix := []byte{stateCodes[state]}
	err = s.view(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketByState).Cursor()
		for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); {
			source, target, rest, ok := cutTargetKey(k[1:])
			if !ok {
				return nil
			}
			names = append(names, TargetName{source, target})
			k, _ = c.Seek(after(k[:len(k)-len(rest)]))
		}
		return nil
	})
	return names, err
}

// PendingCount is how many deliveries wait for a target. It does not read the file.
func (s *Store) PendingCount(source, target string) int {
	key := appendTargetKey(make([]byte, 0, 64), source, target)
	s.countMu.Lock()
	defer s.countMu.Unlock()
	return s.pending[string(key)]
}

// DueAfter returns up to limit deliveries that Ready does not return before some time after at, those due last first. Those
// that are damaged are left out.
func (s *Store) DueAfter(source, target string, at time.Time, limit int) (late []Delivery, err error) {
	prefix := appendTargetKey(nil, source, target)
	low := readyKey(nil, &Delivery{Source: source, Target: target, Due: at.Add(1)})
	w := walk{bucket: bucketReady, low: low[:len(low)-len(ID{})], high: after(prefix), newest: true}
	for err := range s.slices(&w, func(tx *bolt.Tx, k, _ []byte) bool {
		d, err := getDelivery(tx, &Delivery{Record: ID(k[len(k)-len(ID{}):]), Source: source, Target: target})
		if err == nil {
			late = append(late, *d)
		}
		return len(late) == limit && w.end()
	}) {
		if err != nil {
			return late, err
		}
	}
	return late, nil
}
