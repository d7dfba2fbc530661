package store

import (
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// earlierTape is a tape as the first hooktape wrote it: four accepted records, one of them with a large body and a
// delivery that is pending, and two refused ones.
func earlierTape(t *testing.T) string {
	t.Helper()
	packed, err := os.Open("testdata/format-1.db.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "tape.db")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func openEarlier(t *testing.T, path string) (*Store, *heard) {
	t.Helper()
	h := &heard{}
	s, err := Open(path, Options{Log: h.log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, h
}

// beside lists the files in the folder of a tape.
func beside(t *testing.T, path string) string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// wantEarlier makes sure that all of earlierTape is there, and counted.
func wantEarlier(t *testing.T, s *Store) {
	t.Helper()
	var raw, replies, refused, whole int64
	for rec, err := range s.Records(Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		n, err := s.Open(rec.Raw).WriteTo(io.Discard)
		if err != nil || n != rec.Raw.Size {
			t.Errorf("record %s: %d bytes of %d: %v", rec.ID, n, rec.Raw.Size, err)
		}
		attempts, err := s.Attempts(rec.ID)
		if err != nil {
			t.Error(err)
		}
		for _, a := range attempts {
			replies += a.Response.Size
		}
		raw, replies, whole = raw+n, replies+rec.Answer.Raw.Size, whole+1
		if rec.Verdict.Refused() {
			refused += n + refusedWeight
		}
	}
	if whole != 6 || replies == 0 || refused == 0 {
		t.Errorf("%d records, %d bytes of replies, %d of refused", whole, replies, refused)
	}
	if st := s.Stats(); st.Records != whole || st.Bytes != raw+replies || st.Refused != refused || st.Pending != 1 {
		t.Errorf("%+v, but there are %d records, %d bytes, %d refused", st, whole, raw+replies, refused)
	}
	if v, err := s.Meta("sources"); err != nil || string(v) != "[]" {
		t.Errorf("meta %q, %v", v, err)
	}
}

func TestATapeOfAnEarlierFormatIsMigratedAndKeptAsItWas(t *testing.T) {
	path := earlierTape(t)
	_, err := Open(path, Options{ReadOnly: true})
	if older, ok := errors.AsType[*OlderError](err); !ok || older.Format != 1 || older.Need != formatVersion {
		t.Fatalf("to be read: %v", err)
	}
	if got := beside(t, path); got != "tape.db" {
		t.Errorf("a reader left %s", got)
	}
	s, h := openEarlier(t, path)
	wantEarlier(t, s)
	if got := h.all(); got != "[tape was migrated to a newer format, a copy is kept as it was]" {
		t.Errorf("logged %s", got)
	}
	mustAppend(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, h = openEarlier(t, path)
	if got := h.all() + beside(t, path); got != "[]tape.db tape.db.format-1" {
		t.Errorf("opened again: %s", got)
	}
	s.Close()

	kept := path + ".format-1"
	if info, err := os.Stat(kept); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy: %v, %v", info.Mode(), err)
	}
	if r, err := Verify(kept); err != nil || r.Damaged > 0 || r.Records != 6 {
		t.Errorf("the copy: %+v, %v", r, err)
	}
	s, _ = openEarlier(t, kept) // as if it had been put back
	wantEarlier(t, s)
}

// TestAMigrationThatWasKilledGoesOn: whatever a kill has left, the next Open ends with a migrated tape and one copy.
func TestAMigrationThatWasKilledGoesOn(t *testing.T) {
	for name, c := range map[string]struct {
		before func(t *testing.T, path string)
		want   string
	}{
		"before the copy was whole": {func(t *testing.T, path string) {
			if err := os.WriteFile(path+".format-1.part", make([]byte, 1<<20), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "tape.db tape.db.format-1"},
		"before the first step": {func(t *testing.T, path string) {
			f, err := openBolt(path, Options{Timeout: defaultTimeout})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.keepCopy(path, 1, Options{}); err != nil {
				t.Fatal(err)
			}
			if err := f.close(); err != nil {
				t.Fatal(err)
			}
		}, "tape.db tape.db.format-1"},
		"and the earlier hooktape went on with it": {func(t *testing.T, path string) {
			f, err := openBolt(path, Options{Timeout: defaultTimeout})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.keepCopy(path, 1, Options{}); err != nil {
				t.Fatal(err)
			}
			if _, err := f.update(func(tx *bolt.Tx) error { return tx.Bucket(bucketMeta).Put([]byte("user.x"), nil) }); err != nil {
				t.Fatal(err)
			}
			if err := f.close(); err != nil {
				t.Fatal(err)
			}
		}, "tape.db tape.db.format-1 tape.db.format-1-2"},
	} {
		t.Run(name, func(t *testing.T) {
			path := earlierTape(t)
			c.before(t, path)
			s, _ := openEarlier(t, path)
			wantEarlier(t, s)
			if got := beside(t, path); got != c.want {
				t.Errorf("left: %s", got)
			}
		})
	}
}

func TestWithoutACopyNothingIsMigrated(t *testing.T) {
	path := earlierTape(t)
	if err := os.Mkdir(path+".format-1.part", 0o700); err != nil { // in the way
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path+".format-1.part", "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, Options{SetAside: true}); err == nil {
		t.Fatal("it was opened")
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("it was changed: %v", err)
	}
	if err := os.RemoveAll(path + ".format-1.part"); err != nil {
		t.Fatal(err)
	}
	s, _ := openEarlier(t, path)
	wantEarlier(t, s)
}

// TestADamagedTapeIsMigratedAsFarAsItCanBeRead: one damaged page is no reason to give up the rest.
func TestADamagedTapeIsMigratedAsFarAsItCanBeRead(t *testing.T) {
	path := earlierTape(t)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const size = 4096 // of its pages
	for page := int64(2); page < int64(len(b))/size; page++ {
		spoiled := filepath.Join(t.TempDir(), "tape.db")
		if err := os.WriteFile(spoiled, b, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(spoiled, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(make([]byte, size), page*size); err != nil {
			t.Fatal(err)
		}
		f.Close()
		s, err := Open(spoiled, Options{SetAside: true, NoSync: true})
		if err != nil {
			t.Errorf("page %d: %v", page, err)
			continue
		}
		mustAppend(t, s)
		s.Close()
	}
}
