package wire

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
	"time"
)

// app runs a func for each connection; n counts them from 1. The connection is closed when the func returns.
func app(t *testing.T, serve func(c *net.TCPConn, n int)) *url.URL {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for n := 1; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				serve(c.(*net.TCPConn), n)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		running.Wait()
	})
	return &url.URL{Scheme: "http", Host: l.Addr().String()}
}

// newClient is a client whose connections end with the test.
func newClient(t *testing.T) *Client {
	c := new(Client)
	t.Cleanup(c.Close)
	return c
}

// take reads one request, and reports whether there was one.
func take(c net.Conn) (request string, ok bool) {
	var got []byte
	buf := make([]byte, 1<<10)
	for {
		n, err := c.Read(buf)
		got = append(got, buf[:n]...)
		if err != nil {
			return string(got), false
		}
		if h, err := ParseRequestHead(got); err == nil {
			if f := NewFramer(h.Framing); len(got) > len(h.Raw) || h.Framing == (Framing{}) {
				_, _ = f.Scan(got[len(h.Raw):])
				if f.Done() {
					return string(got), true
				}
			}
		}
	}
}

const getHead = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"

func get(u *url.URL) *Outgoing { return &Outgoing{URL: u, Head: getHead, Method: "GET"} }

func post(u *url.URL, head string, body []byte) *Outgoing {
	return &Outgoing{URL: u, Head: head, Method: "POST", Body: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(body)), nil
	}}
}

// fetch sends a request and reads all of the response.
func fetch(t *testing.T, c *Client, o *Outgoing) (wire string, reused bool) {
	t.Helper()
	return fetchIn(t, t.Context(), c, o)
}

func fetchIn(t *testing.T, ctx context.Context, c *Client, o *Outgoing) (wire string, reused bool) {
	t.Helper()
	r, err := c.Do(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	body, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return r.Head.Raw + string(body), r.Reused
}

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func TestClientKeepsTheBytesOfAResponse(t *testing.T) {
	for _, tt := range []struct{ name, send, want string }{
		{"with length", okAnswer, okAnswer},
		{"odd case, order and spaces", "HTTP/1.1 200 \r\nx-A:  1 \r\nCONTENT-length:2\r\nX-a: 2\r\n\r\nok", ""},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\nT: v\r\n\r\n", ""},
		{"until close", "HTTP/1.0 200 OK\r\n\r\nok", ""},
		{"no body", "HTTP/1.1 204 No Content\r\n\r\n", ""},
		{"informational ones before it", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + okAnswer, okAnswer},
		{"large head", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 100<<10) + "\r\nContent-Length: 2\r\n\r\nok", ""},
		{"large body", "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("x", 1e6), ""},
		{"what comes behind it", okAnswer + "HTTP/1.1 408 Request Timeout\r\n\r\n", okAnswer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			requests := make(chan string, 1)
			u := app(t, func(c *net.TCPConn, _ int) {
				got, _ := take(c)
				requests <- got
				_, _ = io.WriteString(c, tt.send)
			})
			got, _ := fetch(t, newClient(t), get(u))
			if want := cmp.Or(tt.want, tt.send); got != want {
				t.Errorf("got %.200q, want %.200q", got, want)
			}
			if got := <-requests; got != getHead {
				t.Errorf("sent %q", got)
			}
		})
	}
}

func TestClientShowsInterimResponses(t *testing.T) {
	u := app(t, func(c *net.TCPConn, _ int) {
		_, _ = take(c)
		_, _ = io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n"+earlyHints+okAnswer)
	})
	var shown []string
	o := get(u)
	o.Interim = func(h *ResponseHead) { shown = append(shown, h.Raw) }
	if got, _ := fetch(t, newClient(t), o); got != okAnswer {
		t.Errorf("the response is %q", got)
	}
	if want := []string{"HTTP/1.1 100 Continue\r\n\r\n", earlyHints}; !slices.Equal(shown, want) {
		t.Errorf("before it came %q", shown)
	}
}

