package tunnel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

const (
	// gatherMost is how many bytes may wait while a message is being written. Beyond it the next frame has to wait.
	gatherMost = 128 << 10
	// lazyMost is how many bytes of lazy frames may wait for one that is not.
	lazyMost = 1 << 10
	// messageMost limits the messages of the other end. It has room for gatherMost and the largest frame behind that.
	messageMost = 1 << 20
	// writeTime is how long one message may take to be written: at this pace a line carries 4 KiB a second.
	writeTime = time.Minute
	// closeTaken is the code of a close that tells a laptop that another one has its tunnel now (from the private range of RFC
	// 6455, section 7.4.2). dismissTime is how long that message may take, and then the laptop to hang up: whoever takes
	// over has to wait for both.
	closeTaken  = 4001
	dismissTime = 3 * time.Second
	// reasonMax is how many bytes of text a close can have behind its code (RFC 6455, section 5.5).
	reasonMax = 123
)

var (
	errSilent   = errors.New("nothing came any more")
	errStuck    = errors.New("nothing could be written any more")
	errText     = fmt.Errorf("%w: it sent a message of text", ErrBroken)
	errTooLarge = fmt.Errorf("%w: it sent a message of more than %d bytes", ErrBroken, messageMost)
	errNonsense = fmt.Errorf("%w: it sent a malformed frame", ErrBroken)
	errEnded    = errors.New("it was ended")
	errHungUp   = errors.New("the other end closed the connection")
)

// A carrier makes a byte stream of a websocket, for yamux. Writes are gathered into messages of whole frames, and the stream
// ends when the other end gives no sign of life any more. It owns its goroutines; they have ended when Close returns.
type carrier struct {
	ws      *websocket.Conn
	timing  Timing
	streams streams // opened by this end
	running sync.WaitGroup
	closed  chan struct{}
	in      io.Reader // the message that is being read; nil: none. Only the reader uses it
	came    frames    // follows what is read; only the reader uses it

	received, sent atomic.Int64 // bytes

	// mu guards the fields below. It is not held during I/O.
	mu      sync.Mutex
	room    sync.Cond // the writer has taken what waited, or all is over; with mu
	due     sync.Cond // something is due to be written, or all is over; with mu
	waiting []byte    // to be written
	urgent  bool      // some of waiting is due: somebody waits for it
	went    frames    // follows what is written
	err     error     // why nothing can be read or written any more: the first
}

func newCarrier(ws *websocket.Conn, timing Timing) *carrier {
	c := &carrier{ws: ws, timing: timing, closed: make(chan struct{})}
	c.room.L, c.due.L = &c.mu, &c.mu
	ws.SetReadLimit(messageMost)
	alive := func(string) error { return c.alive() }
	ws.SetPingHandler(alive) // no pong: it would say no more than our own pings do
	ws.SetPongHandler(alive)
	ws.SetCloseHandler(func(int, string) error { return nil }) // answering would make a write under way fail first, and hide the cause
	c.running.Go(c.write)
	c.running.Go(c.ping)
	return c
}

// alive gives the other end time until the next sign of life.
func (c *carrier) alive() error { return c.ws.SetReadDeadline(time.Now().Add(c.timing.Silence)) }

// failure is why the carrier failed; nil when it has not, or was closed.
func (c *carrier) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == errEnded {
		return nil
	}
	return c.err
}

// fail ends reading and writing. Only the first cause is kept.
func (c *carrier) fail(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
		c.room.Broadcast()
		c.due.Broadcast()
	}
	return c.err
}

// Read implements io.Reader for yamux, which reads in one goroutine.
func (c *carrier) Read(p []byte) (int, error) {
	for {
		n, err := c.read(p)
		if n > 0 {
			c.received.Add(int64(n))
			if bad := c.came.scan(p[:n], c.police); bad != nil {
				return 0, c.fail(bad)
			}
			return n, nil
		}
		if err != nil {
			return 0, c.fail(err)
		}
	}
}

// read reads of the message under way, or of the next one.
func (c *carrier) read(p []byte) (n int, err error) {
	if err := c.alive(); err != nil {
		return 0, c.plain(err)
	}
	if c.in == nil {
		kind, r, err := c.ws.NextReader()
		if err != nil {
			return 0, c.plain(err)
		}
		if kind != websocket.BinaryMessage {
			return 0, errText
		}
		c.in = r
	}
	n, err = c.in.Read(p)
	if err == io.EOF {
		c.in, err = nil, nil
	}
	return n, c.plain(err)
}

// plain turns an error of the websocket into one that says what has happened.
func (c *carrier) plain(err error) error {
	switch closed, ok := errors.AsType[*websocket.CloseError](err); {
	case err == nil:
		return nil
	case ok && closed.Code == websocket.CloseAbnormalClosure:
		return errHungUp
	case ok && closed.Code == closeTaken:
		return &RefusedError{Taken, closed.Text}
	case ok:
		return fmt.Errorf("the other end closed it: %w", closed)
	case errors.Is(err, websocket.ErrReadLimit):
		return errTooLarge
	case isTimeout(err):
		return fmt.Errorf("%w for %s", errSilent, c.timing.Silence)
	}
	return err
}

