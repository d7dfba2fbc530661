package store

import (
	"errors"
	"fmt"
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

// The first pages are the ones that a slip with dd overwrites.
func TestATapeWithoutItsFirstPagesIsStillATape(t *testing.T) {
	for _, page := range pageSizes {
		t.Run(fmt.Sprint(page), func(t *testing.T) { withoutFirstPages(t, page) })
	}
}

func withoutFirstPages(t *testing.T, page int64) {
	s := openPaged(t, page)
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
		_, err = f.WriteAt(make([]byte, 6*page), 0)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if r, err := Verify(s.path); err != nil || r.Damaged == 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if p := pagesOf(t, s.path); p.page != page {
		t.Errorf("its pages are said to have %d bytes", p.page)
	}
	done, err := Salvage(s.path, s.path+".salvaged", Options{})
	if err != nil || done.Records < 15 {
		t.Errorf("%+v, %v", done, err)
	}
}

// TestATapeOfSmallerPagesIsGoneOnWith: its pages stay small, since only a copy could have larger ones.
func TestATapeOfSmallerPagesIsGoneOnWith(t *testing.T) {
	s := openPaged(t, 4096)
	for range 200 {
		answered(t, s, Accepted, 1<<10)
	}
	s.SetRetention(Retention{MaxSize: s.Stats().Used})
	for range 200 {
		answered(t, s, Accepted, 1<<10)
		s.evictAll()
	}
	st := s.Stats()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if st.Evicted == 0 {
		t.Error("none was evicted")
	}
	if p := pagesOf(t, s.path); p.page != 4096 || p.lost > 0 || int64(p.meta.high)*4096 < st.Used {
		t.Errorf("pages of %d bytes up to %d, %d metas lost, and %+v", p.page, p.meta.high, p.lost, st)
	}
	info, err := os.Stat(s.path)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := Verify(s.path); err != nil || r.Damaged > 0 || r.Records != st.Records || r.Pages != info.Size()/4096 {
		t.Errorf("%+v, %v, but %d records in %d bytes", r, err, st.Records, info.Size())
	}
	again, err := Open(s.path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if st := again.Stats(); again.file.page != 4096 || st.Used%4096 != 0 {
		t.Errorf("it has pages of %d bytes, and %d in use", again.file.page, st.Used)
	}
}

// TestATapeWithPagesOfALaterSizeIsNotDamaged: it is left as it is, and not set aside.
func TestATapeWithPagesOfALaterSizeIsNotDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tape.db")
	db, err := bolt.Open(path, 0o600, &bolt.Options{PageSize: 2 * pageSize, FreelistType: bolt.FreelistMapType})
	if err == nil {
		err = errors.Join(db.Update(layOut), db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(path, Options{SetAside: true})
	if newer, ok := errors.AsType[*NewerError](err); !ok || newer.PageSize != 2*pageSize {
		t.Error(err)
	}
}

// openPaged opens a new tape whose pages have that size.
func openPaged(t *testing.T, page int64) *Store {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tape.db")
	db, err := bolt.Open(path, 0o600, &bolt.Options{PageSize: int(page), FreelistType: bolt.FreelistMapType})
	if err == nil {
		err = db.Close()
	}
	s, openErr := Open(path, Options{NoSync: true})
	if err := errors.Join(err, openErr); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// pagesOf are the pages of a file, damaged or not.
func pagesOf(t *testing.T, path string) *pages {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	p, err := openPages(f, info.Size())
	if err != nil && !errors.Is(err, errNoMeta) {
		t.Fatal(err)
	}
	return p
}
