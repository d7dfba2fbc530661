package tunnel

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"sync"
	"time"
)

// A RefusedError says that the edge refuses the laptop although its token is right.
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

	// Choose decides what becomes of the deliveries that have waited, when the edge is reached for the first time. It is
	// called once: its decision holds even if the link is lost meanwhile. Nil: they are delivered.
	Choose func(context.Context, Welcome) (Backlog, error)
	// Wall is the clock on the wall, which goes on while the machine sleeps. Nil: time.Now.
	Wall func() time.Time
	// Tell is called with each change, on the goroutines of Run. Nil: changes are not reported.
	Tell func(Change)

	streams chan *Stream
	once    sync.Once
	closed  chan struct{} // nothing is accepted any more
	chosen  bool          // begin is set
	begin   Begin         // what to say on every link
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

// Run keeps a link open until ctx ends, and returns nil then. An error means that trying again is no use: it is ErrToken,
// ErrPlain, a *MismatchError or a *RefusedError; or ErrNoEdge, if none was there at the first try. Any other problem is
// waited out.
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

// start begins to take requests. The choice applies to what waited at first; what has come since is delivered.
func (u *Uplink) start(ctx context.Context, link *Link, welcome Welcome) error {
	if err := u.choose(ctx, welcome); err != nil {
		return err
	}
	if err := link.Begin(u.begin); err != nil {
		return err
	}
	u.known = true
	u.Hello.TakeOver = false // if another laptop takes the tunnel over from now on, that one is to keep it
	return nil
}

// choose decides, once, what becomes of the deliveries that have waited.
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

// heard notes that the edge has received Begin, since it sends requests only after that. Until then every new link asks again
// to drop what waited: the edge may not have received it. Afterwards a delivery that is retried at the edge must come.
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

// Accept returns the next stream of any link. The error is net.ErrClosed, after Close.
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

// Close ends Accept. Open streams stay open until Run ends. Streams that nobody has accepted end with their link, which the
// edge does not count as a failure of the app.
func (u *Uplink) Close() error {
	u.once.Do(func() { close(u.closed) })
	return nil
}

// Addr stands for the tunnel.
func (u *Uplink) Addr() net.Addr { return addr("tunnel") }
