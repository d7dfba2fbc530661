package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/replay"
	"github.com/hooktape/hooktape/store"
)

// replayTimeout bounds each wait for the target of --to; an app at a
// breakpoint may take its time.
const replayTimeout = 5 * time.Minute

// aim is where a record is sent.
type aim struct {
	replay.Aim
	source, target string // target is "" for --to
	unfit          string // why nothing can be sent there
	rewrites       bool   // the target gets something else than what was recorded
}

// aims are where a record goes: to --to, or to the targets of its source. There is always at least one: where nothing takes
// the record, it says why.
func (r *replayer) aims(rec *inspect.Playable) ([]aim, error) {
	if r.to != nil {
		return []aim{r.aimAt(r.to, rec)}, nil
	}
	if len(rec.Targets) == 0 {
		return []aim{{unfit: "its source has no target that takes it: name one with --to URL"}}, nil
	}
	var aims []aim
	for _, t := range rec.Targets {
		u, err := url.Parse(t.URL)
		if err != nil {
			return nil, cannot("", "replay: target %q: %w", t.Name, err)
		}
		route := wire.Route{Prefix: t.Prefix, URL: u, KeepHost: t.KeepHost, Add: t.Add}
		a := aim{replay.Aim{Route: route, Timeouts: r.timeouts(t.Timeout.Duration())}, rec.Source, t.Name, "", t.Rewrites}
		if u.Scheme == "tunnel" {
			r.goThrough(&a, rec)
		}
		aims = append(aims, a)
	}
	return aims, nil
}

// goThrough aims at the laptop of a tunnel, to which the agent at its edge leads.
func (r *replayer) goThrough(a *aim, rec *inspect.Playable) {
	if r.flags.file != "" {
		a.unfit = fmt.Sprintf("target %q is a tunnel, and its edge sends only what is on its own tape: import the file there with hooktape import, or send elsewhere with --to URL", a.target)
		return
	}
	a.Dial = func(ctx context.Context) (net.Conn, error) {
		return r.tape.Through(ctx, rec.ID.String(), a.source, a.target)
	}
}

// aimAt is an aim at a URL of the command line.
func (r *replayer) aimAt(to *url.URL, rec *inspect.Playable) aim {
	route := wire.Route{Prefix: rec.Base + cmp.Or(rec.SourcePath, r.prefix(rec.Source)), URL: to}
	if to.EscapedPath() == "" {
		route.Prefix = rec.Base // the recorded path stays
	}
	return aim{Aim: replay.Aim{Route: route, Timeouts: r.timeouts(replayTimeout)}, source: rec.Source}
}

// prefix is the path of a source; "" when the tape does not know it.
func (r *replayer) prefix(source string) string {
	for _, s := range r.sources {
		if s.Name == source && source != "" {
			return s.Path
		}
	}
	return ""
}

// wholeMost is how long a whole response may take where nothing else bounds it: a stream of events would hold up a CI job
// for hours.
const wholeMost = 10 * time.Minute

// timeouts are those of a target with a timeout of its own, unless --timeout says otherwise.
func (r *replayer) timeouts(own time.Duration) wire.Timeouts {
	t := timeouts(cmp.Or(r.timeout, own))
	t.Total = cmp.Or(r.timeout, max(own, wholeMost))
	return t
}

// timeouts are those of a target whose every wait is bounded.
func timeouts(wait time.Duration) wire.Timeouts {
	const dial = 5 * time.Second
	if wait == 0 {
		return wire.Timeouts{}
	}
	return wire.Timeouts{Dial: min(dial, wait), Write: wait, FirstByte: wait}
}

// shot is a record on its way to a target. It implements replay.Shot.
type shot struct {
	of     *replayer
	rec    *inspect.Playable
	called recordName
	aim    aim

	first     bool // of the record's
	variation *variation
	request   *replay.Request // nil after Prepare: there was no room for it, and Send makes it
	early     int64           // its bytes in replayer.early
	then      *past           // nil: nothing came back then, or nobody asks
	lost      string          // why the response of then can't be read
	unfit     string          // why it can't be sent
}

