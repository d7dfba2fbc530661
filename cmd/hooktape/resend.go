package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strings"
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
	rewrites       bool   // the target gets something else than what was recorded
}

// aims are where a record goes: to --to, or to the targets of its source.
func (r *replayer) aims(ctx context.Context, rec *inspect.Record) ([]aim, error) {
	if r.to != nil {
		route := wire.Route{Prefix: r.prefix(rec.Source), URL: r.to}
		if r.to.EscapedPath() == "" {
			route.Prefix = "" // the recorded path stays
		}
		return []aim{{Aim: replay.Aim{Route: route, Timeouts: timeouts(replayTimeout)}, source: rec.Source}}, nil
	}
	targets, err := r.tape.Targets(ctx, rec.ID.String())
	if err != nil {
		return nil, err
	}
	var aims []aim
	for _, t := range targets {
		u, err := url.Parse(t.URL)
		if err != nil {
			return nil, fmt.Errorf("target %q: %w", t.Name, err)
		}
		route := wire.Route{Prefix: t.Prefix, URL: u, KeepHost: t.KeepHost, Add: t.Add}
		aims = append(aims, aim{replay.Aim{Route: route, Timeouts: timeouts(t.Timeout.Duration())}, rec.Source, t.Name, t.Rewrites})
	}
	return aims, nil
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

// timeouts are those of a target whose every wait is bounded.
func timeouts(wait time.Duration) wire.Timeouts {
	const dial = 5 * time.Second
	if wait == 0 {
		return wire.Timeouts{}
	}
	return wire.Timeouts{Dial: min(dial, wait), Write: wait, FirstByte: wait}
}

func (r *replayer) opener(ctx context.Context, rec *inspect.Record) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return r.tape.Raw(ctx, rec.ID.String()) }
}

// send sends a record to one target, records the attempt, and prints both
// responses. The error is for what ends the whole replay.
func (r *replayer) send(ctx context.Context, rec *inspect.Record, request *replay.Request, a aim, attempts []inspect.Attempt) error {
	if a.rewrites {
		return r.skip(rec, fmt.Sprintf("target %q gets requests rewritten, and a replay sends what was recorded: name another place with --to URL", a.target))
	}
	then, err := r.then(ctx, rec, a, attempts)
	if err != nil {
		return apiError("replay", err)
	}
	now, err := r.sender.Send(ctx, request, a.Aim)
	if err != nil {
		return r.skip(rec, err.Error())
	}
	defer now.Kept.Close()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := r.record(ctx, rec, request, a, now); err != nil {
		return apiError("record the attempt", err)
	}
	s := r.count(rec, a, then, now)
	if err := r.print(s); err != nil {
		return err
	}
	first := !r.tally.begun
	r.tally.begun = true
	if first && now.Unreachable() {
		return cannot("start the app, or name another place with --to URL", "send to %s: %w", now.URL.Redacted(), now.Err)
	}
	return nil
}

// past is what came back when the record was first sent.
type past struct {
	*replay.Response
	took time.Duration
}

// then finds what a replay is compared with: the response to the last attempt
// at the same target that was no replay, else to any target, else the answer
// that the sender got. Nil: nothing came back then.
func (r *replayer) then(ctx context.Context, rec *inspect.Record, a aim, attempts []inspect.Attempt) (*past, error) {
	var last *inspect.Attempt
	for i := range attempts {
		candidate := &attempts[i]
		if candidate.Replay || candidate.Status == 0 || a.target != "" && candidate.Target != a.target {
			continue
		}
		last = candidate
	}
	id := rec.ID.String()
	open, took := func() (io.ReadCloser, error) { return r.tape.Answer(ctx, id) }, time.Duration(0)
	switch {
	case last != nil:
		open, took = func() (io.ReadCloser, error) { return r.tape.Response(ctx, id, last.Number) }, last.Duration.Duration()
	case rec.Answer != nil:
		took = rec.Answer.Duration.Duration()
	default:
		return nil, nil
	}
	raw, err := open()
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	response, err := replay.ReadThen(raw, rec.Method)
	if err != nil {
		return nil, err
	}
	return &past{response, took}, nil
}

// record puts the attempt on the tape.
func (r *replayer) record(ctx context.Context, rec *inspect.Record, request *replay.Request, a aim, now *replay.Result) error {
	if r.flags.noRecord {
		return nil
	}
	attempt := inspect.NewAttempt{Head: now.Head, Sent: request.Body, Attempt: inspect.Attempt{
		Source: a.source, Target: a.target, Replay: true, Edited: r.flags.resign, URL: now.URL.String(), Time: inspect.Time{Time: now.Time},
		FirstByte: inspect.Milliseconds(now.FirstByte), Duration: inspect.Milliseconds(now.Duration),
	}}
	if now.Err != nil {
		attempt.Error = now.Err.Error()
	}
	if now.Response != nil {
		attempt.Status, attempt.HeadSize = now.Response.Status, now.Response.HeadSize
		response, err := now.Kept.Reader()
		if err != nil {
			return err
		}
		attempt.Response = response
	}
	_, err := r.tape.AddAttempt(ctx, rec.ID.String(), attempt)
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
func (r *replayer) count(rec *inspect.Record, a aim, then *past, now *replay.Result) sendJSON {
	s := sendJSON{Record: rec.ID, Target: a.target, URL: r.names.Target(now.URL.String()), request: rec.Method + " " + rec.Path}
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
		differs := replay.Compare(then.Response, now.Response)
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
func (r *replayer) print(s sendJSON) error {
	if r.flags.asJSON {
		return r.env.printJSON(s)
	}
	i := r.env.inkFor(r.env.stdout)
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
	_, err := io.WriteString(r.env.stdout, b.String())
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

// public says whether a host has an address outside this machine and the
// private networks. One that can't be looked up can't be sent to either.
func public(ctx context.Context, host string) bool {
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return false
	}
	for _, addr := range addrs {
		if !ours(addr.Unmap()) {
			return true
		}
	}
	return false
}

// sharedAddresses are for networks behind a provider's translation (RFC 6598).
var sharedAddresses = netip.MustParsePrefix("100.64.0.0/10")

func ours(addr netip.Addr) bool {
	return addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast() || addr.IsUnspecified() || sharedAddresses.Contains(addr)
}
