//go:build unix

package inspect

import (
	"context"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// listenPrivate listens on a socket that has mode 0600 from its first moment
// where the system (Linux) lets a socket's mode be set before it has a name;
// elsewhere the chmod that follows closes the gap.
func listenPrivate(path string) (net.Listener, error) {
	private := net.ListenConfig{Control: func(_, _ string, conn syscall.RawConn) error {
		return conn.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), 0o600) })
	}}
	return private.Listen(context.Background(), "unix", path)
}

// owned says whether a file is this user's and nobody else can use it.
func owned(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Getuid() && info.Mode().Perm()&0o077 == 0
}

func socketFile(info fs.FileInfo) bool { return info.Mode()&fs.ModeSocket != 0 }