// Recorded implements replay.Shot.
func (s *shot) Recorded() (at time.Time, key string) { return s.rec.Time.Time, s.rec.Key }

// Prepare implements replay.Shot.
func (s *shot) Prepare(ctx context.Context) error {
	r := s.of
	if s.rec.Truncated {
		s.unfit = "only the beginning of it was kept"
		return nil
	}
	if s.make(ctx); s.unfit != "" {
		return nil
	}
	if n := s.made(); r.early.TryAcquire(n) {
		s.early = n
	} else {
		s.request, s.aim.Rewrite = nil, nil // and is made again when it is sent
	}
	if s.aim.Dial == nil {
		r.targets.wait(ctx, s.aim.Route.URL)
	}
	r.targets.wait(ctx, r.judge.beside)
	if s.variation.setsHost() {
		s.aim.Route.KeepHost = true
	}
	if r.judge.recorded || r.varied() {
		var err error
		if s.then, err = r.then(ctx, s.rec, s.aim); err != nil {
			s.lost = err.Error() // what comes back now is told even so
		}
	}
	return nil
}

// make makes what is sent, or says why it can't be.
func (s *shot) make(ctx context.Context) {
	var err error
	if s.request, err = s.of.load(ctx, s.rec, s.variation); err != nil {
		s.unfit = err.Error()
		return
	}
	if s.unfit = s.aim.unfit; s.unfit != "" || !s.aim.rewrites {
		return
	}
	if s.aim.Rewrite, err = s.of.rewritten(ctx, s); err != nil {
		s.unfit = fmt.Sprintf("target %q gets requests rewritten: %s", s.aim.target, err)
	}
}

// earlyBytes bounds the memory for changed bodies that were prepared and wait to be sent.
const earlyBytes = 64 << 20

// made is how many bytes the bodies have that were made in the place of the recorded one.
func (s *shot) made() int64 {
	n := len(s.request.Body)
	if s.aim.Rewrite != nil {
		n += len(s.aim.Rewrite.Body)
	}
	return int64(n)
}

// recorded is the request as it came.
func (r *replayer) recorded(ctx context.Context, rec *inspect.Playable) (*replay.Request, error) {
	if rec.Raw != nil {
		return replay.Parse(rec.Raw)
	}
	return replay.Load(func() (io.ReadCloser, error) { return r.tape.Raw(ctx, rec.ID.String()) })
}

// load is the request as it is to be sent, but for what each target changes.
func (r *replayer) load(ctx context.Context, rec *inspect.Playable, v *variation) (*replay.Request, error) {
	request, err := r.recorded(ctx, rec)
	if err == nil {
		request, err = request.With(v.edits...)
	}
	if err != nil {
		return nil, err
	}
	return r.signed(ctx, rec, request)
}

// rewritten is what the target gets in the place of the request, as when the agent delivers it.
func (r *replayer) rewritten(ctx context.Context, s *shot) (*replay.Rewrite, error) {
	body, err := s.request.Whole()
	if err != nil {
		return nil, err
	}
	made, err := r.tape.Rewrite(ctx, s.aim.source, s.aim.target, s.rec.ID.String(), s.request.Head, body)
	if err != nil {
		return nil, err
	}
	return &replay.Rewrite{Edit: made.Edit, Body: made.Body}, nil
}

