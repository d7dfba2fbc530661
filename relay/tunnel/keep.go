package tunnel

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// retryMin and retryMax limit the waits between attempts to connect.
	retryMin = 500 * time.Millisecond
	retryMax = 30 * time.Second
	// steadyTime is how long a link must have lasted for the next attempt to be quick: a flapping one must not cause a flood.
	steadyTime = 10 * time.Second
	// flapping is how many failed attempts a link that did not last as long counts for; not more, since the edge can be
	// reached.
	flapping = 2
	// wakeEvery is how often to check whether the machine was asleep, and wakeSlack how far the clock on the wall may run
	// ahead in between without that meaning sleep.
	wakeEvery = time.Second
	wakeSlack = 5 * time.Second
)

// errWoke is why a link is given up when the machine wakes: finding out whether it still works would take half a minute.
var errWoke = errors.New("the machine was asleep")

// Change is news of an Uplink or a Forward.
type Change struct {
	Up      bool
	First   bool          // it is up, or the first try has failed
	Welcome Welcome       // Up: what the edge said
	Away    time.Duration // Up, but not First: since it was lost
	Err     error         // not Up: why
	URL     string        // not "": a request to this URL has come round; nothing else is said then
	Unheard bool          // requests to the public URLs do not come round, Err says why
	Port    int           // of a Forward, Up or Unheard: on the SSH server
	Barred  bool          // the SSH server is there again, but not what we need of it; Err says why
	Unread  []string      // lines of known_hosts that can't be read and are passed over, each with its place and why; nothing else is said then
}

// State is how an Uplink or a Forward is.
type State struct {
	Up    bool
	Since time.Time // when that became so; zero: since it was made
	Links int       // that were brought up
}

// standing remembers the state of a way.
type standing struct{ state atomic.Pointer[State] }

// State is how it is now.
func (s *standing) State() State {
	if now := s.state.Load(); now != nil {
		return *now
	}
	return State{}
}

// note remembers what a change says about the line. Such changes come from the goroutine of keep alone.
func (s *standing) note(c Change) {
	if c.URL != "" || c.Unheard || c.Unread != nil {
		return
	}
	now := s.State()
	if now.Up != c.Up || now.Since.IsZero() {
		now.Up, now.Since = c.Up, time.Now()
	}
	if c.Up {
		now.Links++
	}
	s.state.Store(&now)
}

// A way leads to a host through which requests come here: an Uplink or a Forward. keep keeps it open.
type way interface {
	// connect opens a line, and returns what Change says about it; keep fills in Up, First and Away.
	connect(ctx context.Context) (line, Change, error)
	// final reports whether trying again is no use after an error of connect or of a line.
	final(err error) bool
	// wait returns how long to wait after that many attempts, the last of which failed with err.
	wait(try int, err error) time.Duration
	tell(c Change)
}

// A line is a connection that a way has opened.
type line interface {
	// serve hands out what comes through the line until ctx or the line ends, closes it, and returns why it ended.
	serve(ctx context.Context) error
	// cut ends it.
	cut(cause error)
}

// keep keeps a line open until ctx ends, and returns nil then, or the error that was final.
func keep(ctx context.Context, clock wall, w way) error {
	var lost time.Time // when the last line was; zero: there was none
	told := false      // the problem has been reported
	for try := 1; ; try++ {
		l, up, err := w.connect(ctx)
		switch {
		case err == nil && ctx.Err() != nil:
			_ = l.serve(ctx) // which ends it
			return nil
		case ctx.Err() != nil:
			return nil
		case err != nil && w.final(err):
			return err
		case err != nil && !told:
			w.tell(Change{First: lost.IsZero(), Err: err})
			told = true
		case err == nil:
			up.Up, up.First = true, lost.IsZero()
			if !up.First {
				up.Away = time.Since(lost).Round(0)
			}
			w.tell(up)
			began := time.Now()
			err = attend(ctx, clock, l)
			if ctx.Err() != nil {
				return nil
			}
			if w.final(err) {
				return err
			}
			lost, told = time.Now(), true
			w.tell(Change{Err: err})
			try = min(try, flapping)
			if lost.Sub(began) >= steadyTime {
				try = 0
			}
			if errors.Is(err, errWoke) {
				continue
			}
		}
		if clock.pause(ctx, w.wait(try, err)); ctx.Err() != nil {
			return nil
		}
	}
}

// attend serves a line, and cuts it when the machine wakes.
func attend(ctx context.Context, clock wall, l line) error {
	working, stop := context.WithCancel(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer stop()
	watching.Go(func() {
		if clock.asleep(working) {
			l.cut(errWoke)
		}
	})
	return l.serve(working)
}

// backoff is how long to wait before an attempt. Half of it is random, so that after a restart of the edge its laptops do not
// all come back at once.
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

// wall is the clock on the wall, which goes on while the machine sleeps. Nil: time.Now.
type wall func() time.Time

// pause waits, but not beyond the end of ctx, or when the machine wakes.
func (w wall) pause(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	w.asleep(ctx)
}

// asleep returns true as soon as it shows that the machine was asleep, or false when ctx ends: while it is, the clock on
// the wall goes on, and the one that Go measures by stands still.
func (w wall) asleep(ctx context.Context) bool {
	if w == nil {
		w = time.Now
	}
	tick := time.NewTicker(wakeEvery)
	defer tick.Stop()
	for before, began := w(), time.Now(); ; {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
		at, now := w(), time.Now()
		if slept(at.Round(0).Sub(before.Round(0)), now.Sub(began), wakeSlack) {
			return true
		}
		before, began = at, now
	}
}

// slept reports whether the wall clock has moved so much further than the measured time that the machine must have slept.
func slept(wall, measured, slack time.Duration) bool { return wall-measured > slack }
