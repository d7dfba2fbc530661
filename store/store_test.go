package store_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/hooktape/hooktape/store"
)

func TestMain(m *testing.M) {
	if child() {
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/hooktape/hooktape/store.(*file).unlessLost.func1"))
}

// tape is a path for a database that is not there yet.
func tape(t testing.TB) string { return filepath.Join(t.TempDir(), "tape.db") }

func openStore(t testing.TB, path string, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// reopen closes s and opens it again.
func reopen(t testing.TB, s *store.Store) *store.Store {
	t.Helper()
	noError(t, s.Close())
	return openStore(t, s.Path(), store.Options{})
}

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// body is n bytes that differ by seed.
func body(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// keep appends a record of raw bytes and returns it.
func keep(t testing.TB, s *store.Store, rec store.Record, raw []byte, deliveries ...store.Delivery) *store.Record {
	t.Helper()
	spool := s.Spool()
	defer spool.Discard()
	if _, err := spool.Write(raw); err != nil {
		t.Fatal(err)
	}
	noError(t, s.Append(&rec, spool, deliveries, nil).Wait())
	rec.Raw.Inline = bytes.Clone(rec.Raw.Inline)
	return &rec
}

// bytesOf reads raw back.
func bytesOf(t testing.TB, s *store.Store, raw store.Raw) []byte {
	t.Helper()
	r := s.Open(raw)
	defer r.Close()
	var b bytes.Buffer
	if _, err := r.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var arrival = time.Date(2026, 3, 4, 5, 6, 7, 123456789, time.UTC)

func fullRecord() store.Record {
	return store.Record{
		Time: arrival, Source: "iiko", Via: "tunnel", Remote: "203.0.113.7:4711", TLS: true,
		Proto: "HTTP/1.1", Method: "POST", Target: "/hooks/\xffraw%20?a=1", Host: "Hooks.Example.com", Event: "UPDATE",
		Trace: "4bf92f3577b34da6", Verdict: store.InvalidSignature, Reason: "no secret fits", Verified: true,
		HeadSize: 17, BodySize: 42, Truncated: true, Origin: "01HZY0000000000000000000AB",
	}
}

func TestARecordComesBackAsItWasPutIn(t *testing.T) {
	for _, size := range []int{0, 1, 1000, 64<<10 - 64, 64<<10 - 1, 64 << 10, 64<<10 + 1, 2*(64<<10) - 128, 1 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s := openStore(t, tape(t), store.Options{})
			raw := body(uint64(size), size)
			rec := fullRecord()
			spool := s.Spool()
			defer spool.Discard()
			for part := range slices.Chunk(raw, 1500) {
				spool.Write(part)
			}
			noError(t, s.Append(&rec, spool, nil, func(r *store.Record) {
				r.Answer = &store.Answer{
					Status: 200, Time: arrival.Add(time.Second), Duration: time.Minute,
					Raw: store.InlineRaw([]byte("HTTP/1.1 200 OK\r\n\r\n" + r.ID.String())),
				}
			}).Wait())
			rec.Raw.Inline = bytes.Clone(rec.Raw.Inline)
			s = reopen(t, s)
			got, err := s.Get(rec.ID)
			noError(t, err)
			if len(rec.Raw.Inline) == 0 {
				rec.Raw.Inline = nil
			}
			if diff := cmp.Diff(&rec, got); diff != "" {
				t.Error(diff)
			}
			if !bytes.Equal(bytesOf(t, s, got.Raw), raw) {
				t.Error("other bytes came back")
			}
			if inline := got.Raw.Pieces == (store.ID{}); inline != (size <= 64<<10) {
				t.Errorf("inline: %v", inline)
			}
		})
	}
}
