package store_test

import (
	"errors"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/hooktape/hooktape/store"
)

// rich appends a record with everything that a record can have.
func rich(t testing.TB, s *store.Store, seed uint64, d ...store.Delivery) *store.Record {
	t.Helper()
	in := fromIiko()
	in.Verdict = store.InvalidSignature
	rec := keep(t, s, in, body(seed, 200<<10), d...)
	for range 2 {
		sent, response, answer := s.Spool(), s.Spool(), s.Spool()
		_, err := response.Write(body(seed, 100<<10))
		noError(t, err)
		_, err = answer.Write(body(seed, 90<<10))
		noError(t, err)
		_, err = sent.Write(body(seed, 80<<10))
		noError(t, err)
		noError(t, s.Settle(rec.ID, store.Outcome{
			Attempt: &store.Attempt{}, Sent: sent, Response: response, Answer: &store.Answer{Status: 200}, AnswerRaw: answer,
		}).Wait())
		sent.Discard()
		response.Discard()
		answer.Discard()
	}
	return rec
}

// rows counts the keys of every bucket.
func rows(t *testing.T, s *store.Store) map[string]int {
	t.Helper()
	noError(t, s.Close())
	n := map[string]int{}
	editFile(t, s.Path(), func(tx *bolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bolt.Bucket) error {
			return b.ForEach(func(_, _ []byte) error { n[string(name)]++; return nil })
		})
	})
	delete(n, "meta")
	return n
}

func TestADeletedRecordLeavesNothing(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	first := rich(t, s, 1, to("app", "k", 0), to("other", "", 0))
	second := keep(t, s, fromIiko(), nil, to("app", "k", 0))
	st := s.Stats()
	if want := int64((200 + 2*100 + 2*80 + 90) << 10); st.Bytes != want || st.Records != 2 || st.Refused == 0 {
		t.Errorf("before: %+v, want %d bytes", st, want)
	}
	done, err := s.Delete(first.ID, first.ID, store.ID{1})
	noError(t, err)
	if want := (store.Deleted{Records: 1, Bytes: st.Bytes, Pending: 2}); done != want {
		t.Errorf("deleted %+v, want %+v", done, want)
	}
	if _, err := s.Get(first.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("get: %v", err)
	}
	due, _, err := s.Ready("iiko", "app", arrival, 10, nil)
	if err != nil || len(due) != 1 || due[0].Record != second.ID {
		t.Errorf("the next of the key is not in turn: %v %v", due, err)
	}
	if n, _, _ := s.Pending("iiko", "other"); n != 0 {
		t.Errorf("%d pending", n)
	}
	_, err = s.Delete(second.ID)
	noError(t, err)
	if st := s.Stats(); st.Records != 0 || st.Bytes != 0 || st.Refused != 0 || st.Pending != 0 {
		t.Errorf("after: %+v", st)
	}
	if left := rows(t, s); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestABigBodyIsDeletedInSeveralTransactions(t *testing.T) {
	s := openStore(t, tape(t), store.Options{NoSync: true})
	big, small := keep(t, s, fromIiko(), body(1, 40<<20)), keep(t, s, fromIiko(), body(2, 70<<10))
	_, err := s.Delete(big.ID, small.ID)
	noError(t, err)
	noError(t, s.Sync())
	if left := rows(t, s); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestADamagedRecordIsNotHalfDeleted(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	rec, other := rich(t, s, 1, to("app", "", 0)), keep(t, s, fromIiko(), nil)
	s = spoil(t, s, "attempts", rec.ID[:])
	done, err := s.Delete(rec.ID, other.ID)
	if !errors.Is(err, store.ErrDamaged) || done.Records != 1 {
		t.Errorf("deleted %+v, %v", done, err)
	}
	if got, err := s.Get(rec.ID); err == nil {
		bytesOf(t, s, got.Raw)
	}
}
