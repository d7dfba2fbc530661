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

	// Of the laptop's reader:
	preface Preface
	begins  bool     // a preface comes next
	coming  incoming // that preface
	ahead   []byte   // was read with the first preface, and comes first
}

// Preface says whose the request is that was read last. It is for the goroutine that reads.
func (s *Stream) Preface() Preface { return s.preface }

// RemoteAddr is who sent that request to the edge.
func (s *Stream) RemoteAddr() net.Addr { return addr(s.preface.Remote) }

// addr is an address as the edge has told it.
type addr string

func (a addr) Network() string { return "tcp" }
func (a addr) String() string  { return string(a) }

// Next implements wire.SharedConn: a preface stands before each request.
func (s *Stream) Next() { s.begins = true }

// Read reads what the other end has written, without prefaces. The error is io.EOF when that has closed the stream, and
// wraps io.ErrUnexpectedEOF and ErrLost when the link has ended.
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

// readPreface reads once, for a preface and what comes with it, of which p then has n bytes: the two leave together, and are
// read together. While the preface is not whole, begins stays.
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

// awaitPreface reads the first preface. Where a slow line brings the bodies of other streams before it, that takes its
// time: the link is broken only if nothing comes at all, or when the frame can't be under way any more.
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

// mayCome says whether a frame may be under way for which prefaceTime was not enough, by how many bytes had come before and
// after, and how long it may be at most.
func mayCome(before, after int64, left time.Duration) bool { return after > before && left > 0 }

// Write writes to the other end; it waits while that has not taken what was written before.
func (s *Stream) Write(p []byte) (int, error) {
	n, err := s.Stream.Write(p)
	if err != nil && !isTimeout(err) && s.link.ends() { // what the line has failed with comes before the end of the session
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

// readLimit is the deadline for the reads of a stream. Given a deadline, yamux makes a timer for each read that waits, and
// nearly always two: so it is given one only when that has come, by one timer that stays.
type readLimit struct {
	mu    sync.Mutex // guards the fields below, for moments
	by    time.Time  // zero: never
	timer *time.Timer
	came  bool // inner has a deadline that has come
	over  bool // the stream is closed
}

// set makes t the deadline for the reads of inner, the one under way too.
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

// strike ends the reads of inner, unless the deadline is another one by now.
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
