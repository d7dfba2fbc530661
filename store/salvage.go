package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
)

// Salvaged says what Salvage could copy.
type Salvaged struct {
	Records, Attempts, Deliveries int
	Pending                       int // deliveries among them
	// Incomplete is how many of the records lack some of their bytes.
	Incomplete int
	Lost       int // rows and pages that could not be read
}

// salvageGroup is how many bytes are copied in one transaction.
const salvageGroup = 8 << 20

// Salvage copies every record that can still be read from the damaged database at from, with its attempts and
// deliveries, into a new one at to, which must not exist. All indexes are made anew. Where the way to a page is damaged,
// the page is found nevertheless; then records that were deleted, but not written over, may come back. The damaged file is
// only read. The error wraps os.ErrExist when there is a file at to, wraps ErrNoTape when from is something else, and is a
// *NewerError when its format is a later one.
func Salvage(from, to string, o Options) (Salvaged, error) {
	if _, err := os.Lstat(to); err == nil {
		return Salvaged{}, fmt.Errorf("%s: %w", to, os.ErrExist)
	}
	f, size, err := openToSalvage(from)
	if err != nil {
		return Salvaged{}, err
	}
	defer f.Close()
	temp, err := os.MkdirTemp(filepath.Dir(to), filepath.Base(to)+".salvage-*")
	if err != nil {
		return Salvaged{}, err
	}
	defer os.RemoveAll(temp)
	into, err := Open(filepath.Join(temp, "tape.db"), Options{NoSync: true, Log: o.Log})
	if err != nil {
		return Salvaged{}, err
	}
	defer into.Close()
	s := &salvage{into: into}
	err = s.copy(f, size)
	if err == nil && (s.led || s.done.Lost > 0) {
		err = s.putRight()
	}
	if err == nil {
		err = s.rebuild()
	}
	if err == nil && !o.NoSync {
		err = guard(into.file.db.Sync)
	}
	if err := errors.Join(err, into.Close()); err != nil {
		return s.done, err
	}
	return s.done, o.rename(into.path, to)
}

// salvage is one call of Salvage.
type salvage struct {
	into  *Store
	done  Salvaged
	rows  []salvagedRow // that are to be written
	bytes int
	led   bool // some rows were found in another bucket than theirs
	err   error
}

type salvagedRow struct {
	bucket     []byte
	key, value []byte
}

// copy takes the rows whose checksums hold: first those in their places, then, if any were lost, those on pages that
// nothing leads to.
func (s *salvage) copy(f *os.File, size int64) error {
	p, err := openPages(f, size)
	w := &pageWalk{pages: p, damaged: func(error) { s.done.Lost++ }, seen: map[uint64]bool{}, row: s.row}
	if err != nil {
		s.done.Lost++
		p.meta.high = uint64(size / p.page)
	}
	var free map[uint64]bool
	if err == nil {
		if err := p.checkFormat(); err != nil {
			return err
		}
		w.all()
		if free, err = p.free(); err != nil {
			s.done.Lost++
		}
	}
	if s.done.Lost > 0 {
		s.astray(w, free)
	}
	s.flush()
	return s.err
}

// row takes a row of a bucket.
func (s *salvage) row(bucket string, k, v []byte) {
	if _, err := verify(k, v); err != nil {
		if checksummed(bucket, k) { // else it is an index
			s.done.Lost++
		}
		return
	}
	by := bucketOf(k)
	switch {
	case by != nil:
	case bucket == string(bucketAttempts) || bucket == string(bucketPieces):
		by = []byte(bucket)
	default: // a damaged link led here: putRight moves the row when all records are known
		by, s.led = bucketPieces, true
	}
	s.take(by, k, v)
}

// take takes a row for a bucket, unless no row of ours has such a key.
func (s *salvage) take(bucket, k, v []byte) {
	if bucketOf(k) == nil && len(k) != numberedKey {
		return
	}
	r := salvagedRow{bucket, bytes.Clone(k), bytes.Clone(v)}
	s.rows = append(s.rows, r)
	if s.bytes += len(r.key) + len(r.value); s.bytes > salvageGroup {
		s.flush()
	}
}

// flush writes what was taken. A row that is there already stays: it is the newer one, since it was found in its place.
func (s *salvage) flush() {
	_, err := s.into.file.update(func(tx *bolt.Tx) error {
		for _, r := range s.rows {
			b, err := bucketToFill(tx, r.bucket)
			if err != nil {
				return err
			}
			if b == nil || b.Get(r.key) != nil {
				continue
			}
			if err := b.Put(r.key, r.value); err != nil {
				return err
			}
		}
		return nil
	})
	s.err = errors.Join(s.err, err)
	s.rows, s.bytes = nil, 0
}

