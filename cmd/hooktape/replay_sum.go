package main

import (
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/replay"
)

// summaryJSON is the last line of a replay as JSON.
type summaryJSON struct {
	Records     int                             `json:"records"`
	Sent        int                             `json:"sent"`
	Outcomes    map[replay.Outcome]int          `json:"outcomes"`
	Statuses    map[string]int                  `json:"statuses"`
	Duration    inspect.Milliseconds            `json:"duration_ms"`
	Response    map[string]inspect.Milliseconds `json:"response_ms"`           // since each was sent: p50, p90, p99, max; null: none came
	Waited      map[string]inspect.Milliseconds `json:"response_since_due_ms"` // since each was to be sent; null: there was no such time
	Late        map[string]inspect.Milliseconds `json:"late_ms"`               // null: there was no such time
	Places      map[string]int                  `json:"differs_at"`            // sends by where their response is not that of then; never null
	LeftOut     leftOut                         `json:"left_out"`
	Interrupted bool                            `json:"interrupted"`
	Error       string                          `json:"error"`                // what ended it before its time; "": nothing
	Idle        []string                        `json:"idle_rules,omitempty"` // paths to ignore at which nothing was left out
}

// sum is the exit code of a replay that came to its end.
func (r *replayer) sum() error {
	s := &r.report.summary
	switch {
	case r.found == 0 && r.left.Undelivered > 0:
		return cannot("--undelivered sends them", "replay: the config meant these records for no target, nothing was sent")
	case r.found == 0 && r.left.Outbound > 0:
		return cannot("--source NAME sends those of one source", "replay: these records are calls that the app made to others, nothing was sent")
	case r.found == 0 && r.left.Unaccepted > 0:
		return cannot(r.refused(), "replay: none of these records was accepted, nothing was sent")
	case r.found == 0 && r.flags.file != "":
		return cannot("", "replay: no record of %s matches, nothing was sent", clean(r.flags.file))
	case r.found == 0 && r.flags.session():
		return cannot("hooktape list --session NAME shows what is in it", "replay: no record of session %q matches, nothing was sent", r.filter.Session)
	case r.found == 0:
		return cannot("hooktape list shows what there is; refused records are sent with --verdict only", "replay: no record matches, nothing was sent")
	case s.Sent() == 0:
		return cannot("", "replay: nothing could be sent")
	case r.tooLarge:
		return cannot("what could be read of it was sent; hooktape import --max-record SIZE takes larger records, and replay --session sends them",
			"replay: %s has records that are too large", r.flags.file)
	case r.damaged:
		return cannot("what could be read of it was sent", "replay: %s is damaged", r.flags.file)
	case s.Bad() > 0:
		return notSo()
	}
	return nil
}

// notes says what there is to say of a replay that came to its end beside its sums.
func (r *replayer) notes() {
	if gone := r.report.gone; gone > 0 {
		fmt.Fprintf(r.env.stderr, "%s not on the tape: their records were deleted meanwhile\n", count(gone, "attempt is", "attempts are"))
	}
	if n := r.left.Outbound; n > 0 {
		fmt.Fprintf(r.env.stderr, "%s left out that the app made to others: --source NAME sends those of one source\n", count(n, "call was", "calls were"))
	}
	if n := r.left.Undelivered; n > 0 {
		fmt.Fprintf(r.env.stderr, "%s left out that the config meant for no target: --undelivered sends them\n", count(n, "record was", "records were"))
	}
	if n := r.left.Unaccepted; n > 0 {
		how := r.refused()
		if how != "" {
			how = ": " + how
		}
		fmt.Fprintf(r.env.stderr, "%s left out as not accepted%s\n", count(n, "record was", "records were"), how)
	}
	if n := r.report.unanswered; n > 0 {
		fmt.Fprintf(r.env.stderr, "%s no recorded response to compare with: --accept makes the new responses the baseline, --expect sets a condition instead\n", count(n, "request has", "requests have"))
	}
	if n := r.report.unmarked; n > 0 {
		fmt.Fprintf(r.env.stderr, "%s answered by hooktape alone: the target was away, or the config meant the record for none (older versions did not record which); --where can leave them out\n", count(n, "record was", "records were"))
	}
	if n := int(r.unsigned.Load()); n > 0 {
		fmt.Fprintf(r.env.stderr, "%s not signed again: no provider signs the requests of their source\n", count(n, "request was", "requests were"))
	}
	if limit := r.flags.chosen.limit; limit > 0 && r.found == limit && r.flags.chosen.given() {
		fmt.Fprintf(r.env.stderr, "these were the newest %d; --limit 0 sends all\n", limit)
	}
}

