package main

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/replay"
	"github.com/hooktape/hooktape/store"
)

// chosen asks for the records, by name or as flags choose.
func (r *replayer) chosen(names []string) inspect.PlayQuery {
	return inspect.PlayQuery{Filter: r.filter, Names: names, Newest: r.flags.chosen.limit, OrderBy: r.flags.clock.orderBy, Reveal: r.flags.reveal}
}

// shots are the records, each with every target that it goes to.
func (r *replayer) shots(ctx context.Context, names []string) iter.Seq2[replay.Shot, error] {
	return func(yield func(replay.Shot, error) bool) {
		found, left := 0, leftOut{} // in this loop, which may be cut short
		for rec, err := range r.tape.Playable(ctx, r.chosen(names)) {
			if err != nil {
				yield(nil, apiError("replay", err))
				return
			}
			if r.leavesOut(&rec, &left) {
				r.left = left.most(r.left)
				r.passed.Add(1)
				continue
			}
			found++
			r.found = max(r.found, found)
			aims, err := r.aims(&rec)
			if err != nil {
				yield(nil, err)
				return
			}
			for i, a := range aims {
				for j := range r.variations {
					if !yield(&shot{of: r, rec: &rec, called: r.called(&rec, found), aim: a, variation: &r.variations[j], first: i+j == 0}, nil) {
						return
					}
				}
			}
		}
	}
}

// leftOut counts records that were chosen and are none for the app.
type leftOut struct {
	Outbound    int `json:"outbound"`    // calls that the app itself made, to others
	Undelivered int `json:"undelivered"` // what the config meant for no target, so that the app never answered it
	Unaccepted  int `json:"unaccepted"`  // of a session or a tape file: what was refused, a handshake or a duplicate
}

func (l leftOut) all() int { return l.Outbound + l.Undelivered + l.Unaccepted }

// most has the larger counts of two loops.
func (l leftOut) most(other leftOut) leftOut {
	return leftOut{max(l.Outbound, other.Outbound), max(l.Undelivered, other.Undelivered), max(l.Unaccepted, other.Unaccepted)}
}

// leavesOut says whether a record is not sent since it is none for the app, and counts it. In a session these are the calls
// that the app itself made, unless their source is asked for, and what was meant for no target, unless --undelivered is
// given. What is named is always sent.
func (r *replayer) leavesOut(rec *inspect.Playable, into *leftOut) bool {
	switch {
	case r.named:
		return false
	case r.accepted && rec.Verdict != store.Accepted:
		into.Unaccepted++
		if slices.Contains(verdicts, rec.Verdict) { // a tape file may say anything
			r.verdicts[rec.Verdict] = true
		}
		return true
	case rec.Outbound && r.flags.session() && r.filter.Source == "":
		into.Outbound++
		return true
	case !r.flags.all && (rec.Undelivered || r.to == nil && len(rec.Targets) == 0 && r.hasTargets(rec.Source)):
		into.Undelivered++
		return true
	}
	return false
}

// refused says how what was left out as not accepted is sent; "": it has no verdict that --verdict takes.
func (r *replayer) refused() string {
	var all []string
	for verdict := range r.verdicts {
		all = append(all, string(verdict))
	}
	if all == nil {
		return ""
	}
	slices.Sort(all)
	return "--verdict " + strings.Join(all, ",") + " sends them"
}

// hasTargets says whether a source is known to have targets.
func (r *replayer) hasTargets(source string) bool {
	return slices.ContainsFunc(r.sources, func(s inspect.Source) bool { return s.Name == source && len(s.Targets) > 0 })
}

// lookAtSession finds out how many records of a session are to be sent, as far as that can be told beforehand, and what of
// its responses can't be compared since it is masked.
func (r *replayer) lookAtSession(ctx context.Context) error {
	if name := r.filter.Session; name != "" {
		for session, err := range r.tape.Sessions(ctx) {
			if err != nil {
				return err
			}
			if session.Name != name {
				continue
			}
			if !r.named {
				r.all = session.Records
			}
			if session.Masked != nil && r.judge.recorded {
				if r.judge.rules, err = r.judge.rules.Masked(hiddenOf(session.Masked)); err != nil {
					return err
				}
			}
		}
	}
	if f := &r.flags.chosen; f.where+f.source+f.since+f.until != "" || f.verdicts != nil || f.limit > 0 && r.flags.session() {
		r.all = 0 // some of them
	}
	r.all *= int64(r.options.Loops)
	return nil
}
