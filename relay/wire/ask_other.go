//go:build !(linux || darwin || freebsd || netbsd || openbsd)

package wire

import "net"

// asking is only for systems where a socket can be tried without waiting.
type asking struct {
	left         []byte
	n            int
	stale, wrote bool
	err          error
}

func newAsking(net.Conn) *asking { return nil }

func (a *asking) begin(out *Outgoing, in []byte, look bool) {}
func (a *asking) end()                                      {}
func (a *asking) wait() error                               { return nil }
