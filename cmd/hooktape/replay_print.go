package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/replay"
	"github.com/hooktape/hooktape/store"
)

// sendJSON is a send as JSON shows it.
type sendJSON struct {
	Record  store.ID             `json:"record"`
	Origin  string               `json:"origin_id,omitempty"` // of an imported record: the id that it had where it was recorded
	Target  string               `json:"target"`              // "" for --to
	URL     string               `json:"url"`                 // "": it was not sent
	Outcome replay.Outcome       `json:"outcome"`
	Time    inspect.Time         `json:"time"`    // when it was sent
	Due     inspect.Time         `json:"due"`     // when it was to be sent; null: there was no such time
	Late    inspect.Milliseconds `json:"late_ms"` // how long after that
	Then    *responseJSON        `json:"then"`    // null: nothing came back then
	Now     *responseJSON        `json:"now"`     // null: no response came
	Error   string               `json:"error"`   // why not, or not all of it
	Differs *replay.Difference   `json:"differs"` // null: there are no two to compare

	Beside     string `json:"beside,omitempty"`     // the URL that then is from; "": it is from the tape
	Unexpected string `json:"unexpected,omitempty"` // what was expected, and is not so
	Lost       string `json:"then_error,omitempty"` // why what came back then can't be read
	Missing    string `json:"then_null,omitempty"`  // why there is nothing that it could be compared with
	*varied

	called  recordName
	request string // for people
}

type responseJSON struct {
	Status   int                  `json:"status"`
	Duration inspect.Milliseconds `json:"duration_ms"`
	BodySize int64                `json:"body_size"`
}

// line is what is told of a send.
func (r *reporter) line(p *played) sendJSON {
	s := sendJSON{Record: p.rec.ID, Origin: p.rec.Origin, called: p.called, Target: p.aim.target, Lost: p.lost, request: p.rec.Method + " " + p.rec.Path}
	if r.of.varied() {
		s.varied = r.vary(p)
		s.request += " (" + p.variation.name + ")"
	}
	then, took := p.baseline()
	if then != nil {
		s.Then = &responseJSON{then.Status, inspect.Milliseconds(took), then.Size}
	}
	if p.now == nil {
		s.Outcome, s.Error = replay.NotSent, "not sent: "+p.unfit
		return s
	}
	s.URL, s.Time = r.of.shownURL(p.now.URL.String()), inspect.Time{Time: p.now.Time}
	if !p.due.IsZero() {
		s.Due, s.Late = inspect.Time{Time: p.due}, inspect.Milliseconds(p.now.Time.Sub(p.due))
	}
	if p.beside != nil {
		s.Beside = r.of.shownURL(p.beside.URL.String())
	}
	s.Error = p.failure()
	if p.now.Response != nil {
		s.Now = &responseJSON{p.now.Response.Status, inspect.Milliseconds(p.now.Duration), p.now.Response.Size}
	}
	if !r.of.varied() && s.Error == "" { // half a response is like none
		s.Differs = r.of.judge.compare(then, p.now.Response)
	}
	if s.Now == nil || s.Error != "" {
		s.Outcome = replay.Failed
		return s
	}
	unexpected := r.of.judge.expected(p)
	if unexpected != nil {
		s.Unexpected = unexpected.Error()
	}
	if s.Outcome = r.of.judge.outcome(s.Differs, unexpected); s.Outcome == replay.NoBaseline && s.Lost == "" {
		s.Missing = p.unanswered()
		r.unanswered++
		if p.unmarked() {
			r.unmarked++
		}
	}
	return s
}

// unanswered is why there is nothing on the tape that a response could be compared with.
func (p *played) unanswered() string {
	switch {
	case p.aim.target != "" && len(p.rec.Past) > 0:
		return fmt.Sprintf("target %q did not answer it when it was recorded", p.aim.target)
	case p.rec.Answer != nil:
		return "no target answered it when it was recorded, hooktape did"
	}
	return "no target answered it when it was recorded"
}

// unmarked says whether the config may have meant the record for no target, though it has no mark of that: older versions
// made none.
func (p *played) unmarked() bool {
	return p.rec.Answer != nil && p.rec.Verdict == store.Accepted && !p.rec.Undelivered && len(p.rec.Past) == 0
}

// baseline is what a response is compared with, and how long it took to come; nil: there is none.
func (p *played) baseline() (*replay.Response, time.Duration) {
	switch {
	case p.beside != nil:
		return p.beside.Response, p.beside.Duration
	case p.then != nil:
		return p.then.Response, p.then.took
	}
	return nil, 0
}

