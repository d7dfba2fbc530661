package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"time"
)

// Timeouts bound the phases of sending one request. The zero value of each is its
// default.
type Timeouts struct {
	Dial      time.Duration // of connecting, and once more for the TLS handshake; 5 s
	Write     time.Duration // of writing without progress; 30 s
	FirstByte time.Duration // from the last byte written to the first of the response, and longest pause within it; 30 s
	Total     time.Duration // from Do to the end of the response; none
}

func (t Timeouts) withDefaults() Timeouts {
	orDefault(&t.Dial, 5*time.Second)
	orDefault(&t.Write, 30*time.Second)
	orDefault(&t.FirstByte, 30*time.Second)
	return t
}

// A Client sends requests whose bytes are made already, and returns the responses
// as they come. The zero Client is ready to use; it can be used concurrently. The
// fields must not be changed once Do was called.
type Client struct {
	// Dial connects to an address; the host and port of the URL. Nil: TCP.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	TLS         *tls.Config   // nil: the system's roots. ServerName is the URL's host if empty; ALPN is http/1.1
	MaxIdle     int           // idle connections kept per address; 64
	IdleTimeout time.Duration // how long; 90 s

	pool pool
}

// Outgoing is a request to be sent.
type Outgoing struct {
	URL    *url.URL // where to: scheme, host and port. The rest is in Head
	Head   string   // the head as it is to be on the wire, as Route.Head makes it
	Method string   // of Head: whether the response has a body depends on it

	// Body opens the body as it is to be on the wire; for each try anew. Nil: none.
	// It is closed before the response is. Its Read must not wait for long: Do
	// and Close wait for it.
	Body func() (io.ReadCloser, error)

	Timeouts Timeouts
}

// A Phase is how far a request has come.
type Phase string

// The phases, in their order.
const (
	PhaseDial  Phase = "connect"         // name resolution included
	PhaseTLS   Phase = "TLS handshake"   //
	PhaseWrite Phase = "send"            //
	PhaseWait  Phase = "wait"            // all is sent, nothing has come
	PhaseRead  Phase = "read the answer" // a byte of the response has come
)

// A SendError says how far a request came that got no response, or no whole head
// of one. What was sent may have been seen, from PhaseWrite on.
type SendError struct {
	Phase Phase
	Err   error // os.ErrDeadlineExceeded, the context's cause, a *SyntaxError, …
}

func (e *SendError) Error() string { return fmt.Sprintf("%s: %v", e.Phase, e.Err) }
func (e *SendError) Unwrap() error { return e.Err }

// Timeout says whether a time limit was the reason: one of Timeouts, or of the
// operating system.
func (e *SendError) Timeout() bool { return isTimeout(e.Err) }

// Unreachable says that nothing of a response came.
func (e *SendError) Unreachable() bool { return e.Phase != PhaseRead }

func (c *Client) Do(ctx context.Context, o *Outgoing) (*Response, error) {
	return nil, errors.New("soon")
}
func (c *Client) Close() {}
