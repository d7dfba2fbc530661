package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/hooktape/hooktape/relay/wire/port"
)

// soakTarget is an app behind the agent, on a raw socket: it enters into the
// ledger what it receives, and fails in all the ways that apps do.
type soakTarget struct {
	number int // which of soakTargets
	addr   string
	held   *port.Held // of addr, also while it is down
	ledger *soakLedger
	wg     sync.WaitGroup

	mu       sync.Mutex   // guards what follows
	listener net.Listener // nil: it is down
	conns    map[net.Conn]struct{}
	none     chan struct{} // closed while there are no connections
	manner   soakManner
}

// soakManner is how a target treats a request.
type soakManner string

const (
	soakPrompt  soakManner = "prompt"  // 200
	soakFailing soakManner = "failing" // 500, now and then 503 with Retry-After
	soakGone    soakManner = "gone"    // 410, now and then
	soakEarly   soakManner = "early"   // 500 before the body is read
	soakHang    soakManner = "hang"    // takes the request and never answers
	soakReset   soakManner = "reset"   // resets the connection instead of an answer
	soakGarbage soakManner = "garbage" // answers with what is not HTTP
	soakHalf    soakManner = "half"    // 200, and half of the body that it promised
	soakDown    soakManner = "down"    // takes no connections
)

var soakManners = []soakManner{soakFailing, soakGone, soakEarly, soakHang, soakReset, soakGarbage, soakHalf, soakDown}

func startSoakTarget(number int, ledger *soakLedger) (*soakTarget, error) {
	t := &soakTarget{
		number: number, ledger: ledger, manner: soakPrompt,
		conns: make(map[net.Conn]struct{}), none: make(chan struct{}),
	}
	close(t.none)
	held, err := port.Hold()
	if err != nil {
		return nil, err
	}
	t.held, t.addr = held, held.Addr
	return t, t.up()
}

// listen takes connections. Callers hold mu, or have the target to themselves.
func (t *soakTarget) listen(l net.Listener) {
	t.listener = l
	t.wg.Go(func() { t.accept(l) })
}

// up listens again where it listened before it was down.
func (t *soakTarget) up() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.listener != nil {
		return nil
	}
	l, err := t.held.Listen()
	if err != nil {
		return fmt.Errorf("bring target %s up again: %w", soakTargets[t.number], err)
	}
	t.listen(l)
	return nil
}

// down closes the port and all connections.
func (t *soakTarget) down() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.listener == nil {
		return
	}
	t.listener.Close()
	t.listener = nil
	for conn := range t.conns {
		conn.Close()
	}
}

// close ends the target and waits for all that it has running.
func (t *soakTarget) close() {
	t.down()
	t.wg.Wait()
	t.held.Release()
}

// behave sets how requests are treated from now on.
func (t *soakTarget) behave(m soakManner) error {
	t.mu.Lock()
	t.manner = m
	t.mu.Unlock()
	if m == soakDown {
		t.down()
		return nil
	}
	return t.up()
}

// misbehave changes its manner at random instants until ctx ends.
func (t *soakTarget) misbehave(ctx context.Context, rng *rand.Rand) error {
	for well := true; ; well = !well {
		m := soakPrompt
		if !well {
			m = soakManners[rng.IntN(len(soakManners))]
			t.ledger.add(func(c *soakCount) *int64 { return &c.Faults })
		}
		if err := t.behave(m); err != nil {
			return err
		}
		if !pause(ctx, 100*time.Millisecond+upTo(rng, 1500*time.Millisecond)) {
			return t.behave(soakPrompt)
		}
	}
}

// pause waits; false: ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// quiet waits until no connection is left, which is soon once the agent is gone: what
// that agent sent must arrive before what its successor sends.
func (t *soakTarget) quiet(ctx context.Context) {
	t.mu.Lock()
	none := t.none
	t.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, soakPatience)
	defer cancel()
	select {
	case <-none:
	case <-ctx.Done():
	}
}

func (t *soakTarget) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		if !t.enter(l, conn) {
			conn.Close()
			continue
		}
		t.wg.Go(func() {
			defer t.leave(conn)
			t.serve(conn)
		})
	}
}

func (t *soakTarget) enter(l net.Listener, conn net.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.listener != l {
		return false
	}
	if len(t.conns) == 0 {
		t.none = make(chan struct{})
	}
	t.conns[conn] = struct{}{}
	return true
}

func (t *soakTarget) leave(conn net.Conn) {
	conn.Close()
	t.mu.Lock()
	defer t.mu.Unlock()
	if delete(t.conns, conn); len(t.conns) == 0 {
		close(t.none)
	}
}

func (t *soakTarget) mannerNow() soakManner {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.manner
}

// serve reads requests and treats each in the target's manner.
func (t *soakTarget) serve(conn net.Conn) {
	var got []byte
	buf := make([]byte, 64<<10)
	for {
		for {
			m := t.mannerNow()
			if m == soakEarly && cutHead(got) > 0 {
				fmt.Fprint(conn, "HTTP/1.1 500 Early\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
				return
			}
			size := cutRequest(got)
			if size == 0 {
				break
			}
			n := t.ledger.arrived(t.number, got[:size])
			if !t.reply(conn, n, m) {
				return
			}
			got = got[:copy(got, got[size:])]
		}
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		got = append(got, buf[:n]...)
	}
}

// reply answers request n; false: the connection ends.
func (t *soakTarget) reply(conn net.Conn, n int, m soakManner) bool {
	switch answer := soakAnswer(n, m); m {
	case soakHang:
		for buf := make([]byte, 1<<10); ; {
			if _, err := conn.Read(buf); err != nil {
				return false
			}
		}
	case soakReset:
		resetOnClose(conn)
		return false
	case soakHalf:
		fmt.Fprint(conn, answer)
		resetOnClose(conn)
		return false
	case soakGarbage:
		fmt.Fprint(conn, answer)
		return false
	case soakGone:
		if n >= 0 && n%goneEvery == 0 {
			t.ledger.refusedByTarget(t.number, n)
		}
		fallthrough
	default:
		_, err := fmt.Fprint(conn, answer)
		return err == nil
	}
}

// goneEvery is how many requests a target in the manner soakGone gets for each one
// that it will never want.
const goneEvery = 10

// soakAnswer is what a target writes.
func soakAnswer(n int, m soakManner) string {
	const ok = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n"
	switch {
	case m == soakFailing && n%5 == 0:
		return "HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
	case m == soakFailing:
		return "HTTP/1.1 500 Failing\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nsorry\n\r\n0\r\n\r\n"
	case m == soakGone && n >= 0 && n%goneEvery == 0:
		return "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"
	case m == soakGarbage:
		return "\x16\x03\x01\x00what\x00is this\r\n\r\n"
	case m == soakHalf:
		return "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it"
	}
	return ok
}

func resetOnClose(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}
