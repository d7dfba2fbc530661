package relay

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// How long to wait between attempts while a sender waits for the answer: an app that restarts is back in a moment.
const (
	passRetryMin = 50 * time.Millisecond
	passRetryMax = time.Second
)

// pass sends a committed request to the target whose response is the answer. While the target can't be reached, pass
// tries again until the source's patience runs out. Then hooktape takes over: it sends the ack, and owns the delivery
// (DESIGN.md section 4). A target that was reached but gave no answer may have seen the request, so hooktape takes over at
// once instead of sending it again. Requests with the same key (order_by) go one at a time, behind deliveries that wait
// under that key. pass discards r.raw as soon as no attempt needs it.
func (r *reception) pass() {
	m := message{rec: r.rec, head: r.x.Head, raw: r.rec.Raw, interim: r.passOnInterim}
	over := time.Now().Add(r.src.Patience)
	hasty := r.src.Patience == 0 // then the first failure is the answer
	if !r.comesFirst() {
		if hasty {
			r.turnBack(busyKey(r.target))
		} else {
			r.takeOver(false)
		}
		return
	}
	for wait := passRetryMin; ; wait = min(2*wait, passRetryMax) {
		m.attempt = r.owed.Attempts + 1
		back := r.target.arrival()
		s, inTime := r.attempt(m, over)
		if !inTime {
			return
		}
		if s.response != nil {
			r.endTurn()
			r.passOn(s)
			r.raw.Discard()
			return
		}
		r.target.missed(s)
		if hasty || s.hopeless {
			r.endTurn()
			r.unreached(s)
			r.raw.Discard()
			return
		}
		r.store.Settle(r.rec.ID, s.outcome())
		s.discard()
		r.count(s)
		if !s.away {
			r.owed.Due = r.now().Add(backoff(r.target.config().Retry, 1, r.jitter()))
		}
		if !s.away || !r.again(wait, over, back) {
			r.takeOver(false)
			return
		}
	}
}

// attempt makes an attempt, and reports whether it ended before patience ran out. If it did not, hooktape has taken over,
// and the outcome is already dealt with.
func (r *reception) attempt(m message, over time.Time) (s sent, inTime bool) {
	if r.src.Patience == 0 {
		return r.send(r.ctx, r.target, m), true
	}
	r.decided.Add(1)
	inTime = r.x.Within(time.Until(over), func() { s = r.send(r.ctx, r.target, m) }, func() {
		defer r.end()
		defer r.decided.Done()
		r.land = r.leaveOff // should it panic
		r.land = r.takeOver(true)
	})
	if inTime {
		r.decided.Done()
	} else {
		r.decided.Wait()
		r.land(s)
	}
	return s, inTime
}

// count adds an attempt that got no response to those of the delivery.
func (r *reception) count(s sent) {
	if s.absent {
		return
	}
	r.owed.Attempts++
	r.owed.Awaited++
	s.describe(&r.owed)
}

// again waits before the next attempt, at most until a laptop arrives. It returns false if there is to be none: patience
// has run out, or the agent is stopping.
func (r *reception) again(wait time.Duration, over time.Time, back <-chan struct{}) bool {
	left := time.Until(over)
	pause := time.NewTimer(min(wait, left))
	defer pause.Stop()
	select {
	case <-pause.C:
		return wait < left
	case <-back:
		return true
	case <-r.stopping:
	}
	return false
}

// takeOver makes the delivery hooktape's own and sends the ack. If an attempt is under way (flying), it goes on and counts:
// call land with its outcome.
func (r *reception) takeOver(flying bool) (land func(sent)) {
	t, id := r.target, r.rec.ID
	defer r.leaveEntrance()
	if !r.enter(t) {
		return r.tooMany(flying)
	}
	if flying {
		t.claim(id)
	}
	r.owed.Record, r.owed.Created = id, r.now()
	r.render(r.acknowledgement(r.ack()))(r.rec)
	err := r.store.Settle(id, store.Outcome{Answer: r.rec.Answer, Deliveries: []store.Delivery{r.owed}}).Wait()
	r.endTurn()
	if err != nil {
		r.turnAway(err)
	} else {
		t.keep()
		r.tookOver = true
		r.acknowledge()
	}
	if !flying {
		r.raw.Discard()
		return nil
	}
	end := r.outlast()
	return func(s sent) {
		defer end()
		defer t.land(id)
		if err == nil {
			t.settle(r.owed, s)
			return
		}
		s.abandon()
	}
}

