package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hooktape/hooktape/store"
)

// verdictsOf are the ids of the records that q chooses.
func verdictsOf(t *testing.T, s *store.Store, q store.Query) (ids []store.ID) {
	t.Helper()
	for rec, err := range s.Records(q) {
		noError(t, err)
		ids = append(ids, rec.ID)
	}
	return ids
}

func TestAJudgementTakesThePlaceOfTheOneBefore(t *testing.T) {
	for what, size := range map[string]int{"inline": 100, "in pieces": 200 << 10} {
		t.Run(what, func(t *testing.T) {
			s := openStore(t, tape(t), store.Options{})
			in := fromIiko()
			in.Source, in.Verdict, in.Reason = "", store.NoSource, "no source takes it"
			rec := keep(t, s, in, body(1, size))
			to := store.Judgement{Source: "iiko", Verdict: store.Accepted, Verified: true, Event: "a", Events: []string{"a", "b"}}
			noError(t, s.Rejudge(rec.ID, store.NoSource, to, []store.Delivery{{Target: "app", Key: "k"}}, nil).Wait())

			got, err := s.Get(rec.ID)
			noError(t, err)
			if diff := cmp.Diff(to, store.Judgement{got.Source, got.Verdict, got.Reason, got.Verified, got.Event, got.Events}); diff != "" {
				t.Error(diff)
			}
			if string(bytesOf(t, s, got.Raw)) != string(body(1, size)) {
				t.Error("the bytes have changed")
			}
			if ids := verdictsOf(t, s, store.Query{Verdict: store.NoSource}); ids != nil {
				t.Errorf("still listed as %s: %v", store.NoSource, ids)
			}
			if ids := verdictsOf(t, s, store.Query{Source: "iiko"}); len(ids) != 1 {
				t.Errorf("of its source: %v", ids)
			}
			if ready, _, err := s.Ready("iiko", "app", time.Now(), 10, nil); err != nil || len(ready) != 1 || ready[0].Key != "k" {
				t.Errorf("ready %v, %v", ready, err)
			}
			if st := s.Stats(); st.Refused != 0 || st.Records != 1 || st.Bytes != int64(size) {
				t.Errorf("%+v", st)
			}
			if err := s.Rejudge(rec.ID, store.NoSource, to, nil, nil).Wait(); !errors.Is(err, store.ErrJudged) {
				t.Errorf("the second time: %v", err)
			}
			if _, err := s.Delete(rec.ID); err != nil {
				t.Error(err)
			}
			if left := rows(t, s); left["records"]+left["by_source"]+left["by_verdict"]+left["pieces"]+left["deliveries"] != 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

func TestARefusedRecordThatCameAgainIsNotDeliveredTwice(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	in := fromIiko()
	in.Verdict = store.InvalidSignature
	refused := keep(t, s, in, []byte("raw"))
	first, _, _ := once(t, s, "a", 200)
	for key, dup := range map[string]bool{"other": false, "a": true} {
		c := s.Rejudge(refused.ID, store.InvalidSignature, store.Judgement{Source: in.Source, Verdict: store.InvalidSignature},
			[]store.Delivery{{Target: "app"}}, &store.Once{Key: key, Window: time.Hour})
		noError(t, c.Wait())
		of, got := c.First()
		if got != dup || dup && of != first {
			t.Fatalf("key %q: duplicate %v of %s", key, got, of)
		}
		if dup {
			rec, err := s.Get(refused.ID)
			noError(t, err)
			if rec.Verdict != store.Duplicate || rec.Reason != store.DuplicateOf(first) {
				t.Errorf("%+v", rec)
			}
			break
		}
		noError(t, s.Rejudge(refused.ID, store.InvalidSignature, store.Judgement{Source: in.Source, Verdict: store.InvalidSignature}, nil, nil).Wait())
	}
}
