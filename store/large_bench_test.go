package store_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"

	"github.com/hooktape/hooktape/store"
)

// largeEnv says how many records the tape of BenchmarkLarge holds; DESIGN.md section 9 speaks of 5000000. That many take
// some 3 GB of TMPDIR, and minutes to write.
const largeEnv = "HOOKTAPE_BENCH_RECORDS"

// largeRecords is how many there are without largeEnv: enough for all of the benchmark to run.
const largeRecords = 20_000

func recordsOfBench(b *testing.B) int {
	b.Helper()
	n, err := strconv.Atoi(os.Getenv(largeEnv))
	if err != nil {
		n = largeRecords
	}
	return n
}

// fill writes small records as fast as it can: nothing waits for the disk.
func fill(b *testing.B, path string, n int) {
	b.Helper()
	s, err := store.Open(path, store.Options{NoSync: true})
	noError(b, err)
	for i := range n {
		c := appendSmall(s)
		if i%10_000 == 9999 || i == n-1 {
			noError(b, c.Wait())
		}
	}
	noError(b, s.Close())
	settleDisk(b, path)
}

// settleDisk brings all of a file to the disk, so that the first sync that is measured has no more to do than the others.
func settleDisk(b *testing.B, path string) {
	b.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	noError(b, err)
	noError(b, f.Sync())
	noError(b, f.Close())
}

var (
	smallRaw    = store.InlineRaw(fmt.Appendf(nil, "POST /api/v1/webhooks/iiko HTTP/1.1\r\nHost: hooks.example.com\r\nContent-Length: 100\r\n\r\n%0100d", 7))
	smallAnswer = store.Answer{Status: 200, Raw: store.InlineRaw([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))}
)

func appendSmall(s *store.Store) *store.Commit {
	rec := store.Record{
		Source: "iiko", Via: "direct", Remote: "127.0.0.1:50000", Proto: "HTTP/1.1", Method: "POST",
		Target: "/api/v1/webhooks/iiko", Host: "hooks.example.com", Verdict: store.Accepted, BodySize: 100, Raw: smallRaw,
	}
	return s.Append(&rec, nil, nil, func(r *store.Record) { r.Answer = &smallAnswer })
}

// BenchmarkLarge measures a tape with many records: how long it takes to open after a clean stop and after a kill, what
// the newest 50 cost, how appends to it, with retention running, compare with those to an empty tape, and the memory that
// is live then.
func BenchmarkLarge(b *testing.B) {
	n := recordsOfBench(b)
	path := tape(b)
	fill(b, path, n)
	b.Run(fmt.Sprintf("records=%d/open-after-stop", n), func(b *testing.B) {
		for b.Loop() {
			openAndClose(b, path)
		}
	})
	b.Run(fmt.Sprintf("records=%d/newest-50", n), func(b *testing.B) { newest50(b, path) })
	b.Run(fmt.Sprintf("records=%d/append", n), func(b *testing.B) { appendToLarge(b, path) })
	b.Run(fmt.Sprintf("records=%d/open-after-kill", n), func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			killWriter(b, path)
			b.StartTimer()
			openAndClose(b, path)
		}
	})
}

func openAndClose(b *testing.B, path string) {
	b.Helper()
	s, err := store.Open(path, store.Options{})
	noError(b, err)
	b.StopTimer()
	noError(b, s.Close())
	b.StartTimer()
}

// killWriter runs a process that appends to the tape, and kills it while it does.
func killWriter(b *testing.B, path string) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), crashEnv+"="+path)
	out, err := cmd.StdoutPipe()
	noError(b, err)
	noError(b, cmd.Start())
	lines := bufio.NewScanner(out)
	for told := 0; lines.Scan(); told++ {
		if told == 100 {
			noError(b, cmd.Process.Kill())
		}
	}
	if cmd.Wait(); cmd.ProcessState.Exited() {
		b.Fatal("the writer ended by itself")
	}
}

func newest50(b *testing.B, path string) {
	s, err := store.Open(path, store.Options{ReadOnly: true})
	noError(b, err)
	defer s.Close()
	var bytes int64
	for b.Loop() {
		found := 0
		for rec, err := range s.Records(store.Query{Newest: true}) {
			noError(b, err)
			bytes += rec.Raw.Size
			if found++; found == 50 {
				break
			}
		}
	}
	b.ReportMetric(float64(bytes)/1024/float64(b.N), "KiB-raw/op")
}

// liveHeap is what the process holds in memory once the garbage is gone.
func liveHeap() float64 {
	runtime.GC()
	runtime.GC() // what sync.Pool held goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}

// appendToLarge takes turns with an empty tape. The metric to look at is ratio.
func appendToLarge(b *testing.B, path string) {
	s, err := store.Open(path, store.Options{})
	noError(b, err)
	defer s.Close()
	s.SetRetention(store.Retention{MaxSize: max(s.Stats().Used, 1<<20)}) // full: it evicts as much as comes
	empty := openStore(b, tape(b), store.Options{})
	const appenders, per = 64, 64 * 40
	appendTo := func(s *store.Store) func() {
		return func() {
			if err := appendSmall(s).Wait(); err != nil {
				b.Error(err)
			}
		}
	}
	var large, small, rounds float64
	for b.Loop() {
		large += 1 / many(appenders, per, appendTo(s))
		small += 1 / many(appenders, per, appendTo(empty))
		rounds++
	}
	b.ReportMetric(rounds/large, "appends/s")
	b.ReportMetric(rounds/small, "reference-appends/s")
	b.ReportMetric(small/large, "ratio")
	b.ReportMetric(float64(s.Stats().Evicted)/(rounds*per), "evicted/append")
	b.ReportMetric(liveHeap(), "MiB-live") // with the empty tape's, which is little
	b.ReportMetric(0, "ns/op")
}
