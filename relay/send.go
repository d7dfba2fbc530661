package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/tunnel"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// dialTimeout limits connecting, however long the target's own timeout is: a host that does not answer within it is away.
const dialTimeout = 5 * time.Second

// wholeTimeout times the target's timeout is how long an attempt may take in all. The timeout itself limits each single
// wait: for the connection, for the target to accept bytes, for the first byte of its response.
const wholeTimeout = 10

// message is a recorded request on its way to targets.
type message struct {
	rec  *store.Record
	head *wire.RequestHead
	raw  store.Raw // its bytes, those of the head first

	attempt int                      // number of the attempt to be made, from 1; 0: not known
	interim func(*wire.ResponseHead) // gets the target's interim responses (1xx); nil: they are ignored
}

// bodyAt is the offset of the body in the message's bytes.
func (m *message) bodyAt() int64 { return int64(len(m.head.Raw)) }

// carry sets the body of a request about to be sent: raw from an offset to its end.
func (a *Agent) carry(out *wire.Outgoing, raw store.Raw, from int64) {
	out.Bytes, out.Body = nil, nil
	switch {
	case raw.Size == from:
	case raw.Inline != nil:
		out.Bytes = raw.Inline[from:]
	default:
		out.Body = func() (io.ReadCloser, error) { return a.open(raw, from) }
	}
}