// Send implements replay.Shot.
func (s *shot) Send(ctx context.Context, due time.Time) error {
	p := played{shot: s, due: due}
	if s.unfit == "" && s.request == nil {
		s.make(ctx)
	}
	if s.unfit == "" {
		if err := p.send(ctx); err != nil {
			s.unfit = err.Error()
		}
	}
	s.of.early.Release(s.early) // while it waits to be reported its bytes count there
	s.of.report.add(p)
	switch {
	case p.now == nil:
	case !p.now.Unreachable():
		s.of.reached.Store(true)
	case ctx.Err() == nil && !s.of.reached.Load():
		hint := "start the app, or name another place with --to URL"
		if s.aim.Dial != nil {
			hint = "hooktape http PORT --edge URL connects the laptop to hooktape run, the edge; or name another place with --to URL"
		}
		return cannot(hint, "send to %s: %w", s.of.shownURL(p.now.URL.String()), p.now.Err)
	}
	switch {
	case p.beside == nil:
	case !p.beside.Unreachable():
		s.of.reachedBeside.Store(true)
	case ctx.Err() == nil && !s.of.reachedBeside.Load():
		return cannot("start the app there, or name another place with --compare URL", "send to %s: %w", s.of.shownURL(p.beside.URL.String()), p.beside.Err)
	}
	return nil
}

// send sends the request to its target, and at the same time to the one beside it when there is one. An error means that
// it can't be.
func (p *played) send(ctx context.Context) error {
	var besides sync.WaitGroup
	if to := p.of.judge.beside; to != nil {
		besides.Go(func() {
			beside, err := p.of.sender.Send(ctx, p.request, p.aimBeside(to).Aim)
			if p.beside = beside; err != nil {
				p.unfitBeside = err.Error()
			}
		})
	}
	var err error
	p.now, err = p.of.sender.Send(ctx, p.request, p.aim.Aim)
	besides.Wait()
	return err
}

// aimBeside is the aim at a URL that stands for the target: what the config makes of the request for that is sent there, too.
func (p *played) aimBeside(to *url.URL) aim {
	a := p.of.aimAt(to, p.rec)
	a.Route.KeepHost = p.variation.setsHost()
	if made := p.aim.Rewrite; made != nil {
		beside := *made
		beside.Edit.Target = rebased(made.Edit.Target, p.aim.Route.URL, to)
		a.Rewrite = &beside
	}
	return a
}

// rebased moves a request target from one URL to another: where it begins with the path of the one, the path of the other
// takes its place. A target that does not begin so stays as it is, and so does each where the other has no path.
func rebased(made string, one, another *url.URL) string {
	path, _, _ := strings.Cut(made, "?")
	rest, below := wire.MatchPrefix(path, one.EscapedPath())
	if made == "" || !below || another.EscapedPath() == "" || wire.HasDotSegment(rest) {
		return made
	}
	return strings.TrimSuffix(another.EscapedPath(), "/") + rest + made[len(path):]
}

// past is what came back when the record was first sent.
type past struct {
	*replay.Response
	took time.Duration
}

// then finds what a replay is compared with: the response to the last attempt at the
// same target, or with --to at any, that was no replay or was accepted. Nil: there
// is none.
func (r *replayer) then(ctx context.Context, rec *inspect.Playable, a aim) (*past, error) {
	id := rec.ID.String()
	ctx = context.WithoutCancel(ctx) // what was sent is compared, interrupted or not
	var open func() (io.ReadCloser, error)
	var took inspect.Milliseconds
	if rec.Answer != nil && rec.Via == store.ViaImport && rec.Source == "" { // another tool has recorded it: it is no ack of ours
		open, took = func() (io.ReadCloser, error) { return r.tape.Answer(ctx, id) }, rec.Answer.Duration
	}
	for _, p := range rec.Past { // the last is the latest; one at no target, that is no replay, is of a file that knows none
		if (a.target == "" || p.Target == a.target || p.Target == "" && !p.Replay) && (a.rewrites || !p.Rewritten()) {
			open, took = bytesOr(p.Response, func() (io.ReadCloser, error) { return r.tape.Response(ctx, id, p.Number) }), p.Duration
		}
	}
	if open == nil {
		return nil, nil
	}
	response, err := replay.ReadThen(open, rec.Method)
	if err != nil {
		return nil, err
	}
	return &past{response, took.Duration()}, nil
}

// bytesOr opens bytes that are here already, or else what open gives.
func bytesOr(here []byte, open func() (io.ReadCloser, error)) func() (io.ReadCloser, error) {
	if here == nil {
		return open
	}
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(here)), nil }
}