// leaveOff discards the outcome of an attempt. The delivery, if there is one by now, is left to the target's worker.
func (r *reception) leaveOff(s sent) {
	s.abandon()
	r.raw.Discard()
	r.target.land(r.rec.ID)
}

// passOnInterim gives the sender an interim response of the target, as a proxy must (RFC 9110, section 15.2). 100 Continue
// says nothing new: the request is here in whole, and its sender was told to go on where it waited for that.
func (r *reception) passOnInterim(h *wire.ResponseHead) {
	if h.Status == http.StatusContinue {
		return
	}
	head, _ := h.ForSender(r.x.Head.Proto, true)
	r.x.Interim(head)
}

// passOn sends the target's response to the sender unchanged, and records it.
func (r *reception) passOn(s sent) {
	r.telling.begin(r.rec.ID)
	defer r.telling.end(r.rec.ID)
	r.target.reached()
	kept := r.store.Spool()
	defer kept.Discard()
	defer s.abandon()
	head, passing := s.response.Head.ForSender(r.x.Head.Proto, r.x.KeepAlive())
	if passing.Close {
		r.x.CloseAfter()
	}
	answer := &store.Answer{Status: s.attempt.Status, Time: r.now(), Raw: store.InlineRaw([]byte(head)), FromAttempt: store.ThisAttempt}
	outcome := s.outcome()
	outcome.Response, outcome.Answer = kept, answer

	from := &tee{from: s.response, to: kept}
	from.keep([]byte(s.response.Head.Raw))
	var body io.Reader = from
	var told io.Writer = parting{r.x, s.response}
	if passing.Decode {
		body = wire.NewBodyReader(s.response.Head.Framing, from)
		outcome.AnswerRaw = r.store.Spool()
		defer outcome.AnswerRaw.Discard()
		answer.FromAttempt = 0
		told = io.MultiWriter(told, outcome.AnswerRaw)
	}
	readErr, writeErr := stream(told, head, body)
	if writeErr != nil && errors.Is(readErr, os.ErrDeadlineExceeded) {
		readErr = errEndless
	}
	s.end(readErr, from.err, r.now())
	s.response.Close()
	if from.err != nil {
		s.lost, outcome.Response, answer.FromAttempt = true, nil, 0
		s.keep(&outcome, kept)
	}
	if readErr != nil || writeErr != nil {
		r.x.CloseAfter() // the sender must not take half a response for a whole one
	}
	if writeErr != nil {
		answer.Error = writeErr.Error()
	}
	answer.Duration = r.now().Sub(r.rec.Time)
	r.target.judge(&s, kept)
	r.finish(s, outcome)
}

// partingTime is how long to read on when the sender has left in the middle of a response. Most responses are complete by
// then, and the tape shows what the app would have said. A stream of events may never end: its app should learn that
// nobody is listening.
const partingTime = 2 * time.Second

// errEndless is why the rest of a response is missing on the tape.
var errEndless = errors.New("the sender had left, and the response did not end within " + partingTime.String())

// parting writes a response to its sender, and limits how long it may still take once that fails.
type parting struct {
	to       io.Writer
	response *wire.Response
}

func (p parting) Write(b []byte) (int, error) {
	n, err := p.to.Write(b)
	if err != nil {
		p.response.EndBy(time.Now().Add(partingTime))
	}
	return n, err
}

// finish records an answer that came from the target, and tells of it.
func (r *reception) finish(s sent, o store.Outcome) {
	if o.Attempt != nil {
		r.owed.Attempts++
	}
	s.describe(&r.owed)
	switch {
	case took(s.attempt.Status, s.unmet != nil), s.attempt.Status/100 == 3: // a redirect, or 304: no failure of the app
		r.owed.State = store.Delivered
	default: // the sender was told, and owns the retry
		r.owed.State = store.Failed
	}
	o.Deliveries = s.deliveries(r.owed)
	committed := r.store.Settle(r.rec.ID, o)
	if s.promised != nil && committed.Wait() == nil {
		r.target.wakeFollower(&s)
	}
	r.rec.Answer = o.Answer
	r.done(r.rec)
}

