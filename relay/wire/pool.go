package wire

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync"
	"time"
)

// A link is a connection of a Client.
type link struct {
	at      address
	sock    *socket
	stream  net.Conn // what HTTP is spoken on: sock, or TLS on it
	in      buffer
	arrived time.Time // when the last bytes came: the start of its idle time, once it is in the pool
	failed  error     // what the next read returns; nil: it reads

	// quiet says that the peer has neither closed the connection nor sent anything.
	// Nil: that can't be known.
	quiet func() bool
	ask   *asking // for a plain socket; else nil

	watched watch
	try     try // the request under way; zero: none is

	// Apps give the same head again and again: one that is byte for byte like the last
	// is not parsed again.
	head   *ResponseHead
	method string // of the request that it was parsed for
}

func newLink(at address, nc net.Conn, stall time.Duration) *link {
	sock := newSocket(nc, stall)
	return &link{at: at, sock: sock, stream: sock, in: newBuffer(), quiet: peek(nc), ask: newAsking(nc), watched: watch{cut: sock.cut}}
}

// secure brings TLS up.
func (l *link) secure(ctx context.Context, cfg *tls.Config) error {
	secure := tls.Client(l.sock, cfg)
	l.stream, l.ask = secure, nil
	return secure.HandshakeContext(ctx)
}

// fill reads more into the buffer, which has room.
func (l *link) fill() error {
	if l.failed != nil {
		return l.failed
	}
	n, err := l.in.fill(l.stream)
	if n > 0 {
		l.arrived = time.Now()
		return nil
	}
	return err
}

// asked writes a request and waits for what comes back, which then is in the buffer,
// or is the error that fill returns. It returns what is left to write when the socket
// takes no more for the moment. The error is errStale, or that of writing.
func (l *link) asked(out *Outgoing, look bool) (left []byte, err error) {
	a := l.ask
	defer a.end()
	a.begin(out, l.in.b[l.in.w:], look)
	for err = a.wait(); err != nil && isTimeout(err); err = a.wait() {
		if err = l.sock.early(); err != nil {
			break
		}
	}
	err = cmp.Or(err, a.err)
	switch {
	case a.stale:
		return nil, errStale
	case err != nil && !a.wrote:
		return nil, err
	case err != nil:
		l.failed = err
	case a.n > 0:
		l.in.w += a.n
		l.arrived = time.Now()
	}
	return a.left, nil
}

// errStale says that something had come on an idle connection, perhaps its end.
var errStale = errors.New("the connection was not idle")

// parse is ParseResponseHead, which it spares where it can.
func (l *link) parse(b []byte, method string) (*ResponseHead, error) {
	if h := l.head; h != nil && l.method == method && len(b) >= len(h.Raw) && string(b[:len(h.Raw)]) == h.Raw {
		return h, nil
	}
	h, err := ParseResponseHead(b, method)
	if err == nil && len(h.Raw) <= smallBuffer {
		l.head, l.method = h, method
	}
	return h, err
}

func (l *link) close() {
	l.watched.end()
	_ = l.stream.Close()
	l.in.release()
}

const (
	defaultMaxIdle     = 64
	defaultIdleTimeout = 90 * time.Second
)

// A pool keeps idle connections. The zero pool is empty.
type pool struct {
	// mu guards all fields. It is not held during I/O.
	mu       sync.Mutex
	idle     map[address][]*link // the longest idle first
	closed   bool
	sweeper  *time.Timer // runs while there are idle connections
	sweeping sync.WaitGroup
}

// take returns an idle connection, or nil. It takes the one used last, which is the
// most likely to live. Whether it does must be checked when it is used.
func (p *pool) take(at address) *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	links := p.idle[at]
	last := len(links) - 1
	if last < 0 {
		return nil
	}
	l := links[last]
	links[last] = nil
	p.idle[at] = links[:last]
	return l
}

// put keeps a connection, or closes it if there are enough or until is closed.
func (p *pool) put(l *link, maxIdle int, until <-chan struct{}, timeout time.Duration) {
	if !p.push(l, maxIdle, until, timeout) {
		l.close()
	}
}

func (p *pool) push(l *link, maxIdle int, until <-chan struct{}, timeout time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	links := p.idle[l.at]
	if p.closed || len(links) >= maxIdle {
		return false
	}
	select {
	case <-until: // what is kept is dropped after until is closed, perhaps already: so this looks under mu
		return false
	default:
	}
	if p.idle == nil {
		p.idle = make(map[address][]*link)
	}
	p.idle[l.at] = append(links, l)
	if p.sweeper == nil {
		p.sweepAfter(timeout, timeout)
	}
	return true
}

// sweepAfter schedules a sweep. The caller holds mu.
func (p *pool) sweepAfter(wait, timeout time.Duration) {
	p.sweeping.Add(1)
	p.sweeper = time.AfterFunc(wait, func() {
		defer p.sweeping.Done()
		for _, l := range p.sweep(timeout) {
			l.close()
		}
	})
}

// sweep takes out the connections that have been idle for too long, and schedules
// the next sweep for the others.
func (p *pool) sweep(timeout time.Duration) (expired []*link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sweeper = nil
	now := time.Now()
	var next time.Duration
	for at, links := range p.idle {
		n := 0
		for n < len(links) && now.Sub(links[n].arrived) >= timeout {
			n++
		}
		expired = append(expired, links[:n]...)
		if n == len(links) {
			delete(p.idle, at)
			continue
		}
		p.idle[at] = slices.Clone(links[n:])
		if left := timeout - now.Sub(links[n].arrived); next == 0 || left < next {
			next = left
		}
	}
	if next > 0 && !p.closed {
		p.sweepAfter(next, timeout)
	}
	return expired
}

// drop closes the idle connections to an address.
func (p *pool) drop(at address) {
	p.mu.Lock()
	links := p.idle[at]
	delete(p.idle, at)
	p.mu.Unlock()
	for _, l := range links {
		l.close()
	}
}

// close closes all idle connections, and keeps none from now on.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	if p.sweeper != nil && p.sweeper.Stop() {
		p.sweeping.Done()
	}
	idle := p.idle
	p.idle, p.sweeper = nil, nil
	p.mu.Unlock()
	for _, links := range idle {
		for _, l := range links {
			l.close()
		}
	}
	p.sweeping.Wait()
}
