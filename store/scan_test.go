package store_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hooktape/hooktape/store"
)

// clock is a time that tests set.
type clock struct{ now time.Time }

func (c *clock) read() time.Time { return c.now }

func TestScansFindWhatIsAskedForInBothDirections(t *testing.T) {
	c := &clock{now: arrival}
	s := openStore(t, tape(t), store.Options{Now: c.read})
	var all []*store.Record
	for i := range 400 {
		c.now = c.now.Add(time.Second)
		rec := store.Record{
			Source:  []string{"iiko", "stripe", ""}[i%3],
			Verdict: []store.Verdict{store.Accepted, store.NoSource, store.Accepted, store.InvalidSignature}[i%4],
			Time:    c.now.Add(-time.Duration(i%7) * time.Millisecond),
		}
		if i == 50 {
			rec.Time = c.now.Add(-time.Hour) // took long to arrive
		}
		if i == 60 {
			rec.Time = c.now.Add(time.Hour) // the clock was set back
		}
		all = append(all, keep(t, s, rec, body(uint64(i), 100)))
	}
	second := func(n int) time.Time { return arrival.Add(time.Duration(n) * time.Second) }
	queries := []store.Query{
		{},
		{Source: "iiko"}, {Source: "none"}, {Verdict: store.Accepted}, {Verdict: store.NoSource}, {Verdict: "none"},
		{Source: "stripe", Verdict: store.InvalidSignature}, {Source: "stripe", Verdict: store.Accepted},
		{Since: second(100)}, {Until: second(100)}, {Since: second(100), Until: second(200)},
		{Since: second(-3000), Until: second(0)}, {Since: second(3000)},
		{Source: "iiko", Since: second(10), Until: second(300)}, {Verdict: store.NoSource, Since: all[77].Time, Until: all[80].Time},
		{After: all[99].ID}, {After: all[99].ID, Source: "iiko"}, {After: all[99].ID, Since: second(50), Until: second(150)},
	}
	for _, q := range queries {
		for _, newest := range []bool{false, true} {
			q.Newest = newest
			var got, want []string
			for r, err := range s.Records(q) {
				noError(t, err)
				got = append(got, r.ID.String())
			}
			for _, r := range all {
				if chosen(q, r) {
					want = append(want, r.ID.String())
				}
			}
			if newest {
				slices.Reverse(want)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%+v: %s", q, diff)
			}
		}
	}
}

func chosen(q store.Query, r *store.Record) bool {
	order := r.ID.Compare(q.After)
	return (q.Source == "" || q.Source == r.Source) && (q.Verdict == "" || q.Verdict == r.Verdict) &&
		(q.Since.IsZero() || !r.Time.Before(q.Since)) && (q.Until.IsZero() || r.Time.Before(q.Until)) &&
		(q.After == (store.ID{}) || q.Newest && order < 0 || !q.Newest && order > 0)
}

func TestAScanMayBeLeftAndGoneOnWith(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	var all, got []store.ID
	for range 200 {
		all = append(all, keep(t, s, fromIiko(), nil).ID)
	}
	q := store.Query{}
	for range 1000 {
		n := 0
		for r, err := range s.Records(q) {
			noError(t, err)
			got = append(got, r.ID)
			q.After = r.ID
			if n++; n == 7 {
				break
			}
		}
		if n == 0 {
			break
		}
	}
	wantIDs(t, "in pages", got, all...)
}

func TestAScanMayCallTheStore(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	for range 3 {
		keep(t, s, fromIiko(), nil)
	}
	n := 0
	for r, err := range s.Records(store.Query{Newest: true}) {
		noError(t, err)
		noError(t, s.Settle(r.ID, store.Outcome{Answer: &store.Answer{Status: 200}}).Wait())
		n++
	}
	if n != 3 {
		t.Errorf("%d records", n)
	}
}

func TestIDsGrowWhateverTheClockDoes(t *testing.T) {
	c := &clock{now: arrival}
	s := openStore(t, tape(t), store.Options{Now: c.read})
	var last store.ID
	for i, step := range []time.Duration{0, 0, time.Second, -time.Hour, 0, time.Millisecond, 2 * time.Hour, -time.Nanosecond} {
		c.now = c.now.Add(step)
		id := keep(t, s, fromIiko(), nil).ID
		if id.Compare(last) <= 0 {
			t.Errorf("step %d: %s after %s", i, id, last)
		}
		last = id
	}
	noError(t, s.Close())
	c.now = arrival.Add(-24 * time.Hour)
	s = openStore(t, s.Path(), store.Options{Now: c.read})
	if id := keep(t, s, fromIiko(), nil).ID; id.Compare(last) <= 0 {
		t.Errorf("after opening again: %s after %s", id, last)
	}
}

func TestRecordsAreFoundByTheirEnding(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	if _, err := s.Find("last"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("last of none: %v", err)
	}
	var ids []store.ID
	for range 50 {
		ids = append(ids, keep(t, s, fromIiko(), nil).ID)
	}
	id := ids[20]
	text := id.String()
	for name, want := range map[string]store.ID{
		text: id, strings.ToLower(text): id, text[1:]: id, text[12:]: id, text[13:]: id, strings.ToLower(text[18:]): id,
		"last": ids[49], "last~0": ids[49], "last~2": ids[47], "last~49": ids[0],
	} {
		got, err := s.Find(name)
		if err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", name, got, err, want)
		}
	}
	for _, name := range []string{"", "abc", "last~50", "last~x", "last2", "lasting", "uuuu", text + "0", "7" + text[1:], "00000000"} {
		if got, err := s.Find(name); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%q: %s, %v", name, got, err)
		}
	}
}

func TestAnEndingOfSeveralRecordsNamesThem(t *testing.T) {
	path := tape(t)
	s := openStore(t, path, store.Options{})
	byEnding := map[string][]store.ID{}
	commits := []*store.Commit{}
	recs := make([]store.Record, 4000)
	for i := range recs {
		commits = append(commits, s.Append(&recs[i], nil, nil, nil))
	}
	for i, c := range commits {
		noError(t, c.Wait())
		ending := recs[i].ID.String()[22:]
		byEnding[ending] = append(byEnding[ending], recs[i].ID)
	}
	for ending, ids := range byEnding {
		if len(ids) == 1 {
			continue
		}
		slices.Reverse(ids)
		_, err := s.Find(ending)
		ambiguous, ok := errors.AsType[*store.AmbiguousError](err)
		if !ok || !slices.Equal(ambiguous.IDs, ids) {
			t.Errorf("%s: %v; want %v", ending, err, ids)
		}
		return
	}
	t.Skip("no two of 4000 ids had the same ending") // by chance, once in a thousand
}