// failure is why no response came, or not all of it; "": it did.
func (p *played) failure() string {
	switch {
	case p.now.Err != nil:
		return p.now.Err.Error()
	case p.unfitBeside != "":
		return "not sent to the second target: " + p.unfitBeside
	case p.beside != nil && p.beside.Err != nil:
		return "the second target: " + p.beside.Err.Error()
	}
	return ""
}

// reported is the send as reports tell of it.
func (s *sendJSON) reported() *replay.Case {
	c := &replay.Case{
		Record: s.called.whole, Request: clean(s.request), To: clean(s.to()), Outcome: s.Outcome,
		Paced: !s.Due.IsZero(), Late: s.Late.Duration(),
	}
	if s.Now != nil {
		c.Status, c.Took = s.Now.Status, s.Now.Duration.Duration()
	}
	if !s.Outcome.Good() {
		c.Brief, c.Text = s.brief(), s.text(false)
		if s.Differs != nil {
			c.Places = s.Differs.Places()
		}
	}
	return c
}

// brief is what is wrong with a send, in a line; "": its text says so at once.
func (s *sendJSON) brief() string {
	switch {
	case s.Error != "":
		return clean(s.Error)
	case s.Unexpected != "":
		return "unexpected: " + clean(s.Unexpected)
	case s.Lost != "":
		return "the recorded response can't be read: " + clean(s.Lost)
	case s.Differs != nil:
		return difference(false, *s.Differs)
	}
	return ""
}

func (s *sendJSON) to() string { return strings.TrimSpace(s.Target + " " + s.URL) }

// print prints a send.
func (r *reporter) print(s *sendJSON) error {
	out := r.of.env.stdout
	switch {
	case r.of.flags.quiet && s.Outcome.Good():
		return nil
	case r.of.flags.asJSON:
		return r.of.env.printJSON(s)
	case r.table != nil:
		return r.printVaried(s)
	}
	i := r.of.env.inkFor(out)
	var b strings.Builder
	switch {
	case s.Outcome == replay.NotSent:
		fmt.Fprintf(&b, "%s  %s\n", i.dim(s.called.short), s.text(i))
	case s.Outcome == replay.Same && r.of.many:
		fmt.Fprintf(&b, "%s  %s → %s  %s  %s\n", i.dim(s.called.short), clean(s.request), clean(s.to()), s.Now.line(i), i.green("same"))
	default:
		fmt.Fprintf(&b, "%s  %s → %s\n", i.dim(s.called.short), i.bold(clean(s.request)), clean(s.to()))
		for line := range strings.Lines(s.text(i)) {
			b.WriteString("  " + line)
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// lateShown is how late a send is that people are told of.
const lateShown = 10 * time.Millisecond

// text is what there is to say of a send beside the request, in lines.
func (s *sendJSON) text(i ink) string {
	if s.Outcome == replay.NotSent {
		return clean(s.Error)
	}
	then := ""
	switch {
	case s.Then != nil && s.Beside != "":
		then = "other " + s.Then.line(i) + "  " + clean(s.Beside) + "\n"
	case s.Then != nil:
		then = "then  " + s.Then.line(i) + "\n"
	case s.Lost != "":
		then = "then  " + i.yellow("the recorded response can't be read: "+clean(s.Lost)) + "\n"
	case s.Outcome == replay.NoBaseline:
		then = "then  no response to compare with: " + clean(s.Missing) + "\n"
	}
	var now []string
	if s.Now != nil {
		now = append(now, s.Now.line(i))
	}
	if s.Error != "" {
		now = append(now, i.red(clean(s.Error)))
	}
	changed := ""
	if s.Differs != nil {
		now = append(now, difference(i, *s.Differs))
		changed = changes(i, "      ", *s.Differs)
	}
	if s.Unexpected != "" {
		now = append(now, i.yellow("unexpected: "+clean(s.Unexpected)))
	}
	if s.Outcome == replay.Accepted {
		now = append(now, i.green("accepted"))
	}
	if late := s.Late.Duration(); late >= lateShown {
		now = append(now, i.yellow("sent "+milliseconds(late)+" late"))
	}
	return fmt.Sprintf("%snow   %s\n%s", then, strings.Join(now, "  "), changed)
}

func (j *responseJSON) line(i ink) string {
	return fmt.Sprintf("%s  %s  %s", i.status(j.Status, statusText(j.Status)),
		padLeft(milliseconds(j.Duration.Duration()), 7), padLeft(size(j.BodySize), 9))
}
