package inspect

import (
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/hooktape/hooktape/store"
)

// DeliveryQuery chooses deliveries. Its zero value chooses all.
type DeliveryQuery struct {
	Records []string    `json:"records,omitempty"` // by their ids or endings; none: of all records
	Session string      `json:"session,omitempty"` // of the records of this session
	Where   string      `json:"where,omitempty"`   // of the records for which this expression holds
	Since   time.Time   `json:"since,omitzero"`    // of the records from that time on
	Until   time.Time   `json:"until,omitzero"`    // of the records before that time
	Source  string      `json:"source,omitempty"`
	Target  string      `json:"target,omitempty"`
	State   store.State `json:"state,omitempty"` // or Unexpected
	Limit   int         `json:"limit,omitempty"` // 0: all
	Newest  bool        `json:"newest,omitempty"`
}

// Unexpected can be asked for as a state: that of deliveries which were made although the response was not as expected.
// On the tape they are delivered.
const Unexpected store.State = "unexpected"

// of is the Filter for the records.
func (q DeliveryQuery) of() Filter {
	return Filter{Where: q.Where, Session: q.Session, Since: q.Since, Until: q.Until}
}

func (q DeliveryQuery) values() url.Values {
	v := q.of().values()
	v["record"] = q.Records
	v.Set("source", q.Source)
	v.Set("target", q.Target)
	v.Set("state", string(q.State))
	v.Set("limit", strconv.Itoa(q.Limit))
	if q.Newest {
		v.Set("order", "newest")
	}
	return v
}

func (p *parser) deliveryQuery() DeliveryQuery {
	f := p.filter()
	return DeliveryQuery{
		Records: p.Values["record"], Session: f.Session, Where: f.Where, Since: f.Since, Until: f.Until,
		Source: f.Source, Target: p.Get("target"), State: store.State(p.Get("state")),
		Limit: p.number("limit", 50), Newest: p.Get("order") == "newest",
	}
}

// deliveries sends the chosen deliveries, one a line.
func (s *Server) deliveries(w http.ResponseWriter, r *http.Request) error {
	p := parser{Values: r.URL.Query()}
	q := p.deliveryQuery()
	if p.err != nil {
		return p.err
	}
	if err := s.upToNow(r.Context()); err != nil {
		return err
	}
	chosen, err := s.chooseDeliveries(q)
	if err != nil {
		return err
	}
	return sendLines(w, func(line func(any) error) error {
		sent := 0
		return chosen.each(func(d store.Delivery) (more bool, err error) {
			sent++
			return sent != q.Limit && r.Context().Err() == nil, line(s.listDelivery(d))
		})
	})
}

func (s *Server) listDelivery(d store.Delivery) RecordDelivery {
	return RecordDelivery{Record: d.Record, Source: d.Source, Delivery: s.showDelivery(d), Key: d.Key, Created: Time{d.Created}}
}

