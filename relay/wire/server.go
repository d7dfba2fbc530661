package wire

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

var (
	// ErrServerClosed is what Run returns after Shutdown or Close.
	ErrServerClosed = errors.New("server closed")
	// ErrTLSOnPlain is the cause of a Refusal where TLS came in on a plain port.
	ErrTLSOnPlain = errors.New("TLS on a plain HTTP port")
	// ErrNoRoom is the cause of a Refusal for whose head Server.Room had no memory.
	ErrNoRoom = errors.New("no memory for the head of the request")
	// ErrPlainOnTLS is the cause of a Refusal where something else came in on a TLS port.
	ErrPlainOnTLS = errors.New("plain HTTP on a TLS port")
)

// Limits bound what one sender, and all together, can take of a Server. A zero
// field stands for its default.
type Limits struct {
	Head         int           // bytes of a head; 64 KiB. Beyond: 431
	Conns        int           // open connections; 1024. Beyond: the longest idle one is closed, or accepting waits for one
	HeadTimeout  time.Duration // from the first byte of a request to the end of its head, and for a TLS handshake; 10 s. Beyond: 408
	IdleTimeout  time.Duration // between requests, and the longest pause within a body; 2 min
	WriteTimeout time.Duration // of writing without progress; 30 s
	MinRate      int64         // bytes a second that a body must average after a grace of 10 s; 1024. Beyond: os.ErrDeadlineExceeded
}

func (l Limits) withDefaults() Limits {
	orDefault(&l.Head, 64<<10)
	orDefault(&l.Conns, 1024)
	orDefault(&l.HeadTimeout, 10*time.Second)
	orDefault(&l.IdleTimeout, 2*time.Minute)
	orDefault(&l.WriteTimeout, 30*time.Second)
	orDefault(&l.MinRate, 1024)
	return l
}

// orDefault gives a zero value its default.
func orDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// A SharedConn is a connection of several senders: between two requests it says, in bytes that are not HTTP, whose the
// next one is. A listener may return such connections.
type SharedConn interface {
	net.Conn

	// Next is called when a request is over and another one may follow. The next Read begins after those bytes, and
	// RemoteAddr is the new sender from then on. Both are called by the goroutine that calls Read.
	Next()
}

// A Server cuts requests off connections and hands them to Serve, with one goroutine
// per connection. The fields must not be changed once Run was called.
type Server struct {
	// Serve answers one request, on the goroutine of its connection. Required. The
	// connection is closed if it returns without having written anything, or
	// panics.
	Serve func(*Exchange)

	// Refuse is told of bytes that never became a request, before anything is
	// answered, so that they can be recorded. What it returns is written, then the
	// connection is closed. Nil, or nil bytes: a plain-text answer.
	Refuse func(*Refusal) (answer []byte)

	// Panicked is told of a panic in Serve or Refuse. That connection is closed, the
	// others go on. Nil: nobody is told.
	Panicked func(value any, stack []byte)

	// Room is asked for memory before so many bytes are kept of a head, or of
	// requests that follow one, beyond the 4 KiB that every connection has. It may
	// wait until there is some; giveBack is called once it is free again. Without any,
	// ok is false and the head is refused. Nil: there is always room.
	Room func(bytes int) (giveBack func(), ok bool)

	// AcceptFailed is told when no connection could be accepted, for want of file
	// descriptors for example. Accepting goes on after a pause. Nil: nobody is told.
	AcceptFailed func(error)

	Limits Limits
	TLS    *tls.Config // nil: plain HTTP. Its NextProtos are replaced by http/1.1

	// Aside decides by its ClientHello whether a TLS connection is for something
	// other than HTTP, and with which configuration: that one is closed after its
	// handshake, and nobody is told how it ended. Nil, or a nil result: HTTP.
	Aside func(*tls.ClientHelloInfo) *tls.Config

	Now func() time.Time // the time that exchanges and refusals get; nil: time.Now

	begin    sync.Once
	limits   Limits      // with defaults
	tls      *tls.Config // for this server
	epoch    time.Time   // where idle marks count from
	stopping atomic.Bool
	queued   atomic.Int64 // accepted connections that wait for a place

	// mu guards the fields below. It is held for moments only, never during I/O.
	mu        sync.Mutex
	places    sync.Cond // a connection ended or became idle, or the server stops; with mu
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	open      int           // connections that count against Limits.Conns
	stopped   chan struct{} // closed when stopping begins
	drained   chan struct{} // closed when stopping has begun and no connection is left
}

func (s *Server) setUp() {
	s.limits = s.Limits.withDefaults()
	s.places.L = &s.mu
	s.epoch = time.Now()
	s.listeners = make(map[net.Listener]struct{})
	s.conns = make(map[*conn]struct{})
	s.stopped = make(chan struct{})
	s.drained = make(chan struct{})
	if s.TLS != nil {
		s.tls = s.TLS.Clone()
		s.tls.NextProtos = []string{"http/1.1"}
	}
	if s.tls != nil && s.Aside != nil {
		s.tls.GetConfigForClient = s.setAside
	}
}

// setAside marks a connection that is not for HTTP. It is called within the
// handshake, by the goroutine of the connection.
func (s *Server) setAside(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	cfg := s.Aside(hello)
	if sock, ok := hello.Conn.(*socket); ok && cfg != nil {
		sock.aside = true
	}
	return cfg, nil
}