// bucketToFill is a bucket of a new tape; nil when it is none of ours. Those of sources and sessions are made when there is
// a row for them.
func bucketToFill(tx *bolt.Tx, name []byte) (*bolt.Bucket, error) {
	switch string(name) {
	case string(bucketSources), string(bucketSessions), string(bucketMembers):
		return tx.CreateBucketIfNotExists(name)
	}
	return tx.Bucket(name), nil
}

// astray takes the rows of leaves that the walk did not come to. The bucket of a row shows in its key. Only attempts and
// pieces look alike, until all records are known: as they may be more than the memory can hold, the leaves are read a
// second time for them.
func (s *salvage) astray(w *pageWalk, free map[uint64]bool) {
	strays(w, free, func(k, v []byte) {
		if bucket := bucketOf(k); bucket != nil {
			s.take(bucket, k, v)
		}
	})
	s.flush()
	strays(w, free, func(k, v []byte) {
		if bucketOf(k) == nil {
			s.take(s.bucketOfNumbered(k), k, v)
		}
	})
}

// strays visits the rows whose checksums hold on leaves that the walk did not come to, or only as a page that the one before
// it claims to go on over.
func strays(w *pageWalk, free map[uint64]bool, visit func(k, v []byte)) {
	for id := uint64(2); id < w.meta.high; id++ {
		if w.seen[id] || free[id] {
			continue
		}
		g, err := w.read(id)
		if err != nil || g.flags != flagLeaf {
			continue
		}
		for i := range g.count {
			if _, err := verify(g.key(i), g.value(i)); err == nil && !g.isBucket(i) {
				visit(g.key(i), g.value(i))
			}
		}
	}
}

// numberedKey is how long the keys of attempts and pieces are.
const numberedKey = len(ID{}) + 4

// bucketOf tells the bucket by the form of a key; nil: it is that of an attempt or a piece, or none of ours.
func bucketOf(k []byte) []byte {
	switch {
	case bytes.HasPrefix(k, []byte(metaUser)):
		return bucketMeta
	case bytes.HasPrefix(k, []byte(sourceKey)):
		return bucketSources
	case bytes.HasPrefix(k, []byte(sessionKey)):
		return bucketSessions
	case len(k) == memberKeys && k[len(ID{})] == memberMark:
		return bucketMembers
	case len(k) == len(ID{}):
		return bucketRecords
	case len(k) == numberedKey || len(k) < len(ID{}):
		return nil
	}
	if _, _, rest, ok := cutTargetKey(k[len(ID{}):]); !ok || len(rest) > 0 {
		return nil
	}
	return bucketDeliveries
}

// putRight moves attempts and pieces to their own buckets, since damaged links may have led to them from the other one. An
// attempt is known by its id, which is that of a record.
func (s *salvage) putRight() error {
	_, err := s.into.file.update(func(tx *bolt.Tx) error {
		records, attempts, pieces := tx.Bucket(bucketRecords), tx.Bucket(bucketAttempts), tx.Bucket(bucketPieces)
		isAttempt := func(k []byte) bool { return records.Get(k[:len(ID{})]) != nil }
		return errors.Join(
			move(pieces, attempts, isAttempt),
			move(attempts, pieces, func(k []byte) bool { return !isAttempt(k) }),
		)
	})
	return err
}

// move moves the rows that belong elsewhere from one bucket to another.
func move(from, to *bolt.Bucket, elsewhere func(k []byte) bool) error {
	var astray [][]byte
	c := from.Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		if elsewhere(k) {
			astray = append(astray, bytes.Clone(k))
		}
	}
	for _, k := range astray {
		if err := errors.Join(to.Put(k, bytes.Clone(from.Get(k))), from.Delete(k)); err != nil {
			return err
		}
	}
	return nil
}

// bucketOfNumbered is the bucket of a row that may be an attempt or a piece. It is an attempt when there is a record with
// its id, else a piece: no id names both a record and pieces.
func (s *salvage) bucketOfNumbered(k []byte) (bucket []byte) {
	bucket = bucketPieces
	// A store that can't be read fails in flush too.
	_ = s.into.view(func(tx *bolt.Tx) error {
		if len(k) == numberedKey && tx.Bucket(bucketRecords).Get(k[:len(ID{})]) != nil {
			bucket = bucketAttempts
		}
		return nil
	})
	return bucket
}
