package store_test

import (
	"crypto/sha256"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hooktape/hooktape/store"
)

func TestTokensAreKeptByNameUntilTheyAreRevoked(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "tape.db"), store.Options{})
	made := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	alice := store.Token{Name: "alice", Hash: sha256.Sum256([]byte("a")), Created: made}
	bob := store.Token{Name: "bob", Hash: sha256.Sum256([]byte("b")), Created: made}
	for _, token := range []store.Token{bob, {Name: "alice"}, alice} {
		if err := s.PutToken(token); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want ...store.Token) {
		t.Helper()
		if got, err := s.Tokens(); err != nil || !cmp.Equal(got, want) {
			t.Errorf("got %v, %v", got, err)
		}
	}
	expect(alice, bob)
	for _, name := range []string{"bob", "nobody"} {
		if err := s.DeleteToken(name); err != nil {
			t.Fatal(err)
		}
	}
	expect(alice)
	if err := s.PutMeta("token.bad", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Tokens(); !errors.Is(err, store.ErrDamaged) || len(got) != 1 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestCopiesAreKeptByTunnel(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "tape.db"), store.Options{})
	want := map[string][]store.Copy{"alice": {{Source: "stripe", Where: "json.livemode"}, {Source: "github"}}}
	for tunnel, copies := range map[string][]store.Copy{"alice": want["alice"], "bob": {{Source: "stripe"}}} {
		if err := s.PutCopies(tunnel, copies); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.PutCopies("bob", nil); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Copies(); err != nil || !cmp.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestARecordWithSeveralKeysIsADuplicateByAnyOfThem(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "tape.db"), store.Options{})
	add := func(keys ...store.Once) store.ID {
		t.Helper()
		rec := store.Record{Source: "s", Verdict: store.Accepted}
		c := s.AppendOnce(&rec, spooled(t, s, []byte("raw")), nil, func(r *store.Record) { r.Answer = &store.Answer{Status: 200} }, keys...)
		if err := c.Wait(); err != nil {
			t.Fatal(err)
		}
		if first, ok := c.First(); ok {
			return first
		}
		return rec.ID
	}
	key := func(k string) store.Once { return store.Once{Key: k, Window: time.Hour} }
	first := add(key("a"), key("b"))
	for _, keys := range [][]store.Once{{key("a")}, {key("c"), key("b")}, {key("b"), key("a")}} {
		if got := add(keys...); got != first {
			t.Errorf("%v is the first", keys)
		}
	}
	if add(key("c")) == first {
		t.Error("the key of a duplicate is remembered as that of the first")
	}
}
