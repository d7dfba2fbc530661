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
	"github.com/hooktape/hooktape/relay/wire/detour"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what should happen at once.
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

// receive waits for what should come at once.
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
	preface, err := p.Bytes()
	if err != nil {
		return nil, err
	}
	o := &wire.Outgoing{Preface: preface, Head: head, Method: head[:strings.IndexByte(head, ' ')], Dial: l.Open}
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

func TestAStreamTakesOneRequestAfterAnother(t *testing.T) {
	at, laptop := ends(t, Timing{})
	type arrival struct{ record, remote, path, body string }
	arrived := make(chan arrival, 1)
	streams := make(map[net.Conn]bool)
	serve(t, listener{laptop}, func(x *wire.Exchange) {
		body, err := io.ReadAll(x)
		if err != nil {
			t.Error(err)
		}
		streams[x.Conn] = true
		arrived <- arrival{x.Conn.(*Stream).Preface().Record, x.Remote.String(), x.Head.Path(), string(body)}
		_, _ = io.WriteString(x, hello)
	})
	client := new(wire.Client)
	t.Cleanup(client.Close)
	for i, kept := range []string{"a", "a", "a", ""} {
		want := arrival{fmt.Sprint("record ", i), fmt.Sprintf("192.0.2.%d:1", i), fmt.Sprint("/", i), strings.Repeat("x", 300*i)}
		preface, err := (&Preface{Record: want.record, Remote: want.remote}).Bytes()
		if err != nil {
			t.Fatal(err)
		}
		r, err := client.Do(t.Context(), &wire.Outgoing{
			Head: fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", want.path, len(want.body)), Method: "POST",
			Bytes: []byte(want.body), Preface: preface, Dial: at.Open, Kept: kept, MaxKept: MaxKept,
		})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != "hello" {
			t.Errorf("request %d got %q, %v", i, got, err)
		}
		r.Close()
		if got := receive(t, arrived); got != want {
			t.Errorf("request %d came as %+v", i, got)
		}
		if again := kept != "" && i > 0; r.Reused != again {
			t.Errorf("request %d: reused %v", i, r.Reused)
		}
	}
	if len(streams) != 2 {
		t.Errorf("%d streams were opened", len(streams))
	}
}

func TestAKeptStreamThatTheLaptopHasClosedLosesNothing(t *testing.T) {
	at, laptop := ends(t, Timing{})
	client := new(wire.Client)
	t.Cleanup(client.Close)
	seen := make(chan string, 8)
	for i := range 3 {
		serving := &wire.Server{Serve: func(x *wire.Exchange) {
			seen <- x.Head.Path()
			_, _ = io.WriteString(x, "HTTP/1.1 204 No Content\r\n\r\n")
		}}
		ran := make(chan error, 1)
		until := &ending{listener: listener{laptop}, closed: make(chan struct{})}
		go func() { ran <- serving.Run(until) }()
		preface, _ := new(Preface).Bytes()
		path := fmt.Sprint("/", i)
		r, err := client.Do(t.Context(), &wire.Outgoing{
			Preface: preface, Head: "GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n", Method: "GET", Dial: at.Open, Kept: "a", MaxKept: 1, Known: true,
		})
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		if r.Close(); r.Reused {
			t.Errorf("request %d went to a server that had stopped", i)
		}
		if got := receive(t, seen); got != path {
			t.Errorf("request %d came as %q", i, got)
		}
		_ = serving.Close() // and with it what is idle
		receive(t, ran)
	}
}

// ending is a listener that can be closed without its link.
type ending struct {
	listener
	once   sync.Once
	closed chan struct{}
}

func (e *ending) Close() error { e.once.Do(func() { close(e.closed) }); return nil }

func (e *ending) Accept() (net.Conn, error) {
	select {
	case s := <-e.accepted:
		return s, nil
	case <-e.closed:
		return nil, net.ErrClosed
	}
}

// The line fails a moment before the session of yamux ends, which its streams learn by themselves.
func TestAWriteOnALineThatFailsIsToldWhy(t *testing.T) {
	for range 10 {
		at, laptop := ends(t, Timing{})
		stream, _ := opened(t, at, laptop)
		_ = at.carrier.fail(errStuck)
		if _, err := stream.Write([]byte("x")); !errors.Is(err, ErrLost) || !errors.Is(err, errStuck) {
			t.Fatalf("a write fails with %v", err)
		}
	}
}

func TestALaptopAnswersProbesWhateverItIsBusyWith(t *testing.T) {
	e := newEdge(t, Timing{})
	laptop, err := (&Dialer{URL: e.url, Answer: "it is me"}).Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = laptop.Close() }) // nobody accepts its streams
	r, err := send(t.Context(), new(wire.Client), receive(t, e.links), Preface{Probe: true}, get, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != "it is me" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestAPrefaceMayComeLateOnASlowLine(t *testing.T) {
	for _, tt := range []struct {
		before, after int64
		left          time.Duration
		may           bool
	}{{1000, 1001, time.Minute, true}, {1000, 1000, time.Minute, false}, {1000, 5000, 0, false}} {
		if got := mayCome(tt.before, tt.after, tt.left); got != tt.may {
			t.Errorf("%+v: %v", tt, got)
		}
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
	proxy.Mute()
	for _, l := range []*Link{at, laptop} {
		select {
		case <-l.Done():
		case <-time.After(patience):
			t.Fatal("an end has not noticed the silence")
		}
	}
}

// detourTo leads to an address until the test ends.
func detourTo(t *testing.T, addr string) *detour.Detour {
	d, err := detour.New()
	if err != nil {
		t.Fatal(err)
	}
	d.Lead(addr)
	t.Cleanup(d.Close)
	return d
}

// endsOverTLS are both ends of a link over TLS, with a proxy between them.
func endsOverTLS(t *testing.T, timing Timing) (at, laptop *Link, between *detour.Detour) {
	t.Helper()
	authority := httptest.NewUnstartedServer(nil) // which has a certificate, and knows who trusts it
	authority.StartTLS()
	t.Cleanup(authority.Close)
	roots := authority.Client().Transport.(*http.Transport).TLSClientConfig
	e := newEdgeWith(t, timing, authority.TLS)
	between = detourTo(t, e.url.Host)
	through := *e.url
	through.Host = between.Addr
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
	if _, err := at.Open(t.Context()); !errors.Is(err, ErrLost) {
		t.Errorf("a lost link opens a stream: %v", err)
	}
}

func TestALinkThatPassesNothingAnyMoreEndsAtBothEnds(t *testing.T) {
	timing := Timing{Ping: 20 * time.Millisecond, Silence: 500 * time.Millisecond}
	e := newEdge(t, timing)
	proxy := detourTo(t, e.url.Host)
	laptop := dial(t, &url.URL{Scheme: "http", Host: proxy.Addr}, timing)
	at := receive(t, e.links)
	proxy.Mute()
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
