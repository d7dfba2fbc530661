package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hooktape/hooktape/store"
)

// document is the body of a usual webhook.
var document = []byte(`{"eventType":"DeliveryOrderUpdate","organizationId":"7bc05553-4b68-44e8-b7bc-37be63c6d9e9",` + fmt.Sprintf(`"note":"%0900d"}`, 7))

// groupFile is what Append is measured against: lines appended to a file, one fdatasync for all that come together.
type groupFile struct {
	f    *os.File
	mu   sync.Mutex
	more sync.Cond
	buf  []byte
	done *sync.WaitGroup // for the lines in buf
	end  bool

	syncs int // done so far
}

func newGroupFile(path string) (*groupFile, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	g := &groupFile{f: f, done: new(sync.WaitGroup)}
	g.more.L = &g.mu
	g.done.Add(1)
	return g, nil
}

func (g *groupFile) run() error {
	var spare []byte
	for {
		g.mu.Lock()
		for len(g.buf) == 0 && !g.end {
			g.more.Wait()
		}
		if len(g.buf) == 0 {
			g.mu.Unlock()
			return g.f.Close()
		}
		buf, done := g.buf, g.done
		g.buf, g.done = spare[:0], new(sync.WaitGroup)
		g.done.Add(1)
		g.mu.Unlock()
		if _, err := g.f.Write(buf); err != nil {
			return err
		}
		if err := dataSync(g.f); err != nil {
			return err
		}
		g.syncs++
		done.Done()
		spare = buf
	}
}

func (g *groupFile) append(b []byte) {
	g.mu.Lock()
	g.buf = append(g.buf, b...)
	done := g.done
	g.more.Signal()
	g.mu.Unlock()
	done.Wait()
}

func (g *groupFile) close() {
	g.mu.Lock()
	g.end = true
	g.more.Signal()
	g.mu.Unlock()
}

// many calls do from n goroutines, total times, and returns how many a second that were.
func many(n, total int, do func()) float64 {
	var all sync.WaitGroup
	turns := make(chan struct{}, total)
	for range total {
		turns <- struct{}{}
	}
	close(turns)
	begin := time.Now()
	for range n {
		all.Go(func() {
			for range turns {
				do()
			}
		})
	}
	all.Wait()
	return float64(total) / time.Since(begin).Seconds()
}

func appendDocument(b testing.TB, s *store.Store) {
	rec := store.Record{
		Time: time.Now(), Source: "iiko", Via: "direct", Remote: "127.0.0.1:50000", Proto: "HTTP/1.1", Method: "POST",
		Target: "/api/v1/webhooks/iiko", Host: "hooks.example.com", Verdict: store.Accepted, BodySize: int64(len(document)),
	}
	spool := s.Spool()
	defer spool.Discard()
	if _, err := spool.Write(document); err != nil {
		b.Error(err)
	}
	if err := s.Append(&rec, spool, nil, func(r *store.Record) {
		r.Answer = &store.Answer{Status: 200, Raw: store.InlineRaw([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))}
	}).Wait(); err != nil {
		b.Error(err)
	}
}

// BenchmarkAppend compares durable appends with groupFile in turns, since the cost of a sync changes by the minute.
// The metric to look at is ratio.
func BenchmarkAppend(b *testing.B) {
	for _, appenders := range []int{1, 64, 256} {
		b.Run(fmt.Sprint(appenders), func(b *testing.B) {
			s := openStore(b, tape(b), store.Options{})
			g, err := newGroupFile(filepath.Join(b.TempDir(), "lines"))
			noError(b, err)
			var file sync.WaitGroup
			file.Go(func() {
				if err := g.run(); err != nil {
					b.Error(err)
				}
			})
			var stored, filed, rounds float64
			per := appenders * 40
			for b.Loop() {
				stored += 1 / many(appenders, per, func() { appendDocument(b, s) })
				filed += 1 / many(appenders, per, func() { g.append(document) })
				rounds++
			}
			g.close()
			file.Wait()
			st := s.Stats()
			b.ReportMetric(rounds/stored, "appends/s")
			b.ReportMetric(rounds/filed, "lines/s")
			b.ReportMetric(filed/stored, "ratio")
			b.ReportMetric(float64(st.Changes)/float64(st.Commits), "changes/commit")
			b.ReportMetric(float64(per)*rounds/float64(g.syncs), "lines/sync")
		})
	}
}

// BenchmarkAppendWithRetention compares durable appends to a full tape, which evicts as much as comes, with those to a
// tape that keeps everything. The metric to look at is ratio.
func BenchmarkAppendWithRetention(b *testing.B) {
	const size = 32 << 20
	bounded := openStore(b, tape(b), store.Options{Retention: store.Retention{MaxAge: 24 * time.Hour, MaxSize: size}})
	endless := openStore(b, tape(b), store.Options{})
	const appenders, per = 64, 64 * 40
	for bounded.Stats().Evicted == 0 {
		many(appenders, per, func() { appendDocument(b, bounded) })
		many(appenders, per, func() { appendDocument(b, endless) })
	}
	var with, without, rounds float64
	for b.Loop() {
		with += 1 / many(appenders, per, func() { appendDocument(b, bounded) })
		without += 1 / many(appenders, per, func() { appendDocument(b, endless) })
		rounds++
	}
	st := bounded.Stats()
	b.ReportMetric(rounds/with, "appends/s")
	b.ReportMetric(without/with, "ratio")
	b.ReportMetric(float64(st.Evicted)/float64(st.Commits), "evicted/commit")
	b.ReportMetric(float64(st.Used)/size, "used/max")
}

func BenchmarkNoSync(b *testing.B) {
	s := openStore(b, tape(b), store.Options{NoSync: true})
	b.ReportAllocs()
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			appendDocument(b, s)
		}
	})
	st := s.Stats()
	b.ReportMetric(float64(st.Changes)/float64(st.Commits), "group")
}
