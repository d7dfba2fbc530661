package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

const (
	soakSenders = 16
	soakKeys    = 4       // per sender: what it sends under a key stays in order
	soakBig     = 1 << 20 // bytes of the largest body
	soakMaxBody = 2 << 20 // the max_body of soak's configuration
)

// soakGate tells senders where to send, and is closed while no agent runs.
type soakGate struct {
	mu      sync.Mutex // guards what follows
	agent   soakAddress
	changed chan struct{}
}

// soakAddress is where an agent receives. A later agent may get the same port.
type soakAddress struct {
	addr  string // "": the gate is closed
	agent int    // which one it is, from 1
}

func newSoakGate() *soakGate { return &soakGate{changed: make(chan struct{})} }

// open leads senders to another agent.
func (g *soakGate) open(addr string) { g.set(soakAddress{addr, g.now().agent + 1}) }

// close is called before an agent is ended: what is cut off after that counts for
// nobody.
func (g *soakGate) close() { g.set(soakAddress{"", g.now().agent}) }

func (g *soakGate) now() soakAddress {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.agent
}

func (g *soakGate) set(a soakAddress) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.agent = a
	close(g.changed)
	g.changed = make(chan struct{})
}

// await waits until the gate is open; false: ctx has ended.
func (g *soakGate) await(ctx context.Context) (soakAddress, bool) {
	for {
		g.mu.Lock()
		a, changed := g.agent, g.changed
		g.mu.Unlock()
		if a.addr != "" && ctx.Err() == nil {
			return a, true
		}
		select {
		case <-ctx.Done():
			return a, false
		case <-changed:
		}
	}
}

// soakSender sends requests of all kinds, one after the other.
type soakSender struct {
	number int
	rng    *rand.Rand
	ledger *soakLedger
	gate   *soakGate
	noise  []byte // bodies are cut from it

	conn  net.Conn // nil: none
	agent soakAddress
}

// run sends until ctx ends.
func (s *soakSender) run(ctx context.Context) {
	defer s.hangUp()
	for {
		agent, open := s.gate.await(ctx)
		if !open {
			return
		}
		s.ledger.breathe(ctx)
		if agent != s.agent || s.rng.IntN(20) == 0 {
			s.hangUp()
			s.agent = agent
		}
		switch kind := s.rng.IntN(100); {
		case kind < 12:
			s.refusal(ctx)
		case kind < 24:
			s.exchange(ctx, s.requests(soakAck, 2+s.rng.IntN(10)))
		case kind < 45:
			s.exchange(ctx, s.requests(soakPass, 1))
		default:
			s.exchange(ctx, s.requests(soakAck, 1))
		}
	}
}

func (s *soakSender) hangUp() {
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}

// soakExchange is what is sent over a connection before the answers are read.
type soakExchange struct {
	source   string
	numbers  []int
	requests [][]byte
}

func (s *soakSender) requests(source string, n int) soakExchange {
	x := soakExchange{source: source}
	for range n {
		key := -1
		if source == soakAck && s.rng.IntN(4) > 0 {
			key = s.number*soakKeys + s.rng.IntN(soakKeys)
		}
		number, request := s.ledger.enter(source, key, false, func(path string) []byte { return s.request(path, n > 1) })
		x.numbers, x.requests = append(x.numbers, number), append(x.requests, request)
	}
	return x
}

// request makes the bytes of a request. small: without a big body.
func (s *soakSender) request(path string, small bool) []byte {
	size := s.rng.IntN(3000)
	switch kind := s.rng.IntN(100); {
	case kind < 2 && !small:
		size = s.rng.IntN(soakBig)
	case kind < 6 && !small:
		size = 60_000 + s.rng.IntN(20_000) // around what is kept in one piece
	case kind < 16:
		size = 0
	}
	from := s.rng.IntN(len(s.noise) - size)
	body := s.noise[from : from+size]
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nhost: soak.example.com\r\nX-Odd:   %d \r\nX-Odd: %d\r\n", path, s.rng.Uint32(), s.number)
	if s.rng.IntN(4) == 0 {
		return append([]byte(head+"Transfer-Encoding: chunked\r\n\r\n"), s.chunked(body)...)
	}
	return fmt.Appendf(nil, "%sContent-Length: %d\r\n\r\n%s", head, size, body)
}