func TestAPanicWhileARequestIsSentClosesItsConnection(t *testing.T) {
	for name, fault := range map[string]func(*Outgoing){
		"of its body":     func(o *Outgoing) { o.Body = func() (io.ReadCloser, error) { panic("oh") } },
		"of who is shown": func(o *Outgoing) { o.Interim = func(*ResponseHead) { panic("oh") } },
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan error, 1)
			u := app(t, func(c *net.TCPConn, _ int) {
				_ = c.SetDeadline(time.Now().Add(30 * time.Second))
				_, _ = io.WriteString(c, earlyHints)
				_, err := io.Copy(io.Discard, c)
				ended <- err
			})
			o := get(u)
			fault(o)
			func() {
				defer func() { _ = recover() }()
				_, _ = newClient(t).Do(t.Context(), o)
			}()
			if err := <-ended; isTimeout(err) {
				t.Error("the connection stays open")
			}
		})
	}
}

func TestClientSendsTheBytesOfABody(t *testing.T) {
	for _, size := range []int{0, 1, bigBuffer - 100, bigBuffer, bigBuffer + 1, 3 << 20} {
		body := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
		head := "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: " + strconv.Itoa(size) + "\r\n\r\n"
		requests := make(chan string, 1)
		u := app(t, func(c *net.TCPConn, _ int) {
			got, _ := take(c)
			requests <- got
			_, _ = io.WriteString(c, okAnswer)
		})
		c := newClient(t)
		if got, _ := fetch(t, c, post(u, head, body)); got != okAnswer {
			t.Errorf("%d bytes: got %q", size, got)
		}
		if got := <-requests; got != head+string(body) {
			t.Errorf("%d bytes: the app got %d, want %d", size, len(got), len(head)+size)
		}
	}
}

func TestClientReusesConnections(t *testing.T) {
	for _, tt := range []struct {
		name, answer string
		want         bool
	}{
		{"with length", okAnswer, true},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true},
		{"Connection: close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", false},
		{"bytes that nobody asked for", okAnswer + "x", false},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := app(t, func(c *net.TCPConn, _ int) {
				for {
					if _, ok := take(c); !ok {
						return
					}
					_, _ = io.WriteString(c, tt.answer)
				}
			})
			c := newClient(t)
			fetch(t, c, get(u))
			if _, reused := fetch(t, c, get(u)); reused != tt.want {
				t.Errorf("reused %v, want %v", reused, tt.want)
			}
		})
	}
}

// An app may have closed its idle connections at the moment when a request was on its way to it.
func TestClientSendsAgainWhatAnAppCannotHaveHad(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("what the other end has confirmed is known on Linux only")
	}
	const idle = pooledTries + 1
	var requests atomic.Int32
	restart := make(chan struct{})
	u := app(t, func(c *net.TCPConn, n int) {
		for {
			if _, more := take(c); !more {
				return
			}
			requests.Add(1)
			_, _ = io.WriteString(c, okAnswer)
			if n <= idle {
				<-restart
				return
			}
		}
	})
	c := newClient(t)
	links := usedLinks(t, c, u, idle)
	close(restart)
	for _, l := range links {
		waitReadable(t, l)
		l.ask, l.quiet = nil, func() bool { return true } // as it was a moment earlier
		c.pool.put(l, idle, nil, time.Minute)
	}
	if got, reused := fetch(t, c, get(u)); got != okAnswer || reused || requests.Load() != idle+1 {
		t.Errorf("got %q, reused %v, after %d requests", got, reused, requests.Load())
	}
}

// usedLinks are connections that the client has used once, and that are not in its pool any more.
func usedLinks(t *testing.T, c *Client, u *url.URL, n int) (links []*link) {
	t.Helper()
	var open []*Response
	for range n {
		r, err := c.Do(t.Context(), get(u))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadAll(r)
		open = append(open, r)
	}
	for _, r := range open {
		_ = r.Close()
	}
	for range n {
		links = append(links, c.pool.take(address{"http", u.Host}))
	}
	return links
}

