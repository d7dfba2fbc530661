package relay

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/tunnel"
	"github.com/hooktape/hooktape/relay/wire/wiretest"
	"github.com/hooktape/hooktape/store"
)

// BenchmarkTunnel: requests recorded by an edge, passed through a tunnel, recorded by a laptop's agent, passed to an app,
// and all of the way back, against httputil.ReverseProxy, which records nothing.
func BenchmarkTunnel(b *testing.B) {
	againstProxies(b, 64, benchTunnel)
}

// BenchmarkTunnelLatency: one request after another, through edge and tunnel, and directly to the laptop's agent. What
// counts is added-p50-ms, what the way through the edge adds.
func BenchmarkTunnelLatency(b *testing.B) {
	peer := wiretest.Start(b)
	through := benchTunnel(b, peer.App())
	direct := benchAgent(b, benchPass(peer.App()))
	for b.Loop() {
		added := median50(b, through) - median50(b, direct)
		b.ReportMetric(float64(added.Microseconds())/1000, "added-p50-ms")
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkTunnelBody: a body of 32 MiB through edge and tunnel. What counts is peak-MiB, the most that the heap of both
// ends grew.
func BenchmarkTunnelBody(b *testing.B) {
	peer := wiretest.Start(b)
	addr := benchTunnel(b, peer.App())
	const size = 32<<20 - 1
	head := fmt.Appendf(nil, "POST /hooks/orders HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: %d\r\n\r\n", size)
	body := make([]byte, 1<<20)
	var most uint64
	for b.Loop() {
		var before, now runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		c, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		_, err = c.Write(head)
		for left := size; left > 0 && err == nil; left -= len(body) {
			_, err = c.Write(body[:min(left, len(body))])
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapInuse-min(before.HeapInuse, now.HeapInuse))
		}
		if err != nil {
			b.Fatal(err)
		}
		if answer, err := io.ReadAll(c); err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 200")) {
			b.Fatalf("%q, %v", answer, err)
		}
		c.Close()
	}
	b.SetBytes(size)
	b.ReportMetric(float64(most)/(1<<20), "peak-MiB")
}

// median50 is how long half of the requests take at most.
func median50(b *testing.B, addr string) time.Duration {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	request, answer := wiretest.Request(), make([]byte, 4<<10)
	var took []time.Duration
	for range 500 {
		began := time.Now()
		if _, err := c.Write(request); err != nil {
			b.Fatal(err)
		}
		if _, err := c.Read(answer); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took[len(took)/2]
}

func benchPass(app *url.URL) config.Source {
	return config.Source{
		Name: "pass", Path: "/", Respond: config.RespondTarget, Patience: time.Minute, MaxBody: 32 << 20,
		Targets: []config.Target{{Name: "app", URL: app, Timeout: time.Minute, Concurrency: 8}},
	}
}

// benchTunnel runs an edge and a laptop's agent that passes to an app, and returns where the edge receives.
func benchTunnel(b *testing.B, app *url.URL) string {
	src := benchPass(nil)
	src.Targets = []config.Target{{Name: "alice", Tunnel: "alice", URL: &url.URL{Scheme: "tunnel", Host: "alice"}, Timeout: time.Minute, Concurrency: 1}}
	cfg, _ := edgeConfig(time.Minute, src).WithTunnels(nil, nil)
	edge := benchRun(b, Options{}, cfg)

	up := tunnel.NewUplink(tunnel.Dialer{URL: &url.URL{Scheme: "http", Host: edge}, Token: tokenOfTests})
	open := make(chan bool, 1)
	up.Tell = func(c tunnel.Change) {
		if c.Up {
			open <- true
		}
	}
	benchRun(b, Options{Uplink: up}, &config.Config{Sources: []config.Source{benchPass(app)}, Limits: config.Default().Limits})
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- up.Run(ctx) }()
	b.Cleanup(func() { cancel(); <-ran })
	<-open
	return edge
}

// benchRun runs an agent on a new tape until the benchmark ends.
func benchRun(b *testing.B, o Options, cfg *config.Config) string {
	s, err := store.Open(filepath.Join(b.TempDir(), "tape.db"), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	l := listen(b)
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	o.Store, o.Grace = s, time.Millisecond
	a := New(o, cfg)
	go func() { ran <- a.Run(ctx, l) }()
	b.Cleanup(func() {
		cancel()
		<-ran
		s.Close()
	})
	return l.Addr().String()
}