func (s *soakSender) chunked(body []byte) []byte {
	var b bytes.Buffer
	for len(body) > 0 {
		n := 1 + s.rng.IntN(min(len(body), 40_000))
		extension := ""
		if s.rng.IntN(8) == 0 {
			extension = ";soak=1"
		}
		fmt.Fprintf(&b, "%X%s\r\n%s\r\n", n, extension, body[:n])
		body = body[n:]
	}
	b.WriteString("0\r\n")
	if s.rng.IntN(3) == 0 {
		b.WriteString("X-Trailer: end\r\n")
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// exchange sends requests and reads their answers.
func (s *soakSender) exchange(ctx context.Context, x soakExchange) {
	answers, err := s.talk(ctx, x)
	for i, answer := range answers {
		s.ledger.answered(x.numbers[i], answer)
	}
	if err == nil && len(answers) == len(x.requests) {
		return
	}
	s.hangUp()
	// What the app breaks off is broken off for the sender too, and a source of respond = "ack" has no excuse.
	if x.source == soakAck && s.gate.now() == s.agent && ctx.Err() == nil {
		s.ledger.note("unanswered", x.numbers[len(answers)], "%d of %d requests on a connection were answered while the agent ran: %v",
			len(answers), len(x.requests), err)
	}
}

func (s *soakSender) talk(ctx context.Context, x soakExchange) (answers [][]byte, err error) {
	if s.conn == nil {
		if s.conn, err = net.DialTimeout("tcp", s.agent.addr, soakPatience); err != nil {
			return nil, err
		}
	}
	conn := s.conn
	_ = conn.SetDeadline(time.Now().Add(soakPatience))
	all := bytes.Join(x.requests, nil)
	var writing sync.WaitGroup
	writing.Go(func() { s.write(ctx, conn, all) }) // the agent may answer before all is written
	answers, err = readAnswers(conn, x.requests, false)
	if err != nil || len(answers) < len(x.requests) {
		conn.Close()
	}
	writing.Wait()
	return answers, err
}

// write writes all at once or slowly, in pieces. A failure shows in the answers
// that do not come.
func (s *soakSender) write(ctx context.Context, conn net.Conn, b []byte) {
	if s.rng.IntN(10) > 0 {
		_, _ = conn.Write(b)
		return
	}
	for len(b) > 0 {
		n := 1 + s.rng.IntN(max(1, len(b)/4))
		if _, err := conn.Write(b[:n]); err != nil || !pause(ctx, upTo(s.rng, 5*time.Millisecond)) {
			return
		}
		b = b[n:]
	}
}

// refusal sends what must not be accepted, over a connection of its own.
func (s *soakSender) refusal(ctx context.Context) {
	source, build := s.refused()
	n, request := s.ledger.enter(source, -1, true, build)
	conn, err := net.DialTimeout("tcp", s.agent.addr, soakPatience)
	if err != nil {
		return // an exchange will tell
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(soakPatience))
	s.write(ctx, conn, request)
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
	answers, _ := readAnswers(conn, [][]byte{request}, false)
	if len(answers) > 0 {
		s.ledger.answered(n, answers[0])
	}
}

// refused makes a kind of request that no agent may accept.
func (s *soakSender) refused() (source string, build func(path string) []byte) {
	const host = " HTTP/1.1\r\nHost: soak.example.com\r\n"
	kinds := []string{
		"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nPOST /ack/1 HTTP/1.1\r\n\r\n",
		"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
		"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
		"X-Folded: a\r\n b\r\nContent-Length: 0\r\n\r\n",
		"Transfer-Encoding: chunked\r\n\r\nhello\r\n",
		fmt.Sprintf("Content-Length: %d\r\n\r\ntoo large", soakMaxBody+1),
		"Content-Length: 4000\r\n\r\ncut short",
		"Content-Le",
	}
	method, rest := "POST", "Content-Length: 2\r\n\r\nhi"
	switch kind := s.rng.IntN(len(kinds) + 2); kind {
	case 0:
		source = soakNone
	case 1:
		source, method = soakAck, "DELETE"
	default:
		source, rest = soakAck, kinds[kind-2]
	}
	return source, func(path string) []byte { return []byte(method + " " + path + host + rest) }
}
