package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// listen runs a server on loopback until the test ends.
func listen(t *testing.T, s *Server) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	runUntilEnd(t, s, l)
	return l.Addr().String()
}

func runUntilEnd(t *testing.T, s *Server, l net.Listener) {
	ran := make(chan error, 1)
	go func() { ran <- s.Run(l) }()
	t.Cleanup(func() {
		_ = s.Close()
		if err := <-ran; !errors.Is(err, ErrServerClosed) {
			t.Errorf("Run returned %v", err)
		}
	})
}

func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*net.TCPConn)
}

// talk sends everything, ends its side, and returns what comes until the server closes.
func talk(t *testing.T, addr string, pieces ...string) string {
	t.Helper()
	c := dial(t, addr)
	var writing sync.WaitGroup
	defer writing.Wait()
	writing.Go(func() {
		for _, p := range pieces {
			if _, err := io.WriteString(c, p); err != nil {
				t.Error(err)
				return
			}
		}
		_ = c.CloseWrite()
	})
	return readAll(t, c)
}

func readAll(t *testing.T, c net.Conn) string {
	t.Helper()
	got, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("after %q: %v", got, err)
	}
	return string(got)
}

// expect reads exactly what is wanted.
func expect(t *testing.T, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(c, got)
	if string(got[:n]) != want {
		t.Fatalf("got %q, %v, want %q", got[:n], err, want)
	}
}

// echo answers with the start line's parts and the wire bytes of the body.
func echo(x *Exchange) {
	var all bytes.Buffer
	_, err := io.CopyBuffer(struct{ io.Writer }{&all}, x, make([]byte, bigBuffer)) // buffers as large as the relay's
	body := all.Bytes()
	status := 200
	if err != nil {
		status = 400
		if e, ok := errors.AsType[*SyntaxError](err); ok {
			body = fmt.Appendf(body, "|%s", e.Reason)
		} else {
			body = fmt.Appendf(body, "|%v", err)
		}
	}
	_, _ = x.Write(AppendResponse(nil, Answer{
		Status: status, Body: fmt.Appendf(nil, "%s %s %s", x.Head.Method, x.Head.Target, body),
		HeadOnly: x.Head.Method == "HEAD", Proto: x.Head.Proto, Close: !x.KeepAlive(),
	}))
}

// says is an answer of echo.
func says(status, body string, fields ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %s\r\nContent-Length: %d\r\n", status, len(body))
	for _, f := range fields {
		b.WriteString(f + "\r\n")
	}
	return b.String() + "\r\n" + body
}

const closes = "Connection: close"

func TestServerAnswersOnTheWire(t *testing.T) {
	addr := listen(t, &Server{Serve: echo, Limits: Limits{Head: 8 << 10}})
	get := "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
	gets := says("200 OK", "GET /a ")
	large := string(chunks(bytes.Repeat([]byte("x"), 100_000)))
	for _, tt := range []struct{ name, send, want string }{
		{"one request", get, gets},
		{"keep-alive", get + get, gets + gets},
		{"pipelined with bodies, in order",
			"POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" +
				"POST /2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: v\r\n\r\n" + get,
			says("200 OK", "POST /1 abc") + says("200 OK", "POST /2 3\r\nabc\r\n0\r\nT: v\r\n\r\n") + gets},
		{"Connection: close ends it", "GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + get, says("200 OK", "GET /a ", closes)},
		{"HTTP/1.0 ends it", "GET /a HTTP/1.0\r\n\r\n" + get, says("200 OK", "GET /a ")},
		{"HTTP/1.0 with keep-alive", "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + get,
			says("200 OK", "GET /a ", "Connection: keep-alive") + gets},
		{"HEAD has no body", "HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n" + get,
			"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n" + gets},
		{"empty lines between requests", "\r\n" + get + "\r\n\r\n\n" + get + "\r\n", gets + gets},
		{"nothing", "", ""},
		{"empty lines only", "\r\n\r\n\r", ""},
		{"100 Continue is for those who wait: the body is here",
			"POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc", says("200 OK", "POST /a abc")},
		{"chunk framing is wrong", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcXY" + get,
			says("400 Bad Request", "POST /a 3\r\nabcXY"+get+"|malformed line end in the chunk framing", closes)},
		{"body is cut short", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabc",
			says("400 Bad Request", "POST /a abc|unexpected EOF", closes)},
		{"large bodies with requests behind them",
			"POST /1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + large + strings.Repeat(get, 500),
			says("200 OK", "POST /1 "+large) + strings.Repeat(gets, 500)},
		{"large head", "GET /a HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 6000) + "\r\n\r\n" + get, gets + gets},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := talk(t, addr, tt.send); got != tt.want {
				t.Errorf("got\n%q\nwant\n%q", got, tt.want)
			}
		})
	}
}

