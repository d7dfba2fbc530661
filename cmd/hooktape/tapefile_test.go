package main

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"runtime"
	"testing"
	"testing/iotest"

	"github.com/hooktape/hooktape/relay/inspect"
	tapefile "github.com/hooktape/hooktape/replay/tape"
	"github.com/hooktape/hooktape/store"
)

// TestAnImportThatBreaksOffIsStillMasked: what did come is not taken for what was on the wire.
func TestAnImportThatBreaksOffIsStillMasked(t *testing.T) {
	s, err := store.Open(filepath.Join(t.TempDir(), "tape.db"), store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var file bytes.Buffer
	w := tapefile.NewWriter(&file, tapefile.Info{Masked: true})
	r := &tapefile.Recording{Known: true, Verdict: "malformed", Request: tapefile.Bytes([]byte("a fake"))}
	if err := errors.Join(w.Write(r), w.Close()); err != nil {
		t.Fatal(err)
	}
	gone := errors.New("the disk is gone")
	_, err = tapeFiles{s}.Read(io.MultiReader(&file, iotest.ErrReader(gone)), inspect.ImportQuery{Session: "checkout"})
	if !errors.Is(err, gone) {
		t.Fatal(err)
	}
	if session, err := s.Session("checkout"); err != nil || session.Masked == nil {
		t.Errorf("%+v, %v", session, err)
	}
}

// TestMemoryDoesNotGrowWithATapeFile: of what is exported and imported at once, a small part is held at any time.
func TestMemoryDoesNotGrowWithATapeFile(t *testing.T) {
	const records, size = 3200, 32 << 10 // some 25 MB are on their way at most, whatever the number
	path := filepath.Join(t.TempDir(), "a.db")
	fillSession(t, path, records, size)
	from, errFrom := store.Open(path, store.Options{NoSync: true})
	to, errTo := store.Open(filepath.Join(t.TempDir(), "b.db"), store.Options{NoSync: true})
	if err := errors.Join(errFrom, errTo); err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	defer to.Close()
	before, peak, n := live(), uint64(0), 0
	watched := func(yield func(*store.Record) bool) {
		for rec, err := range from.Records(store.Query{}) {
			if n++; n%(records/4) == 0 {
				peak = max(peak, live())
			}
			if err != nil || !yield(rec) {
				return
			}
		}
	}
	out, in := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := tapeFiles{from}.Write(in, store.Session{Name: "s"}, watched, func(err error) error { return err })
		in.CloseWithError(err)
		written <- err
	}()
	done, err := tapeFiles{to}.Read(out, inspect.ImportQuery{})
	out.Close()
	if err := errors.Join(err, <-written); err != nil || done.Records != records || done.Damaged > 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	if grown := int64(peak) - int64(before); grown > records*size/2 {
		t.Errorf("%d bytes are held of %d", grown, records*size)
	}
}

// live is how many bytes of the heap are in use.
func live() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
