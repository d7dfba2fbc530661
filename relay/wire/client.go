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

	// Dial makes a connection in the place of the client's: URL is not looked at. Nil: the client's.
	Dial func(ctx context.Context) (net.Conn, error)

	// Kept names the connections of Dial that can take this request too: one is kept, as the client's own are, for the
	// next request that says the same. "": the connection is for this request alone, and is closed with the response.
	Kept    string
	MaxKept int // connections kept of that name while they are idle

	// KeptUntil is closed before that name is forgotten (Client.Forget): from then on none is kept. Nil: never.
	KeptUntil <-chan struct{}

	// Known says that who gets the request knows it again: it may be sent again though it may have been seen.
	Known bool

	// Preface goes before Head on the wire, and with it. It is none of the request.
	Preface []byte

	// Bytes are the body as it is to be on the wire, where it is in memory; they
	// are not changed. Then Body is nil.
	Bytes []byte

	// Body opens the body as it is to be on the wire; for each try anew. Nil: none.
	// It is closed before the response is. Its Read must not wait for long: Do
	// and Close wait for it.
	Body func() (io.ReadCloser, error)

	// Interim is shown the interim responses (1xx) before the response, by Do: at
	// most maxInterim, never 101. They are not to be changed. Nil: nobody is.
	Interim func(*ResponseHead)

	Timeouts Timeouts
}

// A Phase is how far a request has come.
type Phase string

// The phases, in their order.
const (
	PhaseDial  Phase = "connect"             // name resolution included
	PhaseTLS   Phase = "TLS handshake"       //
	PhaseWrite Phase = "send"                //
	PhaseWait  Phase = "wait for a response" // all is sent, nothing has come
	PhaseRead  Phase = "read the response"   // a byte of the response has come
)

// A SendError says how far a request came that got no response, or no whole head
// of one. Who reads a response may say with one why it is not whole. What was sent may have been seen, from PhaseWrite on.
type SendError struct {
	Phase Phase
	Err   error // os.ErrDeadlineExceeded, the context's cause, a *SyntaxError, …
}

func (e *SendError) Error() string { return string(e.Phase) + ": " + reason(e.Phase, e.Err) }
func (e *SendError) Unwrap() error { return e.Err }

// Timeout says whether a time limit was the reason: one of Timeouts, or of the
// operating system.
func (e *SendError) Timeout() bool { return isTimeout(e.Err) }

// Unreachable says that nothing of a response came.
func (e *SendError) Unreachable() bool { return e.Phase != PhaseRead }

// and is the error of a request that was lost like that, and that there was no other connection for; nil: it was not.
func (e *SendError) and(none error) error {
	if e == nil {
		return none
	}
	return &SendError{e.Phase, &lostError{e, none}}
}

// A lostError is that of a request which was lost on one connection, and for which there was no other then.
type lostError struct {
	lost *SendError
	none error
}

func (e *lostError) Error() string {
	return reason(e.lost.Phase, e.lost.Err) + ", and then " + e.none.Error()
}
func (e *lostError) Unwrap() []error { return []error{e.lost.Err, e.none} }

// pooledTries is how many pooled connections a request is sent on before a fresh
// one is dialled: a restarted app has closed them all.
const pooledTries = 2

