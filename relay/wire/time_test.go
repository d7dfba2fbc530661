package wire

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections are given to it. With synctest, its tests wait for nothing.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) connect() net.Conn {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// pass lets time pass, which takes no time in a synctest bubble.
func pass(d time.Duration) { <-time.After(d) }

// slowly is what the sender does: bytes after pauses.
type slowly struct {
	after time.Duration
	bytes string
}

func TestSlowSendersAreSentAway(t *testing.T) {
	head := "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\n"
	kib := strings.Repeat("x", 1000)
	get := "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
	const forever = time.Hour
	for _, tt := range []struct {
		name   string
		sends  []slowly
		after  time.Duration // when the connection ends
		status string        // of the last answer; "": none
	}{
		{"nothing comes", []slowly{{forever, ""}}, 2 * time.Minute, ""},
		{"nothing comes after a request", []slowly{{time.Minute, get}, {forever, ""}}, 3 * time.Minute, "200"},
		{"empty lines don't count", []slowly{{time.Minute, "\r\n"}, {forever, ""}}, 2 * time.Minute, ""},
		{"head does not end", []slowly{{time.Minute, "GET"}, {forever, ""}}, 70 * time.Second, "408"},
		{"head trickles in", []slowly{{0, "GET"}, {9 * time.Second, " "}, {forever, ""}}, 10 * time.Second, "408"},
		{"second head does not end", []slowly{{0, get}, {time.Minute, "GET"}, {forever, ""}}, 70 * time.Second, "408"},
		{"body does not come", []slowly{{0, head}, {forever, ""}}, 10 * time.Second, "400"},
		{"body stops", []slowly{{0, head}, {9 * time.Second, kib + kib}, {forever, ""}}, 9*time.Second + 2953125*time.Microsecond, "400"},
		{"body is slow but steady", append([]slowly{{0, head}}, repeat(slowly{time.Second, kib + kib}, 15)...), 0, "200"},
		{"idle again after a slow body", append(append([]slowly{{0, head}}, repeat(slowly{time.Second, kib + kib}, 15)...), slowly{forever, ""}), 135 * time.Second, "200"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newPipes()
				runUntilEnd(t, &Server{Serve: echo}, l)
				c := l.connect()
				defer c.Close()
				start := time.Now()
				go func() {
					for _, s := range tt.sends {
						pass(s.after)
						_, _ = io.WriteString(c, s.bytes)
					}
				}()
				var got strings.Builder
				if tt.after == 0 {
					buf := make([]byte, 12)
					_, _ = io.ReadFull(c, buf)
					got.Write(buf)
				} else {
					_, _ = io.Copy(&got, c)
					if after := time.Since(start); after != tt.after {
						t.Errorf("ended after %v, want %v", after, tt.after)
					}
				}
				at := strings.LastIndex(got.String(), "HTTP/1.1 ")
				if status := got.String()[at+1:]; tt.status == "" && at >= 0 || tt.status != "" && !strings.HasPrefix(status, "TTP/1.1 "+tt.status) {
					t.Errorf("got %.100q, want %q", got.String(), tt.status)
				}
				_ = c.Close()
				pass(forever) // the sender above is done
			})
		})
	}
}

func repeat(s slowly, n int) []slowly {
	all := make([]slowly, n)
	for i := range all {
		all[i] = s
	}
	return all
}

// Writing goes on as long as anything is taken, and ends when nothing is.
func TestWritesEndWithoutProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		result := make(chan error, 1)
		runUntilEnd(t, &Server{Serve: func(x *Exchange) {
			n, err := x.Write(make([]byte, 100))
			result <- fmt.Errorf("%d: %w", n, err)
		}}, l)
		c := l.connect()
		defer c.Close()
		_, _ = io.WriteString(c, getHead)
		start := time.Now()
		for range 5 {
			pass(29 * time.Second)
			_, _ = c.Read(make([]byte, 1))
		}
		err := <-result
		if err.Error() != "5: i/o timeout" || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if after := time.Since(start); after < 170*time.Second || after > 210*time.Second {
			t.Errorf("gave up after %v", after)
		}
	})
}

// Time that the server takes between reads is not the sender's.
func TestASlowServerDoesNotBlameTheSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		result := make(chan error, 1)
		runUntilEnd(t, &Server{Serve: func(x *Exchange) {
			_, err := x.Read(make([]byte, 1))
			pass(time.Hour)
			if err == nil {
				_, err = x.Read(make([]byte, 1))
			}
			result <- err
		}}, l)
		c := l.connect()
		defer c.Close()
		_, _ = io.WriteString(c, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
		_, _ = io.WriteString(c, "a")
		_, _ = io.WriteString(c, "b")
		if err := <-result; err != nil {
			t.Error(err)
		}
	})
}

func TestAcceptGoesOnAfterAShortage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []error
		l := &failing{pipes: newPipes(), left: 10}
		runUntilEnd(t, &Server{Serve: echo, AcceptFailed: func(err error) { told = append(told, err) }}, l)
		start := time.Now()
		c := l.connect()
		defer c.Close()
		_, _ = io.WriteString(c, getHead)
		expect(t, c, says("200 OK", "GET /a "))
		if after := time.Since(start); len(told) != 10 || after < time.Second || after > 5*time.Second {
			t.Errorf("told %d times within %v", len(told), after)
		}
	})
}

