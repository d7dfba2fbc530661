package replay

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"

	"github.com/hooktape/hooktape/replay/tape"
	"github.com/hooktape/hooktape/store"
)

// Tape is what a tape file has, to be read in any order and as often as needed. It lies in a temporary folder, so that
// large ones cost no memory, until Close. It may be used by several goroutines.
type Tape struct {
	store  *store.Store
	folder string
	info   tape.Info
	damage []error // the first ones
	broken int
}

// damageKept is how many places of a damaged file are told.
const damageKept = 10

// OpenTape reads the tape file at path, as ReadTape does.
func OpenTape(path string) (*Tape, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	t, err := ReadTape(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// ReadTape reads a tape file of any form that package tape knows, to its end. What is damaged is passed over: Damage
// tells. The error says that it is no tape file, or can't be read at all.
func ReadTape(from io.Reader) (*Tape, error) {
	file, err := tape.NewReader(from)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	t, err := NewTape()
	if err != nil {
		return nil, err
	}
	if err := t.take(file); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// NewTape is a tape with nothing on it.
func NewTape() (*Tape, error) {
	folder, err := os.MkdirTemp("", "hooktape-tape-*")
	if err != nil {
		return nil, err
	}
	s, err := store.Open(filepath.Join(folder, "tape.db"), store.Options{NoSync: true}) // nobody misses it after a power cut
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	return &Tape{store: s, folder: folder}, nil
}

func (t *Tape) take(file *tape.Reader) (err error) {
	into := &tape.Importer{Store: t.store}
	defer func() { err = errors.Join(err, into.Close()) }()
	for recording, err := range file.Recordings() {
		damage, broken := errors.AsType[*tape.Damage](err)
		switch {
		case broken:
			err = damage
		case err != nil:
			return err
		default:
			err = into.Add(recording)
		}
		switch {
		case err == nil:
		case broken, errors.Is(err, store.ErrTooLarge):
			if t.broken++; len(t.damage) < damageKept {
				t.damage = append(t.damage, err)
			}
		default:
			return err
		}
	}
	t.info = file.Info()
	return nil
}

// Close frees what it keeps on the disk.
func (t *Tape) Close() error { return errors.Join(t.store.Close(), os.RemoveAll(t.folder)) }

// Info is what the file says about itself.
func (t *Tape) Info() tape.Info { return t.info }

// Damage is what could not be read of the file: the first few places, and how many there are.
func (t *Tape) Damage() (first []error, all int) {
	return t.damage, t.broken
}

// Recordings are what is on the tape, in the order of the file. Their blocks can be read until Close. An error is the
// last to come.
func (t *Tape) Recordings() iter.Seq2[*tape.Recording, error] {
	return func(yield func(*tape.Recording, error) bool) {
		for _, r := range t.each() {
			if !yield(r.Recording, r.err) {
				return
			}
		}
	}
}

// each gives all recordings with the ids that they have here. One with an error is the last.
func (t *Tape) each() iter.Seq2[store.ID, kept] {
	return func(yield func(store.ID, kept) bool) {
		for rec, err := range t.store.Records(store.Query{}) {
			if err != nil {
				yield(store.ID{}, kept{err: err})
				return
			}
			r, err := t.of(rec)
			if !yield(rec.ID, kept{r, err}) || err != nil {
				return
			}
		}
	}
}

// kept is a recording, or why it can't be read.
type kept struct {
	*tape.Recording
	err error
}

// recording is one of them again, by the id that it has here.
func (t *Tape) recording(id store.ID) (*tape.Recording, error) {
	rec, err := t.store.Get(id)
	if err != nil {
		return nil, err
	}
	return t.of(rec)
}

// of is a recording as the file has it: with the id that it had there.
func (t *Tape) of(rec *store.Record) (*tape.Recording, error) {
	r, err := tape.Of(t.store, rec)
	if err == nil && rec.Origin != "" {
		r.ID = rec.Origin
	}
	return r, err
}

// add puts one more behind all others, and says what its id is here.
func (t *Tape) add(r *tape.Recording) (id store.ID, err error) {
	into := &tape.Importer{Store: t.store}
	if err := errors.Join(into.Add(r), into.Close()); err != nil {
		return id, err
	}
	for rec, err := range t.store.Records(store.Query{Newest: true, NoRaw: true}) {
		return rec.ID, err
	}
	return id, store.ErrNotFound
}
