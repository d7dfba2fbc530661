package replay

import (
	"cmp"
	"context"
	"iter"
	"runtime"
	"sync"
	"time"
)

// A Shot is one request on its way to one target. Run calls its methods in
// this order, Prepare and Send once each, one at a time.
type Shot interface {
	// Recorded says when the request came, and whose order it keeps: shots of a
	// key are sent one behind the other. "": it keeps none but that of the start.
	Recorded() (at time.Time, key string)
	// Prepare gets ready all that Send needs, shortly before that is due. Other
	// shots are prepared and sent meanwhile. An error ends the run; what is wrong
	// with this shot alone is for Send to tell.
	Prepare(ctx context.Context) error
	// Send sends the request and waits for its response. due is when that was to
	// begin; zero: there is no such time. What takes time and is not the sending
	// itself belongs elsewhere: no other is sent in its place. An error ends the run.
	Send(ctx context.Context, due time.Time) error
}

// Options are how a run goes. The zero Options send one shot behind the other, as
// fast as it goes.
type Options struct {
	Pace        Pace
	Concurrency int // shots under way at once; 0: one, and 64 when there is a Pace
	Loops       int // how often all shots are sent; 0: once

	// Wait waits until a time, and is false when ctx has ended. Nil: it is exact
	// to a fraction of a millisecond.
	Wait func(ctx context.Context, until time.Time) bool
}

const (
	pacedConcurrency = 64
	// ahead is how many shots are read before they are due, and how many may
	// wait for those of their key: memory stays flat, however many there are.
	ahead = 256
	// lead is how long before it is due a shot is prepared: long enough for the
	// tape to be slow for a moment, short enough that a signature is fresh.
	lead = time.Second
)

// Run sends all shots, in their order, each when it is due. It returns when all
// are sent, or nothing is under way any more: the error is the first of shots, of
// a Prepare or of a Send, or the cause of ctx. Shots that came before an error of
// shots are sent. With several loops shots is ranged over again.
//
// When ctx ends no shot is sent any more. Those under way get the end of it too.
func Run(ctx context.Context, shots iter.Seq2[Shot, error], o Options) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &run{
		o: o, cancel: cancel, ahead: make(chan *slot, ahead), unprepared: make(chan *slot, ahead), started: make(chan struct{}),
		turn: make(chan struct{}, 1), line: line{room: make(chan struct{}, ahead), waiting: make(map[string][]*slot)},
	}
	if r.o.Wait == nil {
		r.o.Wait = waitUntil
	}
	r.turn <- struct{}{}
	var all sync.WaitGroup
	all.Go(func() { r.read(ctx, shots) })
	for range preparers() {
		all.Go(func() { r.prepare(ctx) })
	}
	for range o.concurrency() {
		all.Go(func() { r.send(ctx) })
	}
	all.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return r.unread
}

func (o Options) concurrency() int {
	if o.Pace.paced() {
		return cmp.Or(max(0, o.Concurrency), pacedConcurrency)
	}
	return max(1, o.Concurrency)
}

// preparers is how many shots are prepared at once: that is work for the
// processors and for the tape.
func preparers() int { return 2 * runtime.GOMAXPROCS(0) }

// run is a Run under way.
//
//	read → ahead ────────────→ send, as many as go at once
//	     → unprepared → prepare ↗ slot.ready
type run struct {
	o          Options
	cancel     context.CancelCauseFunc
	ahead      chan *slot // in order; closed behind the last
	unprepared chan *slot // the same ones
	unread     error      // why no more could be read; to be read behind read's end

	start   time.Time     // when the first shot is due; to be read behind started
	started chan struct{} // closed when it is known

	turn chan struct{} // whoever takes what is in it takes the next shot and waits until that is due
	line line
}

// slot is a shot and its place.
type slot struct {
	Shot
	key   string
	due   time.Duration // since the start
	ready chan struct{} // closed when it is prepared
}

// read reads shots ahead.
func (r *run) read(ctx context.Context, shots iter.Seq2[Shot, error]) {
	defer close(r.unprepared)
	defer close(r.ahead)
	var at step
	for range max(1, r.o.Loops) {
		for shot, err := range shots {
			if err != nil {
				r.unread = err
				return
			}
			recorded, key := shot.Recorded()
			at = r.o.Pace.next(at, recorded)
			s := &slot{shot, key, at.due, make(chan struct{})}
			for _, to := range []chan<- *slot{r.unprepared, r.ahead} {
				select {
				case to <- s:
				case <-ctx.Done():
					return
				}
			}
		}
	}
}