// A connection beyond the limit takes the place of the one that has been idle for longest.
func TestTheLongestIdleConnectionMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		runUntilEnd(t, &Server{Serve: echo, Limits: Limits{Conns: 3}}, l)
		ask := func(c net.Conn) {
			_, _ = io.WriteString(c, getHead)
			expect(t, c, says("200 OK", "GET /a "))
			pass(time.Second)
		}
		first, second, third := l.connect(), l.connect(), l.connect()
		ask(first)
		ask(second)
		ask(third)
		ask(first) // now the second has been idle for longest
		fourth := l.connect()
		ask(fourth)
		if got := readAll(t, second); got != "" {
			t.Errorf("got %q", got)
		}
		for _, c := range []net.Conn{first, third, fourth} {
			ask(c)
			_ = c.Close()
		}
	})
}

// A new connection does not count as idle at once: its request is on the way.
func TestNewConnectionsAreGivenTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		runUntilEnd(t, &Server{Serve: echo, Limits: Limits{Conns: 1}}, l)
		silent := l.connect()
		start := time.Now()
		c := l.connect()
		defer c.Close()
		_, _ = io.WriteString(c, getHead)
		expect(t, c, says("200 OK", "GET /a "))
		if after := time.Since(start); after != freshGrace {
			t.Errorf("made room after %v", after)
		}
		if got := readAll(t, silent); got != "" {
			t.Errorf("got %q", got)
		}
	})
}

func TestRunReturnsTheErrorOfItsListener(t *testing.T) {
	l := newPipes()
	_ = l.Close()
	if err := (&Server{Serve: echo}).Run(l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// failing fails to accept a few times, for want of file descriptors.
type failing struct {
	*pipes
	left int
}

func (l *failing) Accept() (net.Conn, error) {
	if l.left > 0 {
		l.left--
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", errTooManyFiles)}
	}
	return l.pipes.Accept()
}

func TestIdleConnectionsOfAClientEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		runUntilEnd(t, &Server{Serve: echo}, l)
		c := &Client{Dial: dialPipes(l), IdleTimeout: time.Minute}
		defer c.Close()
		u := &url.URL{Scheme: "http", Host: "x"}
		fetch(t, c, get(u))
		pass(59 * time.Second)
		if _, reused := fetch(t, c, get(u)); !reused {
			t.Error("ended too early")
		}
		pass(30 * time.Second)
		if idleLinks(c) != 1 {
			t.Error("ended too early after it was used again")
		}
		pass(31 * time.Second)
		if idleLinks(c) != 0 {
			t.Error("still there")
		}
	})
}

func idleLinks(c *Client) (n int) {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	for _, links := range c.pool.idle {
		n += len(links)
	}
	return n
}

// An app may take its time as long as it goes on; Total bounds the whole exchange.
func TestClientTimeouts(t *testing.T) {
	for _, tt := range []struct {
		name   string
		limits Timeouts
		answer []slowly
		after  time.Duration // 0: no timeout
	}{
		{"first byte in time", Timeouts{FirstByte: 10 * time.Second}, []slowly{{9 * time.Second, okAnswer}}, 0},
		{"first byte too late", Timeouts{FirstByte: 10 * time.Second}, []slowly{{11 * time.Second, okAnswer}}, 10 * time.Second},
		{"first byte by default", Timeouts{}, []slowly{{31 * time.Second, okAnswer}}, 30 * time.Second},
		{"steps", Timeouts{FirstByte: 10 * time.Second}, []slowly{{9 * time.Second, okAnswer[:10]}, {9 * time.Second, okAnswer[10 : len(okAnswer)-1]}, {9 * time.Second, "k"}}, 0},
		{"stops in its body", Timeouts{FirstByte: 10 * time.Second}, []slowly{{9 * time.Second, okAnswer[:len(okAnswer)-1]}, {time.Hour, "k"}}, 19 * time.Second},
		{"total", Timeouts{Total: 10 * time.Second}, []slowly{{9 * time.Second, okAnswer[:len(okAnswer)-1]}, {9 * time.Second, "k"}}, 10 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newPipes()
				var running sync.WaitGroup
				running.Go(func() {
					c, _ := l.Accept()
					defer c.Close()
					take(c)
					for _, s := range tt.answer {
						pass(s.after)
						_, _ = io.WriteString(c, s.bytes)
					}
				})
				c := &Client{Dial: dialPipes(l)}
				defer running.Wait()
				defer c.Close()
				start := time.Now()
				o := get(&url.URL{Scheme: "http", Host: "x"})
				o.Timeouts = tt.limits
				r, err := c.Do(t.Context(), o)
				if err == nil {
					_, err = io.ReadAll(r)
					_ = r.Close()
				}
				after := time.Since(start)
				if isTimeout(err) != (tt.after > 0) || tt.after > 0 && after != tt.after {
					t.Errorf("got %v after %v, want %v", err, after, tt.after)
				}
			})
		})
	}
}

// What an app does not take at once is sent later, however small it is.
func TestASmallRequestWaitsForTheApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		var running sync.WaitGroup
		request := "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"
		got := make([]byte, len(request))
		running.Go(func() {
			c, _ := l.Accept()
			defer c.Close()
			_, _ = io.ReadFull(c, got[:10])
			pass(10 * syncPatience)
			_, _ = io.ReadFull(c, got[10:])
			_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
		})
		c := &Client{Dial: dialPipes(l)}
		defer running.Wait()
		defer c.Close()
		head := strings.TrimSuffix(request, "body")
		r, err := c.Do(t.Context(), &Outgoing{URL: &url.URL{Scheme: "http", Host: "x"}, Head: head, Method: "POST", Bytes: []byte("body")})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(r); err != nil || r.Close() != nil || string(got) != request {
			t.Errorf("the app got %q, %v", got, err)
		}
	})
}
