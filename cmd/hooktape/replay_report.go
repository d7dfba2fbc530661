package main

import (
	"context"
	"errors"
	"fmt"
	"time"

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

// reporter is what happens behind the sending: outcomes are put on the tape,
// compared, counted and printed by a goroutine of its own, so that none of it
// holds up a send. Make it with newReporter, and close it.
type reporter struct {
	of    *replayer
	stop  context.CancelCauseFunc // ends the sending
	came  chan played
	ended chan struct{}

	// What follows is to be read when it is closed.
	summary  replay.Summary
	gone     int              // sends whose record was deleted meanwhile, so that they are not on the tape
	junit    *junitFile       // nil: none is wanted
	markdown *replay.Markdown // nil: none is wanted
	table    *table           // of variations; nil: there are none
	first    map[varying]*firstRow
	starred  bool // a cell of the table

	unlikeFirst bool // variations are compared with the first one: there is no recorded response
	compared    int  // sends with two responses
	err         error
	progress    *progress
	begun       int64 // records of which something was sent
}

const (
	// unreported is how many outcomes may wait; when there are more, sends wait too.
	unreported = 1024
	// batch is how many attempts are put on the tape at once: one commit for all of them.
	batch = 128
)

// newReporter begins the reports that are asked for.
func newReporter(r *replayer, stop context.CancelCauseFunc) (*reporter, error) {
	report := &reporter{of: r, stop: stop, came: make(chan played, unreported), ended: make(chan struct{}), progress: r.env.progress()}
	if name := r.flags.junit; name != "" {
		var err error
		if report.junit, err = newJUnitFile(name, r.began); err != nil {
			return nil, err
		}
	}
	if path, _ := r.env.lookup(stepSummary); path != "" {
		report.markdown = replay.NewMarkdown("hooktape replay")
	}
	if r.varied() {
		report.table, report.first = r.newVariedTable(), make(map[varying]*firstRow)
	}
	go report.run()
	return report, nil
}

// add takes an outcome in.
func (r *reporter) add(p played) { r.came <- p }

// close waits until all outcomes are on the tape and printed. Nothing may be
// added any more.
func (r *reporter) close() error {
	close(r.came)
	<-r.ended
	r.progress.hide()
	return r.err
}

func (r *reporter) run() {
	defer close(r.ended)
	for some := r.gather(); some != nil; some = r.gather() {
		if r.err == nil {
			r.err = r.take(some)
		}
		if r.err != nil {
			r.stop(r.err)
		}
		for _, p := range some {
			for _, came := range []*replay.Result{p.now, p.beside} {
				if came != nil {
					r.err = errors.Join(r.err, came.Kept.Close())
				}
			}
		}
	}
}

// gather waits for an outcome and takes those with it that have come meanwhile. It is nil behind the last.
func (r *reporter) gather() []played {
	var some []played
	for p := range r.came {
		if some = append(some, p); len(some) == batch || len(r.came) == 0 {
			break
		}
	}
	return some
}

// take records, compares, counts and prints outcomes. What was sent is on the tape, interrupted or not.
func (r *reporter) take(some []played) error {
	lines := make([]sendJSON, len(some))
	for i := range some {
		lines[i] = r.line(&some[i])
	}
	if err := r.record(context.Background(), some, lines); err != nil {
		return apiError("record the attempts", err)
	}
	if isTerminal(r.of.env.stdout) {
		r.progress.hide()
	}
	for i := range lines {
		if some[i].first {
			r.begun++
		}
		if err := r.tell(&lines[i]); err != nil {
			return err
		}
	}
	r.progress.show(r.begun, r.of.all, func() string {
		return fmt.Sprintf("%s, %d to look at", counted(int(r.begun), "record"), r.summary.Bad())
	})
	return nil
}

// tell adds a send to all reports.
func (r *reporter) tell(line *sendJSON) error {
	if line.Differs != nil {
		r.compared++
	}
	one := line.reported()
	r.summary.Add(one)
	if r.markdown != nil {
		r.markdown.Add(one)
	}
	if r.junit != nil {
		if err := r.junit.Add(one); err != nil {
			return cannot("", "write %s: %w", r.of.flags.junit, err)
		}
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
	attempt := inspect.NewAttempt{Record: p.rec.ID, Head: now.Head, Sent: p.request.Body, Attempt: inspect.Attempt{
		Source: p.aim.source, Target: target, Replay: true, Edited: p.of.flags.resign || len(p.variation.edits) > 0, URL: now.URL.String(), Time: inspect.Time{Time: now.Time},
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
