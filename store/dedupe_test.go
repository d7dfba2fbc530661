package store_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hooktape/hooktape/store"
)

// once appends a record with AppendOnce. Unless it is a duplicate, it is answered with status.
func once(t testing.TB, s *store.Store, key string, status int) (id, first store.ID, dup bool) {
	t.Helper()
	rec := fromIiko()
	c := s.AppendOnce(&rec, spooled(t, s, []byte("raw bytes of "+key)), []store.Delivery{{Target: "app"}}, func(r *store.Record) {
		if status != 0 {
			r.Answer = &store.Answer{Status: status}
		}
	}, store.Once{Key: key, Window: time.Hour})
	noError(t, c.Wait())
	first, dup = c.First()
	return rec.ID, first, dup
}

func spooled(t testing.TB, s *store.Store, b []byte) *store.Spool {
	t.Helper()
	p := s.Spool()
	t.Cleanup(p.Discard)
	_, err := p.Write(b)
	noError(t, err)
	return p
}

// TestADuplicateSeesAnAnswerThatIsYetToBeWritten: the answer of the first may wait in the queue to be written with others.
func TestADuplicateSeesAnAnswerThatIsYetToBeWritten(t *testing.T) {
	s := openStore(t, tape(t), store.Options{NoSync: true})
	for i := range 20 {
		key := fmt.Sprint("key ", i)
		first, _, dup := once(t, s, key, 0)
		if dup {
			t.Fatal("the first is a duplicate")
		}
		s.Settle(first, store.Outcome{Answer: &store.Answer{Status: 200}}) // nobody waits for it
		if _, of, dup := once(t, s, key, 0); !dup || of != first {
			t.Fatalf("duplicate %v, of %s, not of %s", dup, of, first)
		}
	}
}

// TestKeysOfATimeAreThoseOfTheirRecords: keys of one time are kept together, and are different keys still.
func TestKeysOfATimeAreThoseOfTheirRecords(t *testing.T) {
	s := openStore(t, tape(t), store.Options{NoSync: true})
	now := time.Now()
	for i, tt := range []struct {
		key  string
		time time.Time
		dup  bool
	}{{"a", now, false}, {"b", now, false}, {"a", now, true}, {"b", now, true}, {"a", time.Time{}, false}, {"a", time.Time{}, true}} {
		rec := fromIiko()
		c := s.AppendOnce(&rec, spooled(t, s, []byte("raw")), nil, func(r *store.Record) { r.Answer = &store.Answer{Status: 200} },
			store.Once{Key: tt.key, Window: time.Hour, Time: tt.time})
		noError(t, c.Wait())
		if _, dup := c.First(); dup != tt.dup {
			t.Errorf("record %d: duplicate %v", i, dup)
		}
	}
}

// TestAKeyThatWasKeptWithoutATimeIsKnown: earlier versions kept all keys without one.
func TestAKeyThatWasKeptWithoutATimeIsKnown(t *testing.T) {
	path := tape(t)
	s := openStore(t, path, store.Options{NoSync: true})
	came := time.Now()
	first, _, _ := once(t, s, "a", 200)
	noError(t, s.Close())
	s = openStore(t, path, store.Options{NoSync: true})
	for range 2 {
		rec := fromIiko()
		c := s.AppendOnce(&rec, spooled(t, s, []byte("raw")), nil, nil, store.Once{Key: "a", Window: time.Hour, Time: came})
		noError(t, c.Wait())
		if of, dup := c.First(); !dup || of != first {
			t.Errorf("duplicate %v, of %s, not of %s", dup, of, first)
		}
	}
}

func TestADuplicateIsRecordedAndNotDelivered(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	first, _, dup := once(t, s, "a", 200)
	if dup {
		t.Fatal("the first is a duplicate")
	}
	if _, _, dup := once(t, s, "b", 200); dup {
		t.Error("another key is a duplicate")
	}
	for range 2 {
		id, of, dup := once(t, s, "a", 200)
		if !dup || of != first {
			t.Fatalf("duplicate %v, of %s", dup, of)
		}
		rec, err := s.Get(id)
		noError(t, err)
		if rec.Verdict != store.Duplicate || rec.Reason != store.DuplicateOf(first) || rec.Answer != nil || string(rec.Raw.Inline) != "raw bytes of a" {
			t.Errorf("%+v", rec)
		}
		if d, err := s.Deliveries(id); err != nil || len(d) != 0 {
			t.Errorf("deliveries %v, %v", d, err)
		}
		s = reopen(t, s) // the key is remembered
	}
}

func TestOnlyOneThatWasAnsweredWellIsRepeated(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	once(t, s, "a", 500)
	second, _, dup := once(t, s, "a", 0)
	if dup {
		t.Error("a duplicate of one that was refused")
	}
	third, _, dup := once(t, s, "a", 0)
	if dup {
		t.Error("a duplicate of one without an answer")
	}
	noError(t, s.Settle(second, store.Outcome{Answer: &store.Answer{Status: 201}}).Wait())
	noError(t, s.Settle(third, store.Outcome{Answer: &store.Answer{Status: 404}}).Wait())
	if _, _, dup := once(t, s, "a", 200); dup {
		t.Error("a duplicate of one that the target refused")
	}
	if _, _, dup := once(t, s, "a", 200); !dup {
		t.Error("no duplicate of one that was acked")
	}
}

func TestOfManyAtOnceOneIsTheFirst(t *testing.T) {
	s := openStore(t, tape(t), store.Options{NoSync: true})
	var wg sync.WaitGroup
	var mu sync.Mutex
	firsts := map[string]int{}
	for range 16 {
		wg.Go(func() {
			for i := range 50 {
				key := fmt.Sprint(i)
				if _, _, dup := once(t, s, key, 200); !dup {
					mu.Lock()
					firsts[key]++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	for key, n := range firsts {
		if n != 1 {
			t.Errorf("key %s: %d firsts", key, n)
		}
	}
	if n := s.PendingCount("iiko", "app"); n != 50 {
		t.Errorf("%d deliveries", n)
	}
}

// TestAWindowEnds: older keys no longer count, and are deleted in the end.
func TestAWindowEnds(t *testing.T) {
	now := arrival
	s := openStore(t, tape(t), store.Options{NoSync: true, Now: func() time.Time { return now }})
	for hour := range 20 {
		for i := range 20 {
			if _, _, dup := once(t, s, fmt.Sprint("random ", hour, i), 200); dup {
				t.Fatal("a key that never came is a duplicate")
			}
		}
		if _, _, dup := once(t, s, "same", 200); dup {
			t.Errorf("hour %d: a duplicate of one that is an hour old", hour)
		}
		now = now.Add(59*time.Minute + 59*time.Second)
		if _, _, dup := once(t, s, "same", 200); !dup {
			t.Errorf("hour %d: no duplicate within the window", hour)
		}
		now = now.Add(time.Second)
	}
	if n := rows(t, s)["dedupe"]; n > 3*21 {
		t.Errorf("%d keys are remembered", n)
	}
}
