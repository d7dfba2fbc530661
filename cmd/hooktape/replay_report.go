package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/replay"
)

// played is a shot and what became of it.
type played struct {
	*shot
	due time.Time      // zero: there was no such time
	now *replay.Result // nil: it was not sent; shot.unfit says why

	beside      *replay.Result // what came from the target that it is compared with; nil: it was not sent there
	unfitBeside string         // why not
}

// reporter takes care of what was sent: a goroutine of its own compares the
// outcomes, counts and prints them and puts them on the tape, so that none of this
// holds up a send. Make it with newReporter, and close it.
type reporter struct {
	of    *replayer
	stop  context.CancelCauseFunc // ends the sending
	came  chan played
	room  *semaphore.Weighted // for the bytes that wait in memory
	ended chan struct{}

	// What follows is to be read when it is closed.
	summary replay.Summary
	gone    int    // sends whose record was deleted meanwhile, so that they are not on the tape
	table   *table // of variations; nil: there are none
	first   map[varying]*firstRow
	starred bool // a cell of the table

	unlikeFirst bool  // variations are compared with the first one: there is no recorded response
	compared    int   // sends with two responses
	unanswered  int   // sends of what no target answered then, so that there was nothing to compare with
	unmarked    int   // of these, those that may have been meant for none
	untold      error // the first that reports failed with; no more are told then
	unrecorded  error // the first that putting attempts on the tape failed with; no more are put there then
	lost        int   // attempts that are not on the tape because of that
	progress    *progress
	begun       int64 // records of which something was sent
}

const (
	// unreported is how many outcomes may wait; when there are more, sends wait too.
	unreported = 1024
	// unreportedBytes bounds the memory for responses and changed bodies that wait for a slow tape.
	unreportedBytes = 64 << 20
	// batch is how many attempts are put on the tape at once: one commit for all of them.
	batch = 128
	// batchWait is how long the first of them waits for others: less than anybody notices, and long enough for many where a
	// commit costs more than a send.
	batchWait = 5 * time.Millisecond
)

// newReporter begins the reports that are asked for.
func newReporter(r *replayer, stop context.CancelCauseFunc) *reporter {
	report := &reporter{of: r, stop: stop, came: make(chan played, unreported), room: semaphore.NewWeighted(unreportedBytes), ended: make(chan struct{}), progress: new(progress)}
	if !r.flags.quiet {
		report.progress = r.env.progress()
	}
	if r.varied() {
		report.table, report.first = r.newVariedTable(), make(map[varying]*firstRow)
	}
	go report.run()
	return report
}

// add takes an outcome in.
func (r *reporter) add(p played) {
	_ = r.room.Acquire(context.Background(), p.inMemory()) // it fails with its context alone
	r.came <- p
}

// inMemory is how many bytes it keeps in memory, but never more than there is room for: it would wait for ever.
func (p *played) inMemory() (n int64) {
	for _, came := range []*replay.Result{p.now, p.beside} {
		if came != nil {
			n += came.Kept.InMemory() + int64(len(came.Body))
		}
	}
	return min(n, unreportedBytes)
}

// close waits until all outcomes are on the tape and printed. Nothing may be
// added any more.
func (r *reporter) close() error {
	close(r.came)
	<-r.ended
	r.progress.hide()
	if r.unrecorded != nil {
		return cannot("their results are in the report all the same", "record %s on the tape: %w", count(r.lost, "attempt", "attempts"), r.unrecorded)
	}
	return r.untold
}

func (r *reporter) run() {
	defer close(r.ended)
	for some := r.gather(); some != nil; some = r.gather() {
		r.take(some)
		for _, p := range some {
			r.room.Release(p.inMemory())
			for _, came := range []*replay.Result{p.now, p.beside} {
				if came != nil {
					r.untold = errors.Join(r.untold, came.Kept.Close())
				}
			}
		}
		if err := errors.Join(r.unrecorded, r.untold); err != nil {
			r.stop(err)
		}
	}
}

// gather waits for an outcome and takes those with it that come soon. It is nil behind the last.
func (r *reporter) gather() []played {
	first, more := <-r.came
	if !more {
		return nil
	}
	some := []played{first}
	for enough := time.After(batchWait); len(some) < batch; {
		select {
		case p, more := <-r.came:
			if !more {
				return some
			}
			some = append(some, p)
		case <-enough:
			return some
		}
	}
	return some
}

// take compares, counts, prints and records outcomes. Even when it is interrupted, what was sent is printed and put on the
// tape, and the one is done though the other failed.
func (r *reporter) take(some []played) {
	lines := make([]sendJSON, len(some))
	for i := range some {
		lines[i] = r.line(&some[i])
	}
	if isTerminal(r.of.env.stdout) {
		r.progress.hide()
	}
	for i := range lines {
		if some[i].first {
			r.begun++
		}
		if r.untold == nil {
			r.untold = r.tell(&lines[i])
		}
	}
	if r.unrecorded == nil {
		r.unrecorded = r.record(context.Background(), some, lines)
	}
	if r.unrecorded != nil {
		r.lost += countSent(some)
	}
	r.progress.show(r.begun+r.of.passed.Load(), r.of.all, func() string {
		return fmt.Sprintf("%s, %d to look at", counted(int(r.begun), "record"), r.summary.Bad())
	})
}

// countSent is how many of them were sent.
func countSent(some []played) (n int) {
	for i := range some {
		if some[i].now != nil {
			n++
		}
	}
	return n
}

// tell adds a send to all reports.
func (r *reporter) tell(line *sendJSON) error {
	if line.Differs != nil {
		r.compared++
	}
	one := line.reported()
	r.summary.Add(one)
	if err := r.of.files.add(one); err != nil {
		return err
	}
	return r.print(line)
}

// record puts the attempts on the tape.
func (r *reporter) record(ctx context.Context, some []played, lines []sendJSON) error {
	if r.of.flags.noRecord {
		return nil
	}
	var attempts []inspect.NewAttempt
	for i, p := range some {
		if p.now != nil {
			attempt, err := p.attempt(p.now, p.aim.target)
			if err != nil {
				return err
			}
			attempt.Accepted = lines[i].Outcome == replay.Accepted
			attempts = append(attempts, attempt)
		}
		if p.beside != nil {
			attempt, err := p.attempt(p.beside, "")
			if err != nil {
				return err
			}
			attempts = append(attempts, attempt)
		}
	}
	if attempts == nil {
		return nil
	}
	gone, err := r.of.tape.AddAttempts(ctx, attempts)
	r.gone += gone
	return err
}

// attempt is what is put on the tape of what came of a send.
func (p *played) attempt(now *replay.Result, target string) (inspect.NewAttempt, error) {
	attempt := inspect.NewAttempt{Record: p.rec.ID, Head: now.Head, Sent: now.Body, Attempt: inspect.Attempt{
		Source: p.aim.source, Target: target, Replay: true, Edited: p.of.flags.resign || len(p.variation.edits) > 0 || p.aim.rewrites, URL: now.URL.String(), Time: inspect.Time{Time: now.Time},
		FirstByte: inspect.Milliseconds(now.FirstByte), Duration: inspect.Milliseconds(now.Duration),
	}}
	if now.Err != nil {
		attempt.Error = now.Err.Error()
	}
	if now.Response == nil {
		return attempt, nil
	}
	attempt.Status, attempt.HeadSize = now.Response.Status, now.Response.HeadSize
	var err error
	attempt.Response, err = now.Kept.Open()
	return attempt, err
}
