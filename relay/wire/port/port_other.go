//go:build !unix

package port

import "net"

// holder holds nothing here: the port is free while nobody listens.
type holder struct{}

func (h *holder) take() (addr string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (h *holder) listen(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }

func (h *holder) release() {}