func (s *Server) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// Run serves the connections of a listener, and closes it in the end. It returns once
// all its connections have ended: ErrServerClosed after Shutdown or Close, otherwise
// the error of the listener. It may be called for several listeners.
func (s *Server) Run(l net.Listener) error {
	s.begin.Do(s.setUp)
	defer l.Close()
	if !s.addListener(l) {
		return ErrServerClosed
	}
	var running sync.WaitGroup
	err := s.accept(l, &running)
	s.mu.Lock()
	delete(s.listeners, l)
	s.mu.Unlock()
	running.Wait()
	return err
}

func (s *Server) addListener(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping.Load() {
		return false
	}
	s.listeners[l] = struct{}{}
	return true
}

// accept starts connections until the listener ends.
func (s *Server) accept(l net.Listener, running *sync.WaitGroup) error {
	var pause backOff
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			if c := s.admit(nc, running); c != nil {
				running.Go(c.run)
			}
		case s.stopping.Load():
			return ErrServerClosed
		case !isTransient(err):
			return err
		default:
			s.acceptFailed(err)
			pause.wait(s.stopped)
		}
	}
}

// acceptFailed reports the failure, and frees a file descriptor when there are too
// few.
func (s *Server) acceptFailed(err error) {
	if s.AcceptFailed != nil {
		s.AcceptFailed(err)
	}
	if isShortage(err) {
		s.mu.Lock()
		defer s.mu.Unlock()
		_, _ = s.evict()
	}
}

// admit registers an accepted connection, once there is a place for it. It
// returns nil, with the connection closed, when the server stops.
func (s *Server) admit(nc net.Conn, running *sync.WaitGroup) *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queued.Add(1)
	s.awaitPlace()
	s.queued.Add(-1)
	if s.stopping.Load() {
		_ = nc.Close()
		return nil
	}
	c := newConn(s, nc, running)
	s.conns[c] = struct{}{}
	s.open++
	return c
}

// awaitPlace returns when a connection may be added, or the server stops. The
// caller holds mu.
func (s *Server) awaitPlace() {
	for s.open >= s.limits.Conns && !s.stopping.Load() {
		evicted, next := s.evict()
		if evicted {
			return
		}
		if next == 0 {
			s.places.Wait()
			continue
		}
		timer := time.AfterFunc(next, s.becameIdle)
		s.places.Wait()
		timer.Stop()
	}
}

// evict ends the connection that has been idle for longest. When there is none, next
// says how long it takes at most until there is, or is zero if that is not known. The
// caller holds mu.
func (s *Server) evict() (evicted bool, next time.Duration) {
	type candidate struct {
		conn  *conn
		since int64
	}
	var idle []candidate
	for c := range s.conns {
		if since := c.idle.Load(); since > 0 {
			idle = append(idle, candidate{c, since})
		}
	}
	slices.SortFunc(idle, func(a, b candidate) int { return cmp.Compare(a.since, b.since) })
	now := s.clock(time.Now())
	for _, i := range idle {
		if i.since > now {
			return false, time.Duration(i.since - now)
		}
		if (i.conn.draining.Load() || i.conn.isQuiet()) && s.endIdle(i.conn, i.since) {
			return true, 0
		}
	}
	return false, 0
}

// endIdle ends a connection if it has been idle since then. The caller holds mu.
func (s *Server) endIdle(c *conn, since int64) bool {
	if !c.idle.CompareAndSwap(since, connEnding) {
		return false
	}
	s.leave(c)
	c.sock.cutReads(net.ErrClosed)
	return true
}

// clock is a time as idle marks count it: nanoseconds, always positive.
func (s *Server) clock(t time.Time) int64 { return int64(t.Sub(s.epoch)) + 1 }

// leave frees the place of a connection for another one. The caller holds mu.
func (s *Server) leave(c *conn) {
	if c.placed {
		c.placed = false
		s.open--
		s.places.Signal()
	}
}

// remove forgets a connection that has ended.
func (s *Server) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leave(c)
	delete(s.conns, c)
	if s.stopping.Load() && len(s.conns) == 0 {
		close(s.drained)
	}
}

// becameIdle tells an accepted connection that waits for a place that one may be had.
func (s *Server) becameIdle() {
	if s.queued.Load() > 0 {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.places.Signal()
	}
}

// Shutdown accepts nothing more, closes idle connections, and lets the exchanges
// under way finish: their KeepAlive is false from now on. If ctx ends first, it cuts
// their connections off and returns the cause; Run returns once Serve has
// noticed.
func (s *Server) Shutdown(ctx context.Context) error {
	s.begin.Do(s.setUp)
	s.stop()
	select {
	case <-s.drained:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.sock.Conn.Close()
	}
	if len(s.conns) == 0 {
		return nil
	}
	return context.Cause(ctx)
}

// Close is Shutdown without patience.
func (s *Server) Close() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.Shutdown(ctx)
	return nil
}

// stop closes listeners and idle connections, the first time it is called.
func (s *Server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping.Swap(true) {
		return
	}
	close(s.stopped)
	for l := range s.listeners {
		_ = l.Close()
	}
	for c := range s.conns {
		if since := c.idle.Load(); since > 0 && !c.draining.Load() && c.isQuiet() {
			s.endIdle(c, since)
		}
	}
	s.places.Broadcast()
	if len(s.conns) == 0 {
		close(s.drained)
	}
}
