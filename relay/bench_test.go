package relay

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// The benchmarks of a whole agent, each with its reference in the same run: both sides take turns under the same load,
// so that a machine that is slow for a moment is slow for both. What counts is the ratio.

const (
	benchRounds  = 6    // turns of each side in one iteration
	benchPerConn = 60   // requests of a connection in one turn
	benchBody    = 1024 // bytes of JSON
)

// BenchmarkDurableReceive: requests answered after they are on the disk, against a net/http server that appends bodies
// to a file and syncs it once a group.
func BenchmarkDurableReceive(b *testing.B) {
	for _, conns := range []int{64, 256} {
		b.Run(fmt.Sprintf("conns=%d", conns), func(b *testing.B) {
			src := config.Source{Name: "ack", Path: "/", Respond: config.RespondAck, MaxBody: 1 << 20}
			compare(b, conns, benchAgent(b, src), startFileServer(b))
		})
	}
}

// BenchmarkPassThrough: requests committed, passed to an app, its response recorded and passed back, against
// httputil.ReverseProxy, which records nothing.
func BenchmarkPassThrough(b *testing.B) {
	for _, conns := range []int{64, 256} {
		b.Run(fmt.Sprintf("conns=%d", conns), func(b *testing.B) {
			app := startBenchApp(b)
			src := config.Source{
				Name: "pass", Path: "/", Respond: config.RespondTarget, Patience: time.Minute, MaxBody: 1 << 20,
				Targets: []config.Target{{Name: "app", URL: app, Timeout: time.Minute, Concurrency: 8}},
			}
			compare(b, conns, benchAgent(b, src), startProxy(b, app, conns))
		})
	}
}

// compare loads both addresses in turn and reports their rates and the ratio.
func compare(b *testing.B, conns int, ours, reference string) {
	request := benchRequest()
	our, their := dialAll(b, ours, conns), dialAll(b, reference, conns)
	load(b, our, request) // warm up
	load(b, their, request)
	var ourTime, theirTime time.Duration
	turns := 0
	for b.Loop() {
		for range benchRounds {
			ourTime += load(b, our, request)
			theirTime += load(b, their, request)
			turns++
		}
	}
	requests := float64(turns * conns * benchPerConn)
	b.ReportMetric(requests/ourTime.Seconds(), "req/s")
	b.ReportMetric(requests/theirTime.Seconds(), "reference-req/s")
	b.ReportMetric(theirTime.Seconds()/ourTime.Seconds(), "ratio")
	b.ReportMetric(0, "ns/op")
}

func benchRequest() []byte {
	body := `{"event":"order.paid","data":"` + strings.Repeat("x", benchBody-32) + `"}`
	return []byte("POST /hooks/orders HTTP/1.1\r\nHost: hooks.example.com\r\nUser-Agent: bench/1\r\n" +
		"Content-Type: application/json\r\nX-Signature: sha256=0123456789abcdef\r\nContent-Length: " +
		strconv.Itoa(len(body)) + "\r\n\r\n" + body)
}

func dialAll(b *testing.B, addr string, n int) []net.Conn {
	conns := make([]net.Conn, n)
	for i := range conns {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		conns[i] = c
		b.Cleanup(func() { c.Close() })
	}
	return conns
}

// load sends benchPerConn requests over each connection, each after the answer to the one before.
func load(b *testing.B, conns []net.Conn, request []byte) time.Duration {
	begin := time.Now()
	var all sync.WaitGroup
	for _, c := range conns {
		all.Go(func() {
			buf := make([]byte, 8<<10)
			for range benchPerConn {
				if err := exchange(c, request, buf); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	return time.Since(begin)
}

// exchange sends a request and reads its answer, which must be a 200.
func exchange(c net.Conn, request, buf []byte) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	for n, want := 0, -1; want < 0 || n < want; {
		m, err := c.Read(buf[n:])
		if err != nil {
			return err
		}
		n += m
		if want < 0 {
			head, _, whole := bytes.Cut(buf[:n], []byte("\r\n\r\n"))
			if !whole {
				continue
			}
			if !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) {
				return fmt.Errorf("answer %q", head)
			}
			_, length, _ := bytes.Cut(head, []byte("Content-Length: "))
			length, _, _ = bytes.Cut(length, []byte("\r\n"))
			size, err := strconv.Atoi(string(length))
			if err != nil {
				return err
			}
			want = len(head) + 4 + size
		}
	}
	return nil
}

func benchAgent(b *testing.B, src config.Source) string {
	s, err := store.Open(filepath.Join(b.TempDir(), "tape.db"), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	return benchAgentOn(b, s, src)
}

// benchAgentOn runs an agent until the benchmark ends, and closes its store then.
func benchAgentOn(b *testing.B, s *store.Store, src config.Source) string {
	l := listen(b)
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	a := New(Options{Store: s, Grace: time.Millisecond}, &config.Config{Sources: []config.Source{src}, Limits: config.Default().Limits})
	go func() { ran <- a.Run(ctx, l) }()
	b.Cleanup(func() {
		cancel()
		<-ran
		s.Close()
	})
	return l.Addr().String()
}

func listen(b *testing.B) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	return l
}

// startBenchApp is an app that costs as little as can be: it answers at once.
func startBenchApp(b *testing.B) *url.URL {
	response := []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"status\":\"ok\"}")
	l := listen(b)
	s := &wire.Server{Serve: func(x *wire.Exchange) {
		io.Copy(io.Discard, x)
		x.Write(response)
	}}
	ran := make(chan error, 1)
	go func() { ran <- s.Run(l) }()
	b.Cleanup(func() {
		s.Close()
		<-ran
	})
	return &url.URL{Scheme: "http", Host: l.Addr().String()}
}

func startHTTP(b *testing.B, h http.Handler) string {
	l := listen(b)
	s := &http.Server{Handler: h}
	ran := make(chan error, 1)
	go func() { ran <- s.Serve(l) }()
	b.Cleanup(func() {
		s.Close()
		<-ran
	})
	return l.Addr().String()
}

func startProxy(b *testing.B, app *url.URL, conns int) string {
	transport := &http.Transport{MaxIdleConns: conns, MaxIdleConnsPerHost: conns}
	b.Cleanup(transport.CloseIdleConnections)
	return startHTTP(b, &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(app) },
		Transport: transport,
	})
}

// fileServer appends bodies to a file and answers when they are synced: one sync serves all that came meanwhile.
type fileServer struct {
	f  *os.File
	mu sync.Mutex // guards the fields below
	// group waits for the next sync.
	group   *fileGroup
	syncing bool
}

type fileGroup struct {
	bytes bytes.Buffer
	done  chan struct{}
	err   error
}

func startFileServer(b *testing.B) string {
	f, err := os.Create(filepath.Join(b.TempDir(), "bodies"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	return startHTTP(b, &fileServer{f: f})
}

func (s *fileServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = s.append(body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusOK)
}

func (s *fileServer) append(body []byte) error {
	s.mu.Lock()
	if s.group == nil {
		s.group = &fileGroup{done: make(chan struct{})}
	}
	g := s.group
	g.bytes.Write(body)
	lead := !s.syncing
	s.syncing = true
	s.mu.Unlock()
	if lead {
		s.sync()
	}
	<-g.done
	return g.err
}

// sync writes group after group until none waits.
func (s *fileServer) sync() {
	for {
		s.mu.Lock()
		g := s.group
		s.group = nil
		if g == nil {
			s.syncing = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		if _, g.err = s.f.Write(g.bytes.Bytes()); g.err == nil {
			g.err = s.f.Sync()
		}
		close(g.done)
	}
}
