package store

import (
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// clock is a time that tests set.
type clock struct{ atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(0, c.Load()) }
func (c *clock) advance(d time.Duration) { c.Add(int64(d)) }

// bounded opens a tape with retention and a clock.
func bounded(t testing.TB, r Retention) (*Store, *clock) {
	t.Helper()
	c := &clock{}
	c.Store(time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC).UnixNano())
	s, err := Open(filepath.Join(t.TempDir(), "tape.db"), Options{Now: c.now, NoSync: true, Retention: r})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, c
}

// answered appends an answered record.
func answered(t testing.TB, s *Store, v Verdict, size int, deliveries ...Delivery) ID {
	t.Helper()
	rec := Record{Source: "iiko", Verdict: v, Answer: &Answer{Status: 200}}
	p := s.Spool()
	defer p.Discard()
	if _, err := p.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(&rec, p, deliveries, nil).Wait(); err != nil {
		t.Fatal(err)
	}
	return rec.ID
}

func there(t testing.TB, s *Store, ids ...ID) (n int) {
	t.Helper()
	for _, id := range ids {
		if _, err := s.Get(id); err == nil {
			n++
		} else if !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
	}
	return n
}

func TestRecordsGoWhenTheyAreTooOld(t *testing.T) {
	s, now := bounded(t, Retention{MaxAge: time.Hour})
	var old []ID
	for range 1000 {
		old = append(old, answered(t, s, Accepted, 10))
	}
	now.advance(30 * time.Minute)
	young := answered(t, s, Accepted, 10)
	s.evictAll()
	if n := there(t, s, old...); n != 1000 {
		t.Errorf("%d of 1000 are there", n)
	}
	now.advance(31 * time.Minute)
	s.evictAll()
	if n := there(t, s, old...); n != 0 {
		t.Errorf("%d too old ones are there", n)
	}
	if there(t, s, young) == 0 {
		t.Error("a young one is gone")
	}
	if st := s.Stats(); st.Evicted != 1000 || st.Records != 1 || st.Bytes != 10 {
		t.Errorf("%+v", st)
	}
}

func TestOldRecordsGoWhileNothingComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(filepath.Join(t.TempDir(), "tape.db"), Options{NoSync: true, Retention: Retention{MaxAge: time.Hour}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		answered(t, s, Accepted, 10)
		time.Sleep(59 * time.Minute)
		synctest.Wait()
		if n := s.Stats().Records; n != 1 {
			t.Errorf("%d records within the hour", n)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := s.Stats().Records; n != 0 {
			t.Errorf("%d records behind the hour", n)
		}
	})
}

func TestTheOldestGoWhenTheTapeIsTooLarge(t *testing.T) {
	const size = 4 << 20
	s, _ := bounded(t, Retention{MaxSize: size})
	var ids []ID
	for range 3000 {
		ids = append(ids, answered(t, s, Accepted, 4000))
	}
	for range 3 {
		ids = append(ids, answered(t, s, Accepted, 300<<10))
	}
	s.evictAll()
	if st := s.Stats(); st.Used > size || st.Used < size/2 || st.File > 3*size+16<<20 {
		t.Errorf("%d used of a file of %d", st.Used, st.File)
	}
	gone := true
	for _, id := range ids {
		if is := there(t, s, id) == 1; is && gone {
			gone = false
		} else if !is && !gone {
			t.Fatal("one went before an older one")
		}
	}
}

// TestSmallRecordsGoManyAtATime: neighbours share pages, and a full tape evicts for as long as records come.
func TestSmallRecordsGoManyAtATime(t *testing.T) {
	const size = 1 << 30
	s, _ := bounded(t, Retention{MaxSize: size})
	for range 2 * deleteMax {
		rec := Record{Verdict: Accepted, Answer: &Answer{Status: 200}}
		s.Append(&rec, nil, nil, nil)
	}
	noProblem(t, s.Sync())
	before := s.Stats()
	s.evictor.used.Store(size + 1) // the next commit puts it right
	s.evictAll()
	if st := s.Stats(); st.Evicted != deleteMax || st.Commits != before.Commits+1 {
		t.Errorf("%d evicted with %d commits", st.Evicted, st.Commits-before.Commits)
	}
}

// TestRecordsWithManyAttemptsGoAFewAtATime: what is committed beside them waits for each row.
func TestRecordsWithManyAttemptsGoAFewAtATime(t *testing.T) {
	s, now := bounded(t, Retention{MaxAge: time.Minute})
	var ids []ID
	for range 6 {
		ids = append(ids, answered(t, s, Accepted, 10))
		for range deleteRows / 2 {
			s.Settle(ids[len(ids)-1], Outcome{Attempt: &Attempt{Target: "app", Status: 500}})
		}
	}
	noProblem(t, s.Sync())
	check := func(what string, before int64, left int) {
		t.Helper()
		if st := s.Stats(); there(t, s, ids...) != left || st.Commits != before+2 {
			t.Errorf("%s: %d are left after %d commits", what, there(t, s, ids...), st.Commits-before)
		}
	}
	before := s.Stats().Commits
	done, err := s.Delete(ids[:3]...)
	noProblem(t, err)
	if check("deleted", before, 3); done.Records != 3 {
		t.Errorf("deleted %+v", done)
	}
	before += 2
	now.advance(time.Hour)
	s.evictAll()
	check("too old", before, 0)
}

