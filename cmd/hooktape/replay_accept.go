package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/replay"
	tapefile "github.com/hooktape/hooktape/replay/tape"
)

// mayAccept says before anything is sent whether a tape file can take new responses.
func (f *replayFlags) mayAccept() error {
	switch form := formOf(f.file); {
	case !f.judge.accept || f.file == "":
		return nil
	case form != formWARC && form != formWARCGz:
		return misused("hooktape import and export make a .warc.gz of it", "--accept writes the responses into FILE, and %s is no .warc or .warc.gz", f.file)
	}
	return nil
}

// rewriteFile writes the tape file anew, with what was accepted in the place of what was there.
func (r *replayer) rewriteFile(ctx context.Context) error {
	if r.flags.file == "" || r.report.summary.Outcomes[replay.Accepted] == 0 {
		return nil
	}
	if r.damaged {
		return cannot("", "%s is damaged and was not changed: no response was accepted", r.flags.file)
	}
	next, stop := iter.Pull2(r.tape.Playable(ctx, inspect.PlayQuery{Filter: inspect.Filter{Session: r.filter.Session}}))
	defer stop()
	a := &accepting{of: r, ctx: ctx, next: next}
	did, err := tapefile.Accept(r.flags.file, r.names, a.accepted)
	if err != nil {
		return cannot("", "accept: %w", err)
	}
	fmt.Fprintf(r.env.stderr, "%s has %s now\n", clean(r.flags.file), counted(did.Responses, "new response"))
	if did.Masked > 0 {
		fmt.Fprintf(r.env.stderr, "secrets in %d of them are masked, as the file is\n", did.Masked)
	}
	return nil
}

// accepting finds what was accepted for the recordings of a tape file. The records of its tape come in the same order.
type accepting struct {
	of    *replayer
	ctx   context.Context // of the rewriting, which is one call
	next  func() (inspect.Playable, error, bool)
	ahead *inspect.Playable // came from next, and its recording did not come yet
}

// accepted are the responses that were accepted for a recording, one for each target.
func (a *accepting) accepted(_ int, recording *tapefile.Recording) (fresh []tapefile.NewResponse, err error) {
	if err := a.ctx.Err(); err != nil {
		return nil, err
	}
	if a.ahead == nil {
		rec, err, ok := a.next()
		if err != nil || !ok {
			return nil, cmp.Or(err, a.ctx.Err()) // interrupted, there may be more
		}
		a.ahead = &rec
	}
	rec := a.ahead
	if recording.ID != "" && rec.Origin != recording.ID {
		return nil, nil // it was too large for the tape
	}
	a.ahead = nil
	for i := range rec.Past {
		if came := &rec.Past[i]; came.Accepted && came.Replay && !came.Time.Before(a.of.began) {
			fresh = append(fresh, tapefile.NewResponse{Of: replaced(recording, came), Now: a.attempt(rec, came)})
		}
	}
	return fresh, nil
}

// replaced is the index of the attempt whose response is replaced by the one that came; -1: it replaces none.
func replaced(of *tapefile.Recording, came *inspect.Past) int {
	then := -1
	for i := range of.Attempts {
		past := &of.Attempts[i]
		rewritten := came.Edited && past.Edited && !past.Replay && past.Status != 0 // the target gets requests so
		if (past.IsBaseline() || rewritten) && (came.Target == "" || past.Target == came.Target) {
			then = i
		}
	}
	return then
}

// attempt is an attempt of this replay as tape files have it.
func (a *accepting) attempt(rec *inspect.Playable, came *inspect.Past) *tapefile.Attempt {
	return &tapefile.Attempt{
		Source: came.Source, Target: came.Target, Edited: came.Edited, URL: came.URL, Status: came.Status, Error: came.Error,
		Time: tapefile.Time{Time: came.Time.Time}, FirstByte: int64(came.FirstByte.Duration()), Duration: int64(came.Duration.Duration()),
		HeadSize: came.HeadSize, Response: tapefile.Opened(came.Size, func() (io.ReadCloser, error) {
			return bytesOr(came.Response, func() (io.ReadCloser, error) { return a.of.tape.Response(a.ctx, rec.ID.String(), came.Number) })()
		}),
	}
}
