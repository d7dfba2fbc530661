//go:build linux || darwin || freebsd || netbsd || openbsd

package wire

import (
	"net"
	"syscall"
)

// peek returns a func that says whether a connection's socket has nothing to read.
// It returns nil if c is not a socket.
func peek(c net.Conn) func() bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	var quiet bool
	look := func(fd uintptr) { quiet = nothing(int(fd)) }
	return func() bool { return raw.Control(look) == nil && quiet }
}
