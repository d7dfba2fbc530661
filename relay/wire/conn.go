package wire

import (
	"io"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// A connection whose sender may still be sending is closed in three steps (RFC
	// 9112, section 9.6): our half is closed, what still comes is thrown away, then
	// the rest is closed. Otherwise the sender's system may throw our answer away.
	// Lingering costs us less than it costs the sender: no memory, and no place that
	// another connection waits for.
	lingerTime  = 5 * time.Second // in all
	lingerPause = time.Second     // without a byte
	lingerBytes = 16 << 20        // half a body of the default size
)

const (
	// connEnding is the idle mark of a connection that the server has ended.
	connEnding = -1
	// freshGrace is how long a new connection does not count as idle: its first
	// request is on its way. It is as long as in net/http.
	freshGrace = 5 * time.Second
)

// A conn is one connection of a Server, run by one goroutine at a time.
type conn struct {
	server  *Server
	running *sync.WaitGroup // counts the goroutines of all connections of its listener
	sock    *socket
	stream  net.Conn // what HTTP is spoken on: sock, or TLS on it
	secure  bool

	remote, local net.Addr   // of the connection; made into text only once
	shared        SharedConn // nil: the connection has one sender

	in      buffer
	room    func()    // gives back the memory that in has beyond its small buffer; nil: none
	arrived time.Time // when the last of it was read
	began   time.Time // when the first byte of the request was read
	linger  bool      // something was written that the peer must get
	gone    bool      // Serve has taken the connection for itself

	// idle is for the server: the time (by its clock) from which the connection may be
	// ended for want of requests; 0 while it has one; or connEnding. Whoever sets
	// connEnding ends it.
	idle   atomic.Int64
	placed bool // counts against Limits.Conns; guarded by server.mu

	draining atomic.Bool // its last answer is written: it may be ended even while bytes come
}

func newConn(s *Server, nc net.Conn, running *sync.WaitGroup) *conn {
	sock := newSocket(nc, s.limits.WriteTimeout)
	c := &conn{
		server: s, running: running, sock: sock, stream: sock, placed: true, remote: spellOut(nc.RemoteAddr()), local: spellOut(nc.LocalAddr()),
	}
	c.shared, _ = nc.(SharedConn)
	c.idle.Store(s.clock(time.Now().Add(freshGrace)))
	return c
}

// spelledAddr is an address with its text, which every record needs.
type spelledAddr struct {
	net.Addr
	text string
}

func (a *spelledAddr) String() string { return a.text }

func spellOut(a net.Addr) net.Addr { return &spelledAddr{a, a.String()} }

// run serves the requests of the connection, then closes it.
func (c *conn) run() {
	c.in = newBuffer()
	c.serve(func() bool { return c.server.tls == nil || c.secured() })
}

// serve serves requests once ready says so, then closes the connection, unless it goes on elsewhere.
func (c *conn) serve(ready func() bool) {
	x := new(Exchange) // used again for each request
	defer func() {
		v := recover()
		if v != nil && c.server.Panicked != nil {
			c.server.Panicked(v, debug.Stack())
		}
		if !x.left {
			c.end(v != nil)
		}
	}()
	for more := ready(); more && c.await(); more = x.over() {
		head, err := c.readHead()
		if err != nil {
			c.refuse(err)
			return
		}
		c.giveBack()
		x.begin(c, head)
		if c.server.Serve(x); x.left {
			return
		}
	}
}

// next makes the connection ready for another request, and says whether it is. On a shared connection, bytes that are
// here already would belong to a request whose sender was never named.
func (c *conn) next() bool {
	if c.shared == nil {
		return true
	}
	c.shared.Next()
	return c.in.empty()
}

// end closes the connection: at once after a panic.
func (c *conn) end(panicked bool) {
	if panicked {
		c.linger, c.gone = false, false
	}
	c.in.empties()
	c.giveBack()
	if c.linger {
		c.drain()
	}
	if !c.gone {
		_ = c.stream.Close()
	}
	c.in.release()
	c.server.remove(c)
}

// await waits for the first byte of a request, and skips empty lines before it.
// It is false when the connection is over.
func (c *conn) await() bool {
	c.skipBlank()
	c.giveBack()
	if !c.in.empty() {
		c.began = c.arrived
		return true
	}
	for start := time.Now(); c.onlyBlank(); {
		if err := c.fillIdle(start); err != nil {
			return false
		}
		c.skipBlank()
	}
	if c.shared != nil {
		c.remote = spellOut(c.shared.RemoteAddr())
	}
	c.began = c.arrived
	return true
}

func (c *conn) skipBlank() { c.in.skip(SkipBlank(c.in.bytes())) }

// onlyBlank says whether no byte of a request is here yet: a CR alone is half of an
// empty line.
func (c *conn) onlyBlank() bool {
	b := c.in.bytes()
	return len(b) == 0 || len(b) == 1 && b[0] == '\r'
}

