package relay

import (
	"errors"
	"io"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// Rejudged is what came of judging a refused record again.
type Rejudged struct {
	Record     store.ID
	Was        store.Verdict
	Verdict    store.Verdict // what it is now; Was: it is refused as before
	Reason     string        // of Verdict
	Deliveries int           // that were made
}

// errNotWhole is why a record can't be judged again.
var errNotWhole = errors.New("not all of its bytes were kept")

// Recheck judges a refused record under today's configuration. When it passes it is accepted now, and delivered; its
// sender was refused all the same, and when it comes again that is a duplicate. When the record repeats one that came
// after it and was accepted, it becomes the duplicate of that. A record that does not pass stays as it is. With dry nothing is changed.
//
// The error is for records that can't be judged: those that are not refused, or not whole.
func (a *Agent) Recheck(id store.ID, dry bool) (Rejudged, error) {
	m, err := a.load(id)
	if err != nil {
		return Rejudged{Record: id}, err
	}
	was := m.rec.Verdict
	done := Rejudged{Record: id, Was: was, Verdict: was, Reason: m.rec.Reason}
	switch {
	case !was.Refused():
		return done, errors.New("it was not refused: it is " + string(was))
	case m.rec.Truncated || m.rec.Count > 0 || was == store.Malformed || was == store.Incomplete:
		return done, errNotWhole
	}
	r := a.newRehearing(m)
	defer r.held.giveBack()
	defer r.leaveEntrance()
	if err := r.rehear(m); err != nil {
		return done, err
	}
	if r.found.verdict != store.Accepted {
		done.Reason = r.found.reason
		if r.found.verdict == store.Handshake {
			done.Reason = "it is a handshake, which is for the agent alone"
		}
		return done, nil
	}
	done.Verdict, done.Reason = store.Accepted, r.found.reason
	deliveries, err := r.owing()
	if done.Deliveries = len(deliveries); err != nil || dry {
		return done, err
	}
	return r.overrule(done, deliveries)
}

// newRehearing is the reception of a request that comes from the tape: it has no exchange.
func (a *Agent) newRehearing(m message) *reception {
	rec := *m.rec
	r := &reception{
		Agent: a, src: a.routes.Load().match(m.head.Host(), behind(rec.Base, m.head.Path())), rec: &rec,
		from: sender{remote: rec.Remote, proxy: rec.Proxy, tls: rec.TLS},
	}
	rec.Verdict, rec.Reason, rec.Source = store.Accepted, "", r.sourceName()
	m.rec = &rec
	r.show(m)
	return r
}

// rehear checks the request as when it came. An error means that it can't be told.
func (r *reception) rehear(m message) error {
	r.found = checkHead(r.config(), m.head, r.from.remote, r.hidden())
	if !r.found.refused() {
		r.found = r.src.checkPath(m.head, r.rec.Base)
	}
	if !r.found.refused() && r.rec.BodySize > r.src.MaxBody {
		r.found = tooLarge(r.src.MaxBody)
	}
	if r.found.refused() {
		return nil
	}
	if r.src.Provider != nil {
		r.inquiry = newInquiry(r.src, m.head, r.rec.Time, r.rec.TLS)
	}
	if r.inquiry != nil && r.inquiry.streams() && m.raw.Size > m.bodyAt() {
		if err := r.readBack(m); err != nil {
			return err
		}
	}
	r.judge()
	r.validate()
	r.name()
	if r.held.denied {
		return errNoRoom
	}
	return nil
}

// readBack shows the check of who sent it the body of a recorded request.
func (r *reception) readBack(m message) error {
	raw, err := r.Agent.open(m.raw, m.bodyAt())
	if err != nil {
		return err
	}
	defer raw.Close()
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	_, err = io.CopyBuffer(struct{ io.Writer }{r.inquiry.check}, wire.NewBodyReader(m.head.Framing, raw), buf[:])
	return err
}

// errFull is why a record that would pass is left as it is.
var errFull = errors.New("max_pending deliveries wait for its target: try again later")

// owing are the deliveries that hooktape owes a record for which nobody waits any more.
func (r *reception) owing() ([]store.Delivery, error) {
	if r.asksStatus() || r.src.Respond == config.RespondAck && !r.ack().Deliver {
		return nil, nil
	}
	var deliveries []store.Delivery
	for _, t := range r.src.targets {
		if !r.wants(t) {
			continue
		}
		if !r.enter(t) {
			return nil, errFull
		}
		deliveries = append(deliveries, r.delivery(t))
	}
	return deliveries, nil
}

// overrule writes the judgement down, and tells the targets.
func (r *reception) overrule(done Rejudged, deliveries []store.Delivery) (Rejudged, error) {
	rec := r.rec
	to := store.Judgement{
		Source: rec.Source, Verdict: store.Accepted, Reason: r.found.reason, Verified: rec.Verified, Event: rec.Event, Events: rec.Events,
	}
	var once *store.Once
	if key := r.dedupeKey(); key != "" {
		once = &store.Once{Key: key, Window: r.src.Dedupe.Window}
	}
	c := r.store.Rejudge(rec.ID, done.Was, to, deliveries, once)
	if err := c.Wait(); err != nil {
		return done, err
	}
	if first, ok := c.First(); ok {
		done.Verdict, done.Reason, done.Deliveries = store.Duplicate, store.DuplicateOf(first), 0
		return done, nil
	}
	for _, t := range r.src.targets {
		t.rouse()
	}
	r.log.Info("record accepted after all", "record", rec.ID, "source", rec.Source, "was", done.Was, "deliveries", done.Deliveries)
	return done, nil
}