// A request may arrive when the app has decided to close the connection and reads no more.
func TestClientSendsAgainWhatAnAppHasLeftUnread(t *testing.T) {
	came := make(chan bool)
	u := app(t, func(c *net.TCPConn, n int) {
		take(c)
		_, _ = io.WriteString(c, okAnswer)
		if n == 1 {
			raw, _ := c.SyscallConn()
			_ = raw.Read(func(uintptr) bool { return peek(c) == nil || !peek(c)() }) // so that it is closed with the request unread
			close(came)
		}
	})
	c := newClient(t)
	fetch(t, c, get(u))
	if got, reused := fetch(t, c, get(u)); got != okAnswer || reused {
		t.Errorf("got %q, reused %v", got, reused)
	}
	<-came
}

// An app that dies of a request must not get it again at once: its other processes would die of it, too.
func TestClientSendsNothingAgainThatAnAppMayHaveHad(t *testing.T) {
	var requests atomic.Int32
	u := app(t, func(c *net.TCPConn, _ int) {
		take(c)
		_, _ = io.WriteString(c, okAnswer)
		if _, more := take(c); more {
			requests.Add(1)
		}
	})
	c := newClient(t)
	for _, l := range usedLinks(t, c, u, 2) {
		c.pool.put(l, 2, nil, time.Minute)
	}
	r, err := c.Do(t.Context(), get(u))
	if err == nil {
		_ = r.Close()
	}
	e, is := errors.AsType[*SendError](err)
	if !is || e.Phase != PhaseWait || !errors.Is(err, io.ErrUnexpectedEOF) || requests.Load() != 1 {
		t.Errorf("got %v after %d requests", err, requests.Load())
	}
}

func TestClientNeverSendsAgainOnceAnythingCame(t *testing.T) {
	var sent atomic.Int32
	u := app(t, func(c *net.TCPConn, n int) {
		take(c)
		_, _ = io.WriteString(c, okAnswer)
		if _, more := take(c); more {
			sent.Add(1)
			_, _ = io.WriteString(c, "HTTP/1.1 2")
		}
	})
	c := newClient(t)
	fetch(t, c, get(u))
	_, err := c.Do(t.Context(), get(u))
	e, is := errors.AsType[*SendError](err)
	if !is || e.Phase != PhaseRead || !errors.Is(err, io.ErrUnexpectedEOF) || e.Unreachable() || sent.Load() != 1 {
		t.Errorf("got %v after %d requests", err, sent.Load())
	}
}

// A connection that the app has closed, or written to, while it was idle is not used.
func TestClientLooksAtPooledConnections(t *testing.T) {
	for _, unasked := range []string{"", "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"} {
		var seen atomic.Int32
		spoke, again := make(chan bool), make(chan bool)
		u := app(t, func(c *net.TCPConn, n int) {
			take(c)
			seen.Add(1)
			_, _ = io.WriteString(c, okAnswer)
			if n == 1 {
				<-again
				_, _ = io.WriteString(c, unasked)
				_ = c.CloseWrite()
				close(spoke)
				_, _ = io.Copy(io.Discard, c)
			}
		})
		c := newClient(t)
		fetch(t, c, get(u))
		l := c.pool.take(address{"http", u.Host})
		if l == nil {
			t.Fatal("not pooled")
		}
		close(again)
		<-spoke
		waitReadable(t, l)
		c.pool.put(l, 1, nil, time.Minute)
		if got, reused := fetch(t, c, get(u)); got != okAnswer || reused && l.quiet != nil || seen.Load() != 2 {
			t.Errorf("%q: got %q, reused %v, %d requests", unasked, got, reused, seen.Load())
		}
	}
}

// waitReadable waits until what the peer did has arrived.
func waitReadable(t *testing.T, l *link) {
	raw, err := l.sock.Conn.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Read(func(uintptr) bool { return l.quiet == nil || !l.quiet() })
}

// An overloaded app may answer whoever connects at once, and then wait for the connection to end.
func TestClientTakesAnAnswerThatCameBeforeItsRequest(t *testing.T) {
	u := app(t, func(c *net.TCPConn, _ int) {
		_, _ = io.WriteString(c, okAnswer)
		_, _ = io.Copy(io.Discard, c)
	})
	c := newClient(t)
	c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err == nil {
			waitReadable(t, &link{sock: newSocket(nc, 0), quiet: peek(nc)})
		}
		return nc, err
	}
	o := get(u)
	o.Timeouts.FirstByte = 10 * time.Second // far longer than it takes
	if got, _ := fetch(t, c, o); got != okAnswer {
		t.Errorf("got %q", got)
	}
}

