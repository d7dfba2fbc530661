package wire

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// A Refusal is bytes that never became a request.
type Refusal struct {
	Raw       []byte    // what came; at most Limits.Head, plus a buffer
	Time      time.Time // arrival of the first byte
	Remote    net.Addr
	Local     net.Addr
	TLS       bool
	Conn      net.Conn // as in an Exchange
	Status    int      // of the answer they deserve: 400, 408, 431, 501, 503 or 505
	Truncated bool     // more came, or was on its way, than Raw has

	// Cause is a *SyntaxError, io.ErrUnexpectedEOF (the connection ended first),
	// os.ErrDeadlineExceeded (too slow), ErrNoRoom, ErrTLSOnPlain, ErrPlainOnTLS,
	// or a *HandshakeError, which no answer can be sent to.
	Cause error

	// Written, if Refuse sets it, is told how writing its answer ended.
	Written func(error)
}

// A HandshakeError says why a TLS handshake failed. Raw of its Refusal has the first
// bytes of the handshake.
type HandshakeError struct{ Err error }

func (e *HandshakeError) Error() string { return "TLS handshake failed: " + e.Err.Error() }
func (e *HandshakeError) Unwrap() error { return e.Err }

// refuse reports what is in the buffer, and answers it.
func (c *conn) refuse(cause error) {
	r := c.refusal(c.in.bytes(), cause)
	answer := c.tell(r)
	if answer == nil {
		answer = defaultAnswer(r, c.server.now())
	}
	_, err := c.stream.Write(answer)
	c.linger = err == nil
	if r.Written != nil {
		r.Written(err)
	}
}

func (c *conn) refusal(raw []byte, cause error) *Refusal {
	status := http.StatusBadRequest
	syntax, isSyntax := errors.AsType[*SyntaxError](cause)
	switch {
	case isSyntax:
		status = syntax.Status
	case cause == ErrNoRoom:
		status = http.StatusServiceUnavailable
	case isTimeout(cause):
		status = http.StatusRequestTimeout
	}
	return &Refusal{
		Raw: bytes.Clone(raw), Time: c.began, Remote: c.remote, Local: c.local,
		TLS: c.secure, Conn: c.sock.Conn, Status: status, Truncated: cause == errHeadTooLarge || cause == ErrNoRoom, Cause: cause,
	}
}

func (c *conn) tell(r *Refusal) (answer []byte) {
	if c.server.Refuse == nil {
		return nil
	}
	return c.server.Refuse(r)
}

// defaultAnswer is the answer to a refusal when Refuse gives none.
func defaultAnswer(r *Refusal, now time.Time) []byte {
	return AppendResponse(nil, Answer{
		Status: r.Status,
		Fields: Fields{{Name: "Content-Type", Value: "text/plain; charset=utf-8"}},
		Body:   fmt.Appendf(nil, "%s\n", r.Cause),
		Close:  true,
		Date:   now,
	})
}

// tlsHandshake is the first byte of a TLS connection, tlsVersion the second: a
// handshake record, of any version since SSL 3 (RFC 8446, section 5.1). No
// request begins with them.
const (
	tlsHandshake = 0x16
	tlsAlert     = 0x15 // what a server says to what is not TLS
	tlsVersion   = 0x03
	tlsHeader    = 5 // bytes at the start of a record, the last two its length
)

func isTLS(b []byte) bool {
	return b[0] == tlsHandshake && (len(b) == 1 || b[1] == tlsVersion)
}

func isTLSAlert(b []byte) bool { return len(b) > 1 && b[0] == tlsAlert && b[1] == tlsVersion }

// sniffTLS reads the rest of a ClientHello, so that the record has its server name,
// and returns the cause to refuse it.
func (c *conn) sniffTLS() error {
	limit := c.server.limits.Head
	c.sock.until(time.Now().Add(c.server.limits.HeadTimeout))
	for {
		b := c.in.bytes()
		want := tlsHeader
		if len(b) >= tlsHeader {
			want += int(b[3])<<8 | int(b[4])
		}
		if len(b) >= min(want, limit) || c.fillHead(limit) != nil {
			return ErrTLSOnPlain
		}
	}
}

// sniffPlain reads the rest of what may be a head, and returns the cause to
// refuse it.
func (c *conn) sniffPlain() error {
	limit := c.server.limits.Head
	c.sock.until(time.Now().Add(c.server.limits.HeadTimeout))
	for {
		b := c.in.bytes()
		if _, err := ParseRequestHead(b); err != ErrShort || len(b) >= limit || c.fillHead(limit) != nil {
			return ErrPlainOnTLS
		}
	}
}

// secured does the TLS handshake. It is false when that failed, nothing came, or the
// handshake was all that was wanted.
func (c *conn) secured() bool {
	if err := c.fillIdle(time.Now()); err != nil {
		return false
	}
	c.began = c.arrived
	if !isTLS(c.in.bytes()) {
		c.refuse(c.sniffPlain())
		return false
	}
	hello := bytes.Clone(c.in.bytes())
	c.in.skip(len(hello))
	c.sock.ahead = hello
	secure := tls.Server(c.sock, c.server.tls)
	c.sock.until(time.Now().Add(c.server.limits.HeadTimeout))
	switch err := secure.Handshake(); {
	case err != nil && c.sock.aside:
		return false
	case err != nil:
		c.tell(c.refusal(hello, &HandshakeError{err}))
		return false
	}
	c.stream, c.secure = secure, true
	return !c.sock.aside
}