func TestServerRefusesBeforeItAnswers(t *testing.T) {
	var told []*Refusal
	s := &Server{Serve: echo, Limits: Limits{Head: 8 << 10}, Refuse: func(r *Refusal) []byte {
		told = append(told, r)
		return fmt.Appendf(nil, "told %d", r.Status)
	}}
	addr := listen(t, s)
	long := "GET /a HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 9000) + "\r\n\r\n"
	for _, tt := range []struct {
		name, send string
		raw        string
		status     int
		is         error
	}{
		{"malformed head", "GET  /a HTTP/1.1\r\n\r\n", "GET  /a HTTP/1.1\r\n\r\n", 400, nil},
		{"no head at all", "\x00\x01\x02", "\x00\x01\x02", 400, nil},
		{"head without its end", "GET /a HTTP/1.1\r\nHost: x\r\n", "GET /a HTTP/1.1\r\nHost: x\r\n", 400, io.ErrUnexpectedEOF},
		{"head too large", long, long[:8<<10], 431, errHeadTooLarge},
		{"TLS on a plain port", "\x16\x03\x01\x00\x05hello", "\x16\x03\x01\x00\x05hello", 400, ErrTLSOnPlain},
		{"version", "GET /a HTTP/2.0\r\n\r\n", "GET /a HTTP/2.0\r\n\r\n", 505, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			told = nil
			if got, want := talk(t, addr, tt.send), fmt.Sprintf("told %d", tt.status); got != want {
				t.Errorf("answer %q, want %q", got, want)
			}
			if len(told) != 1 || string(told[0].Raw) != tt.raw || told[0].Status != tt.status ||
				tt.is != nil && !errors.Is(told[0].Cause, tt.is) || told[0].Time.IsZero() {
				t.Errorf("told %+v", told)
			}
		})
	}
}

func TestServerRefusesByItself(t *testing.T) {
	addr := listen(t, &Server{Serve: echo})
	got := talk(t, addr, "GET  /a HTTP/1.1\r\n\r\n")
	head, err := ParseResponseHead([]byte(got), "GET")
	if err != nil || head.Status != 400 || head.KeepAlive {
		t.Errorf("got %q, %v", got, err)
	}
}

// Large heads wait for memory, or are refused when there is none; small ones take none.
func TestLargeHeadsTakeTheMemoryThatThereIs(t *testing.T) {
	places := make(chan struct{}, 1)
	var full atomic.Bool
	s := &Server{Serve: echo, Room: func(n int) (func(), bool) {
		if full.Load() {
			return nil, false
		}
		places <- struct{}{}
		return func() { <-places }, true
	}}
	var refused atomic.Pointer[Refusal]
	s.Refuse = func(r *Refusal) []byte { refused.Store(r); return nil }
	addr := listen(t, s)
	small, large := "GET /small HTTP/1.1\r\nHost: h\r\n\r\n", "GET /large HTTP/1.1\r\nHost: h\r\nX: "+strings.Repeat("x", 2*smallBuffer)+"\r\n\r\n"
	slow := dial(t, addr)
	fmt.Fprint(slow, large[:len(large)-2])
	for len(places) == 0 {
		runtime.Gosched()
	}
	waiting := dial(t, addr)
	fmt.Fprint(waiting, large)
	if got := talk(t, addr, small, small); strings.Count(got, "HTTP/1.1 200 OK") != 2 {
		t.Errorf("small ones: %q", got)
	}
	fmt.Fprint(slow, "\r\n")
	expect(t, slow, "HTTP/1.1 200 OK\r\n")
	expect(t, waiting, "HTTP/1.1 200 OK\r\n")
	if got := talk(t, addr, large, large, small); strings.Count(got, "HTTP/1.1 200 OK") != 3 {
		t.Errorf("one after the other: %q", got)
	}
	full.Store(true)
	if got := talk(t, addr, large); !strings.HasPrefix(got, "HTTP/1.1 503 ") || refused.Load().Cause != ErrNoRoom {
		t.Errorf("without memory: %q", got)
	}
}

