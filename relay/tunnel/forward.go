package tunnel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Forward is a port of an SSH server whose connections come here: remote port forwarding (RFC 4254 section 7), as with
// ssh -R. It keeps a link to the server, asks for the same port again whenever the link was lost, and is the net.Listener
// of the connections. There is no hooktape at the other end, so nothing waits there: while the link is down, the server
// refuses connections. Set the exported fields before Run.
//
//	sender ──► port of sshd ── channel ┐                        ┌ Channel ── Accept ──► wire.Server
//	                                   ├── one TCP connection ──┤
//	sender ──► port of sshd ── channel ┘      (x/crypto/ssh)    └ Channel
type Forward struct {
	Server SSHServer
	Port   int      // of the server, to ask for; 0: it chooses
	Moves  bool     // another port will do if Port can't be had at first
	Public *url.URL // what senders are told to use; nil: the server's host and the port, by http

	// Wall is the wall clock, which goes on while the machine sleeps. Nil: time.Now.
	Wall func() time.Time
	// Tell is told what changes, in the goroutines of Run. Nil: nobody is.
	Tell func(Change)

	probe    probe
	channels chan *Channel
	once     sync.Once
	closed   chan struct{} // nothing is accepted any more
	known    bool          // we have had the port before
	barred   string        // the reason last told for not getting it again
	unread   []string      // the lines of known_hosts last told
	standing
}

// refusedPause is how long to wait when the server refuses our keys although it took one before: it may be starting, and
// whoever fails too often is shut out.
const refusedPause = 3 * time.Minute

// At the first try a server that refuses the port may be about to free it: an agent that was stopped a moment ago may have
// had it.
const (
	claimTries = 5
	claimPause = 200 * time.Millisecond
)

// A PortError is an SSH server that does not forward what was asked for. The server gives no reason.
type PortError struct {
	Port int  // that was asked for; 0: any
	Any  bool // it forwards no port at all, as far as can be seen
}

func (e *PortError) Error() string {
	if e.Any {
		return "the SSH server refuses to forward a port"
	}
	return fmt.Sprintf("the SSH server does not forward port %d: another program uses it, or it is not allowed", e.Port)
}

// A HeldError is an SSH server that does not give us back a port that we had.
type HeldError struct{ Port int }

func (e *HeldError) Error() string {
	return fmt.Sprintf("port %d is in use there, most likely by the connection that was lost", e.Port)
}

// NewForward makes a forward of the port of a server.
func NewForward(s SSHServer, port int) *Forward {
	f := &Forward{Server: s, Port: port, probe: newProbe(), channels: make(chan *Channel), closed: make(chan struct{})}
	f.Server.unread = f.passOver
	return f
}

// passOver tells of lines that can't be read: once, until other lines can't.
func (f *Forward) passOver(lines []string) {
	if !slices.Equal(f.unread, lines) {
		f.unread = lines
		f.tell(Change{Unread: lines})
	}
}

// Run keeps the port until ctx ends, and then returns nil. An error means that the port can't be had, and comes only at the
// first try: it is a *HostKeyError, a *LoginError, a *KeyFileError or a *PortError. Anything else that is in the way is
// waited out, and after the first success these are too: a laptop may be in a strange network, its SSH agent locked.
func (f *Forward) Run(ctx context.Context) error { return keep(ctx, f.Wall, f) }

func (f *Forward) tell(c Change) {
	f.note(c)
	if f.Tell != nil {
		f.Tell(c)
	}
}

// connect implements way.
func (f *Forward) connect(ctx context.Context) (line, Change, error) {
	l, err := f.Server.dial(ctx)
	if err == nil {
		if err = f.claim(ctx, l); err != nil {
			l.close()
		}
	}
	if err != nil {
		if f.known && refuses(err) {
			f.bar(err)
		}
		return nil, Change{}, err
	}
	f.known, f.barred = true, ""
	return &forwardLine{l, f}, Change{Port: f.Port}, nil
}

// bar tells why the port can't be had again: once, until the reason changes.
func (f *Forward) bar(err error) {
	if text := err.Error(); f.barred != text {
		f.barred = text
		f.tell(Change{Barred: true, Err: err})
	}
}

// refuses says whether a server that was reached does not want us, or is not the one that we want.
func refuses(err error) bool {
	_, key := errors.AsType[*HostKeyError](err)
	_, login := errors.AsType[*LoginError](err)
	_, file := errors.AsType[*KeyFileError](err)
	_, port := errors.AsType[*PortError](err)
	return key || login || file || port
}

// final implements way.
func (f *Forward) final(err error) bool { return !f.known && refuses(err) }

// wait implements way.
func (f *Forward) wait(try int, err error) time.Duration {
	if login, refused := errors.AsType[*LoginError](err); refused && len(login.Offered) > 0 {
		return max(refusedPause, backoff(try))
	}
	return backoff(try)
}

// claim gets the port, and notes its number.
func (f *Forward) claim(ctx context.Context, l *sshLink) error {
	defer context.AfterFunc(ctx, func() { l.cut(context.Cause(ctx)) })()
	for try := 1; ; try++ {
		port, ok, err := l.forward(f.Port)
		switch {
		case err != nil:
			return err
		case ok:
			f.Port = port
			return nil
		case f.known:
			f.bar(&HeldError{f.Port})
			wall(f.Wall).pause(ctx, backoff(try))
		case try < claimTries && f.Port != 0:
			wall(f.Wall).pause(ctx, claimPause)
		default:
			return f.claimOther(l)
		}
	}
}

// claimOther sees whether the server forwards any other port instead, and takes that if it will do.
func (f *Forward) claimOther(l *sshLink) error {
	if f.Port == 0 {
		return &PortError{Any: true}
	}
	port, ok, err := l.forward(0)
	switch {
	case err != nil:
		return err
	case !ok:
		return &PortError{Port: f.Port, Any: true}
	case !f.Moves:
		return &PortError{Port: f.Port}
	}
	f.Port = port
	return nil
}

// url is where senders are to send to.
func (f *Forward) url() string {
	if f.Public != nil {
		return strings.TrimRight(f.Public.String(), "/")
	}
	return "http://" + net.JoinHostPort(f.Server.Host, strconv.Itoa(f.Port))
}

// forwardLine is a link to the server that has given us the port.
type forwardLine struct {
	*sshLink
	forward *Forward
}

// serve implements line.
func (l *forwardLine) serve(ctx context.Context) error {
	f := l.forward
	working, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	defer context.AfterFunc(ctx, func() { l.cut(ErrClosed) })()
	running.Go(func() {
		f.probe.find(working, f.Wall, nil, []string{f.url()}, func(c Change) {
			c.Port = f.Port
			f.tell(c)
		})
	})
	l.hand(f)
	l.close()
	return l.cause()
}

// Accept returns the next connection, of any link. The error is net.ErrClosed, after Close.
func (f *Forward) Accept() (net.Conn, error) {
	select {
	case <-f.closed:
		return nil, net.ErrClosed
	default:
	}
	select {
	case c := <-f.channels:
		return c, nil
	case <-f.closed:
		return nil, net.ErrClosed
	}
}

// Close stops accepting. Connections that are open stay open until Run ends.
func (f *Forward) Close() error {
	f.once.Do(func() { close(f.closed) })
	return nil
}

// Addr stands for the port of the server.
func (f *Forward) Addr() net.Addr { return addr(cmp.Or(f.Server.Host, "ssh")) }
