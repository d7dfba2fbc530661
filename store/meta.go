package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

// metaUser stands before the keys of PutMeta, so that they never meet the store's own.
const metaUser = "user."

// metaKeyMax bounds the keys of PutMeta.
const metaKeyMax = 1 << 10

// PutMeta keeps a value under a key, and returns when it is on the disk. Nil deletes.
func (s *Store) PutMeta(key string, v []byte) error {
	if len(key) > metaKeyMax || len(v) > valueMax {
		return fmt.Errorf("meta %.32q: %w", key, ErrTooLarge)
	}
	c, err := s.queue.enter(len(key) + len(v))
	if err != nil {
		return err
	}
	ch := &metaChange{key: []byte(metaUser + key)}
	if v != nil {
		b := new(bytes.Buffer)
		b.Write(v)
		ch.value = seal(ch.key, b)
	}
	s.queue.fill(c, ch, c.size, nil)
	return c.Wait()
}

type metaChange struct{ key, value []byte }

func (c *metaChange) apply(t *txn) error {
	if c.value == nil {
		return t.Bucket(bucketMeta).Delete(c.key)
	}
	return t.Bucket(bucketMeta).Put(c.key, c.value)
}

func (c *metaChange) release(error) {}

// Meta returns what PutMeta has put under a key. The error wraps ErrNotFound or ErrDamaged.
func (s *Store) Meta(key string) (v []byte, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		k := []byte(metaUser + key)
		value := tx.Bucket(bucketMeta).Get(k)
		if value == nil {
			return fmt.Errorf("meta %q: %w", key, ErrNotFound)
		}
		value, err := verify(k, value)
		if err != nil {
			return fmt.Errorf("meta %q: %w: %w", key, ErrDamaged, err)
		}
		v = append([]byte{}, value...)
		return nil
	})
	return v, err
}

// Sync waits for all that is queued when it is called: what is read afterwards shows it, unless it failed.
func (s *Store) Sync() error {
	c, err := s.queue.enter(0)
	if errors.Is(err, ErrReadOnly) {
		return nil
	}
	if err != nil {
		return err
	}
	s.queue.fill(c, nil, 0, nil)
	return c.Wait()
}

// skew is how far the times of records have been from those of their ids, in milliseconds: Lag is the longest that an id
// was given after its record's time, Lead the longest before it (a clock that was set back, an import). Scans by time go
// along the ids, so they begin and end that much further out. Both grow by doubling, so that they are rarely written.
type skew struct{ Lag, Lead int64 }

const (
	usualLag = 8192              // a request takes 8 s to arrive: up to this nothing is written
	skewMax  = 3_000_000_000_000 // a century: no webhook is further off, and doubled it still fits a Duration
)

var metaSkew = []byte("skew")

func (k skew) lag() time.Duration  { return time.Duration(k.Lag) * time.Millisecond }
func (k skew) lead() time.Duration { return time.Duration(k.Lead) * time.Millisecond }

// observe takes the time of a new record into account.
func (t *txn) observe(id ID, ms int64) {
	behind := min(max(int64(id.Time())-ms, -skewMax), skewMax)
	for t.skew.Lag < behind {
		t.skew.Lag, t.skewed = t.skew.Lag*2, true
	}
	for t.skew.Lead < -behind {
		t.skew.Lead, t.skewed = max(t.skew.Lead*2, usualLag), true
	}
}

func (k skew) write(tx *bolt.Tx) error {
	b := binary.BigEndian.AppendUint64(nil, uint64(k.Lag))
	return tx.Bucket(bucketMeta).Put(metaSkew, binary.BigEndian.AppendUint64(b, uint64(k.Lead)))
}

func readSkew(tx *bolt.Tx) skew {
	b := tx.Bucket(bucketMeta).Get(metaSkew)
	if len(b) != 16 {
		return skew{Lag: usualLag}
	}
	lag, lead := int64(binary.BigEndian.Uint64(b)), int64(binary.BigEndian.Uint64(b[8:]))
	return skew{Lag: min(max(lag, usualLag), 2*skewMax), Lead: min(max(lead, 0), 2*skewMax)} // it has no checksum
}
