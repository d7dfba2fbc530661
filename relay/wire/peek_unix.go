//go:build linux || darwin || freebsd || netbsd || openbsd

package wire

import (
	"net"
	"syscall"
)

// peek returns a func that looks at a connection's socket without reading from
// it: nothing there, not even an end, is what an idle connection should have. It
// returns nil for what is no socket.
func peek(c net.Conn) (quiet func() bool) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	var nothing bool
	var b [1]byte
	look := func(fd uintptr) {
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		nothing = err == syscall.EAGAIN || err == syscall.EINTR
	}
	return func() bool { return raw.Control(look) == nil && nothing }
}