// prepare gets shots ready before they are due.
func (r *run) prepare(ctx context.Context) {
	for s := range r.unprepared {
		if ctx.Err() != nil || s.due > lead && !r.waitFor(ctx, s.due-lead) {
			return
		}
		if err := s.Prepare(ctx); err != nil {
			r.cancel(err)
			return
		}
		close(s.ready)
	}
}

// waitFor waits until a time after the start; roughly.
func (r *run) waitFor(ctx context.Context, due time.Duration) bool {
	select {
	case <-r.started:
	case <-ctx.Done():
		return false
	}
	timer := time.NewTimer(time.Until(r.start.Add(due)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// send sends shots, one behind the other.
func (r *run) send(ctx context.Context) {
	for s := r.next(ctx); s != nil; s = r.next(ctx) {
		for ; s != nil && ctx.Err() == nil; s = r.line.successor(s.key) {
			if err := s.Send(ctx, r.dueAt(s)); err != nil {
				r.cancel(err)
				return
			}
		}
	}
}

func (r *run) dueAt(s *slot) time.Time {
	if !r.o.Pace.paced() {
		return time.Time{}
	}
	return r.start.Add(s.due)
}

// next waits until the next shot is due, and is nil when there is none. Who has
// waited for it sends it, so that nothing comes between.
func (r *run) next(ctx context.Context) *slot {
	<-r.turn
	defer func() { r.turn <- struct{}{} }()
	for {
		s := r.take(ctx)
		if s == nil || r.line.enter(ctx, s) {
			return s
		}
	}
}

// take takes the next shot when it is ready and due. The caller has the turn.
func (r *run) take(ctx context.Context) *slot {
	if ctx.Err() != nil {
		return nil
	}
	select {
	case s, more := <-r.ahead:
		if !more {
			return nil
		}
		select {
		case <-s.ready:
		case <-ctx.Done():
			return nil
		}
		if r.start.IsZero() {
			r.start = time.Now()
			close(r.started)
		}
		if r.o.Pace.paced() && !r.o.Wait(ctx, r.start.Add(s.due)) {
			return nil
		}
		return s
	case <-ctx.Done():
		return nil
	}
}

// line is where shots wait for those of their key.
type line struct {
	room    chan struct{} // has one for each that waits; full: no more may
	mu      sync.Mutex    // guards waiting
	waiting map[string][]*slot
}

// enter says whether a shot may be sent now. If not, it is whoever sends the one
// before it of its key that gets it from successor. When too many wait, enter
// waits too.
func (l *line) enter(ctx context.Context, s *slot) bool {
	if s.key == "" || l.first(s.key) {
		return true
	}
	select {
	case l.room <- struct{}{}:
		return l.join(s)
	case <-ctx.Done():
		return false
	}
}

// first says whether no shot of a key is under way, and from then on one is.
func (l *line) first(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.begin(key)
}

// begin is first for who holds mu.
func (l *line) begin(key string) bool {
	_, busy := l.waiting[key]
	if !busy {
		l.waiting[key] = nil
	}
	return !busy
}

// join is first for one that has room to wait, and does so if it has to.
func (l *line) join(s *slot) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.begin(s.key) { // the one under way has ended meanwhile
		<-l.room
		return true
	}
	l.waiting[s.key] = append(l.waiting[s.key], s)
	return false
}

// successor is the shot that waits for the one of its key that was just sent.
func (l *line) successor(key string) *slot {
	if key == "" {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	behind := l.waiting[key]
	if len(behind) == 0 {
		delete(l.waiting, key)
		return nil
	}
	l.waiting[key] = behind[1:]
	<-l.room
	return behind[0]
}

// waitUntil waits until a time, as exactly as can be without burning a processor.
func waitUntil(ctx context.Context, until time.Time) bool {
	for {
		left := time.Until(until)
		switch timer, short := rest(left); {
		case ctx.Err() != nil:
			return false
		case left <= 0:
			return true
		case timer > 0:
			if !sleep(ctx, timer) {
				return false
			}
		case short > 0:
			nap(short)
		default:
			runtime.Gosched()
		}
	}
}

// sleep is false when ctx has ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