// police checks the header of a frame that has arrived, and refuses two kinds that our ends never send: yamux would answer
// each ping on a goroutine of its own, and after a go-away it would keep a link on which no stream can be opened any more.
// Nothing else that a broken end can send costs more than the frame itself.
func (c *carrier) police(h frameHeader) error {
	if h.version() != 0 || h.kind() >= kindPing {
		return errNonsense
	}
	c.streams.came(h)
	return nil
}

// Write implements io.Writer for yamux, which writes the header of a frame and its data separately, in one goroutine. It
// blocks while too much waits to be written, but never in the middle of a frame: the writer takes only whole ones.
func (c *carrier) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.waiting) > gatherMost && c.went.between() && c.err == nil {
		c.room.Wait()
	}
	if c.err != nil {
		return 0, c.err
	}
	lazy := true
	_ = c.went.scan(p, func(h frameHeader) error {
		lazy = lazy && h.lazy()
		c.streams.went(h)
		return nil
	})
	c.waiting = append(c.waiting, p...)
	if !lazy || !c.went.between() {
		c.urgent = true
	}
	if c.went.between() && (c.urgent || len(c.waiting) > lazyMost) {
		c.urgent = true
		c.due.Signal()
	}
	return len(p), nil
}

// write writes what is due as one message after another.
func (c *carrier) write() {
	var spare []byte
	for {
		message, ok := c.gather(spare)
		if !ok {
			return
		}
		_ = c.ws.SetWriteDeadline(time.Now().Add(writeTime))
		if err := c.ws.WriteMessage(websocket.BinaryMessage, message); err != nil {
			if err == websocket.ErrCloseSent {
				return // dismissed. Closing now, while the laptop is sending, could lose the reason on its way (RFC 9112, section 9.6)
			}
			if isTimeout(err) { // no timeout any more: streams would take it for one of their own
				err = fmt.Errorf("%w for %s", errStuck, writeTime)
			}
			_ = c.fail(err)
			_ = c.ws.Close() // which ends a read under way
			return
		}
		c.sent.Add(int64(len(message)))
		spare = message[:0]
	}
}

// gather waits until something is due, and takes all that waits; spare becomes the new buffer. It returns false when all is
// over.
func (c *carrier) gather(spare []byte) (message []byte, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.err == nil && !(c.urgent && c.went.between()) {
		c.due.Wait()
	}
	if c.err != nil {
		return nil, false
	}
	message, c.waiting, c.urgent = c.waiting, spare, false
	c.room.Signal()
	return message, true
}

// ping gives signs of life. While a message is being written a ping waits for its end, and those that would have been due
// meanwhile are left out: the message is a sign of life itself.
func (c *carrier) ping() {
	tick := time.NewTicker(c.timing.Ping)
	defer tick.Stop()
	for {
		select {
		case <-c.closed:
			return
		case <-tick.C:
			_ = c.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeTime)) // if it fails, so do messages
		}
	}
}

// dismiss tells the laptop that another one has its tunnel, unless the line is blocked. Nothing is written after it.
func (c *carrier) dismiss(reason string) {
	message := websocket.FormatCloseMessage(closeTaken, reason[:min(len(reason), reasonMax)])
	_ = c.ws.WriteControl(websocket.CloseMessage, message, time.Now().Add(dismissTime))
}

// Close ends everything. yamux calls it once.
func (c *carrier) Close() error {
	_ = c.fail(errEnded)
	close(c.closed)
	err := c.ws.Close()
	c.running.Wait()
	return err
}

// frameHeader is the header of a yamux frame: version, kind, flags, stream, length (its specification, "Framing").
type frameHeader [12]byte

const (
	kindData   = 0
	kindWindow = 1
	kindPing   = 2
	kindGoAway = 3

	flagSYN = 1
	flagACK = 2
	flagFIN = 4
	flagRST = 8
)

func (h frameHeader) version() byte  { return h[0] }
func (h frameHeader) kind() byte     { return h[1] }
func (h frameHeader) flags() uint16  { return binary.BigEndian.Uint16(h[2:]) }
func (h frameHeader) stream() uint32 { return binary.BigEndian.Uint32(h[4:]) }
func (h frameHeader) length() uint32 { return binary.BigEndian.Uint32(h[8:]) }

// lazy reports whether nobody waits for a frame: it only says that a stream was opened, which the first data says again, or
// that it was accepted, which matters only when very many streams are open.
func (h frameHeader) lazy() bool {
	return h.kind() == kindWindow && h.length() == 0 && (h.flags() == flagSYN || h.flags() == flagACK)
}

// frames finds the borders of frames in a stream of bytes.
type frames struct {
	header frameHeader
	have   int    // bytes of header
	data   uint32 // bytes of the frame's data that are still to come
}

// between says that the last frame is whole.
func (f *frames) between() bool { return f.have == 0 && f.data == 0 }

// scan goes through the next bytes, and calls seen with each header that they complete, until seen returns an error.
func (f *frames) scan(p []byte, seen func(frameHeader) error) error {
	for len(p) > 0 {
		if f.data > 0 {
			n := min(uint32(len(p)), f.data)
			f.data -= n
			p = p[n:]
			continue
		}
		n := copy(f.header[f.have:], p)
		f.have += n
		p = p[n:]
		if f.have < len(f.header) {
			return nil
		}
		f.have = 0
		if f.header.kind() == kindData {
			f.data = f.header.length()
		}
		if err := seen(f.header); err != nil {
			return err
		}
	}
	return nil
}
