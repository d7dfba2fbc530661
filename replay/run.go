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
	// Recorded says when the request came, and its key: shots of the same key are
	// sent one after the other. With "" a shot waits for no other to be answered.
	Recorded() (at time.Time, key string)
	// Prepare makes ready what Send needs, shortly before that is due. Other shots
	// are prepared and sent meanwhile. An error ends the run, so what is wrong with
	// this shot alone is left for Send to tell.
	Prepare(ctx context.Context) error
	// Send sends the request and waits for its response. due is when it was to
	// begin; zero where there is no Pace. Whatever else takes time belongs
	// elsewhere: meanwhile no other shot is sent in its place. An error ends the run.
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
	// lead is how long before it is due a shot is prepared: long enough for the
	// tape to be slow for a moment, short enough that a signature is fresh.
	lead = time.Second
)

// GCPercent is what a program that goes through a tape should set with runtime/debug.SetGCPercent. It makes much garbage
// and keeps a few megabytes: with the usual 100 the collector would run dozens of times a second.
const GCPercent = 400

// Run sends all shots, in their order, each when it is due. It returns when all
// are sent, or nothing is under way any more: the error is the first of shots, of
// a Prepare or of a Send, or the cause of ctx. Shots that came before an error of
// shots are sent. With several loops shots is ranged over again.
//
// When ctx ends no shot is sent any more. Those under way get the end of it too.
func Run(ctx context.Context, shots iter.Seq2[Shot, error], o Options) error {
	ctx, cancel := context.WithCancelCause(ctx)
	r := &run{o: o, cancel: cancel, plan: newPlan(), started: make(chan struct{}), turn: make(chan struct{}, 1)}
	if r.o.Wait == nil {
		r.o.Wait = waitUntil
	}
	r.turn <- struct{}{}
	var all, watching sync.WaitGroup
	watching.Go(func() { <-ctx.Done(); r.plan.stop() })
	all.Go(func() { r.read(ctx, shots) })
	for range preparers() {
		all.Go(func() { r.prepare(ctx) })
	}
	for range o.concurrency() {
		all.Go(func() { r.send(ctx) })
	}
	all.Wait()
	err := r.unread
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	cancel(nil)
	watching.Wait()
	return err
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

// run is a Run under way. One reads what is sent, some prepare it, and as many send it as are to be under way at once.
type run struct {
	o      Options
	cancel context.CancelCauseFunc
	plan   *plan
	unread error // why no more could be read; to be read behind read's end

	// The clock of a Pace.
	start   time.Time     // when the first shot is due; to be read behind started
	started chan struct{} // closed when it is known
	turn    chan struct{} // has one token: its holder waits until the next shot is due, and sends that one
}

// read reads shots ahead.
func (r *run) read(ctx context.Context, shots iter.Seq2[Shot, error]) {
	defer r.plan.end()
	var at step
	for range max(1, r.o.Loops) {
		some := false
		for shot, err := range shots {
			some = true
			if err != nil {
				r.unread = err
				return
			}
			recorded, key := shot.Recorded()
			at = r.o.Pace.next(at, recorded)
			if !r.plan.add(slot{Shot: shot, key: key, due: at.due}) {
				return
			}
		}
		if !some || ctx.Err() != nil { // none come in the next loop either, or end without a word in each
			return
		}
	}
}

// prepare gets shots ready before they are due.
func (r *run) prepare(ctx context.Context) {
	for s := r.plan.toPrepare(); s != nil; s = r.plan.toPrepare() {
		if ctx.Err() != nil || s.due > lead && !r.waitFor(ctx, s.due-lead) {
			return
		}
		if err := s.Prepare(ctx); err != nil {
			r.cancel(err)
			return
		}
		r.plan.isPrepared(s)
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
	for s, ok := r.next(ctx); ok; s, ok = r.next(ctx) {
		for ; ok && ctx.Err() == nil; s, ok = r.plan.after(s.key) {
			if err := s.Send(ctx, r.dueAt(s.due)); err != nil {
				r.cancel(err)
				return
			}
		}
	}
}

// dueAt is when a shot is due; zero when there is no such time.
func (r *run) dueAt(due time.Duration) time.Time {
	if !r.o.Pace.paced() {
		return time.Time{}
	}
	return r.start.Add(due)
}

// next waits until the next shot is to be sent; ok is false when there is none.
func (r *run) next(ctx context.Context) (s slot, ok bool) {
	if r.o.Pace.paced() { // who has waited for it sends it, so that nothing comes between
		<-r.turn
		defer func() { r.turn <- struct{}{} }()
	}
	for {
		if r.o.Pace.paced() && !r.due(ctx) {
			return slot{}, false
		}
		if s, goes, more := r.plan.take(); goes || !more {
			return s, more
		}
	}
}

// due waits until the next shot is due, and is false when there is none. The caller has the turn.
func (r *run) due(ctx context.Context) bool {
	due, more := r.plan.dueNext()
	if !more {
		return false
	}
	if r.start.IsZero() {
		r.start = time.Now()
		close(r.started)
	}
	return r.o.Wait(ctx, r.start.Add(due))
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