// finish writes all that is told at the end of a replay, which err ended before its time if it is not nil.
func (r *reporter) finish(interrupted bool, err error) error {
	took := r.of.env.now().Sub(r.of.began)
	r.summary.LeftOut = r.of.left.all()
	failed := r.of.files.end(&r.summary, took, brokenOff(interrupted, err))
	failed = errors.Join(failed, r.endTable())
	if r.of.flags.asJSON {
		return errors.Join(failed, r.of.env.printJSON(struct {
			Summary summaryJSON `json:"summary"`
		}{r.asJSON(took, interrupted, err)}))
	}
	if r.summary.All() > 1 || interrupted && r.of.many { // of one send its own lines say all
		fmt.Fprint(r.of.env.stderr, r.sums(r.of.env.inkFor(r.of.env.stderr), took, interrupted))
	}
	if idle := r.of.judge.rules.Idle(); idle != nil && r.of.many && r.compared > 0 {
		fmt.Fprintf(r.of.env.stderr, "rules that matched nothing: %s\n", clean(strings.Join(idle, ", ")))
	}
	return failed
}

// brokenOff is why not all was sent; "": all was, whatever came of it.
func brokenOff(interrupted bool, err error) string {
	failed, ok := errors.AsType[*failure](err)
	switch {
	case interrupted:
		return "interrupted"
	case err == nil, ok && failed.err == nil: // the sends say why
		return ""
	}
	return clean(err.Error())
}

func (r *reporter) asJSON(took time.Duration, interrupted bool, err error) summaryJSON {
	j := summaryJSON{
		Records: r.records(), Sent: r.summary.Sent(), Outcomes: map[replay.Outcome]int{}, Statuses: map[string]int{}, Places: map[string]int{},
		Duration: inspect.Milliseconds(took), LeftOut: r.of.left, Interrupted: interrupted,
		Idle:     r.of.judge.rules.Idle(),
		Response: quantiles(&r.summary.Took), Waited: quantiles(&r.summary.Waited), Late: quantiles(&r.summary.Late),
	}
	for _, t := range r.summary.ByOutcome() {
		j.Outcomes[t.Of] = t.N
	}
	for _, t := range r.summary.ByStatus() {
		j.Statuses[strconv.Itoa(t.Of)] = t.N
	}
	maps.Copy(j.Places, r.summary.Places)
	if !interrupted {
		j.Error = brokenOff(false, err)
	}
	return j
}

// quantiles are those of a spread by their names; nil when it is empty.
func quantiles(s *replay.Spread) map[string]inspect.Milliseconds {
	if s.Count() == 0 {
		return nil
	}
	m := make(map[string]inspect.Milliseconds, len(replay.Quantiles))
	for _, q := range replay.Quantiles {
		m[q.Name] = inspect.Milliseconds(s.Quantile(q.Part))
	}
	return m
}

// records is how many records there were: where the replay was broken off, without those that were read ahead.
func (r *reporter) records() int { return min(r.of.found, int(r.begun)) }

// sums are the sums as people are told them.
func (r *reporter) sums(i ink, took time.Duration, interrupted bool) string {
	s := &r.summary
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d sent in %s", counted(r.records(), "record"), s.Sent(), milliseconds(took))
	if interrupted {
		b.WriteString(i.yellow(", then interrupted"))
	}
	var parts []string
	for _, t := range s.ByOutcome() {
		text := fmt.Sprintf("%d %s", t.N, strings.ReplaceAll(string(t.Of), "_", " "))
		if !t.Of.Good() {
			text = i.yellow(text)
		}
		parts = append(parts, text)
	}
	if parts != nil {
		fmt.Fprintf(&b, ": %s", strings.Join(parts, ", "))
	}
	b.WriteString("\n")
	parts = nil
	for _, t := range s.ByStatus() {
		parts = append(parts, fmt.Sprintf("%s ×%d", i.status(t.Of, strconv.Itoa(t.Of)), t.N))
	}
	if parts != nil {
		fmt.Fprintf(&b, "%s  %s\n", pad("status", sumsWidth), strings.Join(parts, "  "))
	}
	for _, spread := range s.Spreads() {
		b.WriteString(pad(spread.Name, sumsWidth))
		for _, q := range replay.Quantiles {
			fmt.Fprintf(&b, "  %s %s", i.dim(q.Name), milliseconds(spread.Of.Quantile(q.Part)))
		}
		b.WriteString("\n")
	}
	b.WriteString(placesLines(s.ByPlace()))
	return b.String()
}

// placesLines are where responses differ, a line a place, and what can be done where that is right.
func placesLines(places []replay.Tally[string]) string {
	if len(places) == 0 {
		return ""
	}
	var b strings.Builder
	shown := places[:min(len(places), replay.PlacesShown)]
	widest := 0
	for _, t := range shown {
		widest = max(widest, width(clean(t.Of)))
	}
	title := "differs at"
	for _, t := range shown {
		fmt.Fprintf(&b, "%s  %s  ×%d\n", pad(title, sumsWidth), pad(clean(t.Of), widest), t.N)
		title = ""
	}
	if more := len(places) - len(shown); more > 0 {
		fmt.Fprintf(&b, "%s  and %s more\n", pad("", sumsWidth), count(more, "place", "places"))
	}
	fmt.Fprintf(&b, "hint: --ignore PATH leaves out what may differ, --ignore-text REGEXP parts of texts; %s keeps both\n", replay.IgnoreFile)
	return b.String()
}

// sumsWidth is the longest name of a line of the sums.
const sumsWidth = len("response since due")
