package relay

import (
	"io"
	"sync"
	"time"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// buffers are for copying bodies to the tape and back: 32 KiB, as in io.Copy.
var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// framingSlack limits the size of a chunked body on the wire, as a multiple of max_body: a sender of one-byte chunks needs
// seven bytes for each, and one of endless chunk extensions is refused.
const framingSlack = 8

// reception is one request on its way in.
type reception struct {
	*Agent
	x        *wire.Exchange // nil: the request comes from the tape, to be judged again
	from     sender
	src      *source // nil: none matched
	target   *target // whose response is the answer; nil: hooktape answers
	found    finding
	raw      *store.Spool
	rec      *store.Record
	view     *expr.View     // nil when refused before it was all here
	owed     store.Delivery // to target, in case hooktape takes over
	tookOver bool           // hooktape has taken over
	cut      bool           // raw holds only the beginning of the request
	rolled   bool           // the request is only counted

	inquiry *inquiry               // checks who sent it; nil: nobody checks
	coded   func() ([]byte, error) // like view.Body, but still in its content coding: what was signed
	entered []*target              // targets whose arriving counts the request
	ended   *target                // the follower whose outcome has come with this request; nil: none
	first   store.ID               // the request that this one repeats; zero: it is no duplicate
	leave   func()                 // lets the next equal request go on; nil: there is no line
	turn    *spot                  // in target.turns, until hooktape owns the delivery or the target has answered; nil: no order
	room    room                   // memory while the request is under way
	held    holding                // memory for a large body as a whole

	land    func(sent)     // handles the outcome of an attempt that outlasted the patience
	decided sync.WaitGroup // done once land is set
}

// serve brings one request onto the tape, answers it, and sees to its deliveries.
func (a *Agent) serve(x *wire.Exchange) {
	routes := a.routes.Load()
	if a.takesTunnel(x, routes.trusted) {
		return
	}
	if answersProbe(x) {
		return
	}
	from := senderOf(x.Remote, x.TLS, x.Head, routes.trusted).came(x.Conn)
	src := routes.match(x.Head.Host(), behind(from.base(), x.Head.Path()))
	if a.probed(x, src) {
		return
	}
	r := &reception{Agent: a, x: x, src: src, raw: a.store.Spool(), from: from}
	r.check()
	r.receive()
}

// receive records a request whose head has been checked, and answers it. If patience runs out before the target answers, the
// exchange goes on in another goroutine (wire.Exchange.Within).
func (r *reception) receive() {
	r.exchanges.Add(1)
	defer func() {
		if !r.x.Left() {
			r.end()
		}
	}()
	r.makeRoom()
	err := r.take()
	if err == nil && !r.rolled {
		err = r.commit()
	}
	switch {
	case r.rolled:
		r.countOnly()
	case err != nil:
		r.turnAway(err)
	case r.first != store.ID{}:
		r.repeat()
	case r.target != nil:
		r.forgetBody()
		r.pass()
		return // pass sees to r.raw, which an attempt may still need
	default:
		r.acknowledge()
	}
	r.raw.Discard()
}

// end releases what the request holds while it is under way.
func (r *reception) end() {
	r.letOn()
	r.endTurn()
	r.held.giveBack()
	r.room.giveBack()
	r.exchanges.Add(-1)
}

// check judges the request by its head.
func (r *reception) check() {
	r.found = checkHead(r.config(), r.x.Head, r.from.remote, r.hidden())
	if !r.found.refused() && r.src.limiter != nil {
		r.found = r.src.limiter.check(r.now())
	}
	if !r.found.refused() {
		r.found = r.src.checkPath(r.x.Head, r.from.base())
	}
	r.inquire()
}

// take reads as much of the request as is to be kept.
func (r *reception) take() error {
	if r.rolled = r.isOver(); r.rolled {
		r.skim()
		return nil
	}
	if r.found.verdict != store.Accepted {
		return r.read()
	}
	err := r.read()
	r.rolled = r.isOver() // it may have been refused because of its body
	return err
}

// forgetBody frees the memory of a large body before waiting for the target. An ack that needs the body reads it again.
func (r *reception) forgetBody() {
	if r.held.size > 0 {
		_ = r.open() // its pieces are on the disk
		r.held.giveBack()
	}
}

// letOn lets the next equal request go on, which has waited for the outcome of this one.
func (r *reception) letOn() {
	if r.leave != nil {
		r.leave()
	}
}

func (r *reception) config() *config.Source {
	if r.src == nil {
		return nil
	}
	return &r.src.Source
}

// read reads the request onto the spool, and changes the finding if something is wrong with the body. An error means that the
// bytes can't be kept.
func (r *reception) read() error {
	if _, err := r.raw.WriteString(r.x.Head.Raw); err != nil {
		return err
	}
	if r.leaveUnread() {
		return nil
	}
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	for {
		n, err := r.x.Read(buf[:])
		if _, err := r.raw.Write(buf[:n]); err != nil {
			return err
		}
		switch {
		case err == io.EOF:
			r.room.small.shrink(cost(r.raw.Size(), r.passes()))
			return nil
		case err != nil:
			r.found = brokenBody(r.found, err)
			return r.keepStart(r.found.verdict == store.Malformed)
		case r.tooMuch():
			if !r.found.refused() {
				r.found = tooLarge(r.src.MaxBody)
			}
			return r.keepStart(true)
		case r.raw.Bytes() == nil && !r.found.countable() && !r.makeRoomToStream():
			r.found = r.noRoom()
			r.found.unread = true
			return r.keepStart(true)
		}
	}
}

// tooMuch reports whether more has come than is kept of a request with this verdict.
func (r *reception) tooMuch() bool {
	body := r.raw.Size() - int64(len(r.x.Head.Raw))
	switch r.found.verdict {
	case store.NoSource, store.TooLarge, store.RateLimited:
		return body > refusedKeep
	}
	return r.x.BodySize() > r.src.MaxBody || body > framingSlack*r.src.MaxBody+refusedKeep
}

// keepStart cuts a refused request off after its head and refusedKeep bytes, if only those are kept.
func (r *reception) keepStart(only bool) error {
	keep := int64(len(r.x.Head.Raw)) + refusedKeep
	if !only || r.raw.Size() <= keep {
		return nil
	}
	r.cut = true
	return r.raw.Truncate(keep)
}

// newRecord makes the record of what was read. The store adds its id and bytes.
func (r *reception) newRecord() *store.Record {
	h := r.x.Head
	return &store.Record{
		Time: r.x.Time, Source: r.sourceName(), Via: r.from.via(), Remote: r.from.remote, Edge: r.from.edge(), Base: r.from.base(), Proxy: r.from.proxy, TLS: r.from.tls,
		Proto: h.Proto, Method: h.Method, Target: h.Target, Host: h.Host(),
		Verdict: r.found.verdict, Reason: r.found.reason,
		HeadSize: len(h.Raw), BodySize: r.x.BodySize(), Truncated: r.cut, Raw: store.Raw{Size: r.raw.Size()},
	}
}

func (r *reception) sourceName() string {
	if r.src == nil {
		return ""
	}
	return r.src.Name
}

// commit makes the record, plans its answer and deliveries, and waits until all of it is on the disk.
func (r *reception) commit() error {
	r.rec = r.newRecord()
	defer r.leaveEntrance()
	if err := r.examine(); err != nil || r.rolled {
		return err
	}
	plan, err := r.plan()
	if err != nil {
		return err
	}
	r.rec.Undelivered = r.found.verdict == store.Accepted && r.target == nil && plan.deliveries == nil && len(r.src.targets) > 0
	committed := r.append(plan)
	r.noteTrace(r.rec.ID)
	if err := committed.Wait(); err != nil {
		return err
	}
	if first, ok := committed.First(); ok {
		r.noteTrace(first) // the record that the app works on
		r.first, r.rec.Verdict, r.rec.Reason, r.rec.Answer = first, store.Duplicate, store.DuplicateOf(first), nil
		r.endTurn()
	}
	r.endFollow()
	for _, t := range plan.targets {
		t.rouse()
	}
	return nil
}

// examine checks the body and signature of a request that was not refused for its head.
func (r *reception) examine() error {
	if r.found.verdict != store.Accepted {
		return nil
	}
	if err := r.open(); err != nil {
		return err
	}
	r.judge()
	r.validate()
	r.name()
	r.tie()
	r.rec.Verdict, r.rec.Reason = r.found.verdict, r.found.reason
	r.rolled = r.isOver() // it may be a handshake
	return nil
}

// plan is what happens to a request besides being recorded.
type plan struct {
	deliveries []store.Delivery
	targets    []*target           // of deliveries
	render     func(*store.Record) // makes the answer, once the record has its id; nil when a target gives the answer
}

func (r *reception) plan() (plan, error) {
	if r.found.verdict != store.Accepted {
		return plan{render: r.render(verdictAnswer(r.found))}, nil
	}
	if r.asksStatus() {
		return r.planStatus(), nil
	}
	var p plan
	deliver := true
	if r.src.Respond == config.RespondTarget {
		r.target = r.primary()
	}
	if r.target != nil {
		r.owed = r.delivery(r.target)
	} else {
		ack := r.ack()
		deliver = ack.Deliver
		r.readAhead(ack)
		p.render = func(rec *store.Record) { r.render(r.acknowledgement(ack))(rec) }
	}
	for _, t := range r.src.targets {
		if deliver && t != r.target && r.wants(t) {
			if !r.enter(t) {
				return r.instead(full(t)), nil
			}
			p.deliveries = append(p.deliveries, r.delivery(t))
			p.targets = append(p.targets, t)
		}
	}
	return p, nil
}

// primary is the target whose response is the answer: among those that want the request, the one marked as primary, or else
// the first that is no laptop's copy. It is nil if there is none: then hooktape answers.
func (r *reception) primary() (first *target) {
	for _, t := range r.src.targets {
		c := t.config()
		if marked := c.Primary; (marked || first == nil && !c.Copy) && r.wants(t) {
			if marked {
				return t
			}
			first = t
		}
	}
	return first
}

// instead is the plan for a request that is refused after all. All of its bytes are kept.
func (r *reception) instead(f finding) plan {
	r.found, r.target = f, nil
	r.rec.Verdict, r.rec.Reason = f.verdict, f.reason
	return plan{render: r.render(refusal(f))}
}

// open makes the request available to expressions. If its body is in pieces it waits for them, so that they can be read back.
func (r *reception) open() error {
	raw, err := r.raw.Raw()
	r.show(message{rec: r.rec, head: r.x.Head, raw: raw})
	return err
}

// show makes the view of the request for checks and expressions.
func (r *reception) show(m message) {
	r.coded = r.Agent.body(m, &r.held)
	r.view = r.viewOf(m, r.coded, &r.held)
}

// wants reports whether a target's "when" holds. An expression that fails does not.
func (r *reception) wants(t *target) bool {
	when := t.config().When
	if when == nil {
		return true
	}
	holds, err := when.Bool(r.view)
	r.failed(when, err)
	return holds
}

// delivery is that of the request to a target.
func (r *reception) delivery(t *target) store.Delivery {
	d := store.Delivery{Source: t.key.source, Target: t.key.name, State: store.Pending, Created: r.now()}
	if by := t.config().OrderBy; by != nil {
		key, err := by.String(r.view)
		r.failed(by, err)
		d.Key = key
	}
	return d
}

// failed warns of an expression that could not be evaluated.
func (r *reception) failed(e *expr.Expr, err error) {
	if err != nil && !r.held.denied {
		r.warn(r.src.Name, e.Source(), err)
	}
}

// warn logs that an expression of the configuration failed on a request: once, since it will fail on the next one too.
func (a *Agent) warn(source, what string, err error) {
	a.metrics.failed(source)
	if _, told := a.failures.LoadOrStore([2]string{source, what}, true); !told {
		a.log.Warn("expression failed and counts as false or empty (logged once)", "source", source, "expression", what, "error", err)
	}
}

// acknowledge sends the answer that was committed with the record.
func (r *reception) acknowledge() {
	_, err := r.x.Write(r.rec.Answer.Raw.Inline)
	r.wrote(Event{Kind: Answered, Record: r.rec, TookOver: r.tookOver}, err)
}

// earlyMax is how much longer an answer may take than its record says. Recording every exact time would cost each request a
// second change of the tape.
const earlyMax = 50 * time.Millisecond

// wrote reports how sending a committed answer ended.
func (a *Agent) wrote(e Event, err error) {
	rec := e.Record
	made := rec.Answer.Duration
	rec.Answer.Duration, rec.Answer.Early = a.now().Sub(rec.Time), false
	if err != nil {
		a.log.Debug("answer could not be sent", "record", rec.ID, "error", err)
		rec.Answer.Error = err.Error()
	}
	if err != nil || rec.Answer.Duration-made > earlyMax {
		a.store.Settle(rec.ID, store.Outcome{Answer: rec.Answer})
	}
	a.doneWith(e)
}

// turnAway answers 503 to a request that could not be recorded: nothing was promised, the sender has to try again.
func (r *reception) turnAway(err error) {
	r.cantRecord(err)
	_, _ = r.x.Write(wire.AppendResponse(nil, r.fit(refusal(unwritten()))))
}

// cantRecord notes that a record could not be written, and logs it once in an outage.
func (a *Agent) cantRecord(err error) {
	a.metrics.turnedAway.Add(1)
	if a.outage.begin(a.now(), err) {
		a.log.Error("can't record, answering 503 until it works again", "error", err)
	}
}

// answered is an answer as the store keeps it, made before it is sent.
func answered(rec *store.Record, status int, bytes []byte, now time.Time) *store.Answer {
	return &store.Answer{Status: status, Time: now, Duration: now.Sub(rec.Time), Early: true, Raw: store.InlineRaw(bytes)}
}
