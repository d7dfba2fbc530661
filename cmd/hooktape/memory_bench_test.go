package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hooktape/hooktape/replay"
	tapefile "github.com/hooktape/hooktape/replay/tape"
	"github.com/hooktape/hooktape/store"
)

// recordsEnv says how many records the larger session of BenchmarkSessionMemory has, as in the benchmarks of package
// store. A million take some 6 GB of TMPDIR.
const recordsEnv = "HOOKTAPE_BENCH_RECORDS"

// recordsOtherwise is enough for all of it to run.
const recordsOtherwise = 5_000

// BenchmarkSessionMemory exports, imports and replays a session, and one a tenth as large. What counts are the metrics:
// how much of the heap was in use at most, in MB. It does not grow with the session.
func BenchmarkSessionMemory(b *testing.B) {
	n, err := strconv.Atoi(os.Getenv(recordsEnv))
	if err != nil {
		n = recordsOtherwise
	}
	app := newPlainApp(b, smallBody)
	for _, n := range []int{n / 10, n} {
		b.Run(fmt.Sprintf("records=%d", n), func(b *testing.B) {
			for b.Loop() {
				dir := b.TempDir()
				data, file := filepath.Join(dir, "a.db"), filepath.Join(dir, "s.warc")
				fillSession(b, data, n, smallBody)
				for _, step := range []struct{ name, args string }{
					{"export", "export --session s --verbatim --data " + data + " -o " + file},
					{"import", "import " + file + " --data " + filepath.Join(dir, "b.db")},
					{"replay", "replay --session s --concurrency 16 --data " + data + " --to " + app + " --junit " + filepath.Join(dir, "j.xml")},
				} {
					b.ReportMetric(float64(peakOf(func() { runFor(b, step.args) }))/1e6, step.name+"-MB")
				}
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkSessionCommands exports, imports and replays a session whose bodies have 1 KiB, as a tenth of the larger one of
// BenchmarkSessionMemory or 20,000 records. The bytes are those of the WARC. A replay puts each attempt on the tape.
func BenchmarkSessionCommands(b *testing.B) {
	n := 20_000
	if given, err := strconv.Atoi(os.Getenv(recordsEnv)); err == nil {
		n = given / 10
	}
	dir := b.TempDir()
	data, file := filepath.Join(dir, "a.db"), filepath.Join(dir, "s.warc")
	fillSession(b, data, n, 1<<10)
	export := "export --session s --verbatim --force --data " + data + " -o "
	runFor(b, export+file)
	info, err := os.Stat(file)
	if err != nil {
		b.Fatal(err)
	}
	for _, to := range []string{file, file + ".gz"} {
		b.Run("export/"+filepath.Base(to), func(b *testing.B) {
			b.SetBytes(info.Size())
			for b.Loop() {
				runFor(b, export+to)
			}
		})
	}
	defer debug.SetGCPercent(debug.SetGCPercent(replay.GCPercent)) // as the commands that follow have it
	b.Run("import", func(b *testing.B) {
		b.SetBytes(info.Size())
		for b.Loop() {
			runFor(b, "import "+file+" --data "+filepath.Join(b.TempDir(), "b.db"))
		}
	})
	b.Run("replay", func(b *testing.B) {
		app := newPlainApp(b, 1<<10)
		for b.Loop() {
			runFor(b, "replay --session s --concurrency 16 --data "+data+" --to "+app)
		}
		b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "per-s")
		b.ReportMetric(0, "ns/op")
	})
}

// runFor runs a command that must succeed.
func runFor(b testing.TB, args string) {
	e := &env{
		stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard, now: time.Now,
		lookup: func(string) (string, bool) { return "", false }, getwd: os.Getwd,
	}
	if code := e.execute(b.Context(), strings.Fields(args)); code != exitDone {
		b.Fatalf("hooktape %s: exit %d", args, code)
	}
}

// peakOf is the most bytes of the heap that were found to be in use while do ran.
func peakOf(do func()) uint64 {
	runtime.GC() // what was in use before does not count
	ctx, done := context.WithCancel(context.Background())
	peak := make(chan uint64)
	go func() {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		most := uint64(0)
		for every := time.NewTicker(10 * time.Millisecond); ctx.Err() == nil; <-every.C {
			metrics.Read(live)
			most = max(most, live[0].Value.Uint64())
		}
		peak <- most
	}()
	do()
	done()
	return <-peak
}

// smallBody is the size of a body that numbers its record.
const smallBody = 20

// fillSession makes a tape with a session of n records with bodies of size bytes, each with an attempt that was answered
// as the app answers.
func fillSession(b testing.TB, path string, n, size int) {
	s, err := store.Open(path, store.Options{NoSync: true})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if err := s.StartSession("s", false); err != nil {
		b.Fatal(err)
	}
	m := &tapefile.Importer{Store: s, Session: "s"}
	began := time.Now().Add(-time.Hour)
	for i := range n {
		head := fmt.Sprintf("POST /in HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size)
		at := tapefile.Time{Time: began.Add(time.Duration(i) * time.Microsecond)}
		r := &tapefile.Recording{
			ID: fmt.Sprintf("%026d", i), Known: true, Time: at, Verdict: "accepted", Method: "POST", Target: "/in", Host: "a",
			HeadSize: len(head), BodySize: int64(size), Request: tapefile.Bytes(fmt.Appendf(nil, "%s%0*d", head, size, i)),
			Attempts: []tapefile.Attempt{{
				Number: 1, URL: "http://a/in", Time: at, Head: []byte(head), Status: 204, HeadSize: len(plainAnswer), Response: tapefile.Bytes([]byte(plainAnswer)),
			}},
		}
		if err := m.Add(r); err != nil {
			b.Fatal(err)
		}
	}
	if err := m.Close(); err != nil {
		b.Fatal(err)
	}
}

const plainAnswer = "HTTP/1.1 204 No Content\r\n\r\n"

// newPlainApp is an app that answers requests of fillSession with bodies of size bytes, and keeps nothing.
func newPlainApp(b *testing.B, size int) (url string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go answerPlainly(c, size)
		}
	}()
	return "http://" + l.Addr().String()
}

func answerPlainly(c net.Conn, size int) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		line, err := in.ReadSlice('\n')
		if err == nil && len(line) == len("\r\n") {
			if _, err = in.Discard(size); err == nil {
				_, err = io.WriteString(c, plainAnswer)
			}
		}
		if err != nil {
			return
		}
	}
}
