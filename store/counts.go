package store

import (
	"errors"

	bolt "go.etcd.io/bbolt"
)

// counts are what is on the tape, or a change of it. They lie in the sequences of buckets, which are written with each
// bucket's root anyway.
type counts struct {
	records int64
	bytes   int64 // raw bytes of the records
	replies int64 // raw bytes of answers and of the responses to attempts
	refused int64 // what records weigh that anybody can make, see Verdict.unproven: their raw bytes, and refusedWeight each
}

// refusedWeight is about what a record takes beside its raw bytes: facts, keys and pages that are not full. Most
// refused records are small.
const refusedWeight = 512

// newCounts is what a record adds when it is appended, and takes away when it is deleted.
func newCounts(v Verdict, size, answer int64) counts {
	c := counts{records: 1, bytes: size, replies: answer}
	if v.unproven() {
		c.refused = size + refusedWeight
	}
	return c
}

func (c *counts) add(d counts) {
	c.records += d.records
	c.bytes += d.bytes
	c.replies += d.replies
	c.refused += d.refused
}

func (c *counts) subtract(d counts) {
	c.add(counts{-d.records, -d.bytes, -d.replies, -d.refused})
}

// write adds the change to what the file says.
func (c *counts) write(tx *bolt.Tx) error {
	var errs []error
	for bucket, n := range map[*bolt.Bucket]int64{
		tx.Bucket(bucketRecords):   c.records,
		tx.Bucket(bucketBySource):  c.bytes,
		tx.Bucket(bucketAttempts):  c.replies,
		tx.Bucket(bucketByVerdict): c.refused,
	} {
		if n != 0 {
			// Not below zero: what was damaged when the tape was migrated was not counted.
			errs = append(errs, bucket.SetSequence(uint64(max(0, int64(bucket.Sequence())+n))))
		}
	}
	return errors.Join(errs...)
}

func readCounts(tx *bolt.Tx) counts {
	return counts{
		records: int64(tx.Bucket(bucketRecords).Sequence()),
		bytes:   int64(tx.Bucket(bucketBySource).Sequence()),
		replies: int64(tx.Bucket(bucketAttempts).Sequence()),
		refused: int64(tx.Bucket(bucketByVerdict).Sequence()),
	}
}
