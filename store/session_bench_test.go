package store_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/hooktape/hooktape/store"
)

// BenchmarkCapture compares appending without sessions, beside one that has ended, and into one that captures.
func BenchmarkCapture(b *testing.B) {
	const total = 20000
	rates := map[string]float64{}
	for range b.N {
		for name, prepare := range map[string]func(*store.Store){
			"plain": func(*store.Store) {},
			"ended": func(s *store.Store) {
				noError(b, s.StartSession("a", false))
				appendDocument(b, s)
				noError(b, s.StopSession("a"))
			},
			"capturing": func(s *store.Store) { noError(b, s.StartSession("a", false)) },
		} {
			s := openStore(b, tape(b), store.Options{NoSync: true, Retention: store.Retention{MaxSize: 10 << 30}})
			prepare(s)
			rates[name] += many(64, total, func() { appendDocument(b, s) })
			noError(b, s.Close())
		}
	}
	b.ReportMetric(rates["ended"]/rates["plain"], "ended/plain")
	b.ReportMetric(rates["capturing"]/rates["plain"], "capturing/plain")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkLongSession makes a session of records that are there, goes through it and deletes it.
func BenchmarkLongSession(b *testing.B) {
	const total = 1_000_000
	s := openStore(b, tape(b), store.Options{NoSync: true})
	many(256, total, func() { appendDocument(b, s) })
	for b.Loop() {
		var heap runtime.MemStats
		most := uint64(0)
		watch := func() {
			runtime.ReadMemStats(&heap)
			most = max(most, heap.HeapAlloc)
		}
		began := time.Now()
		var ids []store.ID
		noError(b, s.CreateSession("long", true))
		for rec, err := range s.Records(store.Query{NoRaw: true}) {
			noError(b, err)
			if ids = append(ids, rec.ID); len(ids) == 4096 {
				noError(b, s.AddToSession("long", ids...))
				ids = ids[:0]
				watch()
			}
		}
		noError(b, s.AddToSession("long", ids...))
		added, n := time.Since(began), 0
		began = time.Now()
		for _, err := range s.Records(store.Query{Session: "long", NoRaw: true}) {
			noError(b, err)
			if n++; n%50_000 == 0 {
				watch()
			}
		}
		read := time.Since(began)
		began = time.Now()
		noError(b, s.DeleteSession("long"))
		b.ReportMetric(float64(n)/added.Seconds(), "added/s")
		b.ReportMetric(float64(n)/read.Seconds(), "read/s")
		b.ReportMetric(float64(n)/time.Since(began).Seconds(), "forgotten/s")
		b.ReportMetric(float64(most)/(1<<20), "MiB-heap")
		b.ReportMetric(0, "ns/op")
	}
}
