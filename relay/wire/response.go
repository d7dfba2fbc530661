package wire

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	// maxResponseHead bounds the head of a response.
	maxResponseHead = 256 << 10
	// maxInterim bounds the interim responses (1xx) before the final one.
	maxInterim = 16
)

// ErrUpgraded is the cause when the app answers 101 to a request that asked for
// no upgrade.
var ErrUpgraded = errors.New("101 Switching Protocols, which nobody asked for")

// A Response is the response to an Outgoing. It must be closed, and is for one
// goroutine.
type Response struct {
	Head      *ResponseHead // not to be changed: other responses may share it
	FirstByte time.Time     // when the first byte of Head arrived
	Reused    bool          // the connection was used before

	*try // nil: it is closed
}

// A try is everything about one request on one connection. Like the buffer, it is
// kept with the connection, so that the next request there needs no new one.
type try struct {
	client *Client
	link   *link
	out    Outgoing
	limits Timeouts
	end    time.Time // of Timeouts.Total; zero: never
	ctx    context.Context

	persists bool // the request lets the connection live on

	framer Framer
	err    error // why nothing more can be read
	lost   bool  // the connection was closed, and the request may be sent on another one

	writer  *writer // nil: Do itself wrote everything
	sendErr error   // of the connection, while writing; or errStopped
	bodyErr error   // of reading the body to be sent
}

// start sends the request and reads the head of the response. With an error,
// nothing is left of the try.
func (r *Response) start(ctx context.Context) error {
	r.ctx = ctx
	panicked := true // Outgoing.Body or Interim has, unless this is set to false
	defer func() {
		if panicked {
			r.release()
			r.link.close()
		}
	}()
	err := errStale
	if r.link.watched.begin(ctx) && r.mayUse() {
		err = r.send()
	}
	if err == nil {
		err = r.readHead()
	}
	panicked = false
	if err != nil {
		return r.abandon(err)
	}
	if r.Head.Status >= http.StatusMultipleChoices {
		r.stopSending()
	}
	return nil
}

// mayUse says whether a connection from the pool can be used. Where asking looks
// for itself, mayUse need not.
func (r *Response) mayUse() bool {
	return !r.Reused || r.asks() || r.link.quiet == nil || r.link.quiet()
}

// release ends all goroutines of the try, and reports whether the connection is
// as good as before.
func (r *Response) release() (intact bool) {
	intact = true
	if !r.link.watched.pause(r.ctx) {
		intact = false
	}
	if w := r.writer; w != nil {
		r.stopSending()
		<-w.done
		r.sendErr, r.bodyErr = w.err, w.bodyErr
	}
	if r.sendErr != nil || r.bodyErr != nil {
		intact = false
	}
	if intact && r.writer != nil {
		r.link.sock.mendWrites()
	}
	return intact
}

// abandon closes the connection, and says how far the request came.
func (r *Response) abandon(err error) error {
	r.release()
	defer r.link.close()
	e := &SendError{Phase: PhaseWait, Err: err}
	switch {
	case !r.FirstByte.IsZero():
		e.Phase = PhaseRead
	case r.bodyErr != nil:
		e.Phase, e.Err = PhaseWrite, r.bodyErr
	case r.sendErr != nil:
		e.Phase = PhaseWrite
		if !errors.Is(r.sendErr, errStopped) {
			e.Err = r.sendErr
		}
	}
	ended := e.Unreachable() && r.bodyErr == nil && errors.Is(e.Err, io.ErrUnexpectedEOF)
	r.lost = err == errStale || ended && (r.out.Known || r.cantBeWhole(e.Err))
	e.Err = causeOf(r.ctx, e.Err)
	return e
}

// cantBeWhole says that the app can't have read the whole request when it ended the
// connection: not all could be written; or the connection was reset, as systems do
// when one is closed with something on it unread (RFC 9293, section 3.6); or its end
// was on its way already. An end that came after the app's system had confirmed
// everything is different: the app may have died of this request.
func (r *Response) cantBeWhole(end error) bool {
	reset := end != io.ErrUnexpectedEOF // but wraps it
	return r.sendErr != nil || reset || unconfirmed(r.link.sock.Conn)
}

// readHead reads up to the end of the head of the final response.
func (r *Response) readHead() error {
	in := &r.link.in
	for range maxInterim {
		head, err := r.readOneHead()
		if err != nil {
			return err
		}
		in.skip(len(head.Raw))
		if head.Status == http.StatusSwitchingProtocols {
			return ErrUpgraded
		}
		if head.Status >= http.StatusOK {
			r.Head = head
			r.writer.noteAnswer()
			r.framer.Reset(head.Framing)
			return nil
		}
		if r.out.Interim != nil {
			r.out.Interim(head)
		}
	}
	return refuse(http.StatusBadGateway, "more than %d informational responses", maxInterim)
}

