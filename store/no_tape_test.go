package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"
)

func TestWhatIsNoTapeIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	letter, another := filepath.Join(dir, "letter"), filepath.Join(dir, "another.db")
	if err := os.WriteFile(letter, make([]byte, 10*pageSize), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(another, 0o600, nil)
	if err == nil {
		err = db.Update(func(tx *bolt.Tx) error {
			_, err := tx.CreateBucket([]byte("letters"))
			return err
		})
	}
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, letter, another} {
		_, openErr := Open(path, Options{SetAside: true})
		_, verifyErr := Verify(path)
		_, salvageErr := Salvage(path, filepath.Join(t.TempDir(), "salvaged"), Options{})
		for _, err := range []error{openErr, verifyErr, salvageErr} {
			if !errors.Is(err, ErrNoTape) || errors.Is(err, ErrDamaged) {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
	if names, err := fs.Glob(os.DirFS(dir), "*"); err != nil || len(names) != 2 {
		t.Errorf("%q, %v", names, err)
	}
}

// The first pages are what a slip of dd takes.
func TestATapeWithoutItsFirstPagesIsStillATape(t *testing.T) {
	s, _ := openTape(t)
	for range 20 {
		if _, c := appendBytes(s, make([]byte, 60<<10)); c.Wait() != nil {
			t.Fatal(c.Wait())
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(s.path, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt(make([]byte, 6*pageSize), 0)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if r, err := Verify(s.path); err != nil || r.Damaged == 0 {
		t.Errorf("%+v, %v", r, err)
	}
	done, err := Salvage(s.path, s.path+".salvaged", Options{})
	if err != nil || done.Records < 15 {
		t.Errorf("%+v, %v", done, err)
	}
}
