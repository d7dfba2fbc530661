package store_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hooktape/hooktape/store"
)

func to(target, key string, due time.Duration) store.Delivery {
	return store.Delivery{Target: target, Key: key, Due: arrival.Add(due)}
}

// readyIDs asks for what is due at arrival plus at.
func readyIDs(t testing.TB, s *store.Store, target string, at time.Duration) []store.ID {
	t.Helper()
	due, _, err := s.Ready("iiko", target, arrival.Add(at), 100, nil)
	noError(t, err)
	ids := []store.ID{}
	for _, d := range due {
		ids = append(ids, d.Record)
	}
	return ids
}

func wantIDs(t testing.TB, what string, got []store.ID, want ...store.ID) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func settle(t testing.TB, s *store.Store, d store.Delivery, state store.State, due time.Duration) {
	t.Helper()
	d.State, d.Due = state, arrival.Add(due)
	noError(t, s.Settle(d.Record, store.Outcome{Deliveries: []store.Delivery{d}}).Wait())
}

// deliveryOf is the one delivery of a record.
func deliveryOf(t testing.TB, s *store.Store, id store.ID) store.Delivery {
	t.Helper()
	all, err := s.Deliveries(id)
	noError(t, err)
	if len(all) != 1 {
		t.Fatalf("record %s has %d deliveries", id, len(all))
	}
	return all[0]
}

func fromIiko() store.Record { return store.Record{Source: "iiko", Verdict: store.Accepted} }

func TestDeliveriesAreReadyWhenTheyAreDue(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	late := keep(t, s, fromIiko(), nil, to("app", "", 3*time.Second)).ID
	soon := keep(t, s, fromIiko(), nil, to("app", "", time.Second)).ID
	other := keep(t, s, fromIiko(), nil, to("app2", "", time.Second)).ID
	wantIDs(t, "before", readyIDs(t, s, "app", 0))
	wantIDs(t, "at the first's time", readyIDs(t, s, "app", time.Second), soon)
	wantIDs(t, "after all", readyIDs(t, s, "app", time.Minute), soon, late)
	wantIDs(t, "of the other target", readyIDs(t, s, "app2", time.Minute), other)

	_, next, err := s.Ready("iiko", "app", arrival.Add(2*time.Second), 100, nil)
	noError(t, err)
	if want := arrival.Add(3 * time.Second); !next.Equal(want) {
		t.Errorf("next: %v, want %v", next, want)
	}
	due, next, err := s.Ready("iiko", "app", arrival.Add(time.Minute), 1, func(id store.ID) bool { return id == soon })
	noError(t, err)
	if len(due) != 1 || due[0].Record != late || !next.IsZero() {
		t.Errorf("what is under way is skipped and does not count: %v, %v", due, next)
	}
	_, next, err = s.Ready("iiko", "app", arrival.Add(time.Minute), 1, nil)
	noError(t, err)
	if want := arrival.Add(3 * time.Second); !next.Equal(want) {
		t.Errorf("next beyond the limit: %v, want %v", next, want)
	}
}

func TestDeliveriesOfAKeyGoOneAtATime(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	a1 := keep(t, s, fromIiko(), nil, to("app", "order-a", 0)).ID
	a2 := keep(t, s, fromIiko(), nil, to("app", "order-a", 0)).ID
	b1 := keep(t, s, fromIiko(), nil, to("app", "order-b", time.Second)).ID
	a3 := keep(t, s, fromIiko(), nil, to("app", "order-a", 0)).ID
	free := keep(t, s, fromIiko(), nil, to("app", "", 2*time.Second)).ID
	wantIDs(t, "at first", readyIDs(t, s, "app", time.Minute), a1, b1, free)

	settle(t, s, deliveryOf(t, s, a1), store.Pending, 3*time.Second)
	wantIDs(t, "a retry of the first holds its key, and no other", readyIDs(t, s, "app", time.Minute), b1, free, a1)

	settle(t, s, deliveryOf(t, s, a2), store.Dropped, 0)
	wantIDs(t, "one that waits may leave", readyIDs(t, s, "app", time.Minute), b1, free, a1)

	settle(t, s, deliveryOf(t, s, a1), store.Delivered, 0)
	wantIDs(t, "the next comes when the first is done", readyIDs(t, s, "app", time.Minute), a3, b1, free)

	settle(t, s, deliveryOf(t, s, a1), store.Pending, 0)
	wantIDs(t, "one that comes back waits", readyIDs(t, s, "app", time.Minute), a3, b1, free)
	s = reopen(t, s)
	settle(t, s, deliveryOf(t, s, a3), store.Failed, 0)
	wantIDs(t, "after a failure too, and in another life", readyIDs(t, s, "app", time.Minute), a1, b1, free)
}

