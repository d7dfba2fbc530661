package store

import (
	bolt "go.etcd.io/bbolt"
)

// PendingOf is the first record, in the order of the tape, that has a pending delivery with this key to a target; the zero
// ID when there is none.
func (s *Store) PendingOf(source, target, key string) (id ID, err error) {
	d := &Delivery{Source: source, Target: target, Key: key}
	err = s.view(func(tx *bolt.Tx) error {
		value := tx.Bucket(bucketWaiting).Get(append(waitingKey(nil, d), waitingFirst))
		if len(value) == len(id) {
			id = ID(value)
		}
		return nil
	})
	return id, err
}
