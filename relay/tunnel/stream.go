package tunnel

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
)

// A Stream is a net.Conn that carries requests and their responses, one after another.
type Stream struct {
	*yamux.Stream
	link  *Link
	limit readLimit

	// For the laptop's reader alone:
	preface Preface
	begins  bool     // a preface comes next
	coming  incoming // the part of it that has arrived
	ahead   []byte   // was read together with the first preface, and is read first
}

// Preface is that of the request that was read last. It is for the goroutine that reads.
func (s *Stream) Preface() Preface { return s.preface }

// RemoteAddr is who sent that request to the edge.
func (s *Stream) RemoteAddr() net.Addr { return addr(s.preface.Remote) }

// addr is an address as the other end gives it.
type addr string

func (a addr) Network() string { return "tcp" }
func (a addr) String() string  { return string(a) }

// Next implements wire.SharedConn: a preface precedes each request.
func (s *Stream) Next() { s.begins = true }

// Read reads what the other end has written, without prefaces. The error is io.EOF when the other end has closed the stream,
// and wraps io.ErrUnexpectedEOF and ErrLost when the link has ended.
func (s *Stream) Read(p []byte) (n int, err error) {
	if len(s.ahead) > 0 {
		n = copy(p, s.ahead)
		if s.ahead = s.ahead[n:]; len(s.ahead) == 0 {
			s.ahead = nil
		}
		return n, nil
	}
	for s.begins && n == 0 {
		if n, err = s.readPreface(p); err != nil {
			if errors.Is(err, errGarbled) {
				s.link.cut(fmt.Errorf("%w: preface: %w", ErrBroken, err))
			}
			return 0, err
		}
	}
	if n > 0 {
		return n, nil
	}
	return s.read(p)
}

func (s *Stream) read(p []byte) (int, error) {
	n, err := s.Stream.Read(p)
	switch {
	case err == nil:
	case isTimeout(err):
		if s.limit.isOver() {
			err = net.ErrClosed
		}
	case s.link.ends():
		err = fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, s.link.lost())
	}
	return n, err
}

// readPreface reads once, a preface and what comes with it: the two were sent together. p then has n bytes of what follows the
// preface. begins stays true while the preface is incomplete.
func (s *Stream) readPreface(p []byte) (n int, err error) {
	got, err := s.read(p)
	if err != nil {
		return 0, s.coming.cut(err)
	}
	used, err := s.coming.take(p[:got])
	if err != nil {
		return 0, err
	}
	var preface Preface
	if whole, err := s.coming.decode(&preface); !whole || err != nil {
		return 0, err
	}
	s.preface, s.begins = preface, false
	return copy(p, p[used:got]), nil
}

// firstRead is how many bytes are read with the first preface at most.
const firstRead = 2 << 10

// awaitPreface reads the first preface. That may take long if a slow line brings the bodies of other streams first. The link
// counts as broken only if nothing arrives at all, or if the frame can't be under way any more.
func (s *Stream) awaitPreface() error {
	end := time.Now().Add(stallTime)
	buf := make([]byte, firstRead)
	for s.begins {
		came := s.link.carrier.received.Load()
		_ = s.SetReadDeadline(time.Now().Add(prefaceTime))
		n, err := s.readPreface(buf)
		if err != nil && (!isTimeout(err) || !mayCome(came, s.link.carrier.received.Load(), time.Until(end))) {
			return err
		}
		s.ahead = buf[:n]
	}
	return nil
}

// mayCome reports whether a frame may still be under way after prefaceTime: bytes have arrived meanwhile (before and after are
// the totals), and time is left.
func mayCome(before, after int64, left time.Duration) bool { return after > before && left > 0 }

// Write writes to the other end. It blocks while the window is full.
func (s *Stream) Write(p []byte) (int, error) {
	n, err := s.Stream.Write(p)
	if err != nil && !isTimeout(err) && s.link.ends() { // the line's own error says why
		err = s.link.lost()
	}
	return n, err
}

// Close closes both directions. It ends a read under way, with net.ErrClosed.
func (s *Stream) Close() error {
	s.limit.end(s.Stream)
	return s.Stream.Close()
}

// SetDeadline implements net.Conn.
func (s *Stream) SetDeadline(t time.Time) error {
	_ = s.SetReadDeadline(t)
	return s.SetWriteDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (s *Stream) SetReadDeadline(t time.Time) error {
	s.limit.set(t, s.Stream)
	return nil
}

// readLimit is the read deadline of a stream. With a deadline set, yamux makes a timer for each read that waits, nearly always
// two. So yamux gets the deadline only when it has come, from a single timer that is used again and again.
type readLimit struct {
	mu    sync.Mutex // guards the fields below, for moments
	by    time.Time  // zero: never
	timer *time.Timer
	came  bool // the deadline has come, and inner has it
	over  bool // the stream is closed
}

// set makes t the deadline for reads of inner, including the one under way.
func (l *readLimit) set(t time.Time, inner *yamux.Stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return
	}
	l.by = t
	if l.came {
		l.came = false
		_ = inner.SetReadDeadline(time.Time{})
	}
	switch {
	case t.IsZero():
		l.halt()
	case l.timer == nil:
		l.timer = time.AfterFunc(time.Until(t), func() { l.strike(inner) })
	default:
		l.timer.Reset(time.Until(t))
	}
}

// strike ends the reads of inner, unless the deadline has been changed meanwhile.
func (l *readLimit) strike(inner *yamux.Stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.by.IsZero() && !time.Now().Before(l.by) {
		l.came = true
		_ = inner.SetReadDeadline(l.by)
	}
}

// end ends the reads of inner for good.
func (l *readLimit) end(inner *yamux.Stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	l.halt()
	_ = inner.SetReadDeadline(time.Unix(1, 0))
}

func (l *readLimit) isOver() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.over
}

// halt keeps the timer from striking. Callers hold mu.
func (l *readLimit) halt() {
	if l.timer != nil {
		l.timer.Stop()
	}
}
