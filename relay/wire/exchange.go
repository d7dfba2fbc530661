package wire

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// bodyGrace is how long a sender may pause before MinRate counts.
const bodyGrace = 10 * time.Second

// An Exchange is one request and its answer. It is for the goroutine that Serve
// runs on, and over when Serve returns; Within is the exception.
type Exchange struct {
	Head   *RequestHead
	Time   time.Time // when the first byte arrived
	Remote net.Addr
	Local  net.Addr
	TLS    bool
	Conn   net.Conn // as the listener accepted it, to ask what it knows; not to be read, written or closed

	conn   *conn
	framer Framer
	err    error         // why the body can't be read further
	size   int64         // bytes of the body on the wire so far
	waited time.Duration // how long they took to come

	asked  bool // whether the sender was told to go on (100 Continue)
	wrote  bool
	failed bool // a write has failed
	last   bool // the connection must close after this exchange
	told   bool // KeepAlive has said that the connection closes
	left   bool // see Left

	// mu is held while Interim writes, so that the answer, which may come from
	// elsewhere, never comes in the middle of an interim response.
	mu   sync.Mutex
	late atomic.Bool // it has gone on elsewhere: Interim writes nothing more
}

// begin makes x the exchange of the request that has come on c.
func (x *Exchange) begin(c *conn, head *RequestHead) {
	*x = Exchange{
		Head: head, Time: c.began, Remote: c.remote, Local: c.local, TLS: c.secure, Conn: c.sock.Conn, conn: c,
	}
	x.framer.Reset(head.Framing)
}

