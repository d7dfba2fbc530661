package tape

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/hooktape/hooktape/store"
)

// inlineRaw is how many bytes a store takes beside a record; more are a spool's.
const inlineRaw = 64 << 10

const (
	// commitsMax is how many commits of an import may be on their way. The store bounds their bytes.
	commitsMax = 512
	// causesMax is how many ids are remembered, so that what they caused is tied to them again: calls follow soon.
	causesMax = 1 << 16
)

// Importer puts recordings onto a tape, side by side with whatever else is recorded: each with a new id, the time that it
// had, and its answer and attempts. Nothing is delivered. It is one goroutine's at a time.
type Importer struct {
	Store *store.Store
	// Session, unless it is "", is the name of the session that all of them come into. It must be there.
	Session string

	ids     map[string]store.ID
	order   []string // of ids, the oldest first
	commits []*store.Commit
	spools  []*store.Spool // of the recording at hand
}

// Add adds a recording. An error that wraps store.ErrTooLarge is about this one alone.
func (m *Importer) Add(r *Recording) error {
	defer func() {
		for _, p := range m.spools {
			p.Discard()
		}
		m.spools = m.spools[:0]
	}()
	if err := r.fits(); err != nil {
		return err
	}
	rec := m.record(r)
	raw, spool, err := m.take(r.Request)
	if err != nil {
		return err
	}
	if rec.Raw = raw; r.Answer != nil {
		rec.Answer = r.Answer.stored()
	}
	outcomes, err := m.outcomes(r, rec)
	if err != nil {
		return err
	}
	if err := m.wait(m.Store.Append(rec, spool, r.stored(), nil)); err != nil {
		return err
	}
	m.remember(r.ID, rec.ID)
	for _, o := range outcomes {
		if err := m.wait(m.Store.Settle(rec.ID, o)); err != nil {
			return err
		}
	}
	return nil
}

// Close waits until all of it is on the tape.
func (m *Importer) Close() error { return m.waitFor(0) }

// wait takes note of a commit, and waits for the oldest where there are too many.
func (m *Importer) wait(c *store.Commit) error {
	m.commits = append(m.commits, c)
	return m.waitFor(commitsMax)
}

func (m *Importer) waitFor(n int) error {
	var err error
	for len(m.commits) > n {
		err = errors.Join(err, m.commits[0].Wait())
		m.commits = m.commits[1:]
	}
	return err
}

// take reads a block into memory or into a spool.
func (m *Importer) take(b Block) (store.Raw, *store.Spool, error) {
	if b.Size <= inlineRaw {
		all, err := b.ReadAll()
		return store.InlineRaw(all), nil, err
	}
	p := m.Store.Spool()
	m.spools = append(m.spools, p)
	return store.Raw{}, p, b.writeTo(p)
}

func (m *Importer) remember(was string, id store.ID) {
	if was == "" {
		return
	}
	if m.ids == nil {
		m.ids = map[string]store.ID{}
	}
	was = strings.Clone(was) // it is a part of all that is known of the recording
	if m.ids[was], m.order = id, append(m.order, was); len(m.order) > causesMax {
		delete(m.ids, m.order[0])
		m.order = m.order[1:]
	}
}

// fits says what a store would not take.
func (r *Recording) fits() error {
	const nameMax = 255 // bytes: names are in keys
	long := len(r.Source) > nameMax || len(r.Verdict) > nameMax
	for i := range r.Deliveries {
		long = long || len(r.Deliveries[i].Target) > nameMax
	}
	if long {
		return fmt.Errorf("name of source, target or verdict longer than %d bytes: %w", nameMax, store.ErrTooLarge)
	}
	const factsMax = 768 << 10 // bytes: with the bytes that are inline, a store takes 1 MiB
	if n := r.largestFacts(); n > factsMax {
		return fmt.Errorf("%d bytes of facts beside its bytes, more than %d: %w", n, factsMax, store.ErrTooLarge)
	}
	return nil
}

// largestFacts is about how many bytes the largest of its rows has in a store, without those of messages.
func (r *Recording) largestFacts() int {
	const each = 9 // bytes before a text
	most := len(r.Target) + len(r.Reason) + len(r.Host) + len(r.Trace) + len(r.Event) + len(r.Remote) + len(r.Proxy) + len(r.Path) + len(r.Base) +
		len(r.Proto) + len(r.Method) + len(r.ID)
	for _, event := range r.Events {
		most += each + len(event)
	}
	if a := r.Answer; a != nil {
		most += len(a.Error)
	}
	for i := range r.Attempts {
		a := &r.Attempts[i]
		most = max(most, len(a.Source)+len(a.Target)+len(a.URL)+len(a.Head)+len(a.Error)+len(a.Finding))
	}
	for _, d := range r.Deliveries {
		most = max(most, len(d.State)+len(d.Error)+len(d.Finding)+len(d.Key))
	}
	return most
}

