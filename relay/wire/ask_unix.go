//go:build linux || darwin || freebsd || netbsd || openbsd

package wire

import (
	"bytes"
	"io"
	"net"
	"os"
	"syscall"
)

// asking writes a request on a socket and reads the first bytes that come back,
// in one go. Before it writes it looks whether anything is there already: that
// would be the answer to no request. The look costs nothing, since the read
// behind the write, which nearly always finds nothing yet, falls away: asking is
// told when something comes from then on (see syscall.RawConn). It is not told
// of what was there before, so where nobody has looked it reads at once.
type asking struct {
	raw  syscall.RawConn
	step func(fd uintptr) bool // turn, made once

	out   *Outgoing // what is written, all of which is in memory
	in    []byte    // what is read into
	look  bool      // before writing
	begun bool

	stale bool   // something was there already: nothing was written
	left  []byte // what the socket did not take at once
	n     int    // bytes read
	err   error
	wrote bool // err is not that of writing
}

// newAsking returns nil for what is no socket.
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

// end keeps nothing of what was asked.
func (a *asking) end() { a.begin(nil, nil, false) }

// wait takes turns until something came, the socket takes no more, or the
// deadline for reads strikes: then it may be called again.
func (a *asking) wait() error { return a.raw.Read(a.step) }

// turn is called when the socket can be tried, and says whether that was enough.
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

// write writes as much as the socket takes at once. The memory for that is given back before the response is waited for:
// the next request, on whichever connection, finds it in the processor's cache.
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

// nothing looks at a socket without reading from it: nothing there, not even an
// end, is what an idle connection should have.
func nothing(fd int) bool {
	var b [1]byte
	_, _, err := syscall.Recvfrom(fd, b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return err == syscall.EAGAIN || err == syscall.EINTR
}