// Read reads the body as it is on the wire, chunk framing and trailers included.
// The first Read sends 100 Continue to a sender that waits for it, unless its body
// is here already.
//
// The error is io.EOF at the body's end; a *SyntaxError where its framing is
// wrong, together with the bytes from there on; io.ErrUnexpectedEOF when the
// connection ended early; os.ErrDeadlineExceeded when the sender was too slow.
func (x *Exchange) Read(p []byte) (int, error) {
	switch {
	case x.err != nil:
		return 0, x.err
	case x.framer.Done():
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	c := x.conn
	if !c.in.empty() {
		n := copy(p, c.in.bytes())
		used, err := x.scan(p[:n])
		c.in.skip(used)
		return used, err
	}
	n, err := x.receive(p)
	if err != nil {
		x.err = err
		return 0, err
	}
	used, err := x.scan(p[:n])
	if used < n { // the beginning of the next request, or empty lines before it
		x.last = !c.keep(p[used:n]) || x.last
	}
	return used, err
}

// scan returns how many bytes of p belong to the body; if its framing is wrong, all
// of them do.
func (x *Exchange) scan(p []byte) (int, error) {
	used, err := x.framer.Scan(p)
	if err != nil {
		x.err = err
		used = len(p)
	}
	x.size += int64(used)
	return used, err
}

// receive reads from the connection.
func (x *Exchange) receive(p []byte) (int, error) {
	if err := x.askForBody(); err != nil {
		return 0, err
	}
	start := time.Now()
	x.conn.sock.until(start.Add(x.patience()))
	n, err := x.conn.stream.Read(p[:x.most(len(p))])
	x.waited += time.Since(start)
	if n > 0 {
		return n, nil
	}
	return 0, cutShort(err)
}

// most bounds a read from the connection: what follows a body of known length is
// better left there.
func (x *Exchange) most(n int) int {
	if x.Head.Framing.Chunked {
		return n
	}
	return int(min(int64(n), x.Head.Framing.Length-x.size))
}

// patience is how long the sender may take for its next byte: what is left of the
// grace, plus the time that its bytes so far have earned. Time that we took between
// reads does not count.
func (x *Exchange) patience() time.Duration {
	limits := &x.conn.server.limits
	longest := max(limits.IdleTimeout, bodyGrace)
	seconds := bodyGrace.Seconds() + float64(x.size)/float64(limits.MinRate) - x.waited.Seconds()
	if seconds > longest.Seconds() {
		return longest
	}
	return time.Duration(seconds * float64(time.Second))
}

// askForBody sends 100 Continue to a sender that waits for it. Once an answer has
// begun, that is not needed any more.
func (x *Exchange) askForBody() error {
	if !x.Head.Continue || x.asked || x.wrote || x.size > 0 {
		return nil
	}
	x.asked = true
	_, err := io.WriteString(x.conn.stream, "HTTP/1.1 100 Continue\r\n\r\n")
	if err != nil {
		x.failed = true
	}
	return cutShort(err)
}

// BodySize returns how many bytes of decoded body have been read.
func (x *Exchange) BodySize() int64 { return x.framer.Size() }

// Trailers returns the trailer fields, once Read has returned io.EOF.
func (x *Exchange) Trailers() Fields { return x.framer.Trailers() }

// SetDecoded sets a func that is shown the decoded body while it is read, in pieces
// that are valid only during the call.
func (x *Exchange) SetDecoded(seen func(p []byte)) { x.framer.Decoded = seen }

// KeepAlive says whether, as things stand, the connection can live on after the
// answer: not when the sender wants it closed, the server is stopping, the body is
// not read to its end, or CloseAfter was called. Ask before making the head of the
// answer: if the last reply was false, the connection closes.
func (x *Exchange) KeepAlive() bool {
	x.told = !x.canLiveOn()
	return !x.told
}

func (x *Exchange) canLiveOn() bool {
	return x.Head.KeepAlive && x.framer.Done() && !x.last && !x.failed && !x.conn.server.stopping.Load()
}

// CloseAfter has the connection closed after the answer.
func (x *Exchange) CloseAfter() { x.last = true }

// Write sends bytes of the answer as they are. The error is
// os.ErrDeadlineExceeded when the sender takes none of them for
// Limits.WriteTimeout; otherwise it wraps io.ErrUnexpectedEOF: the sender has left.
func (x *Exchange) Write(p []byte) (int, error) {
	x.wrote = true
	x.mu.Lock()
	defer x.mu.Unlock()
	n, err := x.conn.stream.Write(p)
	if err != nil {
		x.failed = true
	}
	return n, cutShort(err)
}

// Interim sends an interim response (1xx) as it is. It is not the answer yet. Senders
// of HTTP/1.0 get none (RFC 9110, section 15.2). Unlike the other methods it may be called
// by what Within runs even when that has taken too long: then it sends nothing. After an
// error all Writes fail: half a head may have been sent.
func (x *Exchange) Interim(head string) {
	if x.Head.Proto == "HTTP/1.0" {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.late.Load() {
		return
	}
	if _, err := io.WriteString(x.conn.stream, head); err != nil {
		x.conn.sock.cutWrites(err)
	}
}

// Within runs do, and says whether it ended in time. If not, then as soon as limit
// is over late runs on another goroutine, which ends the exchange after it and goes
// on with the connection: Serve must not use either any more. With a limit that is
// over already, it is left to chance which of the two happens.
//
// So work that may take long needs no goroutine of its own as long as it is quick,
// which it nearly always is.
// does not.
func (x *Exchange) Within(limit time.Duration, do, late func()) (inTime bool) {
	c := x.conn
	c.running.Add(1) // here, since this goroutine may end before late begins
	timer := time.AfterFunc(limit, func() {
		defer c.running.Done()
		c.serve(func() bool {
			x.late.Store(true)
			late()
			return x.over()
		})
	})
	defer func() { // even when do panics
		if inTime = timer.Stop(); inTime {
			c.running.Done()
		}
		x.left = !inTime
	}()
	do()
	return inTime
}

// Left says whether the exchange goes on elsewhere. It is for the goroutine that
// Serve runs on.
func (x *Exchange) Left() bool { return x.left }