// record is the record that a recording becomes.
func (m *Importer) record(r *Recording) *store.Record {
	rec := &store.Record{
		Time: inRange(r.Time), Until: inRange(r.Until), Count: r.Count, Source: r.Source, Via: store.ViaImport, Remote: r.Remote,
		Proxy: r.Proxy, TLS: r.TLS, Proto: r.Proto, Method: r.Method, Target: r.Target, Host: r.Host, Event: r.Event, Events: r.Events,
		Trace: r.Trace, Outbound: r.Outbound, Undelivered: r.Undelivered, Verdict: store.Verdict(r.Verdict), Reason: r.Reason, Verified: r.Verified, Truncated: r.Truncated,
		HeadSize: r.HeadSize, BodySize: r.BodySize, Origin: r.ID, Path: r.Path, Base: r.Base,
	}
	if r.Via == store.ViaAgent { // as at home, nobody plays it back
		rec.Via = store.ViaAgent
	}
	if m.Session != "" {
		rec.Session = []string{m.Session}
	}
	if id, ok := m.ids[r.Cause]; ok {
		rec.Cause, rec.CauseBy = id, store.CauseBy(r.CauseBy)
	}
	return rec
}

// inRange is a time that can be told in nanoseconds since 1970; zero where it can't.
func inRange(t Time) time.Time {
	if y := t.Year(); y < 1970 || y > 2200 {
		return time.Time{}
	}
	return t.UTC()
}

// stored are the deliveries as they ended. One that was pending is none of this tape.
func (r *Recording) stored() (all []store.Delivery) {
	for _, d := range r.Deliveries {
		one := store.Delivery{
			Target: d.Target, State: store.State(d.State), Attempts: d.Attempts, Status: d.Status, Error: d.Error, Finding: d.Finding,
			Key: d.Key, Created: inRange(d.Created),
		}
		if one.State == store.Pending || one.State == "" {
			one.State, one.Error = store.Dropped, "it was pending on the tape that it comes from"
		}
		all = append(all, one)
	}
	return all
}

func (a *Answer) stored() *store.Answer {
	return &store.Answer{Status: a.Status, Time: inRange(a.Time), Duration: time.Duration(a.Duration), Error: a.Error}
}

// outcomes are the attempts, and the answer where it does not fit into its record.
func (m *Importer) outcomes(r *Recording, rec *store.Record) ([]store.Outcome, error) {
	all := make([]store.Outcome, 0, len(r.Attempts)+1)
	for i := range r.Attempts {
		o, err := m.outcome(&r.Attempts[i])
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	a := r.Answer
	if a == nil {
		return all, nil
	}
	from, err := r.answeredBy()
	if err != nil {
		return nil, err
	}
	if from >= 0 {
		head, err := a.Response.Start(int64(a.HeadSize))
		if err != nil {
			return nil, err
		}
		answer := rec.Answer
		rec.Answer, answer.Raw, answer.FromAttempt = nil, store.InlineRaw(head), store.ThisAttempt
		all[from].Answer = answer
		return all, nil
	}
	raw, spool, err := m.take(a.Response)
	if err != nil {
		return nil, err
	}
	if rec.Answer.Raw = raw; spool != nil {
		all = append(all, store.Outcome{Answer: rec.Answer, AnswerRaw: spool})
		rec.Answer = nil
	}
	return all, nil
}

func (m *Importer) outcome(a *Attempt) (o store.Outcome, err error) {
	o.Attempt = &store.Attempt{
		Source: a.Source, Target: a.Target, Replay: a.Replay, Accepted: a.Accepted, Edited: a.Edited, URL: a.URL, Time: inRange(a.Time), Head: string(a.Head),
		Status: a.Status, Error: a.Error, Finding: a.Finding, FirstByte: time.Duration(a.FirstByte), Duration: time.Duration(a.Duration),
		HeadSize: a.HeadSize,
	}
	if a.Sent != nil {
		raw, spool, err := m.take(*a.Sent)
		if err != nil {
			return o, err
		}
		if o.Sent = spool; spool == nil {
			o.Attempt.Sent = &raw
		}
	}
	o.Attempt.Response, o.Response, err = m.take(a.Response)
	return o, err
}

// answeredBy is the index of the attempt whose response has the same body as the answer, byte for byte; -1: there is none.
func (r *Recording) answeredBy() (int, error) {
	a := r.Answer
	for i := range r.Attempts {
		from := &r.Attempts[i]
		if a.FromAttempt != from.Number || from.HeadSize == 0 || a.HeadSize == 0 || a.HeadSize > inlineRaw {
			continue
		}
		same, err := sameBytes(behindHead(a.Response, a.HeadSize), behindHead(from.Response, from.HeadSize))
		if same {
			return i, err
		}
		return -1, err
	}
	return -1, nil
}

func sameBytes(a, b Block) (bool, error) {
	if a.Size != b.Size {
		return false, nil
	}
	if first, ok := a.Inline(); ok {
		if second, both := b.Inline(); both {
			return bytes.Equal(first, second), nil
		}
	}
	x, err := a.Open()
	if err != nil {
		return false, err
	}
	defer x.Close()
	y, err := b.Open()
	if err != nil {
		return false, err
	}
	defer y.Close()
	var p, q [32 << 10]byte
	for {
		n, err := io.ReadFull(x, p[:])
		if _, other := io.ReadFull(y, q[:n]); other != nil {
			return false, other
		}
		if !bytes.Equal(p[:n], q[:n]) {
			return false, nil
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
}
