package tunnel

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"sync"
	"time"
)

// A RefusedError is an edge that does not want the laptop though its token is right.
type RefusedError struct {
	Refusal Refusal
	Reason  string
}

func (e *RefusedError) Error() string { return "the edge refuses: " + e.Reason }

// An Uplink keeps a link to an edge, and is the net.Listener of the streams that come through it. Set the fields that are
// exported before Run.
type Uplink struct {
	Dialer Dialer
	Hello  Hello // Instance and Probe are made by NewUplink; TakeOver is for the first link alone

	// Choose says what becomes of what has waited, when the edge is reached for the first time. It is asked once: what it
	// says holds although the link is lost meanwhile. Nil delivers it.
	Choose func(context.Context, Welcome) (Backlog, error)
	// Wall is the clock on the wall, which goes on while the machine sleeps. Nil: time.Now.
	Wall func() time.Time
	// Tell is told what changes, in the goroutines of Run. Nil: nobody is.
	Tell func(Change)

	streams chan *Stream
	once    sync.Once
	closed  chan struct{} // nothing is accepted any more
	chosen  bool          // begin is known
	begin   Begin         // of every link
	known   bool          // the edge was reached before
	standing
}

// NewUplink makes an uplink with an instance of its own.
func NewUplink(d Dialer) *Uplink {
	d.Answer = rand.Text()
	return &Uplink{
		Dialer: d, Hello: Hello{Instance: rand.Text(), Probe: rand.Text()},
		streams: make(chan *Stream), closed: make(chan struct{}),
	}
}

// Run keeps a link until ctx ends, and returns nil then. An error means that the edge does not want us, and won't: it is
// ErrToken, ErrPlain, a *MismatchError or a *RefusedError; ErrNoEdge only where none was there at the first try. Whatever
// else is in the way is waited out.
func (u *Uplink) Run(ctx context.Context) error { return keep(ctx, u.Wall, u) }

func (u *Uplink) tell(c Change) {
	u.note(c)
	if u.Tell != nil {
		u.Tell(c)
	}
}

// wait implements way.
func (u *Uplink) wait(try int, _ error) time.Duration { return backoff(try) }

// connect implements way.
func (u *Uplink) connect(ctx context.Context) (line, Change, error) {
	link, welcome, err := u.open(ctx)
	if err != nil {
		return nil, Change{}, err
	}
	return &edgeLine{u, link, welcome}, Change{Welcome: welcome}, nil
}

// open opens a link and introduces us.
func (u *Uplink) open(ctx context.Context) (*Link, Welcome, error) {
	link, err := u.Dialer.Dial(ctx)
	if err != nil {
		return nil, Welcome{}, err
	}
	welcome, err := link.Introduce(ctx, u.Hello)
	if err == nil && welcome.Refused != "" {
		err = &RefusedError{welcome.Refused, welcome.Reason}
	}
	if err == nil {
		err = u.start(ctx, link, welcome)
	}
	if err != nil {
		_ = link.Close()
		return nil, welcome, err
	}
	return link, welcome, nil
}

// start begins to take requests. What was chosen at first holds for what waited then; what waits since comes.
func (u *Uplink) start(ctx context.Context, link *Link, welcome Welcome) error {
	if err := u.choose(ctx, welcome); err != nil {
		return err
	}
	if err := link.Begin(u.begin); err != nil {
		return err
	}
	u.known = true
	u.Hello.TakeOver = false // who takes the tunnel over from now on is the later of the two
	return nil
}

// choose settles, once, what becomes of what has waited.
func (u *Uplink) choose(ctx context.Context, welcome Welcome) (err error) {
	if u.chosen {
		return nil
	}
	begin := Begin{Backlog: DeliverBacklog, UpTo: welcome.Newest}
	if u.Choose != nil && welcome.Waiting > 0 {
		if begin.Backlog, err = u.Choose(ctx, welcome); err != nil {
			return err
		}
	}
	u.begin, u.chosen = begin, true
	return nil
}

// heard notes that the edge has heard Begin: it sends requests only then. Until that shows, what waited is dropped with
// every new link, since the edge may never have heard it; what is tried again there later is to come.
func (u *Uplink) heard() {
	if u.begin.Backlog == DropBacklog {
		u.begin.Backlog = DeliverBacklog
	}
}

// final implements way.
func (u *Uplink) final(err error) bool {
	_, mismatch := errors.AsType[*MismatchError](err)
	_, refused := errors.AsType[*RefusedError](err)
	return mismatch || refused || errors.Is(err, ErrToken) || errors.Is(err, ErrPlain) || errors.Is(err, ErrNoEdge) && !u.known
}

// edgeLine is a link to the edge that has welcomed us.
type edgeLine struct {
	*Uplink
	link    *Link
	welcome Welcome
}

// cut implements line.
func (l *edgeLine) cut(cause error) { l.link.Cut(cause) }

// serve implements line.
func (l *edgeLine) serve(ctx context.Context) error {
	working, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	defer context.AfterFunc(ctx, func() { _ = l.link.Close() })()
	running.Go(func() {
		p := probe{asked: l.Hello.Probe, answer: l.Dialer.Answer}
		p.find(working, l.Wall, l.Dialer.TLS, publicURLs(l.Dialer.URL, l.welcome), l.tell)
	})
	for {
		s, err := l.link.Accept()
		if err != nil {
			_ = l.link.Close()
			return l.link.Err()
		}
		l.heard()
		select {
		case l.streams <- s:
		case <-l.link.Done():
			_ = s.Close()
		}
	}
}

// Accept returns the next stream, of whatever link. The error is net.ErrClosed, after Close.
func (u *Uplink) Accept() (net.Conn, error) {
	select {
	case <-u.closed:
		return nil, net.ErrClosed
	default:
	}
	select {
	case s := <-u.streams:
		return s, nil
	case <-u.closed:
		return nil, net.ErrClosed
	}
}

// Close accepts nothing more. Streams that are open stay so until Run ends; those that nobody has accepted are lost with
// their link, which the edge does not take for a failure of the app.
func (u *Uplink) Close() error {
	u.once.Do(func() { close(u.closed) })
	return nil
}

// Addr stands for the tunnel.
func (u *Uplink) Addr() net.Addr { return addr("tunnel") }
