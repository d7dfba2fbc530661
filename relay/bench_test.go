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
	"sync"
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/wire/wiretest"
	"github.com/hooktape/hooktape/store"
)

// The benchmarks of a whole agent, each with its reference in the same run. What counts is the ratio.

// benchPerConn is how many requests a connection carries in one turn.
const benchPerConn = 60

// BenchmarkDurableReceive: requests answered after they are on the disk, against a net/http server that appends bodies
// to a file and syncs it once a group.
func BenchmarkDurableReceive(b *testing.B) {
	for _, conns := range []int{64, 256} {
		b.Run(fmt.Sprintf("conns=%d", conns), func(b *testing.B) {
			src := config.Source{Name: "ack", Path: "/", Respond: config.RespondAck, MaxBody: 1 << 20}
			compare(b, wiretest.Start(b), conns, benchAgent(b, src), startFileServer(b))
		})
	}
}

// BenchmarkCheckedReceive: requests whose signature is checked, against the same without the check.
func BenchmarkCheckedReceive(b *testing.B) {
	for _, conns := range []int{64, 256} {
		b.Run(fmt.Sprintf("conns=%d", conns), func(b *testing.B) {
			src := config.Source{Name: "ack", Path: "/", Respond: config.RespondAck, MaxBody: 1 << 20}
			compare(b, wiretest.Start(b), conns, benchAgent(b, checking(src, wiretest.Secret)), benchAgent(b, src))
		})
	}
}

// BenchmarkPassThrough: requests committed, passed to an app, its response recorded and passed back, against
// httputil.ReverseProxy, which records nothing.
func BenchmarkPassThrough(b *testing.B) {
	for _, conns := range []int{64, 256} {
		againstProxies(b, conns, func(b *testing.B, app *url.URL) string { return benchAgent(b, benchPass(app)) })
	}
}

// againstProxies compares what start starts with httputil.ReverseProxy in two ways: as it comes, which keeps two
// connections to the app and makes the others anew, and keeping as many as there are senders.
func againstProxies(b *testing.B, conns int, start func(b *testing.B, app *url.URL) string) {
	for _, proxy := range []struct {
		name      string
		transport *http.Transport
	}{
		{"default", http.DefaultTransport.(*http.Transport).Clone()},
		{"keeping", &http.Transport{MaxIdleConnsPerHost: conns}},
	} {
		b.Run(fmt.Sprintf("conns=%d/proxy=%s", conns, proxy.name), func(b *testing.B) {
			peer := wiretest.Start(b)
			compare(b, peer, conns, start(b, peer.App()), startProxy(b, peer.App(), proxy.transport))
		})
	}
}

// compare loads both addresses in turn.
func compare(b *testing.B, peer *wiretest.Peer, conns int, ours, reference string) {
	load := func(addr string) func() time.Duration {
		return func() time.Duration { return peer.Load(addr, conns, benchPerConn) }
	}
	wiretest.Compare(b, conns*benchPerConn, load(ours), load(reference))
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

func startProxy(b *testing.B, app *url.URL, transport *http.Transport) string {
	b.Cleanup(transport.CloseIdleConnections)
	return startHTTP(b, &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(app) },
		Transport: transport,
	})
}

// fileServer appends bodies to a file and answers when they are synced: one sync serves all that came during the one
// before.
type fileServer struct {
	f    *os.File
	more chan struct{} // one place: a body was added to group

	mu    sync.Mutex // guards group
	group *fileGroup
}

// fileGroup is what one sync brings to the disk.
type fileGroup struct {
	bytes bytes.Buffer
	done  chan struct{}
	err   error
}

func newFileGroup() *fileGroup { return &fileGroup{done: make(chan struct{})} }

func startFileServer(b *testing.B) string {
	f, err := os.Create(filepath.Join(b.TempDir(), "bodies"))
	if err != nil {
		b.Fatal(err)
	}
	s := &fileServer{f: f, more: make(chan struct{}, 1), group: newFileGroup()}
	var running sync.WaitGroup
	running.Go(s.run)
	b.Cleanup(func() { // when the server has ended
		close(s.more)
		running.Wait()
		f.Close()
	})
	return startHTTP(b, s)
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
	g := s.group
	g.bytes.Write(body)
	s.mu.Unlock()
	select {
	case s.more <- struct{}{}:
	default:
	}
	<-g.done
	return g.err
}

// run writes and syncs group after group.
func (s *fileServer) run() {
	for range s.more {
		s.mu.Lock()
		g := s.group
		if g.bytes.Len() == 0 { // it came to the group before
			s.mu.Unlock()
			continue
		}
		s.group = newFileGroup()
		s.mu.Unlock()
		if _, g.err = s.f.Write(g.bytes.Bytes()); g.err == nil {
			g.err = s.f.Sync()
		}
		close(g.done)
	}
}
