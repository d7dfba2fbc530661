package wire

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// benchConns is how many senders there are at once.
const benchConns = 64

var (
	webhookBody = bytes.Repeat([]byte("{\"a\":1}\n"), 128)
	webhook     = append([]byte(webhookHead), webhookBody...)
	helloAnswer = AppendResponse(nil, Answer{Status: 200, Body: []byte("hello")})
)

// BenchmarkServer answers webhooks of 1 KiB on 64 connections: net/http is the one to beat.
func BenchmarkServer(b *testing.B) {
	b.Run("wire", func(b *testing.B) {
		load(b, wireServer(b, func(x *Exchange) {
			discard(x)
			_, _ = x.Write(helloAnswer)
		}))
	})
	b.Run("net-http", func(b *testing.B) {
		load(b, httpServer(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, "hello")
		})))
	})
}

// BenchmarkProxy passes the webhooks on to a server, and its answers back.
func BenchmarkProxy(b *testing.B) {
	app := wireServer(b, func(x *Exchange) {
		discard(x)
		_, _ = x.Write(helloAnswer)
	})
	u := &url.URL{Scheme: "http", Host: app}
	b.Run("wire", func(b *testing.B) {
		c := new(Client)
		defer c.Close()
		load(b, wireServer(b, func(x *Exchange) { passOn(c, u, x) }))
	})
	b.Run("ReverseProxy", func(b *testing.B) {
		proxy := &httputil.ReverseProxy{
			Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(u) },
			Transport: &http.Transport{MaxIdleConnsPerHost: benchConns},
			// Without a pool it allocates 32 KiB a response: that would be no match.
			BufferPool: new(proxyBuffers),
		}
		load(b, httpServer(b, proxy))
	})
}

type proxyBuffers struct{ pool sync.Pool }

func (p *proxyBuffers) Get() []byte {
	if b, ok := p.pool.Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, 32<<10)
}

func (p *proxyBuffers) Put(b []byte) { p.pool.Put(&b) }

// BenchmarkClient sends webhooks of 1 KiB from 64 goroutines: http.Transport is the one to beat.
func BenchmarkClient(b *testing.B) {
	app := wireServer(b, func(x *Exchange) {
		discard(x)
		_, _ = x.Write(helloAnswer)
	})
	b.Run("wire", func(b *testing.B) {
		c := new(Client)
		defer c.Close()
		ctx, cancel := context.WithCancel(b.Context())
		defer cancel()
		o := post(&url.URL{Scheme: "http", Host: app}, webhookHead, webhookBody)
		together(b, func() error {
			r, err := c.Do(ctx, o)
			if err != nil {
				return err
			}
			_, _ = io.Copy(io.Discard, r)
			return r.Close()
		})
	})
	b.Run("Transport", func(b *testing.B) {
		c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: benchConns}}
		defer c.CloseIdleConnections()
		ctx, cancel := context.WithCancel(b.Context())
		defer cancel()
		together(b, func() error {
			req, err := http.NewRequestWithContext(ctx, "POST", "http://"+app+"/api/v1/webhooks/payments?tenant=42", bytes.NewReader(webhookBody))
			if err != nil {
				return err
			}
			resp, err := c.Do(req)
			if err != nil {
				return err
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			return resp.Body.Close()
		})
	})
}

func wireServer(b *testing.B, serve func(*Exchange)) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := &Server{Serve: serve}
	ran := make(chan error)
	go func() { ran <- s.Run(l) }()
	b.Cleanup(func() {
		_ = s.Close()
		<-ran
	})
	return l.Addr().String()
}

func httpServer(b *testing.B, h http.Handler) (addr string) {
	s := httptest.NewServer(h)
	b.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// discard reads the body, as the relay does.
func discard(x *Exchange) {
	buf := bigBuffers.Get().(*[bigBuffer]byte)
	defer bigBuffers.Put(buf)
	for {
		if _, err := x.Read(buf[:]); err != nil {
			return
		}
	}
}

// passOn passes one small request on, the way the relay does: all of it first, then on to the app.
func passOn(c *Client, u *url.URL, x *Exchange) {
	buf := bigBuffers.Get().(*[bigBuffer]byte)
	defer bigBuffers.Put(buf)
	n, _ := io.ReadFull(x, buf[:])
	head, err := Route{URL: u}.Head(x.Head)
	if err != nil {
		return
	}
	r, err := c.Do(context.Background(), &Outgoing{URL: u, Head: head, Method: x.Head.Method, Body: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(buf[:n])), nil
	}})
	if err != nil {
		return
	}
	defer r.Close()
	answer, _ := r.Head.ForSender(x.Head.Proto, x.KeepAlive())
	out := append(buf[:0], answer...)
	for {
		n, err := r.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		if err != nil {
			break
		}
	}
	_, _ = x.Write(out)
}

// load sends b.N webhooks over 64 connections and waits for each answer.
func load(b *testing.B, addr string) {
	conns := make(chan net.Conn, benchConns)
	size := 0
	for range benchConns {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		if size == 0 {
			size = answerSize(b, c)
		}
		conns <- c
	}
	together(b, func() error {
		c := <-conns
		defer func() { conns <- c }()
		if _, err := c.Write(webhook); err != nil {
			return err
		}
		buf := bigBuffers.Get().(*[bigBuffer]byte)
		defer bigBuffers.Put(buf)
		_, err := io.ReadFull(c, buf[:size])
		return err
	})
}

// answerSize asks once: all answers of a run are of one size.
func answerSize(b *testing.B, c net.Conn) int {
	_, _ = c.Write(webhook)
	var got []byte
	for {
		buf := make([]byte, 1<<10)
		n, err := c.Read(buf)
		if err != nil {
			b.Fatal(err)
		}
		got = append(got, buf[:n]...)
		head, err := ParseResponseHead(got, "POST")
		if err == nil && int64(len(got)) >= int64(len(head.Raw))+head.Framing.Length {
			return len(got)
		}
	}
}

// together does b.N things, 64 at once.
func together(b *testing.B, do func() error) {
	b.ReportAllocs()
	b.ResetTimer()
	var next atomic.Int64
	var running sync.WaitGroup
	for range benchConns {
		running.Go(func() {
			for next.Add(1) <= int64(b.N) {
				if err := do(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}
