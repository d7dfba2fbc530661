//go:build linux || darwin || freebsd || netbsd || openbsd

package wire

import (
	"bytes"
	"io"
	"net"
	"os"
	"syscall"
)

// asking writes a request to a socket and reads the first bytes that come back, in
// one go. Before it writes, it may look whether anything has arrived already: that
// would answer no request. The look costs nothing, because it replaces the read
// after the write, which nearly always finds nothing yet: from the look on, asking
// is told of whatever arrives (see syscall.RawConn). It is not told of what arrived
// earlier, so without a look it reads right after writing.
type asking struct {
	raw  syscall.RawConn
	step func(fd uintptr) bool // turn, made once

	out   *Outgoing // what is written, all of which is in memory
	in    []byte    // what is read into
	look  bool      // whether to look before writing
	begun bool

	stale bool   // something had arrived already: nothing was written
	left  []byte // what the socket did not take at once
	n     int    // bytes read
	err   error
	wrote bool // all was written: err, if any, comes from reading
}

// newAsking returns nil if c is not a socket.
func newAsking(c net.Conn) *asking {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	a := &asking{raw: raw}
	a.step = a.turn
	return a
}

func (a *asking) begin(out *Outgoing, in []byte, look bool) {
	*a = asking{raw: a.raw, step: a.step, out: out, in: in, look: look}
}

// end lets go of the request and of the buffer.
func (a *asking) end() { a.begin(nil, nil, false) }

// wait takes turns until something came, the socket takes no more, or the read
// deadline strikes; after that it may be called again.
func (a *asking) wait() error { return a.raw.Read(a.step) }

// turn is called when the socket can be tried, and says whether wait is done.
func (a *asking) turn(fd uintptr) bool {
	if !a.begun {
		if a.begun = true; a.look && !nothing(int(fd)) {
			a.stale = true
			return true
		}
		a.write(int(fd))
		switch {
		case a.err != nil || len(a.left) > 0:
			return true
		case a.look:
			return false
		}
	}
	n, err := syscall.Read(int(fd), a.in)
	switch {
	case n > 0:
		a.n = n
	case err == syscall.EAGAIN || err == syscall.EINTR:
		return false
	case err == nil:
		a.err = io.EOF
	default:
		a.err = os.NewSyscallError("read", err)
	}
	return true
}

// write writes as much as the socket takes at once. It gives its memory back before the response is waited for: the next
// request, on whichever connection, then finds that memory in the processor's cache.
func (a *asking) write(fd int) {
	if a.out.known() <= smallBuffer {
		small := smallBuffers.Get().(*[smallBuffer]byte)
		defer smallBuffers.Put(small)
		a.writeAll(fd, a.out.appendTo(small[:0]))
		return
	}
	big := bigBuffers.Get().(*[bigBuffer]byte)
	defer bigBuffers.Put(big)
	a.writeAll(fd, a.out.appendTo(big[:0]))
}

func (a *asking) writeAll(fd int, b []byte) {
	for len(b) > 0 {
		n, err := syscall.Write(fd, b)
		switch {
		case n > 0:
			b = b[n:]
		case err == syscall.EAGAIN:
			a.left = bytes.Clone(b)
			return
		case err != syscall.EINTR:
			a.err = os.NewSyscallError("write", err)
			return
		}
	}
	a.wrote = true
}

// nothing says, without reading from it, that a socket has nothing to read, not
// even an end: as it should be on an idle connection.
func nothing(fd int) bool {
	var b [1]byte
	_, _, err := syscall.Recvfrom(fd, b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return err == syscall.EAGAIN || err == syscall.EINTR
}