// A connection is checked even when its preface makes the request too large to be written in one go.
func TestAConnectionIsLookedAtBeforeAPreface(t *testing.T) {
	idle := make(chan bool)
	u := app(t, func(c *net.TCPConn, n int) {
		_, _ = c.Read(make([]byte, 1))
		_, _ = io.WriteString(c, okAnswer)
		if n == 1 {
			<-idle
			_, _ = io.WriteString(c, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
		}
		_, _ = io.Copy(io.Discard, c)
	})
	c := newClient(t)
	o := get(u)
	o.Kept, o.MaxKept = "a", 1
	o.Dial = func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", u.Host) }
	fetch(t, c, o)
	l := c.pool.take(address{host: "a"})
	close(idle)
	if l == nil {
		t.Fatal("not pooled")
	}
	waitReadable(t, l)
	c.pool.put(l, 1, nil, time.Minute)
	o.Preface, o.Bytes = make([]byte, 1<<10), make([]byte, bigBuffer-len(o.Head))
	if got, reused := fetch(t, c, o); got != okAnswer || reused && l.quiet != nil {
		t.Errorf("got %q, reused %v", got, reused)
	}
}

func TestClientTellsHowFarItCame(t *testing.T) {
	refused, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := &url.URL{Scheme: "http", Host: refused.Addr().String()}
	_ = refused.Close()
	answers := func(s string) *url.URL {
		return app(t, func(c *net.TCPConn, _ int) { take(c); _, _ = io.WriteString(c, s) })
	}
	silent := app(t, func(c *net.TCPConn, _ int) { _, _ = io.Copy(io.Discard, c) })
	secure := *app(t, func(c *net.TCPConn, _ int) {
		_, _ = c.Read(make([]byte, 1))
		_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
	})
	secure.Scheme = "https"
	soon := Timeouts{FirstByte: time.Millisecond}
	for _, tt := range []struct {
		name    string
		o       *Outgoing
		phase   Phase
		timeout bool
		is      error
	}{
		{"nobody listens", get(nobody), PhaseDial, false, nil},
		{"no scheme", get(&url.URL{Host: "x"}), PhaseDial, false, nil},
		{"not TLS", get(&secure), PhaseTLS, false, nil},
		{"closed without an answer", get(answers("")), PhaseWait, false, io.ErrUnexpectedEOF},
		{"closed in the head", get(answers("HTTP/1.1 200 OK\r\n")), PhaseRead, false, io.ErrUnexpectedEOF},
		{"garbage", get(answers("SSH-2.0-x\r\n")), PhaseRead, false, nil},
		{"101", get(answers("HTTP/1.1 101 Switching Protocols\r\n\r\n")), PhaseRead, false, ErrUpgraded},
		{"endless 1xx", get(answers(strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 20))), PhaseRead, false, nil},
		{"endless head", get(answers("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxResponseHead))), PhaseRead, false, nil},
		{"silent", &Outgoing{URL: silent, Head: getHead, Method: "GET", Timeouts: soon}, PhaseWait, true, os.ErrDeadlineExceeded},
		{"silent in all", &Outgoing{URL: silent, Head: getHead, Method: "GET", Timeouts: Timeouts{Total: time.Millisecond}}, "", true, nil},
		{"silent, large body", func() *Outgoing {
			o := post(silent, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", make([]byte, 1e6))
			o.Timeouts = soon
			return o
		}(), PhaseWait, true, os.ErrDeadlineExceeded},
		{"body can't be opened", &Outgoing{URL: silent, Head: getHead, Body: func() (io.ReadCloser, error) { return nil, errDiskGone }}, PhaseWrite, false, errDiskGone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t)
			_, err := c.Do(t.Context(), tt.o)
			e, is := errors.AsType[*SendError](err)
			if !is || tt.phase != "" && e.Phase != tt.phase || e.Timeout() != tt.timeout || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("got %v", err)
			}
			if e.Unreachable() != (e.Phase != PhaseRead) {
				t.Error("Unreachable is wrong")
			}
		})
	}
}

var errDiskGone = errors.New("disk is gone")

// Errors are read by people, in lists and reports: they say in words what went wrong, without the addresses of sockets.
func TestASendErrorSaysWhatHappened(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{Port: 9}, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	reset := &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	for want, e := range map[string]SendError{
		"connect: " + syscall.ECONNREFUSED.Error():    {PhaseDial, refused},
		"connect: nobody took the connection in time": {PhaseDial, context.DeadlineExceeded},
		"wait for a response: the connection was closed without one, and then connect: nobody took the connection in time": *(&SendError{
			PhaseWait, io.ErrUnexpectedEOF}).and(&SendError{PhaseDial, context.DeadlineExceeded}).(*SendError),
		"wait for a response: the connection was closed without one":          {PhaseWait, io.ErrUnexpectedEOF},
		"wait for a response: none came in time":                              {PhaseWait, os.ErrDeadlineExceeded},
		"wait for a response: connection lost: " + syscall.ECONNRESET.Error(): {PhaseWait, &cutError{reset}},
		"read the response: the connection was closed before its end":         {PhaseRead, io.ErrUnexpectedEOF},
		"read the response: " + ErrUpgraded.Error():                           {PhaseRead, ErrUpgraded},
	} {
		if got := e.Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestBrokenResponsesAreToldAndTheirConnectionsNotKept(t *testing.T) {
	for _, tt := range []struct {
		name, answer, body string
		syntax             bool
	}{
		{"cut short", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "abc", false},
		{"cut in a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", "5\r\nabc", false},
		{"wrong chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcXY", "3\r\nabcXY", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := app(t, func(c *net.TCPConn, _ int) { take(c); _, _ = io.WriteString(c, tt.answer) })
			c := newClient(t)
			r, err := c.Do(t.Context(), get(u))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(r)
			_, syntax := errors.AsType[*SyntaxError](err)
			if string(body) != tt.body || syntax != tt.syntax || !syntax && !errors.Is(err, io.ErrUnexpectedEOF) || r.BodySize() != 3 {
				t.Errorf("got %q of size %d, %v", body, r.BodySize(), err)
			}
			_, again := r.Read(make([]byte, 1))
			if !errors.Is(again, err) {
				t.Errorf("then %v", again)
			}
			_ = r.Close()
			if _, err := r.Read(make([]byte, 1)); err != errClosed || r.Close() != nil || idleLinks(c) != 0 {
				t.Errorf("after Close %v, %d idle connections", err, idleLinks(c))
			}
		})
	}
}

// A body that can't be read is not the app's fault: its own error is returned, and nothing is sent again.
func TestABodyThatFailsIsToldAsItIs(t *testing.T) {
	for _, size := range []int{10, bigBuffer + 10} {
		var conns atomic.Int32
		u := app(t, func(c *net.TCPConn, _ int) { conns.Add(1); _, _ = io.Copy(io.Discard, c) })
		o := post(u, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", nil)
		o.Body = func() (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader(strings.Repeat("x", size)), iotest.ErrReader(errDiskGone))), nil
		}
		c := newClient(t)
		_, err := c.Do(t.Context(), o)
		if e, is := errors.AsType[*SendError](err); !is || e.Phase != PhaseWrite || !errors.Is(err, errDiskGone) || idleLinks(c) != 0 || conns.Load() > 1 {
			t.Errorf("after %d bytes: got %v over %d connections", size, err, conns.Load())
		}
	}
}

// An app that goes away in the middle of a large request may have said why before.
func TestLastWordsOfAnApp(t *testing.T) {
	u := app(t, func(c *net.TCPConn, _ int) {
		_, _ = c.Read(make([]byte, 100))
		_, _ = io.WriteString(c, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
		_ = c.CloseWrite()
		_, _ = io.CopyN(io.Discard, c, 1<<20)
	})
	for range 20 {
		r, err := newClient(t).Do(t.Context(), &Outgoing{URL: u, Head: "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
			Body: func() (io.ReadCloser, error) { return &endless{}, nil }})
		if err != nil {
			t.Fatal(err)
		}
		if r.Head.Status != 503 {
			t.Errorf("got %d", r.Head.Status)
		}
		_ = r.Close()
	}
}

// An app that answers before it has read the request ends the sending, and its connection.
func TestEarlyAnswerStopsTheSending(t *testing.T) {
	for _, answer := range []string{
		"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno",
		okAnswer,
	} {
		done := make(chan bool)
		u := app(t, func(c *net.TCPConn, n int) {
			_, _ = c.Read(make([]byte, 100))
			_, _ = io.WriteString(c, answer)
			<-done // reads no more
		})
		c := newClient(t)
		head := "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
		body := &endless{}
		r, err := c.Do(t.Context(), &Outgoing{URL: u, Head: head, Method: "POST",
			Body: func() (io.ReadCloser, error) { return body, nil }})
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if r.Head.Raw+string(got) != answer || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		_ = r.Close()
		if !body.closed.Load() {
			t.Error("Close returned before the body was closed")
		}
		if c.pool.take(address{"http", u.Host}) != nil {
			t.Error("a connection with half a request was kept")
		}
		close(done)
	}
}

type endless struct{ closed atomic.Bool }

func (e *endless) Read(p []byte) (int, error) { return copy(p, "1\r\nx\r\n"), nil }
func (e *endless) Close() error               { e.closed.Store(true); return nil }

// The answer arrives even if the app does not read a small request and no buffer takes it.
func TestNoDeadlockWithAnAppThatDoesNotRead(t *testing.T) {
	ours, theirs := net.Pipe()
	var running sync.WaitGroup
	t.Cleanup(running.Wait)
	running.Go(func() {
		_, _ = theirs.Read(make([]byte, 10))
		_, _ = io.WriteString(theirs, "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n")
	})
	c := newClient(t)
	c.Dial = func(context.Context, string, string) (net.Conn, error) { return ours, nil }
	if got, _ := fetch(t, c, get(&url.URL{Scheme: "http", Host: "x"})); !strings.HasPrefix(got, "HTTP/1.1 429") {
		t.Errorf("got %q", got)
	}
}

func TestContextEndsEveryPhase(t *testing.T) {
	cause := errors.New("no longer wanted")
	never := make(chan struct{})
	reached := make(chan bool, 1)
	silent := app(t, func(c *net.TCPConn, _ int) {
		_, _ = c.Read(make([]byte, 100))
		reached <- true
		<-never
	})
	halfway := app(t, func(c *net.TCPConn, _ int) {
		_, _ = c.Read(make([]byte, 100))
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nx")
		reached <- true
		<-never
	})
	t.Cleanup(func() { close(never) })
	secure := *silent
	secure.Scheme = "https"
	endlessBody := &Outgoing{URL: silent, Head: "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
		Body: func() (io.ReadCloser, error) { return &endless{}, nil }}
	for _, tt := range []struct {
		name string
		o    *Outgoing
	}{{"waiting", get(silent)}, {"handshake", get(&secure)}, {"writing", endlessBody}, {"reading", get(halfway)}} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			go func() { <-reached; cancel(cause) }()
			r, err := newClient(t).Do(ctx, tt.o)
			if err == nil {
				_, err = io.ReadAll(r)
				_ = r.Close()
			}
			if !errors.Is(err, cause) {
				t.Errorf("got %v", err)
			}
		})
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := newClient(t).Do(ctx, get(silent)); !errors.Is(err, cause) {
		t.Errorf("before anything: %v", err)
	}
}

