package tunnel

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hooktape/hooktape/relay/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what is to happen at once.
const patience = 30 * time.Second

// edge takes tunnels on loopback until the test ends.
type edge struct {
	url   *url.URL
	links chan *Link
	errs  chan error // of upgrades that came to nothing
}

func newEdge(t *testing.T, timing Timing) *edge { return newEdgeWith(t, timing, nil) }

// newEdgeWith is newEdge that speaks TLS where cfg is not nil.
func newEdgeWith(t *testing.T, timing Timing, cfg *tls.Config) *edge {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &edge{url: &url.URL{Scheme: "http", Host: l.Addr().String()}, links: make(chan *Link, 16), errs: make(chan error, 16)}
	if cfg != nil {
		e.url.Scheme = "https"
	}
	serveTLS(t, l, cfg, func(x *wire.Exchange) {
		r, err := x.Request()
		if err != nil || !Asks(r) {
			_, _ = x.Write(wire.AppendResponse(nil, wire.Answer{Status: http.StatusNotFound, Close: true}))
			return
		}
		link, err := Upgrade(x.Hijack(), r, timing)
		if err != nil {
			e.errs <- err
			return
		}
		t.Cleanup(func() { _ = link.Close() })
		e.links <- link
	})
	return e
}

// serve runs a server on a listener until the test ends.
func serve(t *testing.T, l net.Listener, serve func(*wire.Exchange)) { serveTLS(t, l, nil, serve) }

func serveTLS(t *testing.T, l net.Listener, cfg *tls.Config, serve func(*wire.Exchange)) {
	s := &wire.Server{Serve: serve, TLS: cfg}
	ran := make(chan error, 1)
	go func() { ran <- s.Run(l) }()
	t.Cleanup(func() {
		_ = s.Close()
		if err := <-ran; !errors.Is(err, wire.ErrServerClosed) && !errors.Is(err, ErrLost) {
			t.Errorf("Run returned %v", err)
		}
	})
}

// dial opens a link to an edge at a URL.
func dial(t *testing.T, at *url.URL, timing Timing) *Link {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	link, err := (&Dialer{URL: at, Token: "token", Timing: timing}).Dial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = link.Close() })
	return link
}

// ends are both ends of a link.
func ends(t *testing.T, timing Timing) (edge, laptop *Link) {
	t.Helper()
	e := newEdge(t, timing)
	laptop = dial(t, e.url, timing)
	return receive(t, e.links), laptop
}

// receive waits for what comes at once.
func receive[T any](t *testing.T, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	return v
}

// listener is one link as a net.Listener.
type listener struct{ *Link }

func (l listener) Accept() (net.Conn, error) {
	s, err := l.Link.Accept()
	if err != nil {
		return nil, err
	}
	return s, nil
}
func (l listener) Addr() net.Addr { return addr("tunnel") }

// send sends a request through a link.
func send(ctx context.Context, c *wire.Client, l *Link, p Preface, head string, body io.Reader) (*wire.Response, error) {
	o := &wire.Outgoing{
		Head: head, Method: head[:strings.IndexByte(head, ' ')],
		Dial: func(ctx context.Context) (net.Conn, error) { return l.Open(ctx, p) },
	}
	if body != nil {
		o.Body = func() (io.ReadCloser, error) { return io.NopCloser(body), nil }
	}
	return c.Do(ctx, o)
}

const get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

const hello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

