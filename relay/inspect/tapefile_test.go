package inspect

import (
	"context"
	"errors"
	"io"
	"iter"
	"testing"

	"github.com/hooktape/hooktape/store"
)

var errNoTape = errors.New("no tape file")

// refusingTapes refuses every file.
type refusingTapes struct{ Tapes }

func (refusingTapes) Read(io.Reader, ImportQuery) (Imported, error) { return Imported{}, errNoTape }

// endless is read from for ever; after some reads somebody interrupts.
type endless struct {
	reads     int
	interrupt func()
}

func (e *endless) Read(p []byte) (int, error) {
	if e.reads++; e.reads == 3 {
		e.interrupt()
	}
	return len(p), nil
}

// A refused file is read to its end, so that its sender gets the reason; if it has no end, that can be interrupted.
func TestAnImportThatIsRefusedCanBeInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	s, err := store.Open(t.TempDir()+"/tape.db", store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := InProcess(&Server{Store: s, Tapes: refusingTapes{}})
	defer c.Close()
	if _, err := c.Import(ctx, &endless{interrupt: interrupt}, ImportQuery{}); err == nil {
		t.Error("it was taken")
	}
}

// deletingTapes deletes the session that it is to write.
type deletingTapes struct {
	Tapes
	from *store.Store
}

func (d deletingTapes) Write(w io.Writer, session store.Session, records iter.Seq[*store.Record], _ func(error) error) error {
	for range records {
		_, _ = io.WriteString(w, "a record")
	}
	return d.from.DeleteSession(session.Name)
}

func TestAnExportOfASessionThatIsDeletedMeanwhileIsNotWhole(t *testing.T) {
	s, err := store.Open(t.TempDir()+"/tape.db", store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.CreateSession("checkout", false); err != nil {
		t.Fatal(err)
	}
	c := InProcess(&Server{Store: s, Tapes: deletingTapes{from: s}})
	defer c.Close()
	file, err := c.Export(t.Context(), nil, Filter{Session: "checkout"})
	if err == nil {
		defer file.Close()
		_, err = io.ReadAll(file)
	}
	if p, ok := errors.AsType[*Problem](err); !ok || p.Kind != NoSession {
		t.Errorf("it ended with %v", err)
	}
}
