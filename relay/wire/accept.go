package wire

import (
	"errors"
	"net"
	"syscall"
	"time"
)

// backOff is the pause after a failed accept: 5 ms, doubled each time up to a
// second, as in net/http.
type backOff time.Duration

const (
	firstBackOff = backOff(5 * time.Millisecond)
	maxBackOff   = backOff(time.Second)
)

// wait waits out the pause, or until stop is closed.
func (b *backOff) wait(stop <-chan struct{}) {
	*b = min(max(2**b, firstBackOff), maxBackOff)
	timer := time.NewTimer(time.Duration(*b))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-stop:
	}
}

// isTransient says whether a listener may accept again after that error. What the
// operating system reports about one connection, or about a shortage, passes; an
// error of the listening socket itself does not, nor does the end of a tunnel.
func isTransient(err error) bool {
	if errors.Is(err, net.ErrClosed) {
		return false
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno != syscall.EBADF && errno != syscall.EINVAL && errno != syscall.ENOTSOCK
	}
	return isTimeout(err)
}

// isShortage says whether the process or the system has no file descriptors left.
func isShortage(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}