// TestOnlyAsManyLargeRecordsGoAsAreTooMuch: bytes in pieces count in full.
func TestOnlyAsManyLargeRecordsGoAsAreTooMuch(t *testing.T) {
	const size = 8 << 20
	s, _ := bounded(t, Retention{MaxSize: size})
	for n := range int64(20) {
		answered(t, s, Accepted, 1<<20)
		s.evictAll()
		if st := s.Stats(); st.Used > size || st.Records < min(n+1, 5) {
			t.Fatalf("behind record %d there are %d, which take %d", n+1, st.Records, st.Used)
		}
	}
}

// TestOnlyAsManyRecordsWithLargeResponsesGoAsAreTooMuch: the responses of attempts count, as they go with their record.
func TestOnlyAsManyRecordsWithLargeResponsesGoAsAreTooMuch(t *testing.T) {
	const size = 8 << 20
	s, _ := bounded(t, Retention{MaxSize: size})
	for n := range int64(20) {
		id := answered(t, s, Accepted, 10)
		response := s.Spool()
		_, err := response.Write(make([]byte, 1<<20))
		noProblem(t, err)
		noProblem(t, s.Settle(id, Outcome{Attempt: &Attempt{Target: "app", Status: 200}, Response: response}).Wait())
		response.Discard()
		s.evictAll()
		if st := s.Stats(); st.Used > size || st.Records < min(n+1, 5) {
			t.Fatalf("behind record %d there are %d, which take %d", n+1, st.Records, st.Used)
		}
	}
}

func TestPendingAndUnansweredRecordsStay(t *testing.T) {
	s, now := bounded(t, Retention{MaxAge: time.Minute})
	owed := answered(t, s, Accepted, 10, Delivery{Target: "app"})
	rec := Record{Source: "iiko", Verdict: Accepted}
	if err := s.Append(&rec, nil, nil, nil).Wait(); err != nil {
		t.Fatal(err)
	}
	done := answered(t, s, Accepted, 10, Delivery{Target: "app", State: Delivered})
	now.advance(2 * time.Minute)
	s.evictAll()
	if there(t, s, owed, rec.ID) != 2 || there(t, s, done) != 0 {
		t.Error("the wrong ones are gone")
	}
	d := Delivery{Source: "iiko", Target: "app", State: Failed}
	if err := s.Settle(owed, Outcome{Deliveries: []Delivery{d}}).Wait(); err != nil {
		t.Fatal(err)
	}
	now.advance(time.Hour)
	s.evictAll()
	if there(t, s, owed, rec.ID) != 0 {
		t.Error("what had to stay, stays for ever")
	}
	if st := s.Stats(); st.Records != 0 || st.Pending != 0 {
		t.Errorf("%+v", st)
	}
}

func TestAFloodOfRefusedRecordsAndHandshakesEvictsNoneOfTheOthers(t *testing.T) {
	const size = 8 << 20
	s, _ := bounded(t, Retention{MaxSize: size})
	var real []ID
	for range 500 {
		real = append(real, answered(t, s, Accepted, 4000))
		for _, v := range []Verdict{NoSource, Malformed, Unauthorized, Handshake} {
			answered(t, s, v, 5000)
			answered(t, s, v, 0)
		}
	}
	newest := answered(t, s, NoSource, 100)
	s.evictAll()
	if n := there(t, s, real...); n != len(real) {
		t.Errorf("%d of %d are there", n, len(real))
	}
	if st := s.Stats(); st.Refused > size/refusedShare || there(t, s, newest) == 0 {
		t.Errorf("the refused weigh %d, the newest is there: %d", st.Refused, there(t, s, newest))
	}
}

func TestATapeFullOfPendingDeliveriesTakesNoMoreUntilSomeEnd(t *testing.T) {
	s, now := bounded(t, Retention{MaxSize: 2 << 20})
	var ids []ID
	for {
		rec := Record{Source: "iiko", Verdict: Accepted, Answer: &Answer{Status: 200}, Raw: InlineRaw(make([]byte, 50_000))}
		if err := s.Append(&rec, nil, []Delivery{{Target: "app"}}, nil).Wait(); errors.Is(err, ErrFull) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, rec.ID)
		s.evictAll()
		if len(ids) > 100 {
			t.Fatal("it takes more and more")
		}
	}
	if err := s.Probe(); !errors.Is(err, ErrFull) {
		t.Errorf("it says that it would take one: %v", err)
	}
	if n := there(t, s, ids...); n != len(ids) {
		t.Errorf("%d of %d are there", n, len(ids))
	}
	for _, id := range ids[:len(ids)/2] {
		d := Delivery{Source: "iiko", Target: "app", State: Delivered}
		if err := s.Settle(id, Outcome{Deliveries: []Delivery{d}}).Wait(); err != nil {
			t.Fatal(err)
		}
	}
	now.advance(time.Minute)
	s.evictAll()
	if err := s.Probe(); err != nil {
		t.Errorf("it says that it takes none: %v", err)
	}
	answered(t, s, Accepted, 10)
}

func TestMuchFreeSpaceIsToldOnce(t *testing.T) {
	s, h := openTape(t)
	s.evictor.mu.Lock()
	defer s.evictor.mu.Unlock()
	for _, c := range []struct {
		used, free int64
		told       int
	}{{2 * freeMuch, freeMuch, 0}, {freeMuch / 2, freeMuch, 1}, {freeMuch / 4, 2 * freeMuch, 1}, {freeMuch, 0, 1}, {0, freeMuch, 2}} {
		s.evictor.used.Store(c.used)
		s.evictor.free.Store(c.free)
		s.judgeFree()
		if told := strings.Count(h.all(), "is free"); told != c.told {
			t.Errorf("%d bytes used and %d free: told %d times, want %d", c.used, c.free, told, c.told)
		}
	}
}
