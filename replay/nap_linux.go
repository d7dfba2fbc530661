package replay

import (
	"syscall"
	"time"
)

// nap sleeps for a short time, and ends it more exactly than a timer. It may end
// early.
func nap(d time.Duration) {
	t := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&t, nil) // a signal ends it early, and the caller looks at the clock
}
