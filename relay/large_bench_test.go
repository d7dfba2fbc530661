package relay

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/wire/wiretest"
	"github.com/hooktape/hooktape/store"
)

// BenchmarkReceiveOnLargeTape: requests answered after they are on the disk, to an agent whose tape holds many records
// and evicts as many as come, against the same agent on an empty tape. The requests are as small as the records: of
// those, several would go for one usual request.
//
// HOOKTAPE_BENCH_RECORDS says how many; 5000000 is what DESIGN.md section 9 speaks of. They take some 4 GB of TMPDIR.
func BenchmarkReceiveOnLargeTape(b *testing.B) {
	n, err := strconv.Atoi(os.Getenv("HOOKTAPE_BENCH_RECORDS"))
	if err != nil {
		n = 20_000
	}
	path := filepath.Join(b.TempDir(), "large.db")
	fillTape(b, path, n)
	for _, conns := range []int{64, 256} {
		b.Run(fmt.Sprintf("records=%d/conns=%d", n, conns), func(b *testing.B) {
			s, err := store.Open(path, store.Options{})
			if err != nil {
				b.Fatal(err)
			}
			s.SetRetention(store.Retention{MaxSize: max(s.Stats().Used, 1<<20)})
			src := config.Source{Name: "ack", Path: "/", Respond: config.RespondAck, MaxBody: 1 << 20}
			peer := wiretest.Start(b)
			peer.Body = largeBody
			compare(b, peer, conns, benchAgentOn(b, s, src), benchAgent(b, src))
			b.ReportMetric(float64(s.Stats().Evicted), "evicted")
		})
	}
}

// largeBody is how many bytes of body the records of a large tape have.
const largeBody = 100

// fillTape writes small records, as Load makes them, without waiting for the disk.
func fillTape(b *testing.B, path string, n int) {
	b.Helper()
	s, err := store.Open(path, store.Options{NoSync: true})
	if err != nil {
		b.Fatal(err)
	}
	raw := store.InlineRaw(wiretest.RequestOf(largeBody))
	answer := store.Answer{Status: 200, Raw: store.InlineRaw([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))}
	for i := range n {
		rec := store.Record{
			Source: "ack", Via: "direct", Remote: "127.0.0.1:50000", Proto: "HTTP/1.1", Method: "POST", Target: "/hooks/orders",
			Host: "hooks.example.com", Verdict: store.Accepted, BodySize: largeBody, Raw: raw,
		}
		c := s.Append(&rec, nil, nil, func(r *store.Record) { r.Answer = &answer })
		if i%10_000 == 9999 || i == n-1 {
			if err := c.Wait(); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		b.Fatal(err)
	}
	// Now, so that the first sync that is measured has no more to do than others.
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		b.Fatal(err)
	}
}