// open opens raw for reading from an offset to its end.
func (a *Agent) open(raw store.Raw, from int64) (io.ReadCloser, error) {
	f := a.store.Open(raw)
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// load reads a message back from the store.
func (a *Agent) load(id store.ID) (message, error) {
	rec, err := a.store.Get(id)
	if err != nil {
		return message{}, err
	}
	start := rec.Raw.Inline
	if start == nil {
		f := a.store.Open(rec.Raw)
		defer f.Close()
		start = make([]byte, rec.HeadSize)
		if _, err := io.ReadFull(f, start); err != nil {
			return message{}, fmt.Errorf("record %s: %w", id, err)
		}
	}
	head, err := wire.ParseRequestHead(start)
	if err != nil {
		return message{}, fmt.Errorf("record %s: %w", id, err)
	}
	return message{rec: rec, head: head, raw: rec.Raw}, nil
}

// aim is a configured target made ready to send to.
type aim struct {
	config.Target
	at       string  // Target.URL, made text once
	source   string  // whose target it is
	own      string  // the tunnel whose own source that is; "": it is a source like others
	host     string  // of the source
	outbound bool    // of the source
	follower *target // asks for what this one promises; nil: nothing is followed
	route    wire.Route
	timeouts wire.Timeouts
}

func newAim(s config.Source, t config.Target) *aim {
	return &aim{
		Target:   t,
		at:       t.URL.String(),
		source:   s.Name,
		own:      s.Tunnel,
		host:     s.Host,
		outbound: s.Direction == config.Outbound,
		route:    wire.Route{Prefix: s.Path, URL: t.URL, KeepHost: t.KeepHost},
		timeouts: wire.Timeouts{
			Dial: min(dialTimeout, t.Timeout), Write: t.Timeout, FirstByte: t.Timeout, Total: wholeTimeout * t.Timeout,
		},
	}
}

// routeBehind is the route for a request with that Record.Base, which is cut off: it means nothing to the app.
func (a *aim) routeBehind(base string) wire.Route {
	route := a.route
	if base != "" {
		route.Prefix = base + strings.TrimSuffix(route.Prefix, "/")
	}
	return route
}

// outgoing is the message as this target gets it (promise 5), without its body.
func (a *aim) outgoing(m message) (*wire.Outgoing, error) {
	route := a.routeBehind(m.rec.Base)
	if a.Forwarded {
		route.Add = append(route.Add, wire.Forwarded(m.rec.Peer(), m.rec.Host, m.rec.TLS)...)
	}
	if a.IDHeader != "" {
		route.Add = append(route.Add, wire.Field{Name: a.IDHeader, Value: m.rec.IDForApp().String()})
	}
	head, err := route.Head(m.head)
	if err != nil {
		return nil, err
	}
	return &wire.Outgoing{URL: a.URL, Head: head, Method: m.head.Method, Timeouts: a.timeouts}, nil
}

// sent is an attempt once the head of its response has arrived, or it is clear that none will.
type sent struct {
	message  message
	attempt  *store.Attempt
	response *wire.Response  // nil: none came, attempt.Error says why
	away     bool            // no connection was made, so the target has not seen the message; or its tunnel was lost, and the laptop recognises what it has seen
	absent   bool            // the laptop is not connected, or its tunnel was full from the start: this counts as no attempt
	full     bool            // the tunnel was full
	silent   bool            // the target accepted the connection and sent nothing
	lost     bool            // the response's bytes could not be recorded
	hopeless bool            // the message can never be sent to this target
	unmet    error           // the expectation that the response fails, and the attempt with it
	promised *store.Delivery // follows up what the response promises; nil: it promises nothing
	body     *store.Spool    // sent instead of the record's body; nil: the record's was sent
	timeout  bool
}

// send makes one attempt to deliver a message to a target. The caller reads or closes the response.
func (a *Agent) send(ctx context.Context, t *target, m message) (s sent) {
	aim := t.aim.Load()
	defer a.survive(func() { s.fail(errPanicked, a.now()) })
	s = sent{message: m, attempt: &store.Attempt{
		Record: m.rec.ID, Source: t.key.source, Target: t.key.name, URL: aim.at, Time: a.now(),
	}}
	out, err := a.prepare(aim, m, &s)
	if err == nil {
		s.attempt.Head, out.Interim = out.Head, m.interim
		if !aim.outbound {
			a.ties.begin(m.rec.ID)
			defer a.ties.end(m.rec.ID)
		}
		s.response, err = a.client.Do(ctx, out)
	}
	if err != nil {
		a.metrics.attempted(t.key, 0)
		s.fail(err, a.now())
		return s
	}
	a.metrics.attempted(t.key, s.response.Head.Status)
	s.attempt.Status = s.response.Head.Status
	s.attempt.HeadSize = len(s.response.Head.Raw)
	s.attempt.FirstByte = s.response.FirstByte.Sub(s.attempt.Time)
	return s
}

// prepare builds the request that the target gets.
func (a *Agent) prepare(to *aim, m message, s *sent) (*wire.Outgoing, error) {
	if strings.HasSuffix(to.Name, followSuffix) {
		return a.question(to, m, s)
	}
	if to.Tunnel != "" {
		return a.through(to, m)
	}
	out, err := to.outgoing(m)
	if err != nil {
		s.hopeless = true
		return nil, err
	}
	a.carry(out, m.raw, m.bodyAt())
	if to.Rewrite != nil {
		err = a.rewrite(to, m, out, s)
	}
	return out, err
}

// describe puts the outcome of its last attempt into a delivery.
func (s *sent) describe(d *store.Delivery) {
	d.Status, d.Error, d.Finding = s.attempt.Status, s.attempt.Error, s.attempt.Finding
	if s.unmet != nil {
		d.Error = s.unmet.Error()
	}
}

// fail ends an attempt with an error.
func (s *sent) fail(err error, now time.Time) {
	s.attempt.Error = err.Error()
	s.attempt.Duration = now.Sub(s.attempt.Time)
	if failed, ok := errors.AsType[*wire.SendError](err); ok {
		lost := errors.Is(err, tunnel.ErrLost)
		s.full = errors.Is(err, tunnel.ErrFull)
		s.away = failed.Phase == wire.PhaseDial || lost
		s.absent = failed.Phase == wire.PhaseDial && (s.full || errors.Is(err, errAbsent)) // and it was not on a kept stream before
		s.timeout = failed.Timeout()
		s.silent = !lost && (failed.Phase == wire.PhaseTLS || failed.Phase == wire.PhaseWait || failed.Phase == wire.PhaseWrite && s.timeout)
	}
}

// copyTo reads the response to its end, into kept. Errors of both end up in the attempt.
func (s *sent) copyTo(kept *store.Spool, now func() time.Time) {
	defer s.response.Close()
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	_, keepErr := kept.WriteString(s.response.Head.Raw)
	var readErr error
	for readErr == nil && keepErr == nil {
		var n int
		n, readErr = s.response.Read(buf[:])
		_, keepErr = kept.Write(buf[:n])
	}
	if s.lost = keepErr != nil; s.lost {
		keepErr = unrecorded(keepErr)
	}
	s.end(readErr, keepErr, now())
}

func unrecorded(err error) error { return fmt.Errorf("the response could not be recorded: %w", err) }

// keep adds the bytes of the response to the outcome, unless they could not be recorded. The outcome is written even then:
// otherwise a target that has taken the message would get it again.
func (s *sent) keep(o *store.Outcome, kept *store.Spool) {
	switch {
	case s.lost:
		s.attempt.HeadSize = 0
	case s.response != nil:
		o.Response = kept
	}
}

// end notes how reading the response ended (io.EOF is as it should be), and whether it could be recorded.
func (s *sent) end(read, recorded error, now time.Time) {
	s.attempt.Duration = now.Sub(s.attempt.Time)
	if read == io.EOF {
		read = nil
	}
	if read != nil {
		read = &wire.SendError{Phase: wire.PhaseRead, Err: read}
	}
	if err := errors.Join(read, recorded); err != nil {
		s.attempt.Error = err.Error()
	}
}
