package wire

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"strings"
	"time"
)

// Request is the head as net/http has it, for requests that are no webhooks. It has no body.
func (x *Exchange) Request() (*http.Request, error) {
	return http.ReadRequest(bufio.NewReader(strings.NewReader(x.Head.Raw)))
}

// Hijack takes the connection out of the server's hands, for another protocol: Serve must not use the exchange any more,
// and the caller closes the connection. Shutdown does not wait for it, and it no longer counts as open once Serve has
// returned. Its first reads give what the server had read already. A write that makes no progress for
// Limits.WriteTimeout fails, whatever deadline is set.
func (x *Exchange) Hijack() net.Conn {
	c := x.conn
	c.gone = true
	h := &hijacked{Conn: c.stream, sock: c.sock, ahead: bytes.Clone(c.in.bytes())}
	c.in.skip(len(h.ahead))
	c.sock.until(time.Time{})
	return h
}

// hijacked is a connection that the server has given away. Its deadlines are those of its socket.
type hijacked struct {
	net.Conn
	sock  *socket
	ahead []byte // bytes that were read before, and come first; only the reader uses it
}

func (h *hijacked) Read(p []byte) (int, error) {
	if len(h.ahead) > 0 {
		n := copy(p, h.ahead)
		h.ahead = h.ahead[n:]
		return n, nil
	}
	return h.Conn.Read(p)
}

func (h *hijacked) SetDeadline(t time.Time) error { return h.SetReadDeadline(t) }

func (h *hijacked) SetReadDeadline(t time.Time) error {
	h.sock.until(t)
	return nil
}

func (h *hijacked) SetWriteDeadline(time.Time) error { return nil }
