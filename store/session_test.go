package store_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"github.com/hooktape/hooktape/store"
)

// in are the records of a session.
func in(t testing.TB, s *store.Store, name string) (ids []store.ID) {
	t.Helper()
	for r, err := range s.Records(store.Query{Session: name, NoRaw: true}) {
		noError(t, err)
		if !slices.Contains(r.Session, name) {
			t.Errorf("record %s of session %q says that it is in %q", r.ID, name, r.Session)
		}
		ids = append(ids, r.ID)
	}
	session, err := s.Session(name)
	noError(t, err)
	if int(session.Records) != len(ids) {
		t.Errorf("session %q counts %d records, has %d", name, session.Records, len(ids))
	}
	return ids
}

func TestASessionHasWhatCameWhileItCaptured(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	keep(t, s, fromIiko(), nil)
	noError(t, s.StartSession("checkout", false))
	begins := fromIiko()
	begins.Time = arrival
	first := keep(t, s, begins, body(1, 100)).ID
	noError(t, s.StartSession("friday", false))
	both := keep(t, s, fromIiko(), body(2, 100_000)).ID
	noError(t, s.StopSession("checkout"))
	last := keep(t, s, fromIiko(), nil).ID
	imported := fromIiko()
	imported.Via = store.ViaImport
	keep(t, s, imported, nil)
	s = reopen(t, s)
	went := keep(t, s, fromIiko(), nil).ID
	noError(t, s.StopSession("friday"))
	keep(t, s, fromIiko(), nil)

	wantIDs(t, "checkout", in(t, s, "checkout"), first, both)
	wantIDs(t, "friday", in(t, s, "friday"), both, last, went)
	r, err := s.Get(both)
	noError(t, err)
	if diff := cmp.Diff([]string{"checkout", "friday"}, r.Session); diff != "" {
		t.Error(diff)
	}
	session, err := s.Session("checkout")
	noError(t, err)
	if session.Bytes != 100_100 || session.Capturing() || session.Stopped.IsZero() || !session.First.Equal(arrival) {
		t.Errorf("%+v", session)
	}
}

func TestARecordIsAppendedToTheSessionsThatItNames(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	rec := fromIiko()
	rec.Session, rec.Via = []string{"bought"}, store.ViaImport
	if err := s.Append(&rec, nil, nil, nil).Wait(); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a session that is not there: %v", err)
	}
	noError(t, s.CreateSession("bought", false))
	wantIDs(t, "bought", in(t, s, "bought"))
	wantIDs(t, "bought", []store.ID{keep(t, s, rec, nil).ID}, in(t, s, "bought")...)
}

func TestASessionIsMadeOfRecordsThatAreThere(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	var ids []store.ID
	for range 5 {
		ids = append(ids, keep(t, s, fromIiko(), body(3, 10)).ID)
	}
	noError(t, s.Settle(ids[1], store.Outcome{Attempt: &store.Attempt{Response: store.InlineRaw(body(4, 50))}}).Wait())
	_, err := s.Delete(ids[2])
	noError(t, err)
	noError(t, s.AddToSession("picked", ids[2], ids[3], ids[1], ids[3]))
	noError(t, s.AddToSession("picked", ids[3]))
	wantIDs(t, "picked", in(t, s, "picked"), ids[1], ids[3])
	noError(t, s.Settle(ids[3], store.Outcome{Answer: &store.Answer{Raw: store.InlineRaw(body(4, 7))}}).Wait())
	session, err := s.Session("picked")
	noError(t, err)
	if session.Bytes != 10+50+10+7 {
		t.Errorf("%d bytes", session.Bytes)
	}
	_, err = s.Delete(ids[1], ids[3])
	noError(t, err)
	wantIDs(t, "picked", in(t, s, "picked"))
	if session, err = s.Session("picked"); err != nil || session.Bytes != 0 || s.Stats().Pinned != 0 {
		t.Errorf("%+v, %d pinned, %v", session, s.Stats().Pinned, err)
	}
}

func TestANameIsTakenOnlyByForce(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	noError(t, s.StartSession("a", false))
	first := keep(t, s, fromIiko(), nil).ID
	for _, err := range []error{s.StartSession("a", false), s.CreateSession("a", false)} {
		if !errors.Is(err, store.ErrExists) {
			t.Errorf("%v", err)
		}
	}
	noError(t, s.StopSession("a"))
	if err := s.StopSession("a"); !errors.Is(err, store.ErrNotCapturing) {
		t.Errorf("stopped twice: %v", err)
	}
	noError(t, s.ResumeSession("a"))
	noError(t, s.ResumeSession("a"))
	second := keep(t, s, fromIiko(), nil).ID
	wantIDs(t, "resumed", in(t, s, "a"), first, second)

	noError(t, s.StartSession("a", true))
	wantIDs(t, "anew", in(t, s, "a"))
	wantIDs(t, "anew", []store.ID{keep(t, s, fromIiko(), nil).ID}, in(t, s, "a")...)
	if r, err := s.Get(first); err != nil || r.Session != nil {
		t.Errorf("%+v %v", r, err)
	}
}