// A sender that sends on after its last answer holds no place that another one waits for.
func TestAConnectionThatOnlyDrainsGivesItsPlaceAway(t *testing.T) {
	s := &Server{Serve: echo}
	addr := listen(t, s)
	for tries := 0; ; tries++ {
		c := dial(t, addr)
		fmt.Fprint(c, "no request\r\n\r\n")
		expect(t, c, "HTTP/1.1 400 ")
		for range 1000 {
			s.mu.Lock()
			evicted, _ := s.evict()
			s.mu.Unlock()
			if evicted {
				readAll(t, c)
				return
			}
			runtime.Gosched()
		}
		if tries == 100 {
			t.Fatal("it keeps its place")
		}
	}
}

func TestContinueIsSentWhenTheBodyIsRead(t *testing.T) {
	addr := listen(t, &Server{Serve: func(x *Exchange) {
		if x.Head.Target == "/unread" {
			_, _ = x.Write(AppendResponse(nil, Answer{Status: 413, Close: !x.KeepAlive()}))
			return
		}
		echo(x)
	}})
	ask := func(target string) *net.TCPConn {
		c := dial(t, addr)
		_, _ = io.WriteString(c, "POST "+target+" HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
		return c
	}
	c := ask("/read")
	expect(t, c, "HTTP/1.1 100 Continue\r\n\r\n")
	_, _ = io.WriteString(c, "abc")
	expect(t, c, says("200 OK", "POST /read abc"))

	c = ask("/unread")
	if got, want := readAll(t, c), says("413 Request Entity Too Large", "", closes); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

const earlyHints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"

func TestInterimResponsesComeBeforeTheAnswer(t *testing.T) {
	addr := listen(t, &Server{Serve: func(x *Exchange) {
		x.Interim(earlyHints)
		if x.Head.Path() != "/nothing-else" {
			x.Interim(earlyHints)
			echo(x)
		}
	}})
	for request, want := range map[string]string{
		"GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n": earlyHints + earlyHints + says("200 OK", "GET /a ") + earlyHints + earlyHints + says("200 OK", "GET /b "),
		"GET /a HTTP/1.0\r\n\r\n":                       says("200 OK", "GET /a "), // HTTP/1.0 has no 100 Continue
		"GET /nothing-else HTTP/1.1\r\nHost: h\r\n\r\n": earlyHints,
	} {
		if got := talk(t, addr, request); got != want {
			t.Errorf("to %q came %q, want %q", request, got, want)
		}
	}
}

func TestShutdownIsGraceful(t *testing.T) {
	entered, release := make(chan bool), make(chan bool)
	s := &Server{Serve: func(x *Exchange) {
		entered <- true
		<-release
		echo(x)
	}}
	addr := listen(t, s)
	idle, busy := dial(t, addr), dial(t, addr)
	_, _ = io.WriteString(busy, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
	<-entered
	down := make(chan error)
	go func() { down <- s.Shutdown(context.Background()) }()
	if got := readAll(t, idle); got != "" {
		t.Errorf("idle connection got %q", got)
	}
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Error("still listens")
	}
	close(release)
	if got, want := readAll(t, busy), says("200 OK", "GET /a ", closes); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	_ = busy.Close()
	if err := <-down; err != nil {
		t.Error(err)
	}
}

// What came behind half an interim response would be taken for a part of it.
func TestNothingComesBehindHalfAnInterimResponse(t *testing.T) {
	gaveUp := make(chan bool)
	addr := listen(t, &Server{Limits: Limits{WriteTimeout: 50 * time.Millisecond}, Serve: func(x *Exchange) {
		x.Interim(unreadable)
		close(gaveUp)
		_, _ = io.WriteString(x, says("200 OK", ""))
	}})
	c := dial(t, addr)
	if _, err := io.WriteString(c, slow); err != nil {
		t.Fatal(err)
	}
	<-gaveUp
	if got := readAll(t, c); !strings.HasPrefix(unreadable, got) {
		t.Errorf("behind %d of %d bytes comes %q", strings.LastIndexByte(got, 'a')+1, len(unreadable), got[strings.LastIndexByte(got, 'a')+1:])
	}
}

// unreadable is more than systems keep for who does not read.
var unreadable = "HTTP/1.1 103 Early Hints\r\nLink: " + strings.Repeat("a", 32<<20) + "\r\n\r\n"