func TestASettledDeliveryKeepsItsKeyAndItsAge(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	rec := keep(t, s, fromIiko(), nil, to("app", "order-a", 0))
	before := deliveryOf(t, s, rec.ID)
	noError(t, s.Settle(rec.ID, store.Outcome{Deliveries: []store.Delivery{{
		Source: "iiko", Target: "app", State: store.Failed, Attempts: 3, Status: 500, Error: "timeout", Due: arrival,
	}}}).Wait())
	want := before
	want.State, want.Attempts, want.Status, want.Error = store.Failed, 3, 500, "timeout"
	if diff := cmp.Diff(want, deliveryOf(t, s, rec.ID)); diff != "" {
		t.Error(diff)
	}
}

func TestADeliveryThatLeftItsStateStaysWhatItIs(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	rec := keep(t, s, fromIiko(), nil, to("app", "", 0))
	d := deliveryOf(t, s, rec.ID)
	for _, step := range []struct {
		from, to store.State
		stale    bool
	}{
		{store.Failed, store.Dropped, true},
		{store.Pending, store.Delivered, false},
		{store.Pending, store.Dropped, true},
		{"", store.Pending, false},
	} {
		before := deliveryOf(t, s, rec.ID)
		d.State = step.to
		c := s.Settle(rec.ID, store.Outcome{From: step.from, Deliveries: []store.Delivery{d}})
		noError(t, c.Wait())
		if c.Stale() != step.stale {
			t.Errorf("%+v: stale is %v", step, c.Stale())
		}
		if is := deliveryOf(t, s, rec.ID); step.stale && !cmp.Equal(before, is) || !step.stale && is.State != step.to {
			t.Errorf("%+v: it is %+v, was %+v", step, is, before)
		}
	}
}

// A delivery that is to be retried or dropped may have been read before an attempt ended.
func TestAnOlderLookTakesNoAttemptBack(t *testing.T) {
	for state, wantError := range map[store.State]string{store.Pending: "reset", store.Expired: "too late"} {
		s := openStore(t, tape(t), store.Options{})
		rec := keep(t, s, fromIiko(), nil, to("app", "", 0))
		looked := deliveryOf(t, s, rec.ID)
		tried := looked
		tried.Attempts, tried.Status, tried.Error, tried.Due = 3, 500, "reset", arrival.Add(time.Hour)
		noError(t, s.Settle(rec.ID, store.Outcome{Deliveries: []store.Delivery{tried}}).Wait())
		looked.State, looked.Error, looked.Due = state, "too late", arrival
		noError(t, s.Settle(rec.ID, store.Outcome{From: store.Pending, Deliveries: []store.Delivery{looked}}).Wait())
		is := deliveryOf(t, s, rec.ID)
		if is.State != state || is.Attempts != 3 || is.Status != 500 || is.Error != wantError || !is.Due.Equal(arrival) {
			t.Errorf("%s: %+v", state, is)
		}
	}
}

func TestPendingIsCountedInMemoryAndAgainAtOpen(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	want := func(n int, oldest store.ID) {
		t.Helper()
		got, at, err := s.Pending("iiko", "app")
		noError(t, err)
		if got != n || n > 0 && at.UnixMilli() != int64(oldest.Time()) || n == 0 && !at.IsZero() {
			t.Errorf("%d pending since %v, want %d", got, at, n)
		}
	}
	want(0, store.ID{})
	first := keep(t, s, fromIiko(), nil, to("app", "k", 0), to("app2", "", 0)).ID
	second := keep(t, s, fromIiko(), nil, to("app", "k", 0)).ID
	want(2, first)
	s = reopen(t, s)
	want(2, first)
	all, err := s.Deliveries(first)
	noError(t, err)
	settle(t, s, all[0], store.Delivered, 0)
	want(1, second)
	settle(t, s, deliveryOf(t, s, second), store.Pending, time.Hour)
	want(1, second)
	settle(t, s, deliveryOf(t, s, second), store.Expired, 0)
	want(0, store.ID{})
}

func TestDeliveriesAreListedByRecord(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	var all []store.Delivery
	for i := range 150 {
		d1, d2 := to("app", "", 0), to("billing", "", 0)
		d1.State = []store.State{store.Pending, store.Failed, store.Delivered}[i%3]
		d2.State = store.Failed
		id := keep(t, s, fromIiko(), nil, d1, d2).ID
		both, err := s.Deliveries(id)
		noError(t, err)
		all = append(all, both...)
	}
	queries := []store.DeliveryQuery{
		{}, {State: store.Failed}, {State: store.Delivered}, {State: store.Pending}, {State: store.Orphaned},
		{Source: "iiko", Target: "app"}, {Target: "billing", State: store.Failed}, {Source: "other"},
		{After: all[100].Record}, {After: all[100].Record, State: store.Failed},
	}
	for _, q := range queries {
		for _, newest := range []bool{false, true} {
			q.Newest = newest
			var got, want []store.Delivery
			for d, err := range s.AllDeliveries(q) {
				noError(t, err)
				got = append(got, d)
			}
			for _, d := range all {
				before := q.After != (store.ID{}) && d.Record.Compare(q.After) <= 0
				behind := q.After != (store.ID{}) && d.Record.Compare(q.After) >= 0
				if (q.Source == "" || q.Source == d.Source) && (q.Target == "" || q.Target == d.Target) &&
					(q.State == "" || q.State == d.State) && !(before && !newest) && !(behind && newest) {
					want = append(want, d)
				}
			}
			if newest {
				slices.SortStableFunc(want, func(a, b store.Delivery) int { return b.Record.Compare(a.Record) })
			}
			bothWays := cmpopts.SortSlices(func(a, b store.Delivery) bool { return a.Target < b.Target })
			if diff := cmp.Diff(records(want), records(got)); diff != "" {
				t.Errorf("%+v: %s", q, diff)
			}
			if diff := cmp.Diff(want, got, bothWays); diff != "" {
				t.Errorf("%+v: %s", q, diff)
			}
		}
	}
}

