package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// members are the records of a session.
func members(t testing.TB, s *Store, name string) (ids []ID) {
	t.Helper()
	for r, err := range s.Records(Query{Session: name, NoRaw: true}) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, r.ID)
	}
	return ids
}

// weightOfMembers is what the records of sessions weigh.
func weightOfMembers(t testing.TB, s *Store) (n int64) {
	t.Helper()
	noProblem(t, s.view(func(tx *bolt.Tx) error { n = pinnedWeight(tx); return nil }))
	return n
}

func noProblem(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestRecordsOfSessionsStayWhateverTheirAge(t *testing.T) {
	s, now := bounded(t, Retention{MaxAge: time.Hour})
	before := answered(t, s, Accepted, 10)
	noProblem(t, s.StartSession("qa", false))
	during := answered(t, s, Accepted, 10)
	noProblem(t, s.StopSession("qa"))
	behind := answered(t, s, Accepted, 10)
	noProblem(t, s.AddToSession("picked", behind))
	now.advance(2 * time.Hour)
	s.evictAll()
	if there(t, s, before) != 0 || there(t, s, during, behind) != 2 {
		t.Error("the wrong ones are gone")
	}
	noProblem(t, s.DeleteSession("qa"))
	now.advance(passEvery)
	s.evictAll()
	if there(t, s, during) != 0 || there(t, s, behind) != 1 {
		t.Error("what no session keeps any more stays")
	}
}

func TestSessionsEndWhenTheyHaveHalfOfTheTape(t *testing.T) {
	const size = 4 << 20
	h := &heard{}
	s, err := Open(filepath.Join(t.TempDir(), "tape.db"), Options{NoSync: true, Log: h.log, Retention: Retention{MaxSize: size}})
	noProblem(t, err)
	defer s.Close()
	kept := answered(t, s, Accepted, 100_000)
	noProblem(t, s.AddToSession("kept", kept))
	noProblem(t, s.StartSession("endless", false))
	var last ID
	for range 200 {
		last = answered(t, s, Accepted, 50_000)
		s.evictAll()
	}
	session, err := s.Session("endless")
	if err != nil || !session.Full || session.Capturing() || session.Stopped.IsZero() {
		t.Errorf("%+v %v", session, err)
	}
	if n := there(t, s, members(t, s, "endless")...); n == 0 || n != int(session.Records) {
		t.Errorf("%d of %d are there", n, session.Records)
	}
	if there(t, s, kept, last) != 2 {
		t.Error("what another session keeps is gone, or what came last")
	}
	if st := s.Stats(); st.Pinned > size/2+100_000 || st.Pinned < size/4 || st.PinMax != size/2 {
		t.Errorf("%+v", st)
	}
	for name, err := range map[string]error{
		"add": s.AddToSession("kept", last), "start": s.StartSession("next", false), "resume": s.ResumeSession("endless"),
		"append": s.Append(&Record{Session: []string{"kept"}}, nil, nil, nil).Wait(),
	} {
		if !errors.Is(err, ErrSessionsFull) {
			t.Errorf("%s: %v", name, err)
		}
	}
	want := []string{
		"records of sessions take most of the room that they may, delete a session or raise max_size",
		"session ended, the records of sessions have all the room that they may take",
	}
	if got := h.all(); got != fmt.Sprint(want) {
		t.Errorf("it told %s", got)
	}
	noProblem(t, s.DeleteSession("endless"))
	noProblem(t, s.ResumeSession("kept"))
}

func TestATapeThatWasMadeSmallerTakesRecordsNevertheless(t *testing.T) {
	s, now := bounded(t, Retention{MaxSize: 16 << 20})
	noProblem(t, s.StartSession("large", false))
	for range 100 {
		answered(t, s, Accepted, 50_000)
	}
	noProblem(t, s.StopSession("large"))
	all := members(t, s, "large")
	s.SetRetention(Retention{MaxSize: 2 << 20})
	var last ID
	for range 100 {
		last = answered(t, s, Accepted, 50_000)
		now.advance(time.Second)
		s.evictAll()
	}
	left := members(t, s, "large")
	if len(left) == 0 || len(left) == len(all) || !slices.Equal(left, all[len(all)-len(left):]) || there(t, s, last) != 1 {
		t.Errorf("%d of %d are in the session, the last record is there: %d", len(left), len(all), there(t, s, last))
	}
	if session, err := s.Session("large"); err != nil || int(session.Records) != len(left) {
		t.Errorf("%+v %v", session, err)
	}
}

func TestRefusedRecordsKeepToTheirBudgetInASession(t *testing.T) {
	const size = 8 << 20
	s, _ := bounded(t, Retention{MaxSize: size})
	noProblem(t, s.StartSession("flooded", false))
	var real []ID
	for range 100 {
		real = append(real, answered(t, s, Accepted, 1000))
		for range 10 {
			answered(t, s, Malformed, 4000)
		}
		s.evictAll()
	}
	session, err := s.Session("flooded")
	if err != nil || session.Full || there(t, s, real...) != len(real) {
		t.Errorf("%+v %v", session, err)
	}
	if st := s.Stats(); st.Refused > size/refusedShare || st.Pinned > size/4 {
		t.Errorf("%+v", st)
	}
}

func TestADeletedSessionIsSweptAfterAKill(t *testing.T) {
	s, _ := bounded(t, Retention{})
	noProblem(t, s.StartSession("a", false))
	for range 2*addMax + 1 {
		rec := Record{Verdict: Accepted}
		s.Append(&rec, nil, nil, nil)
	}
	noProblem(t, s.Sync())
	noProblem(t, s.changeSessions(func(txn *txn) error {
		row, _ := txn.roster.find("a")
		return txn.forgetSession(row)
	}))
	if all, err := s.Sessions(); err != nil || len(all) > 0 {
		t.Errorf("%+v %v", all, err)
	}
	noProblem(t, s.StartSession("a", false))
	mine := answered(t, s, Accepted, 10)
	noProblem(t, s.Close())
	s, err := Open(s.path, Options{NoSync: true})
	noProblem(t, err)
	defer s.Close()
	noProblem(t, s.sweepSessions()) // or waits for the evictor, which may be sweeping them
	if got := members(t, s, "a"); !slices.Equal(got, []ID{mine}) {
		t.Errorf("%v", got)
	}
	if weight := weightOfMembers(t, s); weight != 10+refusedWeight {
		t.Errorf("they weigh %d", weight)
	}
}

func TestALongSessionIsReadAFewRecordsAtATime(t *testing.T) {
	s, _ := bounded(t, Retention{})
	var ids []ID
	for i := range 5000 {
		rec := Record{Verdict: Accepted, Target: fmt.Sprint("/", i)}
		s.Append(&rec, nil, nil, nil)
		ids = append(ids, rec.ID)
	}
	noProblem(t, s.Sync())
	noProblem(t, s.AddToSession("long", ids...))
	seen, most := 0, 0
	for some, err := range s.sessionIDs("long") {
		noProblem(t, err)
		seen, most = seen+len(some), max(most, len(some))
	}
	if seen != len(ids) || most > deleteMax {
		t.Errorf("%d seen, %d at once", seen, most)
	}
}

// Sessions are full, so the end of this one is to be written, but its row is damaged.
func TestADamagedSessionKeepsNoRecordsFromTheTape(t *testing.T) {
	s, _ := openTape(t)
	noProblem(t, s.StartSession("qa", false))
	row, _ := s.roster.find("qa")
	noProblem(t, s.file.db.Update(func(tx *bolt.Tx) error {
		if err := tx.Bucket(bucketSessions).Put(sessionRowKey(row.number), []byte("damaged")); err != nil {
			return err
		}
		t := txn{Tx: tx, roster: s.roster, pinLooked: true, pinFull: true}
		err := t.capture(&appendChange{}, counts{})
		if err == nil && t.roster.rows[0].capturing {
			err = errors.New("it captures on")
		}
		return err
	}))
}
