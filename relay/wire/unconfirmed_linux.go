package wire

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// unconfirmed says that the peer's system has not confirmed everything that was
// written to a connection, as far as can be known.
func unconfirmed(c net.Conn) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	var left int
	look := func(fd uintptr) { left, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) } // see tcp(7)
	return raw.Control(look) == nil && err == nil && left > 0
}
