package main

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
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
