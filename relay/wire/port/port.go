// Package port keeps a port of 127.0.0.1 for a server that comes and goes. Between two times of listening the system
// would give the port to whoever asks for one: to another listener, which would then get what was meant for the server,
// or to a connection that is being made to the port, which would be connected to itself.
package port

import "net"

// Held is a port that nobody else is given until Release. While nobody listens on it, connections are refused.
type Held struct {
	Addr string // 127.0.0.1:port
	held holder
}

// Hold takes a free port.
func Hold() (*Held, error) {
	h := &Held{}
	var err error
	h.Addr, err = h.held.take()
	return h, err
}

// Listen listens on the port. The listener before must be closed.
func (h *Held) Listen() (net.Listener, error) { return h.held.listen(h.Addr) }

// Release gives the port back. It may be called again.
func (h *Held) Release() { h.held.release() }
