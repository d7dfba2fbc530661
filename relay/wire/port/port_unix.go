//go:build unix

package port

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// holder is a socket that is bound to the port and does not listen. With SO_REUSEPORT a listener of the same user may be
// bound beside it; the system counts the port as taken.
type holder struct {
	fd   int
	once sync.Once
}

func (h *holder) take() (addr string, err error) {
	if h.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0); err != nil {
		return "", err
	}
	unix.CloseOnExec(h.fd)
	loopback := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	if err := errors.Join(shared(h.fd), unix.Bind(h.fd, loopback)); err != nil {
		h.release()
		return "", err
	}
	at, err := unix.Getsockname(h.fd)
	if err != nil {
		h.release()
		return "", err
	}
	return fmt.Sprintf("127.0.0.1:%d", at.(*unix.SockaddrInet4).Port), nil
}

func shared(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) }

func (h *holder) listen(addr string) (net.Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if ctrlErr := c.Control(func(fd uintptr) { err = shared(int(fd)) }); ctrlErr != nil {
			return ctrlErr
		}
		return err
	}}
	return config.Listen(context.Background(), "tcp", addr)
}

func (h *holder) release() { h.once.Do(func() { unix.Close(h.fd) }) }
