package wire

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// longAgo is a deadline that ends a read or a write at once.
var longAgo = time.Unix(1, 0)

// A socket is a connection whose reads end at a given time, and whose writes end
// when they make no progress for a while, however large they are.
//
// It sets deadlines late. Setting one costs a timer, and nearly every read and
// write ends long before its own. So a deadline that is set already and not later
// than the one wanted is left as it is; when it strikes early, the wait goes on.
//
// Below a tls.Conn it hides those early strikes: a tls.Conn is of no use any more
// once a write has ended half way.
type socket struct {
	net.Conn

	// mu guards the fields below and is held while the deadlines of Conn are
	// changed, so that cut is never undone. It is not held during reads and writes.
	mu       sync.Mutex
	by       time.Time // when reading is over; zero: never
	readBy   time.Time // the deadline that is set for reads; zero: none
	stall    time.Duration
	writeBy  bool  // a deadline is set for writes
	readCut  error // why nothing is read any more
	writeCut error // why nothing is written any more

	ahead []byte // was read before, and comes first; the reader's own
	aside bool   // the handshake was not for HTTP; the reader's own, too
}

func newSocket(c net.Conn, stall time.Duration) *socket {
	return &socket{Conn: c, stall: stall}
}

// until sets when reading is over, for a read under way too.
func (s *socket) until(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.by = t
	if s.readBy.IsZero() && !t.IsZero() || s.readBy.After(t) {
		s.setRead()
	}
}

// setRead sets the deadline to by. The caller holds mu.
func (s *socket) setRead() {
	if s.readCut == nil {
		s.readBy = s.by
		_ = s.Conn.SetReadDeadline(s.by) // fails on a closed connection only, as the read will
	}
}

// patience sets how long a write may go without progress.
func (s *socket) patience(stall time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stall < s.stall {
		s.writeBy = false
	}
	s.stall = stall
}

// cut ends the reads and writes under way, and all later ones, with cause. The
// connection stays open: closing it is its owner's business.
func (s *socket) cut(cause error) {
	s.cutReads(cause)
	s.cutWrites(cause)
}

// cutReads is cut for reads only.
func (s *socket) cutReads(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readCut = cause
	_ = s.Conn.SetReadDeadline(longAgo)
}

// cutWrites is cut for writes only.
func (s *socket) cutWrites(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writeCut = cause
	_ = s.Conn.SetWriteDeadline(longAgo)
}

// mendWrites undoes cutWrites, once it turned out to have cut no write short.
func (s *socket) mendWrites() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writeCut, s.writeBy = nil, false
}

// Read implements net.Conn. The error is os.ErrDeadlineExceeded when the time
// given to until has come.
func (s *socket) Read(p []byte) (int, error) {
	if len(s.ahead) > 0 {
		n := copy(p, s.ahead)
		s.ahead = s.ahead[n:]
		return n, nil
	}
	for {
		n, err := s.Conn.Read(p)
		if n > 0 || err == nil || !isTimeout(err) {
			return n, err
		}
		if err := s.early(); err != nil {
			return 0, err
		}
	}
}

// early returns nil when the read deadline struck before its time.
func (s *socket) early() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.readCut != nil:
		return s.readCut
	case !s.by.IsZero() && !time.Now().Before(s.by):
		return os.ErrDeadlineExceeded
	}
	s.setRead()
	return nil
}

// Write implements net.Conn. The error is os.ErrDeadlineExceeded when there was
// no progress for as long as is allowed.
func (s *socket) Write(p []byte) (written int, err error) {
	fresh, err := s.arm(false) // fresh: this write has all the time that is allowed
	for err == nil {
		var n int
		n, err = s.Conn.Write(p[written:])
		written += n
		switch {
		case err == nil || !isTimeout(err):
			return written, err
		case fresh && n == 0:
			return written, s.stalled()
		}
		fresh, err = s.arm(true)
	}
	return written, err
}

// arm sets the write deadline, if there is none or anew is set, and reports whether
// it did.
func (s *socket) arm(anew bool) (set bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.writeCut != nil:
		return false, s.writeCut
	case s.writeBy && !anew:
		return false, nil
	}
	s.writeBy = true
	_ = s.Conn.SetWriteDeadline(time.Now().Add(s.stall))
	return true, nil
}

// stalled returns why a write ended without progress.
func (s *socket) stalled() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writeCut != nil {
		return s.writeCut
	}
	return os.ErrDeadlineExceeded
}

// SetWriteDeadline is for tls.Conn, which allows its last alert some seconds: the
// socket allows it one.
func (s *socket) SetWriteDeadline(time.Time) error {
	s.patience(farewell)
	return nil
}

// farewell is how long the alert that closes a TLS connection may take.
const farewell = time.Second

// isTimeout says whether a deadline struck. Streams of a tunnel have errors of
// their own for that.
func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// closeWrite tells the peer that nothing more comes, and reports whether that
// could be said.
func closeWrite(c net.Conn) bool {
	half, ok := c.(interface{ CloseWrite() error })
	return ok && half.CloseWrite() == nil
}