func (r *Response) readOneHead() (*ResponseHead, error) {
	in := &r.link.in
	for first := true; ; {
		b := in.bytes()
		if len(b) > 0 {
			if first {
				first = false
				r.FirstByte = r.link.arrived
			}
			head, err := r.link.parse(b, r.out.Method)
			if err != ErrShort {
				return head, err
			}
			if len(b) >= maxResponseHead {
				return nil, refuse(http.StatusBadGateway, "head is larger than %d bytes", maxResponseHead)
			}
			r.untilPause()
		}
		in.grow(maxResponseHead)
		if err := r.link.fill(); err != nil {
			return nil, cutShort(err)
		}
	}
}

// untilPause lets the next read wait for as long as the app may pause.
func (r *Response) untilPause() {
	r.link.sock.until(earliest(time.Now().Add(r.limits.FirstByte), r.end))
}

// Read reads the body as it is on the wire, chunk framing and trailers included.
//
// The error is io.EOF at the body's end; a *SyntaxError where its framing is
// wrong, together with the bytes from there on; io.ErrUnexpectedEOF when the
// connection ended early; os.ErrDeadlineExceeded when the app was too slow; the
// cause of the context given to Do when that has ended.
func (r *Response) Read(p []byte) (int, error) {
	switch {
	case r.try == nil:
		return 0, errClosed
	case r.err != nil:
		return 0, r.err
	case r.framer.Done():
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	in := &r.link.in
	if !in.empty() {
		n := copy(p, in.bytes())
		used, err := r.scan(p[:n])
		in.skip(used)
		return used, err
	}
	n, err := r.receive(p)
	if n == 0 {
		r.err = err
		return 0, err
	}
	used, err := r.scan(p[:n])
	in.keep(p[used:n])
	return used, err
}

// scan is like Exchange.scan.
func (r *Response) scan(p []byte) (int, error) {
	used, err := r.framer.Scan(p)
	if err != nil {
		r.err = err
		used = len(p)
	}
	return used, err
}

// receive reads from the connection, or returns the error to end with.
func (r *Response) receive(p []byte) (int, error) {
	r.untilPause()
	n, err := r.link.stream.Read(p)
	switch {
	case n > 0:
		r.link.arrived = time.Now()
		return n, nil
	case err == io.EOF && r.framer.EOF() == nil:
		r.link.arrived = time.Now()
		return 0, io.EOF
	case err == nil:
		return 0, io.ErrNoProgress
	}
	return 0, causeOf(r.ctx, cutShort(err))
}

// EndBy sets when the response must be whole, if that is earlier than
// Timeouts.Total has it. It is for the goroutine that reads.
func (r *Response) EndBy(t time.Time) { r.end = earliest(t, r.end) }

// BodySize returns how many bytes of decoded body have been read. It may be called
// until Close.
func (r *Response) BodySize() int64 { return r.framer.Size() }

// LastByte returns when the last of what was read arrived: bytes, or the end of a body without a length. It may be
// called until Close.
func (r *Response) LastByte() time.Time { return r.link.arrived }

// SetDecoded sets a func that is shown the decoded body while it is read, in pieces
// that are valid only during the call.
func (r *Response) SetDecoded(seen func(p []byte)) { r.framer.Decoded = seen }

// Close ends the exchange. The connection goes back to the pool if the response was
// read to its end and both sides let it live on.
func (r *Response) Close() error {
	if r.try == nil {
		return nil
	}
	intact := r.release() && r.err == nil && r.framer.Done() && r.Head.KeepAlive && r.link.in.empty() && r.persists
	c, l, maxIdle, until := r.client, r.link, r.maxIdle(), r.out.KeptUntil
	*r.try = try{} // the connection keeps nothing of what was sent on it
	r.try = nil
	if intact {
		c.pool.put(l, maxIdle, until, cmp.Or(c.IdleTimeout, defaultIdleTimeout))
	} else {
		l.close()
	}
	return nil
}

// maxIdle is how many connections like that of the response are kept.
func (r *Response) maxIdle() int {
	switch {
	case r.out.Dial == nil:
		return cmp.Or(r.client.MaxIdle, defaultMaxIdle)
	case r.out.Kept == "":
		return 0
	}
	return r.out.MaxKept
}

// errClosed is what reading from a closed Response returns.
var errClosed = errors.New("response is closed")

// persists says whether a request with that head lets its connection live on. One
// of HTTP/1.0 does not, since we do not ask for that.
func persists(head string) bool {
	line, _, _ := strings.Cut(head, "\n")
	return !strings.HasSuffix(strings.TrimSuffix(line, "\r"), "HTTP/1.0")
}