func TestASessionThatIsDeletedLeavesItsRecords(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	noError(t, s.StartSession("a", false))
	one := keep(t, s, fromIiko(), nil).ID
	noError(t, s.StartSession("b", false))
	both := keep(t, s, fromIiko(), nil).ID
	noError(t, s.DeleteSession("b"))
	if err := s.DeleteSession("b"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("deleted twice: %v", err)
	}
	for _, err := range s.Records(store.Query{Session: "b"}) {
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("records of no session: %v", err)
		}
	}
	wantIDs(t, "a", in(t, s, "a"), one, both)
	noError(t, s.AddToSession("c", both))
	done, err := s.DeleteSessionRecords("a")
	noError(t, err)
	if _, err := s.Get(one); done.Records != 1 || !errors.Is(err, store.ErrNotFound) {
		t.Errorf("%+v %v", done, err)
	}
	wantIDs(t, "c", in(t, s, "c"), both)
}

func TestNamesOfSessions(t *testing.T) {
	for _, name := range []string{"a", "checkout-2", "2026-03-04", "v1.2_b", "касса", strings.Repeat("n", 100)} {
		if err := store.CheckSessionName(name); err != nil {
			t.Error(err)
		}
	}
	s := openStore(t, tape(t), store.Options{})
	for _, name := range []string{"", "-a", ".hidden", "a/b", "a b", "a\n", "\xff", "../x", strings.Repeat("n", 101)} {
		for _, err := range []error{s.StartSession(name, true), s.AddToSession(name), s.ResumeSession(name)} {
			if !errors.Is(err, store.ErrName) {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
}

func TestSessionsSurviveWhatATapeDoes(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	noError(t, s.StartSession("a", false))
	noError(t, s.SetMasked("a", []byte(`{"paths":["json.name"]}`), []store.Signing{{Source: "iiko", Provider: "iiko", Secret: "test", Params: map[string]string{"x": "1"}}}))
	ids := []store.ID{keep(t, s, fromIiko(), body(1, 100)).ID, keep(t, s, fromIiko(), body(2, 200_000)).ID}
	noError(t, s.Settle(ids[0], store.Outcome{Attempt: &store.Attempt{Response: store.InlineRaw(body(4, 50))}}).Wait())
	noError(t, s.AddToSession("b", ids[1]))
	all, err := s.Sessions()
	noError(t, err)
	noError(t, s.Close())

	check := func(path string) {
		t.Helper()
		s := openStore(t, path, store.Options{})
		defer s.Close()
		got, err := s.Sessions()
		noError(t, err)
		if diff := cmp.Diff(all, got); diff != "" {
			t.Error(diff)
		}
		wantIDs(t, "a", in(t, s, "a"), ids...)
		wantIDs(t, "b", in(t, s, "b"), ids[1])
		if n := s.Stats().Pinned; n == 0 {
			t.Error("nothing is kept for the sessions")
		}
		noError(t, s.StartSession(filepath.Base(path), false)) // with a number of its own
		wantIDs(t, "a new one", in(t, s, filepath.Base(path)))
		noError(t, s.DeleteSession(filepath.Base(path)))
	}
	check(s.Path())
	salvaged := s.Path() + ".salvaged"
	done, err := store.Salvage(s.Path(), salvaged, store.Options{})
	if err != nil || done.Lost > 0 {
		t.Fatalf("%+v %v", done, err)
	}
	check(salvaged)
	_, _, err = store.Compact(s.Path(), store.Options{})
	noError(t, err)
	check(s.Path())
	for _, path := range []string{s.Path(), salvaged} {
		if r, err := store.Verify(path); err != nil || r.Damaged > 0 {
			t.Errorf("%+v %v", r, err)
		}
	}
}

func TestManySessionsAtOnce(t *testing.T) {
	s := openStore(t, tape(t), store.Options{NoSync: true})
	want := map[string][]store.ID{}
	for i := range 40 {
		name := fmt.Sprint("s", i)
		noError(t, s.StartSession(name, false))
		want[name] = nil
		for range 10 {
			id := keep(t, s, fromIiko(), nil).ID
			for name := range want {
				want[name] = append(want[name], id)
			}
		}
	}
	for name, ids := range want {
		wantIDs(t, name, in(t, s, name), ids...)
	}
}

func TestAPlaceThatTheIndexOfSessionsLacksIsFound(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	noError(t, s.StartSession("a", false))
	keep(t, s, fromIiko(), nil)
	keep(t, s, fromIiko(), nil)
	noError(t, s.Close())
	editFile(t, s.Path(), func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte("by_session"))
		k, _ := b.Cursor().First()
		return b.Delete(k)
	})
	r, err := store.Verify(s.Path())
	noError(t, err)
	if r.Damaged != 1 || !strings.Contains(fmt.Sprint(r.Damage), "index of the sessions") {
		t.Errorf("%+v", r)
	}
}