// unreached answers 502, 503 or 504 for a target that could not be reached, where hooktape must not take over.
func (r *reception) unreached(s sent) {
	r.telling.begin(r.rec.ID)
	defer r.telling.end(r.rec.ID)
	f := finding{status: http.StatusBadGateway, reason: fmt.Sprintf("no answer from target %q", r.target.key.name)}
	switch {
	case s.full:
		f = crowded(r.target)
	case s.timeout:
		f.status = http.StatusGatewayTimeout
	}
	answer := r.refuseNow(f)
	o := s.outcome()
	defer s.discard()
	o.Answer = answer
	r.finish(s, o)
}

// refuseNow sends a refusal. The caller records it.
func (r *reception) refuseNow(f finding) *store.Answer {
	a := r.fit(refusal(f))
	bytes := wire.AppendResponse(nil, a)
	answer := answered(r.rec, a.Status, bytes, r.now())
	if _, err := r.x.Write(bytes); err != nil {
		answer.Error = err.Error()
	}
	answer.Duration, answer.Early = r.now().Sub(r.rec.Time), false
	return answer
}

// turnBack refuses a request that has no attempt under way. Retrying is up to the sender.
func (r *reception) turnBack(f finding) {
	r.endTurn()
	answer := r.refuseNow(f)
	r.finish(sent{attempt: &store.Attempt{Error: f.reason}}, store.Outcome{Answer: answer})
	r.raw.Discard()
}

// outlast hands the resources of the request to an attempt that goes on without the sender; end releases them.
func (r *reception) outlast() (end func()) {
	rest := &reception{Agent: r.Agent, target: r.target, raw: r.raw, room: r.room, turn: r.turn}
	r.room, r.turn = room{}, nil
	return func() {
		rest.endTurn()
		rest.raw.Discard()
		rest.room.giveBack()
	}
}

// tooMany refuses the request when patience has run out and the target's queue is full (max_pending). Retrying is up to the
// sender; the outcome of an attempt under way is still recorded.
func (r *reception) tooMany(flying bool) (land func(sent)) {
	if !flying {
		r.turnBack(full(r.target))
		return nil
	}
	answer := r.refuseNow(full(r.target))
	end := r.outlast()
	return func(s sent) {
		defer end()
		kept := r.store.Spool()
		defer kept.Discard()
		defer s.abandon()
		if s.response != nil {
			s.copyTo(kept, r.now)
		}
		o := s.outcome()
		o.Response, o.Answer = kept, answer
		r.finish(s, o)
	}
}

// stream writes a head and a body, the head in one write with the start of the body. It reads the body to its end even
// after a write has failed, so that all of it is recorded.
func stream(to io.Writer, head string, body io.Reader) (readErr, writeErr error) {
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	room := buf[:]
	if len(head) < len(buf)/2 {
		room = buf[copy(buf[:], head):]
	} else {
		_, writeErr = io.WriteString(to, head)
	}
	for readErr == nil {
		var n int
		n, readErr = body.Read(room)
		if out := buf[:len(buf)-len(room)+n]; len(out) > 0 && writeErr == nil {
			_, writeErr = to.Write(out)
		}
		room = buf[:]
	}
	if readErr == io.EOF {
		readErr = nil
	}
	return readErr, writeErr
}

// tee records what is read through it. If recording fails, reading continues: the sender still gets the response.
type tee struct {
	from io.Reader
	to   *store.Spool
	err  error // the first of recording
}

func (t *tee) Read(p []byte) (int, error) {
	n, err := t.from.Read(p)
	t.keep(p[:n])
	return n, err
}

func (t *tee) keep(p []byte) {
	if t.err != nil {
		return
	}
	if _, err := t.to.Write(p); err != nil {
		t.err = unrecorded(err)
	}
}
