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

// Timeouts bound the phases of sending one request. A zero field stands for its
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

// A Client sends requests whose bytes are already made, and returns the responses
// as they come. The zero Client is ready to use, concurrently too. The fields must
// not be changed after the first Do.
type Client struct {
	// Dial connects to the host and port of the URL. Nil: TCP.
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

	// Dial makes the connection instead of Client.Dial; the URL's host and port do not matter then. Nil: Client.Dial.
	Dial func(ctx context.Context) (net.Conn, error)

	// Kept names a set of connections made by Dial, any of which can take this request. Its connection is kept for the
	// next request with the same name. "": the connection is for this request alone, and closes with the response.
	Kept    string
	MaxKept int // how many connections of that name are kept while idle

	// KeptUntil is closed before that name is forgotten (Client.Forget): no connection is kept after that. Nil: never.
	KeptUntil <-chan struct{}

	// Known says that the receiver recognises a repeated request: it may be sent again even if it may have been seen.
	Known bool

	// Preface goes on the wire before Head, together with it. It is not part of the request.
	Preface []byte

	// Bytes are the body as it is to be on the wire, where it is in memory. They are
	// not changed. If Bytes is set, Body is nil.
	Bytes []byte

	// Body opens the body as it is to be on the wire, anew for each try. Nil: none.
	// The body is closed before the response is. Its Read must not block for long: Do
	// and Close wait for it.
	Body func() (io.ReadCloser, error)

	// Interim, called by Do, is shown the interim responses (1xx) before the response:
	// at most maxInterim, never 101. It must not change them. Nil: they are skipped.
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

// A SendError says how far a request came that got no response, or not even its whole head. A reader of a response may
// also use one to say why the response is not whole. From PhaseWrite on, the receiver may have seen what was sent.
type SendError struct {
	Phase Phase
	Err   error // os.ErrDeadlineExceeded, the context's cause, a *SyntaxError, …
}

func (e *SendError) Error() string { return string(e.Phase) + ": " + reason(e.Phase, e.Err) }
func (e *SendError) Unwrap() error { return e.Err }

// Timeout says whether a time limit was the reason: one of Timeouts, or one of the
// operating system.
func (e *SendError) Timeout() bool { return isTimeout(e.Err) }

// Unreachable says that no byte of a response came.
func (e *SendError) Unreachable() bool { return e.Phase != PhaseRead }

// and joins e, how the request was lost on a pooled connection, with why there was no other; e may be nil.
func (e *SendError) and(none error) error {
	if e == nil {
		return none
	}
	return &SendError{e.Phase, &lostError{e, none}}
}

// A lostError is a request lost on one connection (lost), with no other to be had (none).
type lostError struct {
	lost *SendError
	none error
}

func (e *lostError) Error() string {
	return reason(e.lost.Phase, e.lost.Err) + ", and then " + e.none.Error()
}
func (e *lostError) Unwrap() []error { return []error{e.lost.Err, e.none} }

// pooledTries is how many pooled connections a request is sent on before a fresh
// one is dialled: an app that was restarted has closed them all.
const pooledTries = 2

// Do sends a request and returns the response once its head is here. The error is
// a *SendError.
//
// The request is sent again, on another connection, only when one from the pool
// turns out to have been closed while idle, and the app can't have had the whole
// request or recognises it (Outgoing.Known). When no other connection can be made,
// the error tells how far the request came on the one that was lost.
//
// A response that arrives before all of the request is sent counts as the response.
// With status 300 and up it ends the sending at once, otherwise closing it does; the
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
	var lost *SendError // on a pooled connection: what was sent on it may have been seen
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
			tries-- // nothing was sent
			continue
		}
		lost, _ = errors.AsType[*SendError](err)
	}
}

// Forget closes the idle connections kept under a name (Outgoing.Kept) that no request will use again.
func (c *Client) Forget(kept string) { c.pool.drop(address{host: kept}) }

// Close closes the idle connections. Those in use are closed with their response.
func (c *Client) Close() { c.pool.close() }

// An address is where the connections of a pool lead: the scheme and host of a URL, or, with no scheme, the name that
// connections of Outgoing.Dial are kept under (Outgoing.Kept). No connection leads to the zero address.
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

// causeOf returns why the context ended, if it did, instead of an error that
// follows from that.
func causeOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// earliest returns the earlier of two times; b may be zero, which means never.
func earliest(a, b time.Time) time.Time {
	if b.IsZero() || a.Before(b) {
		return a
	}
	return b
}
