package store

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// TestTheFileIsWrittenAhead: behind the pages in use, once for many commits, and never beyond the end of the file, nor
// before what was written ahead.
func TestTheFileIsWrittenAhead(t *testing.T) {
	const size, page = 4 << 20, pageSize
	tape, err := os.Create(filepath.Join(t.TempDir(), "tape.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer tape.Close()
	if _, err := tape.Write(bytes.Repeat([]byte{'x'}, size)); err != nil {
		t.Fatal(err)
	}
	f := &file{os: tape}
	for _, step := range []struct {
		what       string
		top, ahead int64
	}{
		{"the first commit", page, page + aheadSize},
		{"another", 2 * page, page + aheadSize},
		{"one that leaves little of it", aheadSize, aheadSize + aheadSize},
		{"large ones, then another", 3 << 20, size},
		{"one near the end of the file", size - page, size},
	} {
		f.writeAhead(step.top)
		if f.ahead != step.ahead {
			t.Errorf("%s: written up to %d, want %d", step.what, f.ahead, step.ahead)
		}
	}
	got, err := os.ReadFile(tape.Name())
	if err != nil || len(got) != size {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	for at, want := range map[int]byte{
		page - 1: 'x', page: 0, 2<<20 - 1: 0, 2 << 20: 'x', 3<<20 - 1: 'x', 3 << 20: 0, size - 1: 0,
	} {
		if got[at] != want {
			t.Errorf("byte %d is %q, want %q", at, got[at], want)
		}
	}
}

// TestWritingAheadSparesACommitThatSeemedToFail: its pages are in the file, beyond the end that was last looked at.
func TestWritingAheadSparesACommitThatSeemedToFail(t *testing.T) {
	s, _ := openTape(t)
	want := bytes.Repeat([]byte{'x'}, 64<<10)
	if _, err := s.file.update(func(tx *bolt.Tx) error { return tx.Bucket(bucketMeta).Put([]byte("user.x"), want) }); err != nil {
		t.Fatal(err)
	}
	s.writeAhead() // while evictor.used is still that of an earlier commit
	var got []byte
	if err := s.view(func(tx *bolt.Tx) error {
		got = bytes.Clone(tx.Bucket(bucketMeta).Get([]byte("user.x")))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) || s.file.ahead == 0 {
		t.Errorf("%d of its %d bytes are there, written up to %d", bytes.Count(got, []byte{'x'}), len(want), s.file.ahead)
	}
}

// TestSmallCommitsFindBlocks: a store writes its file ahead.
func TestSmallCommitsFindBlocks(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "tape.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := s.file
	for range 4 {
		mustAppend(t, s)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if f.ahead <= s.top {
		t.Errorf("pages up to %d, written up to %d", s.top, f.ahead)
	}
}
