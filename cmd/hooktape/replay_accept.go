package main

import (
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
		return cannot("", "%s is damaged, and stays as it is: nothing is accepted", r.flags.file)
	}
	from := &importing{env: r.env, doing: "replay"}
	file, _, err := from.open(r.flags.file)
	if err != nil {
		return err
	}
	defer file.Close()
	next, stop := iter.Pull2(r.tape.Playable(ctx, inspect.PlayQuery{Filter: inspect.Filter{Session: r.filter.Session}}))
	defer stop()
	a := &accepting{of: r, ctx: ctx, next: next}
	x := &export{env: r.env, path: r.flags.file, form: formOf(r.flags.file), force: true, change: a.change}
	if err := x.write(ctx, file); err != nil {
		return err
	}
	_, err = fmt.Fprintf(r.env.stderr, "%s has %s now\n", clean(r.flags.file), counted(a.accepted, "new response"))
	return err
}

// accepting puts accepted responses into the recordings of a tape file. The records of its tape come in the same order.
type accepting struct {
	of       *replayer
	ctx      context.Context // of the rewriting, which is one call
	next     func() (inspect.Playable, error, bool)
	ahead    *inspect.Playable // came from next, and its recording did not come yet
	accepted int
}

// change is a recording with the response that was accepted for it, if one was.
func (a *accepting) change(recording *tapefile.Recording) (*tapefile.Recording, error) {
	if a.ahead == nil {
		rec, err, ok := a.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			return recording, nil
		}
		a.ahead = &rec
	}
	rec := a.ahead
	if recording.ID != "" && rec.Origin != recording.ID {
		return recording, nil // it was too large for the tape
	}
	a.ahead = nil
	now := a.of.acceptedFor(rec)
	if now == nil {
		return recording, nil
	}
	a.accepted++
	response := tapefile.Opened(now.Size, func() (io.ReadCloser, error) {
		return bytesOr(now.Response, func() (io.ReadCloser, error) { return a.of.tape.Response(a.ctx, rec.ID.String(), now.Number) })()
	})
	replaceResponse(recording, now, response)
	return recording, nil
}

// acceptedFor is the attempt of this replay that was accepted for a record; nil: none was.
func (r *replayer) acceptedFor(rec *inspect.Playable) *inspect.Past {
	for i := range rec.Past {
		if p := &rec.Past[i]; p.Accepted && p.Replay && !p.Time.Before(r.began) {
			return p
		}
	}
	return nil
}

// replaceResponse puts a response in the place of the one that replays of a recording are compared with. Where there is
// none, it is an attempt of its own.
func replaceResponse(of *tapefile.Recording, now *inspect.Past, response tapefile.Block) {
	var then *tapefile.Attempt
	for i := range of.Attempts {
		a := &of.Attempts[i]
		if a.Status != 0 && (!a.Replay || a.Accepted) && (now.Target == "" || a.Target == now.Target) {
			then = a
		}
	}
	switch {
	case then == nil && !of.Known && of.Answer != nil:
		of.Answer = &tapefile.Answer{Status: now.Status, Time: tapefile.Time{Time: now.Time.Time}, Duration: int64(now.Duration.Duration()), HeadSize: now.HeadSize, Response: response}
		return
	case then == nil:
		of.Attempts = append(of.Attempts, tapefile.Attempt{
			Number: len(of.Attempts) + 1, Source: now.Source, Target: now.Target, Replay: true, Edited: now.Edited, Accepted: true, URL: now.URL,
		})
		then = &of.Attempts[len(of.Attempts)-1]
	case of.Answer != nil && of.Answer.FromAttempt == then.Number:
		of.Answer.FromAttempt = 0 // the sender got the one before
	}
	then.Status, then.Error, then.Finding, then.HeadSize, then.Response = now.Status, now.Error, "", now.HeadSize, response
	then.Time, then.FirstByte, then.Duration = tapefile.Time{Time: now.Time.Time}, int64(now.FirstByte.Duration()), int64(now.Duration.Duration())
}