// One context for many requests, as in a replay, and one for each, as in a delivery: neither cuts off a connection that
// another request may use.
func TestAContextCutsOffItsOwnRequestsOnly(t *testing.T) {
	hanging := make(chan bool)
	u := app(t, func(c *net.TCPConn, _ int) {
		for n := 1; ; n++ {
			if _, more := take(c); !more {
				return
			}
			if n == 4 {
				close(hanging)
				continue // no answer
			}
			_, _ = io.WriteString(c, okAnswer)
		}
	})
	c := newClient(t)
	own, ended := context.WithCancel(t.Context())
	fetchIn(t, own, c, get(u))
	ended() // after its request
	shared, cancel := context.WithCancelCause(t.Context())
	for range 2 {
		if _, reused := fetchIn(t, shared, c, get(u)); !reused {
			t.Error("a context that ended behind its request cut off the connection")
		}
	}
	gone := errors.New("no longer wanted")
	go func() { <-hanging; cancel(gone) }()
	if _, err := c.Do(shared, get(u)); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
	if got, reused := fetch(t, c, get(u)); got != okAnswer || reused {
		t.Errorf("then %q, reused %v", got, reused)
	}
}

// A connection whose context ended while it was idle is noticed, and no request is lost on it.
func TestAnEndedContextLeavesNoConnectionThatIsUsed(t *testing.T) {
	u := app(t, func(c *net.TCPConn, _ int) {
		for {
			if _, more := take(c); !more {
				return
			}
			_, _ = io.WriteString(c, okAnswer)
		}
	})
	c := newClient(t)
	shared, cancel := context.WithCancel(t.Context())
	for range 3 {
		fetchIn(t, shared, c, get(u))
	}
	cancel()
	if got, _ := fetch(t, c, get(u)); got != okAnswer {
		t.Errorf("got %q", got)
	}
}

