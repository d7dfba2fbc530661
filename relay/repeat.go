package relay

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// repeatWait is how long a request waits while an equal one is under way. Senders give up at about that time.
const repeatWait = 30 * time.Second

// dedupeKey is what makes the request equal to others; "" if it is never a duplicate. A request that was not verified where
// the source checks never counts: what anybody can send must not shut out what the provider sends.
func (r *reception) dedupeKey() string {
	if r.src == nil || r.src.Dedupe == nil || r.asksStatus() || r.found.verdict != store.Accepted || r.src.Checks() && !r.rec.Verified {
		return ""
	}
	key, err := r.src.Dedupe.Key.String(r.view)
	r.failed(r.src.Dedupe.Key, err)
	return key
}

// edgeWindow is how long a request that came through a tunnel is remembered: it comes again if its answer was lost on the
// way back. That is longer than deliveries wait for a laptop by default.
const edgeWindow = 8 * 24 * time.Hour

// onceKeys are the keys by which the request may be a duplicate: its edge's id for it, and its own key.
func (r *reception) onceKeys() (keys []store.Once) {
	if p := r.from.through; p != nil && p.Record != "" && r.found.verdict == store.Accepted {
		once := store.Once{Key: "edge\x00" + p.Target + "\x00" + p.Record, Window: edgeWindow}
		if id, err := store.ParseID(p.Record); err == nil {
			once.Time = time.UnixMilli(int64(id.Time()))
		}
		keys = append(keys, once)
	}
	if key := r.dedupeKey(); key != "" {
		keys = append(keys, store.Once{Key: key, Window: r.src.Dedupe.Window})
	}
	return keys
}

// append queues the record. Whether it is a duplicate is decided in the transaction that writes it.
func (r *reception) append(p plan) *store.Commit {
	keys := r.onceKeys()
	if r.held.denied {
		return r.store.Append(r.rec, r.raw, nil, r.instead(r.noRoom()).render)
	}
	if r.target != nil && !r.standInLine(keys) {
		return r.store.Append(r.rec, r.raw, nil, r.instead(underWay()).render)
	}
	r.enterTurns()
	defer r.takeTurn()
	return r.store.AppendOnce(r.rec, r.raw, p.deliveries, p.render, keys...)
}

// standInLine waits while an equal request is under way, and reports whether the request's turn came in time. All take their
// keys in the same order, so that no two wait for each other.
func (r *reception) standInLine(keys []store.Once) bool {
	if len(keys) == 0 {
		return true
	}
	var spots []*spot
	r.leave = func() {
		for _, s := range spots {
			s.leave()
		}
	}
	timer := time.NewTimer(repeatWait)
	defer timer.Stop()
	for _, key := range keys {
		s := r.line.stand(r.src.Name + "\x00" + key.Key)
		spots = append(spots, s)
		if !s.await(timer.C, r.stopping) {
			r.letOn()
			r.leave = nil
			return false
		}
	}
	return true
}

// underWay is the finding about a request that has waited too long for an equal one.
func underWay() finding {
	return unavailable(30, "the same request is under way and has no answer yet")
}

// repeat answers a duplicate like the first request, or as that would have been answered, and records the answer.
func (r *reception) repeat() {
	r.telling.begin(r.rec.ID)
	defer r.telling.end(r.rec.ID)
	head, body, err := r.firstAnswer()
	if err != nil { // it has just been deleted
		r.log.Warn("answer of the first can't be read, the duplicate gets 200", "record", r.rec.ID, "first", r.first, "error", err)
		bytes := wire.AppendResponse(nil, r.fit(wire.Answer{Status: http.StatusOK}))
		head, body = string(bytes), io.NopCloser(http.NoBody)
	}
	defer body.Close()
	kept := r.store.Spool()
	defer kept.Discard()
	answer := &store.Answer{Status: http.StatusOK, Time: r.now()}
	if h, err := wire.ParseResponseHead([]byte(head), r.x.Head.Method); err == nil {
		answer.Status = h.Status
	}
	from := &tee{from: body, to: kept}
	from.keep([]byte(head))
	readErr, writeErr := stream(r.x, head, from)
	if readErr != nil || writeErr != nil {
		r.x.CloseAfter()
	}
	if writeErr != nil {
		answer.Error = writeErr.Error()
	}
	answer.Duration = r.now().Sub(r.rec.Time)
	r.store.Settle(r.rec.ID, store.Outcome{Answer: answer, AnswerRaw: kept})
	r.rec.Answer = answer
	r.done(r.rec)
}

// firstAnswer is the answer that the first request got, its head adapted to this connection, or the ack if that answer can't
// be used.
func (r *reception) firstAnswer() (head string, body io.ReadCloser, err error) {
	rec, err := r.store.Get(r.first)
	switch {
	case err != nil:
		return "", nil, err
	case rec.Answer == nil:
		return "", nil, fmt.Errorf("record %s has no answer", r.first)
	case rec.Answer.Status/100 != 2, // it was refused at first, and judged again
		(rec.Method == http.MethodHead) != (r.x.Head.Method == http.MethodHead): // only one of them has a body behind its head
		ack := wire.AppendResponse(nil, r.fit(r.acknowledgement(r.ack())))
		return string(ack), io.NopCloser(http.NoBody), nil
	}
	h, err := r.answerHead(rec.Answer)
	if err != nil {
		return "", nil, err
	}
	raw, behind := rec.Answer.Raw, int64(len(h.Raw))
	if n := rec.Answer.FromAttempt; n > 0 {
		if raw, behind, err = r.attemptBody(n); err != nil {
			return "", nil, err
		}
	}
	f, err := r.Agent.open(raw, behind)
	if err != nil {
		return "", nil, err
	}
	head, passing := h.ForSender(r.x.Head.Proto, r.x.KeepAlive())
	if passing.Close {
		r.x.CloseAfter()
	}
	if passing.Decode {
		return head, struct {
			io.Reader
			io.Closer
		}{wire.NewBodyReader(h.Framing, f), f}, nil
	}
	return head, &keptBody{f, wire.NewFramer(h.Framing)}, nil
}

// keptBody reads the body of an answer as it was sent. If it broke off, the error is io.ErrUnexpectedEOF; if its framing was
// wrong, a *wire.SyntaxError. The connection must end then: the second sender would wait for the rest.
type keptBody struct {
	io.ReadCloser
	framer *wire.Framer
}

func (b *keptBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if _, wrong := b.framer.Scan(p[:n]); wrong != nil {
		return n, wrong
	}
	if err == io.EOF {
		err = cmp.Or(b.framer.EOF(), err)
	}
	return n, err
}

// answerHeadMax limits the head of an answer, which is that of a response without some fields: the client's own limit.
const answerHeadMax = 256 << 10

// answerHead is the head of an answer that is on the tape.
func (r *reception) answerHead(a *store.Answer) (*wire.ResponseHead, error) {
	f := r.store.Open(a.Raw)
	defer f.Close()
	start := make([]byte, min(a.Raw.Size, answerHeadMax))
	if _, err := io.ReadFull(f, start); err != nil {
		return nil, err
	}
	return wire.ParseResponseHead(start, r.x.Head.Method)
}

// attemptBody is the response to an attempt of the first request, and the offset of its body.
func (r *reception) attemptBody(number int) (response store.Raw, body int64, err error) {
	attempts, err := r.store.Attempts(r.first)
	for _, a := range attempts {
		if a.Number == number {
			return a.Response, int64(a.HeadSize), nil
		}
	}
	if err == nil {
		err = fmt.Errorf("record %s has no attempt %d", r.first, number)
	}
	return store.Raw{}, 0, err
}