func TestARequestComesThroughByteForByte(t *testing.T) {
	at, laptop := ends(t, Timing{})
	type arrival struct {
		preface Preface
		remote  string
		bytes   string
	}
	arrived := make(chan arrival, 1)
	const response = "HTTP/1.1 418 I'm  a Teapot\r\nx-ODD:   kept \r\nX-Odd: twice\r\nTransfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n0\r\nX-Trailer: t\r\n\r\n"
	serve(t, listener{laptop}, func(x *wire.Exchange) {
		body, err := io.ReadAll(x)
		if err != nil {
			t.Error(err)
		}
		arrived <- arrival{x.Conn.(*Stream).Preface(), x.Remote.String(), x.Head.Raw + string(body)}
		_, _ = io.WriteString(x, response)
	})
	const head = "POST /a//b%2F?x=%zz HTTP/1.1\r\nhOST:  hooks.example.com \r\nX-Dup: 1\r\nx-dup: 2\r\nConnection: X-Dup\r\nUpgrade: no\r\nTransfer-Encoding: chunked\r\n\r\n"
	const body = "5;a=b\r\nhello\r\n0\r\nX-Trailer: yes\r\n\r\n"
	p := Preface{Record: "01J", Target: "stripe/alice", Remote: "192.0.2.7:4711", Host: "hooks.example.com", Scheme: "https", Attempt: 3, Base: "/t/alice"}
	r, err := send(t.Context(), new(wire.Client), at, p, head, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	answer, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Head.Raw + string(answer); got != response {
		t.Errorf("the edge got %q, the laptop sent %q", got, response)
	}
	got := receive(t, arrived)
	if got.bytes != head+body {
		t.Errorf("the laptop got %q, the edge sent %q", got.bytes, head+body)
	}
	if got.preface != p || got.remote != p.Remote {
		t.Errorf("the laptop was told %+v and %s, the edge said %+v", got.preface, got.remote, p)
	}
}

func TestALinkOverTLSCarriesLargeBodiesBothWaysAndSeesSilence(t *testing.T) {
	at, laptop, _ := endsOverTLS(t, Timing{})
	serve(t, listener{laptop}, func(x *wire.Exchange) {
		body, err := io.ReadAll(x)
		if err != nil {
			t.Error(err)
		}
		_, _ = x.Write(wire.AppendResponse(nil, wire.Answer{Status: 200, Body: body}))
	})
	body := bytes.Repeat([]byte("0123456789abcdef"), 2<<20/16)
	r, err := send(t.Context(), new(wire.Client), at, Preface{}, fmt.Sprintf("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", len(body)), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if r.Close(); err != nil || !bytes.Equal(got, body) {
		t.Errorf("%d bytes came back of %d, %v", len(got), len(body), err)
	}

	at, laptop, proxy := endsOverTLS(t, Timing{Ping: 20 * time.Millisecond, Silence: 300 * time.Millisecond})
	proxy.stop()
	for _, l := range []*Link{at, laptop} {
		select {
		case <-l.Done():
		case <-time.After(patience):
			t.Fatal("an end has not noticed the silence")
		}
	}
}

// endsOverTLS are both ends of a link over TLS, with a proxy between them.
func endsOverTLS(t *testing.T, timing Timing) (at, laptop *Link, between *proxy) {
	t.Helper()
	authority := httptest.NewUnstartedServer(nil) // which has a certificate, and knows who trusts it
	authority.StartTLS()
	t.Cleanup(authority.Close)
	roots := authority.Client().Transport.(*http.Transport).TLSClientConfig
	e := newEdgeWith(t, timing, authority.TLS)
	between = newProxy(t, e.url.Host)
	through := *e.url
	through.Host = between.addr
	laptop, err := (&Dialer{URL: &through, Token: "token", TLS: roots, Timing: timing}).Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = laptop.Close() })
	return receive(t, e.links), laptop, between
}

