package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/replay"
	"github.com/hooktape/hooktape/store"
)

// played is a shot and what became of it.
type played struct {
	*shot
	due time.Time      // zero: there was no such time
	now *replay.Result // nil: it was not sent; shot.unfit says why
}

// tally counts what became of the records and sends.
type tally struct {
	sent   int // sends that got a whole response
	same   int // of them, those with the response of then
	bad    int // sends without a response, or with a status that is neither 2xx nor that of then
	unsent int // records that could not be sent
	gone   int // sends whose record was deleted meanwhile, and that are not on the tape therefore
}

// reporter is what happens behind the sending: outcomes are put on the tape,
// compared, counted and printed by a goroutine of its own, so that none of it
// holds up a send. Make it with newReporter, and close it.
type reporter struct {
	of    *replayer
	stop  context.CancelCauseFunc // ends the sending
	came  chan played
	ended chan struct{}
	tally tally // to be read when it is closed, and so is err
	err   error
}

const (
	// unreported is how many outcomes may wait; when there are more, sends wait too.
	unreported = 1024
	// batch is how many attempts are put on the tape at once: one commit for all of them.
	batch = 128
)

func newReporter(r *replayer, stop context.CancelCauseFunc) *reporter {
	report := &reporter{of: r, stop: stop, came: make(chan played, unreported), ended: make(chan struct{})}
	go report.run()
	return report
}

// add takes an outcome in.
func (r *reporter) add(p played) { r.came <- p }

// close waits until all outcomes are on the tape and printed. Nothing may be
// added any more.
func (r *reporter) close() error {
	close(r.came)
	<-r.ended
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
			if p.now != nil {
				r.err = errors.Join(r.err, p.now.Kept.Close())
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
	if err := r.record(context.Background(), some); err != nil {
		return apiError("record the attempts", err)
	}
	for _, p := range some {
		var err error
		if p.now == nil {
			err = r.skip(p.shot)
		} else {
			err = r.print(r.count(p.shot, p.now))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// skip tells of a record that can't be sent.
func (r *reporter) skip(s *shot) error {
	r.tally.unsent++
	if r.of.flags.asJSON {
		return r.of.env.printJSON(sendJSON{Record: s.rec.ID, Error: "not sent: " + s.unfit})
	}
	_, err := fmt.Fprintf(r.of.env.stdout, "%s  not sent: %s\n", ending(s.rec.ID), clean(s.unfit))
	return err
}

// record puts the attempts on the tape.
func (r *reporter) record(ctx context.Context, some []played) error {
	if r.of.flags.noRecord {
		return nil
	}
	var attempts []inspect.NewAttempt
	for _, p := range some {
		if p.now == nil {
			continue
		}
		attempt, err := p.attempt()
		if err != nil {
			return err
		}
		attempts = append(attempts, attempt)
	}
	if attempts == nil {
		return nil
	}
	gone, err := r.of.tape.AddAttempts(ctx, attempts)
	r.tally.gone += gone
	return err
}

// attempt is what is put on the tape of a send.
func (p *played) attempt() (inspect.NewAttempt, error) {
	a, now := p.aim, p.now
	attempt := inspect.NewAttempt{Record: p.rec.ID, Head: now.Head, Sent: p.request.Body, Attempt: inspect.Attempt{
		Source: a.source, Target: a.target, Replay: true, Edited: p.of.flags.resign, URL: now.URL.String(), Time: inspect.Time{Time: now.Time},
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

// sendJSON is a send as JSON shows it.
type sendJSON struct {
	Record  store.ID           `json:"record"`
	Target  string             `json:"target"` // "" for --to
	URL     string             `json:"url"`
	Then    *responseJSON      `json:"then"`    // null: nothing came back then
	Now     *responseJSON      `json:"now"`     // null: no response came
	Error   string             `json:"error"`   // why not, or not all of it
	Differs *replay.Difference `json:"differs"` // null: there are no two to compare

	request string // for people
}

type responseJSON struct {
	Status   int                  `json:"status"`
	Duration inspect.Milliseconds `json:"duration_ms"`
	BodySize int64                `json:"body_size"`
}

// count makes up what is printed about a send, and adds it to the tally.
func (r *reporter) count(sent *shot, now *replay.Result) sendJSON {
	rec, then := sent.rec, sent.then
	s := sendJSON{Record: rec.ID, Target: sent.aim.target, URL: r.of.names.Target(now.URL.String()), request: rec.Method + " " + rec.Path}
	if then != nil {
		s.Then = &responseJSON{then.Status, inspect.Milliseconds(then.took), then.Size}
	}
	if now.Err != nil {
		s.Error = now.Err.Error()
	}
	if now.Response != nil {
		s.Now = &responseJSON{now.Response.Status, inspect.Milliseconds(now.Duration), now.Response.Size}
	}
	if s.Then != nil && s.Now != nil {
		differs := replay.Compare(then.Response, now.Response, &replay.Rules{Names: r.of.names})
		s.Differs = &differs
	}
	switch {
	case s.Now == nil || s.Error != "":
		r.tally.bad++
		return s
	case s.Now.Status/100 != 2 && (s.Then == nil || s.Then.Status != s.Now.Status):
		r.tally.bad++
	}
	r.tally.sent++
	if s.Differs != nil && !s.Differs.Any() {
		r.tally.same++
	}
	return s
}

// print prints a send: the request, then both responses below each other.
func (r *reporter) print(s sendJSON) error {
	if r.of.flags.asJSON {
		return r.of.env.printJSON(s)
	}
	i := r.of.env.inkFor(r.of.env.stdout)
	to := strings.TrimSpace(s.Target + " " + s.URL)
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s → %s\n", i.dim(ending(s.Record)), i.bold(clean(s.request)), clean(to))
	then := "nothing came back"
	if s.Then != nil {
		then = s.Then.line(i)
	}
	fmt.Fprintf(&b, "  then  %s\n", then)
	var now []string
	if s.Now != nil {
		now = append(now, s.Now.line(i))
	}
	if s.Error != "" {
		now = append(now, i.red(clean(s.Error)))
	}
	if s.Differs != nil {
		now = append(now, difference(i, *s.Differs))
	}
	fmt.Fprintf(&b, "  now   %s\n", strings.Join(now, "  "))
	if s.Differs != nil {
		b.WriteString(changes(i, "        ", *s.Differs))
	}
	_, err := io.WriteString(r.of.env.stdout, b.String())
	return err
}

func (j *responseJSON) line(i ink) string {
	return fmt.Sprintf("%s  %s  %s", i.status(j.Status, statusText(j.Status)),
		padLeft(milliseconds(j.Duration.Duration()), 7), padLeft(size(j.BodySize), 9))
}
