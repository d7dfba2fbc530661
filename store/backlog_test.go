package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hooktape/hooktape/store"
)

func TestTargetsAreFoundByTheStateOfTheirDeliveries(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	for range 3 {
		id := keep(t, s, fromIiko(), nil, to("app", "", 0), to("crm", "", 0)).ID
		settle(t, s, store.Delivery{Record: id, Source: "iiko", Target: "crm"}, store.Expired, 0)
	}
	for state, want := range map[store.State][]store.TargetName{
		store.Pending:  {{Source: "iiko", Target: "app"}},
		store.Expired:  {{Source: "iiko", Target: "crm"}},
		store.Orphaned: nil,
	} {
		got, err := s.TargetsIn(state)
		noError(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", state, diff)
		}
	}
	if n := s.PendingCount("iiko", "app"); n != 3 {
		t.Errorf("%d are pending", n)
	}
}

func TestADeliveryChangesOnlyFromTheStateThatWasAsked(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	id := keep(t, s, fromIiko(), nil, to("app", "", 0)).ID
	d := store.Delivery{Record: id, Source: "iiko", Target: "app", State: store.Delivered}
	noError(t, s.Settle(id, store.Outcome{Deliveries: []store.Delivery{d}}).Wait())
	d.State = store.Expired
	other := store.Delivery{Source: "iiko", Target: "other", State: store.Expired}
	noError(t, s.Settle(id, store.Outcome{From: store.Pending, Deliveries: []store.Delivery{d, other}}).Wait())
	got, err := s.Deliveries(id)
	noError(t, err)
	if len(got) != 1 || got[0].State != store.Delivered {
		t.Errorf("%+v", got)
	}
}

func TestWhatIsDueLateIsFound(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	first := keep(t, s, fromIiko(), nil, to("app", "", time.Hour)).ID
	keep(t, s, fromIiko(), nil, to("app", "", 0))
	second := keep(t, s, fromIiko(), nil, to("app", "", 2*time.Hour)).ID
	late := func(at time.Duration, limit int) (ids []store.ID) {
		all, err := s.DueAfter("iiko", "app", arrival.Add(at), limit)
		noError(t, err)
		for _, d := range all {
			ids = append(ids, d.Record)
		}
		return ids
	}
	wantIDs(t, "after a minute", late(time.Minute, 10), second, first)
	wantIDs(t, "one", late(time.Minute, 1), second)
	wantIDs(t, "after the first", late(time.Hour, 10), second)
	wantIDs(t, "after all", late(2*time.Hour, 10))
}