// Do sends a request and returns the response once its head is here. The error is
// a *SendError.
//
// The request is sent again, on another connection, only when one from the pool
// turns out to have been closed while it was idle: the app can't have had the whole
// request, or knows it again (Outgoing.Known). When there is no other, the error
// tells how far it came on the one that was lost.
//
// A response that comes before the request was sent to its end is the response.
// From 300 on it ends the sending at once, others do when they are closed; the
// connection is not used again.
func (c *Client) Do(ctx context.Context, o *Outgoing) (*Response, error) {
	limits := o.Timeouts.withDefaults()
	var end time.Time
	if limits.Total > 0 {
		end = time.Now().Add(limits.Total)
	}
	at, err := addressOf(o)
	if err != nil {
		return nil, &SendError{PhaseDial, err}
	}
	var lost *SendError // of a pooled connection: what was sent on it may have been seen
	for tries := 1; ; tries++ {
		if ctx.Err() != nil {
			return nil, lost.and(&SendError{PhaseDial, context.Cause(ctx)})
		}
		var l *link
		if tries <= pooledTries {
			l = c.pool.take(at)
		}
		reused := l != nil
		if !reused {
			if l, err = c.connect(ctx, at, o, limits, end); err != nil {
				return nil, lost.and(err)
			}
		}
		l.try = try{client: c, link: l, out: *o, persists: persists(o.Head), limits: limits, end: end}
		r := &Response{Reused: reused, try: &l.try}
		if err = r.start(ctx); err == nil {
			return r, nil
		}
		if !reused || !r.lost {
			return nil, err
		}
		if errors.Is(err, errStale) {
			tries-- // it was not tried
			continue
		}
		lost, _ = errors.AsType[*SendError](err)
	}
}

// Forget closes the idle connections that are kept by a name (Outgoing.Kept): nobody will say it any more.
func (c *Client) Forget(kept string) { c.pool.drop(address{host: kept}) }

// Close closes the idle connections. Those in use are closed with their response.
func (c *Client) Close() { c.pool.close() }

// An address is where connections of a pool lead to: scheme and host of a URL, or the name of those that are kept of
// Outgoing.Dial, without a scheme. None leads to the zero address.
type address struct{ scheme, host string }

func addressOf(o *Outgoing) (address, error) {
	if o.Dial != nil {
		return address{host: o.Kept}, nil
	}
	u := o.URL
	if u.Scheme != "http" && u.Scheme != "https" {
		return address{}, fmt.Errorf("scheme %q is neither http nor https", u.Scheme)
	}
	if u.Hostname() == "" {
		return address{}, errors.New("no host in the URL")
	}
	return address{u.Scheme, u.Host}, nil
}

// hostPort returns the host without, and the address with its port.
func (a address) hostPort() (host, addr string) {
	u := url.URL{Host: a.host}
	port := u.Port()
	switch {
	case port != "":
	case a.scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return u.Hostname(), net.JoinHostPort(u.Hostname(), port)
}

// connect makes a new connection.
func (c *Client) connect(ctx context.Context, at address, o *Outgoing, limits Timeouts, end time.Time) (*link, error) {
	dialing, cancel := context.WithDeadline(ctx, earliest(time.Now().Add(limits.Dial), end))
	defer cancel()
	nc, err := c.dial(dialing, at, o)
	if err != nil {
		return nil, &SendError{PhaseDial, causeOf(ctx, err)}
	}
	l := newLink(at, nc, limits.Write)
	if at.scheme != "https" {
		return l, nil
	}
	shaking, cancelShake := context.WithDeadline(ctx, earliest(time.Now().Add(limits.Dial), end))
	defer cancelShake()
	host, _ := at.hostPort()
	if err := l.secure(shaking, c.tlsConfig(host)); err != nil {
		l.close()
		return nil, &SendError{PhaseTLS, causeOf(ctx, err)}
	}
	return l, nil
}

// dial is Outgoing.Dial, or else Client.Dial.
func (c *Client) dial(ctx context.Context, at address, o *Outgoing) (net.Conn, error) {
	if o.Dial != nil {
		return o.Dial(ctx)
	}
	_, addr := at.hostPort()
	if c.Dial != nil {
		return c.Dial(ctx, "tcp", addr)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", addr)
}

func (c *Client) tlsConfig(host string) *tls.Config {
	cfg := c.TLS.Clone()
	if cfg == nil {
		cfg = new(tls.Config)
	}
	if cfg.ServerName == "" {
		cfg.ServerName = host
	}
	cfg.NextProtos = []string{"http/1.1"}
	return cfg
}

// causeOf prefers the reason why the context ended to the errors that follow from
// it.
func causeOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// earliest returns the earlier of two times, of which b may be zero: never.
func earliest(a, b time.Time) time.Time {
	if b.IsZero() || a.Before(b) {
		return a
	}
	return b
}
