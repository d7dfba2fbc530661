package tunnel

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// retryMin and retryMax bound the waits between tries to reach the edge.
	retryMin = 500 * time.Millisecond
	retryMax = 30 * time.Second
	// steadyTime is how long a link must have lasted for the next try to come at once: one that flaps is not hammered at.
	steadyTime = 10 * time.Second
	// flapping is how many tries a link counts for that did not last as long: the edge can be reached.
	flapping = 2
	// wakeEvery is how often it is looked whether the machine slept, and wakeSlack how far the clock on the wall may run
	// ahead meanwhile without that.
	wakeEvery = time.Second
	wakeSlack = 5 * time.Second
)

// errWoke is why a link is given up when the machine wakes: whether it lives would show in half a minute only.
var errWoke = errors.New("the machine was asleep")

// A RefusedError is an edge that does not want the laptop though its token is right.
type RefusedError struct {
	Refusal Refusal
	Reason  string
}

func (e *RefusedError) Error() string { return "the edge refuses: " + e.Reason }

// Change is news of an Uplink.
type Change struct {
	Up      bool
	First   bool          // it is up, or the first try has failed
	Welcome Welcome       // Up: what the edge said
	Away    time.Duration // Up, but not First: since it was lost
	Err     error         // not Up: why
	URL     string        // not "": a request to this URL has come round; nothing else is said then
	Unheard bool          // requests to the public URLs do not come round, Err says why
}

// State is how an Uplink is.
type State struct {
	Up    bool
	Since time.Time // when that became so; zero: since it was made
	Links int       // that were brought up
}

// An Uplink keeps a link to an edge, and is the net.Listener of the streams that come through it. Set the fields that are
// exported before Run.
type Uplink struct {
	Dialer Dialer
	Hello  Hello // Instance and Probe are made by NewUplink

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
	state   atomic.Pointer[State]
}

// State is how the uplink is now.
func (u *Uplink) State() State {
	if s := u.state.Load(); s != nil {
		return *s
	}
	return State{}
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
func (u *Uplink) Run(ctx context.Context) error {
	var lost time.Time // when the last link was; zero: there was none
	told := false      // of what is in the way
	for try := 1; ; try++ {
		link, welcome, err := u.connect(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && u.final(err):
			return err
		case err != nil && !told:
			u.tell(Change{First: lost.IsZero(), Err: err})
			told = true
		case err == nil:
			up := Change{Up: true, First: lost.IsZero(), Welcome: welcome}
			if !lost.IsZero() {
				up.Away = time.Since(lost).Round(0)
			}
			u.tell(up)
			began := time.Now()
			err = u.serve(ctx, link, welcome)
			if ctx.Err() != nil {
				return nil
			}
			lost, told = time.Now(), true
			u.tell(Change{Err: err})
			try = min(try, flapping)
			if lost.Sub(began) >= steadyTime {
				try = 0
			}
			if errors.Is(err, errWoke) {
				continue
			}
		}
		if u.pause(ctx, backoff(try)); ctx.Err() != nil {
			return nil
		}
	}
}

func (u *Uplink) tell(c Change) {
	if c.URL == "" && !c.Unheard {
		u.note(c.Up)
	}
	if u.Tell != nil {
		u.Tell(c)
	}
}

// note remembers whether there is a link. It is called by the goroutine of Run alone.
func (u *Uplink) note(up bool) {
	s := u.State()
	if s.Up != up || s.Since.IsZero() {
		s.Up, s.Since = up, time.Now()
	}
	if up {
		s.Links++
	}
	u.state.Store(&s)
}

// connect opens a link and introduces us.
func (u *Uplink) connect(ctx context.Context) (*Link, Welcome, error) {
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

// final says whether it makes no sense to try again.
func (u *Uplink) final(err error) bool {
	_, mismatch := errors.AsType[*MismatchError](err)
	_, refused := errors.AsType[*RefusedError](err)
	return mismatch || refused || errors.Is(err, ErrToken) || errors.Is(err, ErrPlain) || errors.Is(err, ErrNoEdge) && !u.known
}

// serve hands out the streams of a link until it ends, and says why.
func (u *Uplink) serve(ctx context.Context, link *Link, welcome Welcome) error {
	working, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	defer context.AfterFunc(ctx, func() { _ = link.Close() })()
	running.Go(func() { u.findURL(working, welcome) })
	running.Go(func() {
		if u.asleep(working) {
			link.Cut(errWoke)
		}
	})
	for {
		s, err := link.Accept()
		if err != nil {
			_ = link.Close()
			return link.Err()
		}
		u.heard()
		select {
		case u.streams <- s:
		case <-link.Done():
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

// backoff is how long to wait before a try: half of the wait is random, so that all laptops of an edge that was restarted
// do not come at once.
func backoff(try int) time.Duration {
	wait := retryMax
	if try < 8 {
		wait = min(retryMin<<max(0, try-1), retryMax)
	}
	return wait/2 + randomly(wait/2)
}

// randomly is a random part of d.
func randomly(d time.Duration) time.Duration {
	var b [2]byte
	rand.Read(b[:])
	return d * time.Duration(int(b[0])<<8|int(b[1])) / (1 << 16)
}

// pause waits, but not beyond the end of ctx, or when the machine wakes.
func (u *Uplink) pause(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	u.asleep(ctx)
}

// asleep returns true as soon as it shows that the machine was asleep, or false when ctx ends: while it is, the clock on
// the wall goes on, and the one that Go measures by stands still.
func (u *Uplink) asleep(ctx context.Context) bool {
	wall := u.Wall
	if wall == nil {
		wall = time.Now
	}
	tick := time.NewTicker(wakeEvery)
	defer tick.Stop()
	for before, began := wall(), time.Now(); ; {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
		at, now := wall(), time.Now()
		if slept(at.Round(0).Sub(before.Round(0)), now.Sub(began), wakeSlack) {
			return true
		}
		before, began = at, now
	}
}

// slept says whether so much more time has passed on the wall than was measured that the machine must have slept.
func slept(wall, measured, slack time.Duration) bool { return wall-measured > slack }

// errNotRound is why a URL is not the public one.
var errNotRound = errors.New("something else answers there")

func notRound(at string, err error) error { return fmt.Errorf("%s: %w", at, err) }