func TestClientForgetsConnectionsByTheirName(t *testing.T) {
	c := newClient(t)
	ended := make(map[string]chan struct{})
	for _, kept := range []string{"a", "b"} {
		near, far := net.Pipe()
		ended[kept] = make(chan struct{})
		go func() {
			defer close(ended[kept])
			for _, ok := take(far); ok; _, ok = take(far) {
				_, _ = io.WriteString(far, okAnswer)
			}
		}()
		dial := func(context.Context) (net.Conn, error) { return near, nil }
		fetch(t, c, &Outgoing{Head: getHead, Method: "GET", Dial: dial, Kept: kept, MaxKept: 1})
	}
	c.Forget("none")
	c.Forget("a")
	<-ended["a"]
	dial := func(context.Context) (net.Conn, error) { return nil, errors.New("it is not kept any more") }
	if _, reused := fetch(t, c, &Outgoing{Head: getHead, Method: "GET", Dial: dial, Kept: "b", MaxKept: 1}); !reused {
		t.Error("another one was forgotten, too")
	}
	c.Close()
	<-ended["b"]
}

// A response may end after the connections of its name were forgotten.
func TestAConnectionThatWasForgottenInUseIsNotKept(t *testing.T) {
	c := newClient(t)
	near, far := net.Pipe()
	ended, until := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for _, ok := take(far); ok; _, ok = take(far) {
			_, _ = io.WriteString(far, okAnswer)
		}
	}()
	dial := func(context.Context) (net.Conn, error) { return near, nil }
	r, err := c.Do(t.Context(), &Outgoing{Head: getHead, Method: "GET", Dial: dial, Kept: "a", MaxKept: 1, KeptUntil: until})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	close(until)
	c.Forget("a")
	_ = r.Close()
	if c.pool.take(address{host: "a"}) != nil {
		t.Fatal("it is kept")
	}
	<-ended
}

// When there is no other connection to send a lost request on again, the error tells what became of it on the first one.
func TestARequestThatWasLostIsNotToldToBeUnsent(t *testing.T) {
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		take(far)
		_, _ = io.WriteString(far, okAnswer)
		take(far)
	}()
	c := newClient(t)
	errNone := errors.New("none")
	dials := 0
	o := &Outgoing{Head: getHead, Method: "GET", Kept: "a", MaxKept: 1, Known: true, Dial: func(context.Context) (net.Conn, error) {
		if dials++; dials > 1 {
			return nil, errNone
		}
		return near, nil
	}}
	fetch(t, c, o)
	_, err := c.Do(t.Context(), o)
	e, is := errors.AsType[*SendError](err)
	if !is || e.Phase != PhaseWait || !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, errNone) {
		t.Errorf("got %v", err)
	}
}

// errTooManyFiles is what accept says when there are no file descriptors left.
const errTooManyFiles = syscall.EMFILE

// dialPipes connects to a listener of pipes.
func dialPipes(l *pipes) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) { return l.connect(), nil }
}
