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

// unreported is how many outcomes may wait; when there are more, sends wait too.
const unreported = 256

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
	for p := range r.came {
		if r.err == nil {
			r.err = r.take(p)
		}
		if r.err != nil {
			r.stop(r.err)
		}
		if p.now != nil {
			r.err = errors.Join(r.err, p.now.Kept.Close())
		}
	}
}

// take records, compares, counts and prints an outcome. What was sent is on the tape,
// interrupted or not.
func (r *reporter) take(p played) error {
	if p.now == nil {
		return r.skip(p.shot)
	}
	if err := r.record(context.Background(), p.shot, p.now); err != nil {
		return apiError("record the attempt", err)
	}
	return r.print(r.count(p.shot, p.now))
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

// record puts the attempt on the tape.
func (r *reporter) record(ctx context.Context, s *shot, now *replay.Result) error {
	if r.of.flags.noRecord {
		return nil
	}
	a := s.aim
	attempt := inspect.NewAttempt{Head: now.Head, Sent: s.request.Body, Attempt: inspect.Attempt{
		Source: a.source, Target: a.target, Replay: true, Edited: r.of.flags.resign, URL: now.URL.String(), Time: inspect.Time{Time: now.Time},
		FirstByte: inspect.Milliseconds(now.FirstByte), Duration: inspect.Milliseconds(now.Duration),
	}}
	if now.Err != nil {
		attempt.Error = now.Err.Error()
	}
	if now.Response != nil {
		attempt.Status, attempt.HeadSize = now.Response.Status, now.Response.HeadSize
		response, err := now.Kept.Open()
		if err != nil {
			return err
		}
		attempt.Response = response
	}
	_, err := r.of.tape.AddAttempt(ctx, s.rec.ID.String(), attempt)
	return err
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
	_, err := io.WriteString(r.of.env.stdout, b.String())
	return err
}

func (j *responseJSON) line(i ink) string {
	return fmt.Sprintf("%s  %s  %s", i.status(j.Status, statusText(j.Status)),
		padLeft(milliseconds(j.Duration.Duration()), 7), padLeft(size(j.BodySize), 9))
}

func difference(i ink, d replay.Difference) string {
	if !d.Any() {
		return i.green("same")
	}
	var parts []string
	if d.Status {
		parts = append(parts, "status")
	}
	if len(d.Headers) > 0 {
		parts = append(parts, "headers ("+clean(strings.Join(d.Headers, ", "))+")")
	}
	if d.Body {
		parts = append(parts, "body")
	}
	return i.yellow("differs: " + strings.Join(parts, ", "))
}
