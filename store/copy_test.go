package store_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hooktape/hooktape/store"
)

func TestCompactErasesWhatWasDeletedAndKeepsTheRest(t *testing.T) {
	s := openStore(t, tape(t), store.Options{NoSync: true})
	secret := bytes.Repeat([]byte("Top Secret! "), 4000)
	gone := keep(t, s, fromIiko(), secret, to("app", "", 0))
	stays := rich(t, s, 1, to("app", "k", 0))
	keep(t, s, fromIiko(), body(3, 4<<20))
	noError(t, s.PutMeta("sources", []byte("[]")))
	_, err := s.Delete(gone.ID)
	noError(t, err)
	want := s.Stats()
	noError(t, s.Close())
	if whole, _ := os.ReadFile(s.Path()); !bytes.Contains(whole, secret[:1000]) {
		t.Error("deleting erases already: --help says otherwise")
	}
	before, after, err := store.Compact(s.Path(), store.Options{})
	noError(t, err)
	if after >= before || after < 4<<20 {
		t.Errorf("%d bytes before, %d after", before, after)
	}
	if whole, _ := os.ReadFile(s.Path()); bytes.Contains(whole, secret[:100]) {
		t.Error("deleted bytes are in the compacted file")
	}
	s = openStore(t, s.Path(), store.Options{})
	got := s.Stats()
	if got.Records != want.Records || got.Bytes != want.Bytes || got.Refused != want.Refused || got.Pending != want.Pending {
		t.Errorf("%+v, want %+v", got, want)
	}
	if !bytes.Equal(bytesOf(t, s, stays.Raw), body(1, 200<<10)) {
		t.Error("other bytes came back")
	}
	if a, err := s.Attempts(stays.ID); err != nil || len(a) != 2 {
		t.Errorf("%d attempts, %v", len(a), err)
	}
	left, _ := os.ReadDir(filepath.Dir(s.Path()))
	if len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

func TestATapeInUseIsNotCompacted(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	if _, _, err := store.Compact(s.Path(), store.Options{}); !isLocked(err) {
		t.Errorf("compacted: %v", err)
	}
	none := tape(t)
	if _, _, err := store.Compact(none, store.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("made of nothing: %v", err)
	}
}

func isLocked(err error) bool {
	_, locked := errors.AsType[*store.LockedError](err)
	return locked
}

func TestABackupWhileRecordingHasAllThatWasThereBefore(t *testing.T) {
	s := openStore(t, tape(t), store.Options{NoSync: true})
	var before []store.ID
	for i := range 100 {
		before = append(before, keep(t, s, fromIiko(), body(uint64(i), 20_000)).ID)
	}
	stop := make(chan struct{})
	var busy sync.WaitGroup
	busy.Go(func() {
		for i := uint64(0); ; i++ {
			select {
			case <-stop:
				return
			default:
				rec := fromIiko()
				rec.Raw = store.InlineRaw(body(i, 5000))
				s.Append(&rec, nil, nil, nil).Wait()
				s.Delete(rec.ID)
			}
		}
	})
	path := tape(t)
	var backups sync.WaitGroup
	for range 2 {
		backups.Go(func() {
			var b bytes.Buffer
			if _, err := s.Backup(&b); err != nil {
				t.Error(err)
			}
			if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
				t.Error(err)
			}
		})
		backups.Wait()
	}
	close(stop)
	busy.Wait()
	r := openStore(t, path, store.Options{ReadOnly: true})
	for _, id := range before {
		want, err := s.Get(id)
		noError(t, err)
		got, err := r.Get(id)
		noError(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	}
	var again bytes.Buffer
	if _, err := r.Backup(&again); err != nil { // of a tape that is only read
		t.Error(err)
	}
}

// closing closes the store when it is written to.
type closing struct{ close func() }

func (c *closing) Write(p []byte) (int, error) { c.close(); return len(p), nil }

func TestABackupHoldsUpNoClose(t *testing.T) {
	s := openStore(t, tape(t), store.Options{NoSync: true})
	keep(t, s, fromIiko(), body(1, 1<<20))
	closed := make(chan error, 1)
	var once sync.Once
	w := &closing{func() { once.Do(func() { go func() { closed <- s.Close() }() }) }}
	for {
		if _, err := s.Backup(w); err != nil {
			break
		}
	}
	noError(t, <-closed)
}
