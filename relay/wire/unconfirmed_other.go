//go:build !linux

package wire

import "net"

// unconfirmed can't be known here.
func unconfirmed(net.Conn) bool { return false }
