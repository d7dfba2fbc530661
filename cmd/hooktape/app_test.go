package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/hooktape/hooktape/relay/wire/port"
)

// rawApp is the app behind the agent: a raw socket that keeps every byte it
// received and answers with bytes it was given. It can be taken down and
// brought up again on its port.
type rawApp struct {
	addr string                      // from the first up on
	seen func(n int, request []byte) // called with request number n before it is answered; nil: nobody looks
	wg   sync.WaitGroup

	mu       sync.Mutex // guards what follows
	held     *port.Held
	listener net.Listener
	conns    map[net.Conn]struct{}
	requests [][]byte      // whole ones, in the order they were whole
	arrived  chan struct{} // closed and made anew when one is
	answers  [][]byte      // given in turn, the last for good
	manner   manner
	release  chan struct{} // closed: no answer is held back
}

// manner is how the app treats a request.
type manner string

const (
	prompt manner = "prompt" // reads it, answers it
	early  manner = "early"  // answers when the head is there, and closes
	reset  manner = "reset"  // reads it, resets the connection
	hangup manner = "hangup" // reads it, closes without an answer
)

var okAnswer = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-App: kept\r\nContent-Length: 3\r\n\r\nok\n")

func newRawApp() *rawApp {
	released := make(chan struct{})
	close(released)
	return &rawApp{
		conns:   make(map[net.Conn]struct{}),
		arrived: make(chan struct{}),
		answers: [][]byte{okAnswer},
		manner:  prompt,
		release: released,
	}
}

func startApp(t testing.TB) *rawApp {
	t.Helper()
	a := newRawApp()
	if err := a.up(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.end)
	return a
}

// end stops the app for good.
func (a *rawApp) end() {
	a.down()
	a.held.Release()
}

// up listens, from the second time on where it listened before.
func (a *rawApp) up() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.held == nil {
		held, err := port.Hold()
		if err != nil {
			return err
		}
		a.held, a.addr = held, held.Addr
	}
	l, err := a.held.Listen()
	if err != nil {
		return err
	}
	a.listener = l
	a.wg.Go(func() { a.accept(l) })
	return nil
}

// down closes the port and every connection, and joins what served them.
func (a *rawApp) down() {
	a.mu.Lock()
	if a.listener != nil {
		a.listener.Close()
		a.listener = nil
	}
	for conn := range a.conns {
		conn.Close()
	}
	select {
	case <-a.release:
	default:
		close(a.release)
	}
	a.mu.Unlock()
	a.wg.Wait()
}

// answer sets the answers given in turn from now on; the last one stays.
func (a *rawApp) answer(answers ...[]byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers = answers
}

func (a *rawApp) behave(m manner) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.manner = m
}

// hold keeps all answers back until letGo.
func (a *rawApp) hold() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.release = make(chan struct{})
}

func (a *rawApp) letGo() {
	a.mu.Lock()
	defer a.mu.Unlock()
	close(a.release)
}

// received is what came so far, and a channel that closes when more does.
func (a *rawApp) received() ([][]byte, <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.requests[:len(a.requests):len(a.requests)], a.arrived
}

// await waits until n requests have come in all.
func (a *rawApp) await(n int) ([][]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patienceOfTests)
	defer cancel()
	for {
		requests, more := a.received()
		if len(requests) >= n {
			return requests, nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return requests, fmt.Errorf("the app received %d requests, not %d", len(requests), n)
		}
	}
}

func (a *rawApp) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		a.mu.Lock()
		if a.listener != l {
			conn.Close()
		}
		a.conns[conn] = struct{}{}
		a.mu.Unlock()
		a.wg.Go(func() {
			a.serve(conn)
			a.mu.Lock()
			delete(a.conns, conn)
			a.mu.Unlock()
			conn.Close()
		})
	}
}

func (a *rawApp) serve(conn net.Conn) {
	var got []byte
	buf := make([]byte, 256<<10)
	for {
		n, err := conn.Read(buf)
		got = append(got, buf[:n]...)
		for {
			size := cutRequest(got)
			a.mu.Lock()
			m := a.manner
			a.mu.Unlock()
			if m == early && cutHead(got) > 0 {
				a.keep(got)
				conn.Write(a.next("GET"))
				return
			}
			if size == 0 {
				break
			}
			request := bytes.Clone(got[:size])
			got = got[size:]
			if !a.reply(conn, request, m) {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// reply keeps the request and answers it; false: the connection ends.
func (a *rawApp) reply(conn net.Conn, request []byte, m manner) bool {
	a.keep(request)
	a.mu.Lock()
	release := a.release
	a.mu.Unlock()
	<-release
	switch m {
	case reset:
		conn.(*net.TCPConn).SetLinger(0)
		return false
	case hangup:
		return false
	}
	_, err := conn.Write(a.next(methodOf(request)))
	return err == nil
}

func (a *rawApp) keep(request []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests = append(a.requests, request)
	if a.seen != nil {
		a.seen(len(a.requests), request)
	}
	close(a.arrived)
	a.arrived = make(chan struct{})
}

func (a *rawApp) next(method string) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	answer := a.answers[0]
	if len(a.answers) > 1 {
		a.answers = a.answers[1:]
	}
	if method == "HEAD" {
		return answer[:cutHead(answer)]
	}
	return answer
}