func records(deliveries []store.Delivery) []string {
	ids := []string{}
	for _, d := range deliveries {
		ids = append(ids, d.Record.String())
	}
	return ids
}

func TestAnOutcomeIsOneTransaction(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	rec := keep(t, s, fromIiko(), []byte("POST / HTTP/1.1\r\n\r\n"), to("app", "", 0))
	response := s.Spool()
	defer response.Discard()
	raw := body(1, 200<<10)
	response.Write(raw)
	attempt := store.Attempt{
		Source: "iiko", Target: "app", Replay: true, Edited: true, URL: "http://127.0.0.1/x", Time: arrival,
		Head: "POST /x HTTP/1.1\r\n\r\n", Status: 200, Error: "none", FirstByte: time.Millisecond, Duration: time.Second,
		HeadSize: 12,
	}
	answer := store.Answer{Status: 200, Raw: store.InlineRaw([]byte("HTTP/1.1 200 OK\r\n\r\n")), FromAttempt: store.ThisAttempt}
	c := s.Settle(rec.ID, store.Outcome{
		Attempt: &attempt, Response: response, Answer: &answer,
		Deliveries: []store.Delivery{{Source: "iiko", Target: "app", State: store.Delivered}},
	})
	noError(t, c.Wait())
	small := store.Attempt{Target: "app", Response: store.InlineRaw([]byte("short"))}
	other := store.InlineRaw([]byte("another body"))
	small.Sent = &other
	noError(t, s.Settle(rec.ID, store.Outcome{Attempt: &small}).Wait())
	empty, sent := store.Attempt{Target: "app"}, s.Spool()
	defer sent.Discard()
	noError(t, s.Settle(rec.ID, store.Outcome{Attempt: &empty, Sent: sent}).Wait())
	if empty.Sent == nil {
		t.Error("a body of no bytes is not told from the record's")
	}

	s = reopen(t, s)
	got, err := s.Attempts(rec.ID)
	noError(t, err)
	if diff := cmp.Diff([]store.Attempt{attempt, small, empty}, got); diff != "" {
		t.Error(diff)
	}
	if attempt.Number != 1 || small.Number != 2 {
		t.Errorf("numbers %d, %d", attempt.Number, small.Number)
	}
	if !slices.Equal(bytesOf(t, s, got[0].Response), raw) {
		t.Error("other response bytes came back")
	}
	back, err := s.Get(rec.ID)
	noError(t, err)
	answer.FromAttempt = 1
	if diff := cmp.Diff(&answer, back.Answer); diff != "" {
		t.Error(diff)
	}
	if d := deliveryOf(t, s, rec.ID); d.State != store.Delivered {
		t.Errorf("state %q", d.State)
	}
}

func TestOnlyTheChangeThatCannotBeMadeFails(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	rec := fromIiko()
	before := s.Append(&rec, nil, nil, nil)
	unknown := s.Settle(store.ID{1}, store.Outcome{Answer: &store.Answer{}})
	rec2 := fromIiko()
	behind := s.Append(&rec2, nil, nil, nil)
	noError(t, before.Wait())
	noError(t, behind.Wait())
	if err := unknown.Wait(); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("settle of no record: %v", err)
	}
	long := string(make([]byte, 300))
	for name, c := range map[string]*store.Commit{
		"source":  s.Append(&store.Record{Source: long}, nil, nil, nil),
		"target":  s.Append(&store.Record{}, nil, []store.Delivery{{Target: long}}, nil),
		"state":   s.Append(&store.Record{}, nil, []store.Delivery{{State: "odd"}}, nil),
		"reason":  s.Append(&store.Record{Reason: string(make([]byte, 5<<20))}, nil, nil, nil),
		"settled": s.Settle(rec.ID, store.Outcome{Deliveries: []store.Delivery{{Target: long}}}),
	} {
		if err := c.Wait(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if got := s.Stats().Records; got != 2 {
		t.Errorf("%d records", got)
	}
}
