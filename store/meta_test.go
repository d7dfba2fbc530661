package store

import (
	"encoding/binary"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// The skew on the tape has no checksum: whatever stands there, observing a record's time must come to an end.
func TestADamagedSkewIsNone(t *testing.T) {
	s, _ := openTape(t)
	for _, odd := range []uint64{0, 1, 1 << 63, 1<<64 - 1, 1<<63 - 1, 1 << 50} {
		err := s.file.db.Update(func(tx *bolt.Tx) error {
			b := binary.BigEndian.AppendUint64(nil, odd)
			return tx.Bucket(bucketMeta).Put(metaSkew, binary.BigEndian.AppendUint64(b, odd))
		})
		if err != nil {
			t.Fatal(err)
		}
		var k skew
		if err := s.view(func(tx *bolt.Tx) error { k = readSkew(tx); return nil }); err != nil {
			t.Fatal(err)
		}
		if k.lag() <= 0 || k.lead() < 0 || k.Lag < usualLag {
			t.Errorf("%x: %+v, which is %v and %v", odd, k, k.lag(), k.lead())
		}
		now := time.Now()
		tx := txn{skew: k}
		tx.observe(nextID(ID{}, now), now.Add(-1000*time.Hour).UnixMilli())
		tx.observe(nextID(ID{}, now), now.Add(1000*time.Hour).UnixMilli())
	}
}
