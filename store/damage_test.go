package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/hooktape/hooktape/store"
)

// spoil flips one bit in the value of a key.
func spoil(t *testing.T, s *store.Store, bucket string, key []byte) *store.Store {
	t.Helper()
	noError(t, s.Close())
	editFile(t, s.Path(), func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		k, v := b.Cursor().Seek(key)
		if !bytes.HasPrefix(k, key) {
			t.Fatalf("%s has no %x", bucket, key)
		}
		v = bytes.Clone(v)
		v[len(v)/2] ^= 1
		return b.Put(bytes.Clone(k), v)
	})
	return openStore(t, s.Path(), store.Options{})
}

func TestADamagedRecordIsNamedAndTheNextOnesFollow(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	var ids []store.ID
	for i := range 5 {
		ids = append(ids, keep(t, s, fromIiko(), body(uint64(i), 500)).ID)
	}
	s = spoil(t, s, "records", ids[2][:])
	if _, err := s.Get(ids[2]); !errors.Is(err, store.ErrDamaged) || !bytes.Contains([]byte(err.Error()), []byte(ids[2].String())) {
		t.Errorf("get: %v", err)
	}
	for _, q := range []store.Query{{}, {Source: "iiko"}, {Newest: true}} {
		whole, damaged := 0, 0
		for r, err := range s.Records(q) {
			if err == nil && r != nil {
				whole++
			} else if errors.Is(err, store.ErrDamaged) {
				damaged++
			}
		}
		if whole != 4 || damaged != 1 {
			t.Errorf("%+v: %d whole, %d damaged", q, whole, damaged)
		}
	}
}

func TestOtherDamageIsAnErrorToo(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	rec := keep(t, s, fromIiko(), body(1, 300<<10), to("app", "", 0))
	attempt := &store.Attempt{Head: "GET / HTTP/1.1\r\n\r\n"}
	noError(t, s.Settle(rec.ID, store.Outcome{Attempt: attempt}).Wait())
	noError(t, s.PutMeta("sources", []byte("value")))
	s = spoil(t, s, "pieces", append(rec.Raw.Pieces[:], 0, 0, 0, 2))
	s = spoil(t, s, "attempts", rec.ID[:])
	s = spoil(t, s, "deliveries", rec.ID[:])
	s = spoil(t, s, "meta", []byte("user.sources"))
	n, piece := io.Copy(io.Discard, s.Open(rec.Raw))
	if n != 2*(64<<10-64) {
		t.Errorf("read %d bytes before the damage", n)
	}
	_, attempts := s.Attempts(rec.ID)
	_, deliveries := s.Deliveries(rec.ID)
	_, meta := s.Meta("sources")
	for name, err := range map[string]error{
		"piece": piece, "attempts": attempts, "deliveries": deliveries, "meta": meta,
	} {
		if !errors.Is(err, store.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	keep(t, s, fromIiko(), nil)
}

// TestDamagedPagesNeverPanic overwrites pages at random, and then does everything there is to do.
func TestDamagedPagesNeverPanic(t *testing.T) {
	s := openStore(t, tape(t), store.Options{NoSync: true})
	for i := range 200 {
		keep(t, s, fromIiko(), body(uint64(i), 2000+100*i), to("app", "k", 0))
	}
	used := s.Stats().File - s.Stats().Free
	noError(t, s.Close())
	whole, err := os.ReadFile(s.Path())
	noError(t, err)
	whole = whole[:min(len(whole), int(used)+1<<20)] // beyond, there are only zeros
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 2))
		spoiled := bytes.Clone(whole)
		for range 1 + seed%5 {
			page := spoiled[r.IntN(500)*4096:][:4096]
			switch seed % 3 {
			case 0:
				clear(page)
			case 1:
				page[r.IntN(64)] ^= 1 << r.IntN(8)
			case 2:
				copy(page, body(seed, len(page)))
			}
		}
		if seed%7 == 6 {
			spoiled = spoiled[:r.IntN(300)*4096] // truncated: reading beyond its end is a fault
		}
		path := tape(t)
		noError(t, os.WriteFile(path, spoiled, 0o600))
		useEverything(path)
	}
}

// useEverything calls what a store has, whatever the errors: all that is asked of it is to return.
func useEverything(path string) {
	s, err := store.Open(path, store.Options{NoSync: true})
	if err != nil {
		return
	}
	defer s.Close()
	for r := range s.Records(store.Query{}) {
		if r != nil {
			s.Open(r.Raw).WriteTo(io.Discard)
			s.Attempts(r.ID)
			s.Deliveries(r.ID)
		}
	}
	for range s.AllDeliveries(store.DeliveryQuery{State: store.Pending}) {
	}
	s.Find("0000")
	s.Stats()
	for range 3 {
		rec := fromIiko()
		p := s.Spool()
		p.Write(make([]byte, 100<<10))
		s.Append(&rec, p, []store.Delivery{to("app", "k", 0)}, nil).Wait()
		p.Discard()
		due, _, _ := s.Ready("iiko", "app", arrival, 10, nil)
		for _, d := range due {
			d.State = store.Delivered
			s.Settle(d.Record, store.Outcome{Deliveries: []store.Delivery{d}}).Wait()
		}
	}
}

// The order of a key is not broken in silence: a delivery that is passed over is logged, and stays among the pending.
func TestADamagedDeliveryHoldsUpNoOtherOfItsKey(t *testing.T) {
	for name, leave := range map[string]func(*store.Store, store.ID) error{
		"delivered": func(s *store.Store, id store.ID) error {
			return s.Settle(id, store.Outcome{Deliveries: []store.Delivery{{Source: "iiko", Target: "app", State: store.Delivered}}}).Wait()
		},
		"deleted": func(s *store.Store, id store.ID) error {
			_, err := s.Delete(id)
			return err
		},
		"damaged too": nil,
	} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, tape(t), store.Options{})
			first := keep(t, s, fromIiko(), nil, to("app", "order", 0)).ID
			damaged := keep(t, s, fromIiko(), nil, to("app", "order", 0)).ID
			last := keep(t, s, fromIiko(), nil, to("app", "order", 0)).ID
			other := keep(t, s, fromIiko(), nil, to("app", "another order", 0)).ID
			left := []store.ID{damaged}
			s = spoil(t, s, "deliveries", damaged[:])
			if leave == nil {
				s = spoil(t, s, "deliveries", first[:])
				left = []store.ID{first, damaged}
			}
			noError(t, s.Close())
			var told []any // the committer writes to it until Sync returns
			s = openStore(t, s.Path(), store.Options{Log: func(_ string, about ...any) { told = append(told, about[1]) }})
			if leave != nil {
				noError(t, leave(s, first))
			}
			for range 2 {
				wantIDs(t, "behind the damaged", readyIDs(t, s, "app", time.Minute), last, other)
			}
			noError(t, s.Sync())
			if fmt.Sprint(told) != fmt.Sprint(left) {
				t.Errorf("told of %v, not of %v", told, left)
			}
			damage := 0
			for _, err := range s.AllDeliveries(store.DeliveryQuery{State: store.Pending}) {
				if errors.Is(err, store.ErrDamaged) {
					damage++
				}
			}
			if damage != len(left) {
				t.Errorf("%d of them are listed as damaged", damage)
			}
		})
	}
}
