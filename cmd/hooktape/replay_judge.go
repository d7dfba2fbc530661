package main

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/relay/mask"
	"github.com/hooktape/hooktape/replay"
	"github.com/hooktape/hooktape/store"
)

// judgeFlags say which responses are right.
type judgeFlags struct {
	compare string
	rules   ruleFlags
	expect  string
	accept  bool
}

// What --compare takes beside a URL.
const (
	compareRecorded = "recorded"
	compareNone     = "none"
)

func (f *judgeFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.compare, "compare", compareRecorded, "compare each response with the recorded one, with none, or with that of a second URL that is sent the same")
	f.rules.add(c)
	flags.Var(filled{&f.expect}, "expect", "condition that each response must meet: 'response.status == 200 && response.json.ok'")
	flags.BoolVar(&f.accept, "accept", false, "compare replays with these responses from now on; with --file, they are written to the file")
	completed(c, "compare", compareRecorded+", "+compareNone)
}

// judge says which responses are right.
type judge struct {
	recorded bool     // those that are like the recorded ones
	beside   *url.URL // those that are like the ones from there; nil: from nowhere
	rules    *replay.Rules
	expect   *expr.Expr // those for which it holds; nil: nothing is expected
	accept   bool       // all that came, from now on
}

// judge reads the flags; varied says that the request is changed in several ways, and compared as a table shows it.
func (f *judgeFlags) judge(varied bool) (*judge, error) {
	j := &judge{accept: f.accept}
	var err error
	switch {
	case varied && (f.compare != compareRecorded || f.accept):
		return nil, misused("the table shows what is not as recorded", "--vary excludes --compare and --accept")
	case varied, f.compare == compareNone:
	case f.compare == compareRecorded:
		j.recorded = true
	default:
		if j.beside, err = appURL(f.compare); err != nil {
			return nil, misused("--compare recorded, none, or the URL of a second target", "--compare: %w", err)
		}
	}
	if f.accept && !j.recorded {
		return nil, misused("", "--accept is for comparisons with recorded responses: leave --compare out")
	}
	if f.expect != "" {
		if j.expect, err = expr.Parse(f.expect); err != nil {
			return nil, misused("", "--expect: %w", err)
		}
	}
	j.rules, err = f.rules.rules(nil, false)
	return j, err
}

// shows says how secrets are shown in what differs.
func (j *judge) shows(names mask.Names, reveal bool) { j.rules.Names, j.rules.Reveal = names, reveal }

// compare finds the differences of a response; nil when there is none to compare it with.
func (j *judge) compare(then, now *replay.Response) *replay.Difference {
	if then == nil || now == nil {
		return nil
	}
	found := replay.Compare(then, now, j.rules)
	return &found
}

var errNoSuccess = errors.New("the status is not 2xx")

// expected says in what a response is not as it is expected to be; nil: in nothing.
func (j *judge) expected(p *played) error {
	switch {
	case j.expect != nil:
		holds, err := j.expect.Bool(p.request.View(recordOf(p.rec), p.now.Response))
		if err == nil && !holds {
			err = fmt.Errorf("not %s", j.expect.Shown())
		}
		return err
	case !j.recorded && j.beside == nil && !p.of.varied() && p.now.Response.Status/100 != 2:
		return errNoSuccess
	}
	return nil
}

// outcome is what became of a request that got a whole response.
func (j *judge) outcome(differs *replay.Difference, unexpected error) replay.Outcome {
	switch {
	case unexpected != nil:
		return replay.Unexpected
	case j.accept && (differs == nil || differs.Any()):
		return replay.Accepted
	case differs != nil && differs.Any():
		return replay.Differs
	case differs != nil:
		return replay.Same
	case j.recorded && j.expect == nil:
		return replay.NoBaseline
	}
	return replay.Answered
}

// recordOf is a record as expressions see it.
func recordOf(p *inspect.Playable) *store.Record {
	rec := &store.Record{
		ID: p.ID, Time: p.Time.Time, Source: p.Source, Session: p.Session, Trace: p.Trace, Via: p.Via, Remote: p.Remote, Proto: p.Proto,
		Method: p.Method, Target: p.Path, Host: p.Host, Event: p.Event, Events: p.Events, Verdict: p.Verdict, Reason: p.Reason,
		Verified: p.Verified, BodySize: p.BodySize, Truncated: p.Truncated, Raw: store.Raw{Size: p.Size},
	}
	if p.Answer != nil {
		rec.Answer = &store.Answer{Status: p.Answer.Status, Duration: p.Answer.Duration.Duration()}
	}
	return rec
}
