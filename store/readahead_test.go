package store

import (
	"encoding/binary"
	"io"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// TestLeavesAreReadAhead: from the first on, each leaf of a bucket is read once, in the order of its keys.
func TestLeavesAreReadAhead(t *testing.T) {
	s, _ := openTape(t)
	want := 0
	if _, err := s.file.update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketRecords)
		for i := range 20_000 {
			if err := b.Put(appendNumbered(nil, ID{1}, uint32(i)), make([]byte, 200)); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.view(func(tx *bolt.Tx) error {
		want = tx.Bucket(bucketRecords).Stats().LeafPageN
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	p, err := s.file.pages()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[uint64]bool{}
	var last []byte
	for from := []byte{}; from != nil; {
		ids, until, err := p.leavesFrom(bucketRecords, from, 50)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			g, err := p.read(id)
			if err != nil || g.flags != flagLeaf || seen[id] {
				t.Fatalf("page %d: flags %x, seen %t, %v", id, g.flags, seen[id], err)
			}
			if first := string(g.key(0)); first <= string(last) || until != nil && first >= string(until) {
				t.Fatalf("page %d begins with %x, behind %x, until %x", id, first, last, until)
			}
			seen[id], last = true, g.key(g.count-1)
		}
		from = until
	}
	if len(seen) != want || want < 200 {
		t.Errorf("%d of %d leaves", len(seen), want)
	}
}

// TestReadingAheadGoesOnWhereItEnded: what was read is not read again, what is behind it is; buckets may be empty.
func TestReadingAheadGoesOnWhereItEnded(t *testing.T) {
	s, _ := openTape(t)
	empty := readahead{bucket: bucketAttempts}
	empty.from(s, nil)
	if empty.until != nil {
		t.Errorf("an empty bucket was read up to %x", empty.until)
	}
	if _, err := s.file.update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketRecords)
		for i := range 5_000 {
			if err := b.Put(appendNumbered(nil, ID{1}, uint32(i)), make([]byte, 200)); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	r := readahead{bucket: bucketRecords}
	r.from(s, []byte{0})
	first := string(r.until)
	r.from(s, []byte{1})
	if string(r.until) != first {
		t.Errorf("read again: up to %x, then up to %x", first, r.until)
	}
	r.from(s, []byte(first))
	if string(r.until) <= first {
		t.Errorf("read up to %x, then up to %x", first, r.until)
	}
}

// rewritten reads one page as it was, or will be, at another time than the others.
type rewritten struct {
	io.ReaderAt
	id   uint64
	page []byte
}

func (r rewritten) ReadAt(b []byte, at int64) (int, error) {
	if at == int64(r.id)*pageSize {
		return copy(b, r.page), nil
	}
	return r.ReaderAt.ReadAt(b, at)
}

// TestAPageThatIsWrittenAnewIsNotReadAhead: commits go on meanwhile. A page of the tree that one commit frees may be the list
// of free pages after the next, which has no keys.
func TestAPageThatIsWrittenAnewIsNotReadAhead(t *testing.T) {
	s, _ := openTape(t)
	if _, err := s.file.update(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketRecords).Put([]byte{1}, make([]byte, pageSize)) // it gets a page of its own
	}); err != nil {
		t.Fatal(err)
	}
	p, err := s.file.pages()
	if err != nil {
		t.Fatal(err)
	}
	root, err := p.rootOf(bucketRecords)
	if err != nil || root == 0 {
		t.Fatal(root, err)
	}
	free := make([]byte, pageSize)
	binary.LittleEndian.PutUint64(free, root)
	binary.LittleEndian.PutUint16(free[8:], flagFreelist)
	binary.LittleEndian.PutUint16(free[10:], 400)
	for at := pageHead; at < pageHead+400*8; at += 8 {
		binary.LittleEndian.PutUint64(free[at:], uint64(1<<20+at))
	}
	p.from = rewritten{p.from, root, free}
	if ids, _, err := p.leavesFrom(bucketRecords, []byte{0}, 50); err == nil {
		t.Errorf("read ahead: pages %d", ids)
	}
}