func TestOneSlowRequestHoldsUpNoOther(t *testing.T) {
	at, laptop := ends(t, Timing{})
	stuck, release := make(chan bool, 1), make(chan bool)
	serve(t, listener{laptop}, func(x *wire.Exchange) {
		if x.Head.Path() == "/stuck" {
			stuck <- true
			<-release
		}
		if _, err := io.Copy(io.Discard, x); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(x, hello)
	})
	client := new(wire.Client)
	const size = 4 << 20 // far more than a stream's window and all buffers
	var sending sync.WaitGroup
	sending.Go(func() {
		r, err := send(t.Context(), client, at, Preface{}, fmt.Sprintf("POST /stuck HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", size),
			bytes.NewReader(make([]byte, size)))
		if err != nil {
			t.Error(err)
			return
		}
		r.Close()
	})
	receive(t, stuck)
	for range 20 {
		r, err := send(t.Context(), client, at, Preface{}, get, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(r); err != nil || string(body) != "hello" {
			t.Fatalf("got %q, %v", body, err)
		}
		r.Close()
	}
	close(release)
	sending.Wait()
}

func TestManyRequestsAtOnceAllComeBackRight(t *testing.T) {
	at, laptop := ends(t, Timing{})
	serve(t, listener{laptop}, func(x *wire.Exchange) {
		body, _ := io.ReadAll(x)
		_, _ = x.Write(wire.AppendResponse(nil, wire.Answer{Status: 200, Body: body}))
	})
	client := new(wire.Client)
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			body := bytes.Repeat([]byte{byte(i)}, 1000*i+1)
			r, err := send(t.Context(), client, at, Preface{}, fmt.Sprintf("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", len(body)), bytes.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Close()
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, body) {
				t.Errorf("request %d: %d bytes came back of %d, %v", i, len(got), len(body), err)
			}
		})
	}
	all.Wait()
}

func TestAResponseOfALostLinkIsNotWhole(t *testing.T) {
	at, laptop := ends(t, Timing{})
	serve(t, listener{laptop}, func(x *wire.Exchange) {
		_, _ = io.WriteString(x, "HTTP/1.1 200 OK\r\n\r\nhalf of it") // as long as the connection lasts
		_ = x.Conn.(*Stream).Session().Close()
	})
	r, err := send(t.Context(), new(wire.Client), at, Preface{}, get, nil)
	if err == nil {
		defer r.Close()
		_, err = io.ReadAll(r)
	}
	if !errors.Is(err, ErrLost) {
		t.Errorf("got %v", err)
	}
	if _, err := at.Open(t.Context(), Preface{}); !errors.Is(err, ErrLost) {
		t.Errorf("a lost link opens a stream: %v", err)
	}
}

func TestALinkThatPassesNothingAnyMoreEndsAtBothEnds(t *testing.T) {
	timing := Timing{Ping: 20 * time.Millisecond, Silence: 500 * time.Millisecond}
	e := newEdge(t, timing)
	proxy := newProxy(t, e.url.Host)
	laptop := dial(t, &url.URL{Scheme: "http", Host: proxy.addr}, timing)
	at := receive(t, e.links)
	proxy.stop()
	for name, l := range map[string]*Link{"edge": at, "laptop": laptop} {
		select {
		case <-l.Done():
		case <-time.After(patience):
			t.Fatalf("the %s has not noticed", name)
		}
		if l.Err() == nil {
			t.Errorf("the %s does not say why", name)
		}
	}
}

// proxy passes bytes between a client and a server until it is told to stop.
type proxy struct {
	addr    string
	mu      sync.Mutex // guards stopped; held while bytes are passed
	stopped bool
}

func newProxy(t *testing.T, to string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: l.Addr().String()}
	var running sync.WaitGroup
	var conns []net.Conn
	running.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			onto, err := net.Dial("tcp", to)
			if err != nil {
				t.Error(err)
				return
			}
			conns = append(conns, from, onto)
			running.Go(func() { p.pass(from, onto) })
			running.Go(func() { p.pass(onto, from) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		for _, c := range conns {
			_ = c.Close()
		}
		p.mu.Unlock()
		running.Wait()
	})
	return p
}

func (p *proxy) pass(from, to net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		if !p.stopped {
			_, _ = to.Write(buf[:n])
		}
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// stop passes nothing any more, and ends nothing.
func (p *proxy) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
}