// fillIdle reads while the server may end the connection, which has been idle
// since start.
func (c *conn) fillIdle(start time.Time) error {
	was := c.idle.Load()
	mark := was // a new connection keeps its own
	if was == 0 {
		mark = c.server.clock(start)
	}
	if was == connEnding || !c.idle.CompareAndSwap(was, mark) {
		return net.ErrClosed
	}
	c.server.becameIdle()
	if c.server.stopping.Load() && c.isQuiet() {
		return net.ErrClosed
	}
	c.sock.until(start.Add(c.server.limits.IdleTimeout))
	err := c.fill()
	if !c.idle.CompareAndSwap(mark, 0) {
		return net.ErrClosed
	}
	return err
}

// isQuiet says that there is nothing to read, as far as can be known: then the
// connection really is as idle as its mark says.
func (c *conn) isQuiet() bool {
	quiet := peek(c.sock.Conn)
	return quiet == nil || quiet()
}

// fill reads more into the buffer, which has room.
func (c *conn) fill() error {
	n, err := c.in.fill(c.stream)
	if n > 0 {
		c.arrived = c.server.now()
		return nil
	}
	return err
}

// errHeadTooLarge refuses a head beyond Limits.Head.
var errHeadTooLarge = &SyntaxError{Status: 431, Reason: "head is too large"}

// readHead reads until the head is complete. Errors are causes of a Refusal.
func (c *conn) readHead() (*RequestHead, error) {
	if !c.secure && isTLS(c.in.bytes()) {
		return nil, c.sniffTLS()
	}
	limit := c.server.limits.Head
	looked, parsed := 0, 0
	for {
		b := c.in.bytes()
		// A head that trickles in is not parsed for each byte: when it is complete,
		// and whenever it has doubled, so that nonsense is seen early.
		if HeadEnd(b, looked) >= 0 || len(b) >= 2*parsed {
			head, err := ParseRequestHead(b)
			switch {
			case err == nil && len(head.Raw) <= limit:
				c.in.skip(len(head.Raw))
				return head, nil
			case err != nil && err != ErrShort:
				return nil, err
			}
			parsed = len(b)
		}
		if len(b) >= limit {
			return nil, errHeadTooLarge
		}
		if looked == 0 {
			c.sock.until(time.Now().Add(c.server.limits.HeadTimeout))
		}
		looked = len(b)
		if err := c.fillHead(limit); err != nil {
			return nil, err
		}
	}
}

// fillHead makes room for more of a head, and reads it.
func (c *conn) fillHead(limit int) error {
	if c.in.mustGrow() && !c.makeRoom(limit) {
		return ErrNoRoom
	}
	c.in.grow(limit)
	return cutShort(c.fill())
}

// makeRoom waits for the memory that a large head needs. That wait does not count against the sender's time.
func (c *conn) makeRoom(limit int) bool {
	if c.room != nil || c.server.Room == nil {
		return true
	}
	giveBack, ok := c.server.Room(limit)
	if ok {
		c.room = giveBack
		c.sock.until(time.Now().Add(c.server.limits.HeadTimeout))
	}
	return ok
}

// giveBack lets others have memory that is no longer used.
func (c *conn) giveBack() {
	if c.room != nil && c.in.isSmall() {
		c.room()
		c.room = nil
	}
}

// keep holds what has come of the next requests, if there is room for it. Otherwise the connection ends before them.
func (c *conn) keep(p []byte) (kept bool) {
	if len(p) > smallBuffer && !c.makeRoom(len(p)) {
		return false
	}
	c.in.keep(p)
	c.arrived = c.server.now()
	return true
}

// cutShort is the error of a read in the middle of a message: there any end is
// unexpected, whatever the operating system calls it.
func cutShort(err error) error {
	switch {
	case err == nil || isTimeout(err):
		return err
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return io.ErrUnexpectedEOF
	}
	return &cutError{err}
}

// A cutError is an io.ErrUnexpectedEOF that has a cause.
type cutError struct{ cause error }

func (e *cutError) Error() string        { return "connection lost: " + plain(e.cause) }
func (e *cutError) Unwrap() error        { return e.cause }
func (e *cutError) Is(target error) bool { return target == io.ErrUnexpectedEOF }

// over ends an exchange. It is true when the connection can take the next one.
func (x *Exchange) over() bool {
	c := x.conn
	if c.gone || !x.wrote || x.failed {
		return false
	}
	if x.canLiveOn() && !x.told {
		return c.next()
	}
	c.linger = x.Head.KeepAlive || !x.framer.Done() || !c.in.empty()
	return false
}

// drain lets the peer take the last answer before the connection is closed. Meanwhile the connection may be ended for
// another one that waits for its place.
func (c *conn) drain() {
	if c.secure {
		closeWrite(c.stream)
	}
	if !closeWrite(c.sock.Conn) && !c.secure {
		return
	}
	c.draining.Store(true)
	c.idle.Store(c.server.clock(time.Now()))
	c.server.becameIdle()
	end := time.Now().Add(lingerTime)
	for left := lingerBytes; left > 0; {
		if pause := time.Now().Add(lingerPause); pause.Before(end) {
			c.sock.until(pause)
		} else {
			c.sock.until(end)
		}
		n, err := c.sock.Read(c.in.small[:])
		if err != nil {
			return
		}
		left -= n
	}
}