// named finds the records that were named.
func (s *Server) named(names []string) ([]store.ID, error) {
	var ids []store.ID
	for _, name := range names {
		id, err := s.Store.Find(name)
		if err != nil {
			return nil, notFound(name, err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// deliveryChoice is a DeliveryQuery, prepared.
type deliveryChoice struct {
	DeliveryQuery
	server *Server
	ids    []store.ID // of the records that were named
	of     *choice
}

func (s *Server) chooseDeliveries(q DeliveryQuery) (*deliveryChoice, error) {
	ids, err := s.named(q.Records)
	if err != nil {
		return nil, err
	}
	of, err := s.choose(q.of())
	return &deliveryChoice{q, s, ids, of}, err
}

// each calls do with the chosen deliveries, until it wants no more. What is damaged is skipped, and named by the error in
// the end.
func (c *deliveryChoice) each(do func(store.Delivery) (more bool, err error)) error {
	var lost damage
	for d, err := range c.candidates() {
		takes := false
		if err == nil {
			takes, err = c.takes(d)
		}
		if err := lost.passOver(err); err != nil {
			return err
		}
		if !takes {
			continue
		}
		more, err := do(d)
		if err != nil {
			return err
		}
		if !more {
			break
		}
	}
	return lost.err()
}

// candidates are the deliveries of the records that were named, of a session, or of all.
func (c *deliveryChoice) candidates() iter.Seq2[store.Delivery, error] {
	switch {
	case len(c.Records) > 0:
		return c.server.deliveriesOf(withoutErrors(slices.Values(c.ids)))
	case c.Session != "":
		return c.server.deliveriesOf(c.server.sessionIDs(c.DeliveryQuery))
	}
	return c.server.Store.AllDeliveries(store.DeliveryQuery{Source: c.Source, Target: c.Target, State: c.recorded(), Newest: c.Newest})
}

// recorded is the state that the chosen deliveries have on the tape.
func (c *deliveryChoice) recorded() store.State {
	if c.State == Unexpected {
		return store.Delivered
	}
	return c.State
}

func (c *deliveryChoice) takes(d store.Delivery) (bool, error) {
	switch {
	case c.Source != "" && d.Source != c.Source, c.Target != "" && d.Target != c.Target,
		c.State != "" && d.State != c.recorded(), c.State == Unexpected && d.Finding == "":
		return false, nil
	case c.Where == "" && c.Since.IsZero() && c.Until.IsZero():
		return true, nil
	}
	rec, err := c.server.Store.Get(d.Record)
	if errors.Is(err, store.ErrNotFound) { // deleted just now
		return false, nil
	}
	return err == nil && c.of.takes(rec), err
}

// deliveriesOf are the deliveries of records.
func (s *Server) deliveriesOf(ids iter.Seq2[store.ID, error]) iter.Seq2[store.Delivery, error] {
	return func(yield func(store.Delivery, error) bool) {
		for id, err := range ids {
			var deliveries []store.Delivery
			if err == nil {
				deliveries, err = s.Store.Deliveries(id)
			}
			for _, d := range deliveries {
				if !yield(d, nil) {
					return
				}
			}
			if err != nil && !yield(store.Delivery{}, err) {
				return
			}
		}
	}
}

func withoutErrors[T any](seq iter.Seq[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for v := range seq {
			if !yield(v, nil) {
				return
			}
		}
	}
}

// sessionIDs are the records of the session that q names, in the order that q asks for.
func (s *Server) sessionIDs(q DeliveryQuery) iter.Seq2[store.ID, error] {
	return func(yield func(store.ID, error) bool) {
		for rec, err := range s.Store.Records(store.Query{Session: q.Session, Source: q.Source, Newest: q.Newest, NoRaw: true}) {
			var id store.ID
			if err == nil {
				id = rec.ID
			}
			if errors.Is(err, store.ErrNotFound) {
				err = sessionProblem(q.Session, err)
			}
			if !yield(id, err) {
				return
			}
		}
	}
}

// changeBatch is how many changes of deliveries wait for their commits together.
const changeBatch = 256

// changeDeliveries retries or drops the chosen deliveries and sends those that
// were changed, one a line, once the change is on disk. The question is a
// DeliveryQuery as JSON.
func (s *Server) changeDeliveries(w http.ResponseWriter, r *http.Request) error {
	change, ok := changes[r.PathValue("verb")]
	if !ok {
		return refuse(Unknown, "deliveries can be retried and dropped, not %q", r.PathValue("verb"))
	}
	var q DeliveryQuery
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		return refuse(Misused, "read the question: %s", err)
	}
	if err := s.upToNow(r.Context()); err != nil {
		return err
	}
	chosen, err := s.chooseDeliveries(q)
	if err != nil {
		return err
	}
	return sendLines(w, func(line func(any) error) error {
		c := changer{server: s, line: line}
		err := chosen.each(func(d store.Delivery) (bool, error) {
			from := d.State
			if !change(&d, s) {
				return true, nil
			}
			c.settle(d, from)
			if len(c.changed) == q.Limit || len(c.changed) == changeBatch {
				return len(c.changed) != q.Limit, c.commit()
			}
			return true, nil
		})
		return errors.Join(err, c.commit())
	})
}

// changes are what can be done to a delivery; each says whether it did.
var changes = map[string]func(*store.Delivery, *Server) bool{
	// A retried delivery is due now. One that was given up begins anew, with all
	// the time that its target has for retries. What was delivered is not sent
	// again: replay does that.
	"retry": func(d *store.Delivery, s *Server) bool {
		if d.State == store.Delivered {
			return false
		}
		if d.State != store.Pending {
			d.State, d.Created, d.Error, d.Finding, d.Attempts, d.Awaited = store.Pending, s.now(), "", "", 0, 0
		}
		d.Due = s.now()
		return true
	},
	"drop": func(d *store.Delivery, _ *Server) bool {
		if d.State == store.Delivered || d.State == store.Dropped {
			return false
		}
		d.State = store.Dropped
		return true
	},
}

// changer commits changed deliveries and reports them.
type changer struct {
	server  *Server
	line    func(any) error
	changed []changed
}

type changed struct {
	delivery store.Delivery
	commit   *store.Commit
}

// settle queues the change of a delivery. If an attempt under way brings the delivery to another state first, it is left
// alone: what was delivered just now must not be sent again.
func (c *changer) settle(d store.Delivery, from store.State) {
	commit := c.server.Store.Settle(d.Record, store.Outcome{From: from, Deliveries: []store.Delivery{d}})
	c.changed = append(c.changed, changed{d, commit})
}

// commit waits for the changes and reports each. Even if some fail, the targets of the others are woken.
func (c *changer) commit() error {
	waiting := c.changed
	c.changed = nil
	defer c.wake(waiting)
	for _, w := range waiting {
		switch err := w.commit.Wait(); {
		case errors.Is(err, store.ErrNotFound): // deleted just now
			continue
		case err != nil:
			return err
		case w.commit.Stale():
			continue
		}
		if err := c.line(c.server.listDelivery(w.delivery)); err != nil {
			return err
		}
	}
	return nil
}

func (c *changer) wake(waiting []changed) {
	if c.server.Agent == nil {
		return
	}
	type target struct{ source, name string }
	woken := map[target]bool{}
	for _, w := range waiting {
		t := target{w.delivery.Source, w.delivery.Target}
		if !woken[t] {
			woken[t] = true
			c.server.Agent.Wake(t.source, t.name)
		}
	}
}
