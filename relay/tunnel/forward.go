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

// A Forward is a port of an SSH server whose connections come here: remote port forwarding (RFC 4254 section 7), as ssh -R
// does it. It keeps a link to the server, asks for the same port whenever that was lost, and is the net.Listener of the
// connections. There is no hooktape at the other end, so nothing waits there: what comes while the link is down is refused
// by the server. Set the fields that are exported before Run.
//
//	sender ──► port of sshd ── channel ┐                        ┌ Channel ── Accept ──► wire.Server
//	                                   ├── one TCP connection ──┤
//	sender ──► port of sshd ── channel ┘      (x/crypto/ssh)    └ Channel
type Forward struct {
	Server SSHServer
	Port   int      // of the server, that is asked for; 0: it chooses
	Moves  bool     // another port will do where Port can't be had at first
	Public *url.URL // under which senders are told to come; nil: the server's host and the port, by http

	// Wall is the clock on the wall, which goes on while the machine sleeps. Nil: time.Now.
	Wall func() time.Time
	// Tell is told what changes, in the goroutines of Run. Nil: nobody is.
	Tell func(Change)

	probe    probe
	channels chan *Channel
	once     sync.Once
	closed   chan struct{} // nothing is accepted any more
	known    bool          // the port was had before
	barred   string        // what was told of why it can't be had again
	unread   []string      // what was told of known_hosts
	standing
}

// refusedPause is how long to wait when the server has refused keys of which it took one before: it may be starting, and
// those who fail too often are shut out.
const refusedPause = 3 * time.Minute

// At the first try a server that refuses the port may be about to give it back: it is that of an agent that was stopped a
// moment ago.
const (
	claimTries = 5
	claimPause = 200 * time.Millisecond
)

// A PortError is an SSH server that does not forward what was asked for. It says no more than no.
type PortError struct {
	Port int  // that was asked for; 0: any
	Any  bool // it forwards no port at all, as far as can be seen
}

func (e *PortError) Error() string {
	if e.Any {
		return "the SSH server refuses to forward a port"
	}
	return fmt.Sprintf("the SSH server does not forward port %d: another program has it, or it is not allowed", e.Port)
}

// A HeldError is an SSH server that does not give the port back that we had.
type HeldError struct{ Port int }

func (e *HeldError) Error() string {
	return fmt.Sprintf("port %d is taken there, most likely by the connection that was lost", e.Port)
}

// NewForward makes a forward of the port of a server.
func NewForward(s SSHServer, port int) *Forward {
	f := &Forward{Server: s, Port: port, probe: newProbe(), channels: make(chan *Channel), closed: make(chan struct{})}
	f.Server.unread = f.passOver
	return f
}

// passOver tells of lines that can't be read: once, until they are others.
func (f *Forward) passOver(lines []string) {
	if !slices.Equal(f.unread, lines) {
		f.unread = lines
		f.tell(Change{Unread: lines})
	}
}

// Run keeps the port until ctx ends, and returns nil then. An error means that it can't be had, and comes at the first try
// only: it is a *HostKeyError, a *LoginError, a *KeyFileError or a *PortError. Whatever else is in the way is waited out,
// and behind the first success these too: a laptop may be in a strange network, its agent locked.
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

// bar tells why the port can't be had again: once, until it is another reason.
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

// claim gets the port, and notes which it is.
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

// claimOther sees whether any other port can be had where that asked for can't, and takes it if that will do.
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

// url is where senders are to come to.
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

// Accept returns the next connection, of whatever link. The error is net.ErrClosed, after Close.
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

// Close accepts nothing more. Connections that are open stay so until Run ends.
func (f *Forward) Close() error {
	f.once.Do(func() { close(f.closed) })
	return nil
}

// Addr stands for the port of the server.
func (f *Forward) Addr() net.Addr { return addr(cmp.Or(f.Server.Host, "ssh")) }
