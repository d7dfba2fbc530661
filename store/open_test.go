package store_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/hooktape/hooktape/store"
)

func TestANewTapeIsItsOwnersOnly(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no such permissions")
	}
	folder := filepath.Join(t.TempDir(), "a", "b")
	s := openStore(t, filepath.Join(folder, "tape.db"), store.Options{})
	for path, want := range map[string]fs.FileMode{s.Path(): 0o600, folder: 0o700, filepath.Dir(folder): 0o700} {
		info, err := os.Stat(path)
		noError(t, err)
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s: %o, want %o", path, got, want)
		}
	}
	left, err := os.ReadDir(folder)
	noError(t, err)
	if len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

func TestATapeInUseSaysByWhom(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	for _, o := range []store.Options{{}, {ReadOnly: true}} {
		_, err := store.Open(s.Path(), o)
		locked, ok := errors.AsType[*store.LockedError](err)
		if !ok {
			t.Fatalf("opened twice: %v", err)
		}
		if strings.Count(err.Error(), s.Path()) != 1 {
			t.Errorf("it says which once: %v", err)
		}
		if runtime.GOOS == "linux" && locked.PID != 0 && (locked.PID != os.Getpid() || !strings.Contains(locked.Command, filepath.Base(os.Args[0]))) {
			t.Errorf("holder %d %q, want %d", locked.PID, locked.Command, os.Getpid())
		}
	}
}

func TestReadersShareATape(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	rec := keep(t, s, fromIiko(), []byte("bytes"), to("app", "", 0))
	noError(t, s.PutMeta("sources", []byte("[]")))
	noError(t, s.Close())
	for range 2 {
		r := openStore(t, s.Path(), store.Options{ReadOnly: true})
		got, err := r.Get(rec.ID)
		noError(t, err)
		if string(got.Raw.Inline) != "bytes" {
			t.Errorf("raw %q", got.Raw.Inline)
		}
		if n, _, _ := r.Pending("iiko", "app"); n != 1 {
			t.Errorf("%d pending", n)
		}
		spool := r.Spool()
		if _, err := spool.Write(body(1, 100<<10)); !errors.Is(err, store.ErrReadOnly) {
			t.Errorf("spool: %v", err)
		}
		spool.Discard()
		for name, err := range map[string]error{
			"append": r.Append(&store.Record{}, nil, nil, nil).Wait(),
			"settle": r.Settle(rec.ID, store.Outcome{}).Wait(),
			"meta":   r.PutMeta("a", nil),
		} {
			if !errors.Is(err, store.ErrReadOnly) {
				t.Errorf("%s: %v", name, err)
			}
		}
		noError(t, r.Sync())
	}
}

func TestAReaderMakesNoTape(t *testing.T) {
	path := tape(t)
	if _, err := store.Open(path, store.Options{ReadOnly: true}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	noError(t, os.WriteFile(path, nil, 0o600))
	if _, err := store.Open(path, store.Options{ReadOnly: true}); err == nil {
		t.Error("an empty file was opened to be read")
	}
	s := openStore(t, path, store.Options{})
	keep(t, s, fromIiko(), nil)
}

func TestAClosedStoreSaysSo(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	rec := keep(t, s, fromIiko(), nil)
	noError(t, s.Close())
	noError(t, s.Close())
	_, get := s.Get(rec.ID)
	_, _, ready := s.Ready("iiko", "app", arrival, 1, nil)
	for name, err := range map[string]error{
		"get": get, "ready": ready, "sync": s.Sync(), "append": s.Append(&store.Record{}, nil, nil, nil).Wait(),
	} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, err := range s.Records(store.Query{}) {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("records: %v", err)
		}
	}
}

// editFile changes a closed database with bbolt itself.
func editFile(t *testing.T, path string, edit func(tx *bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	noError(t, err)
	noError(t, db.Update(edit))
	noError(t, db.Close())
}

func TestATapeOfALaterFormatIsLeftAlone(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	noError(t, s.Close())
	editFile(t, s.Path(), func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("meta")).Put([]byte("format"), []byte{0, 0, 0, 99})
	})
	_, opened := store.Open(s.Path(), store.Options{SetAside: true})
	_, verified := store.Verify(s.Path())
	_, salvaged := store.Salvage(s.Path(), tape(t), store.Options{})
	for what, err := range map[string]error{"open": opened, "verify": verified, "salvage": salvaged} {
		if newer, ok := errors.AsType[*store.NewerError](err); !ok || newer.Format != 99 {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestWhatIsNoTapeIsLeftAlone(t *testing.T) {
	other := tape(t)
	editFile(t, other, func(tx *bolt.Tx) error {
		_, err := tx.CreateBucket([]byte("theirs"))
		return err
	})
	text := tape(t)
	noError(t, os.WriteFile(text, []byte(strings.Repeat("no database\n", 10_000)), 0o600))
	for _, path := range []string{other, text, t.TempDir()} {
		before, _ := os.ReadFile(path)
		if _, err := store.Open(path, store.Options{}); err == nil {
			t.Errorf("%s was opened", path)
		} else {
			t.Log(err)
		}
		if after, _ := os.ReadFile(path); string(before) != string(after) {
			t.Errorf("%s was changed", path)
		}
	}
}

func TestMetaIsKept(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	noError(t, s.PutMeta("sources", []byte("one")))
	noError(t, s.PutMeta("sources", []byte("two")))
	noError(t, s.PutMeta("format", []byte{}))
	noError(t, s.PutMeta("gone", []byte("x")))
	noError(t, s.PutMeta("gone", nil))
	s = reopen(t, s)
	for key, want := range map[string]string{"sources": "two", "format": ""} {
		if v, err := s.Meta(key); err != nil || string(v) != want {
			t.Errorf("%s: %q, %v", key, v, err)
		}
	}
	if _, err := s.Meta("gone"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("gone: %v", err)
	}
}

func TestAnEmptyFileIsNoDatabaseYet(t *testing.T) {
	path := tape(t)
	noError(t, os.WriteFile(path, nil, 0o600))
	if _, err := store.Open(path, store.Options{ReadOnly: true}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("read: %v", err)
	}
	keep(t, openStore(t, path, store.Options{}), fromIiko(), nil)
}

func TestAPathThatCanNotBeOpenedIsNamedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "no such tape")
	_, err := store.Open(path, store.Options{ReadOnly: true})
	if !errors.Is(err, fs.ErrNotExist) || strings.Count(err.Error(), path) != 1 {
		t.Error(err)
	}
}
