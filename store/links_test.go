package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// TestATreeThatLeadsBackIntoItselfIsSetAside damages a branch that is neither the first nor the last of its level, so
// that only going through the whole tape leads to it. bbolt would go round in circles there without end.
func TestATreeThatLeadsBackIntoItselfIsSetAside(t *testing.T) {
	path, root, middle := deepTape(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func(b []byte){
		"to itself":       func(b []byte) { setLink(b, middle, 3, middle) },
		"to its parent":   func(b []byte) { setLink(b, middle, 3, root) },
		"to its sibling":  func(b []byte) { setLink(b, root, 2, linkOf(b, root, 1)) },
		"to a free page":  func(b []byte) { setLink(b, middle, 3, freePage(t, b)) },
		"over all others": func(b []byte) { binary.LittleEndian.PutUint32(b[middle*pageSize+12:], 100) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "tape.db")
			b := append([]byte(nil), whole...)
			damage(b)
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			for _, o := range []Options{{ReadOnly: true}, {}} {
				if s, err := Open(path, o); !errors.Is(err, ErrDamaged) {
					t.Fatalf("opened with %+v: %v, %v", o, s, err)
				}
			}
			if r, err := Verify(path); err != nil || r.Damaged == 0 {
				t.Errorf("check: %+v, %v", r, err)
			}
			s, err := Open(path, Options{SetAside: true})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			mustAppend(t, s)
			if n := s.Stats().SetAside; n != 1 {
				t.Errorf("%d set aside", n)
			}
		})
	}
}

// deepTape is a tape with a bucket of three levels, and where its root and a branch in the middle are. It has free pages.
func deepTape(t *testing.T) (path string, root, middle uint64) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "tape.db")
	s, err := Open(path, Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		mustAppend(t, s)
	}
	_, err = s.file.update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketWaiting)
		b.FillPercent = 1
		for i := range uint64(60_000) {
			if err := b.Put(binary.BigEndian.AppendUint64(make([]byte, 40), i), nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	p, err := openPages(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	buckets, err := p.read(p.meta.root)
	if err != nil {
		t.Fatal(err)
	}
	for i := range buckets.count {
		if string(buckets.key(i)) == string(bucketWaiting) {
			root, _, err = inline(buckets.value(i))
		}
	}
	top, readErr := p.read(root)
	if err := errors.Join(err, readErr); err != nil {
		t.Fatal(err)
	}
	middle = top.child(top.count / 2)
	if g, err := p.read(middle); err != nil || g.flags != flagBranch || top.count < 4 {
		t.Fatalf("the tree is not deep enough: %d, %v", top.count, err)
	}
	return path, root, middle
}

func linkAt(b []byte, page uint64, i int) []byte {
	return b[page*pageSize+pageHead+uint64(i)*elementSize+8:]
}

func linkOf(b []byte, page uint64, i int) uint64 {
	return binary.LittleEndian.Uint64(linkAt(b, page, i))
}

func setLink(b []byte, page uint64, i int, to uint64) {
	binary.LittleEndian.PutUint64(linkAt(b, page, i), to)
}

// freePage is the number of a free page.
func freePage(t *testing.T, b []byte) uint64 {
	t.Helper()
	p, err := openPages(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	free, err := p.free()
	if err != nil {
		t.Fatal(err)
	}
	for id := range free {
		return id
	}
	t.Fatal("no page is free")
	return 0
}
