package inspect

import (
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/hooktape/hooktape/store"
)

// DeliveryQuery chooses deliveries.
type DeliveryQuery struct {
	Records []string    `json:"records,omitempty"` // by their ids or endings; none: of all records
	Session string      `json:"session,omitempty"` // of the records of this session
	Source  string      `json:"source,omitempty"`
	Target  string      `json:"target,omitempty"`
	State   store.State `json:"state,omitempty"`
	Limit   int         `json:"limit,omitempty"` // 0: all
	Newest  bool        `json:"newest,omitempty"`
}

func (q DeliveryQuery) values() url.Values {
	v := url.Values{"record": q.Records, "session": {q.Session}, "source": {q.Source}, "target": {q.Target}, "state": {string(q.State)},
		"limit": {strconv.Itoa(q.Limit)}}
	if q.Newest {
		v.Set("order", "newest")
	}
	return v
}

// deliveries sends the chosen deliveries, one a line.
func (s *Server) deliveries(w http.ResponseWriter, r *http.Request) error {
	p := parser{Values: r.URL.Query()}
	q := DeliveryQuery{
		Records: p.Values["record"], Session: p.Get("session"), Source: p.Get("source"), Target: p.Get("target"), State: store.State(p.Get("state")),
		Limit: p.number("limit", 50), Newest: p.Get("order") == "newest",
	}
	if p.err != nil {
		return p.err
	}
	if err := s.upToNow(r.Context()); err != nil {
		return err
	}
	ids, err := s.named(q.Records)
	if err != nil {
		return err
	}
	return sendLines(w, func(line func(any) error) error {
		sent := 0
		return s.eachDelivery(q, ids, func(d store.Delivery) (more bool, err error) {
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

// eachDelivery calls do with the chosen deliveries, until it wants no more. What is damaged is passed over, and named by
// the error in the end.
func (s *Server) eachDelivery(q DeliveryQuery, ids []store.ID, do func(store.Delivery) (more bool, err error)) error {
	var lost damage
	for d, err := range s.chosenDeliveries(q, ids) {
		if err := lost.passOver(err); err != nil {
			return err
		}
		if err != nil {
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

// chosenDeliveries are those of the records that were named, of a session, or of all.
func (s *Server) chosenDeliveries(q DeliveryQuery, ids []store.ID) iter.Seq2[store.Delivery, error] {
	switch {
	case len(q.Records) > 0:
		return s.deliveriesOf(q, withoutErrors(slices.Values(ids)))
	case q.Session != "":
		return s.deliveriesOf(q, s.sessionIDs(q))
	}
	return s.Store.AllDeliveries(store.DeliveryQuery{Source: q.Source, Target: q.Target, State: q.State, Newest: q.Newest})
}

// deliveriesOf are the chosen ones among those of records.
func (s *Server) deliveriesOf(q DeliveryQuery, ids iter.Seq2[store.ID, error]) iter.Seq2[store.Delivery, error] {
	return func(yield func(store.Delivery, error) bool) {
		for id, err := range ids {
			var deliveries []store.Delivery
			if err == nil {
				deliveries, err = s.Store.Deliveries(id)
			}
			for _, d := range deliveries {
				if q.takes(d) && !yield(d, nil) {
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

// sessionIDs are the records of the session that q names, in the order that it asks for.
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

func (q DeliveryQuery) takes(d store.Delivery) bool {
	return (q.Source == "" || d.Source == q.Source) && (q.Target == "" || d.Target == q.Target) && (q.State == "" || d.State == q.State)
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
	ids, err := s.named(q.Records)
	if err != nil {
		return err
	}
	return sendLines(w, func(line func(any) error) error {
		c := changer{server: s, line: line}
		err := s.eachDelivery(q, ids, func(d store.Delivery) (bool, error) {
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
	// A retried delivery is due now. One that was given up begins anew, with
	// the whole time that its target has for retries; what was delivered is
	// not sent again: that is what replay is for.
	"retry": func(d *store.Delivery, s *Server) bool {
		if d.State == store.Delivered {
			return false
		}
		if d.State != store.Pending {
			d.State, d.Created, d.Error, d.Finding, d.Attempts = store.Pending, s.now(), "", "", 0
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

// changer commits changed deliveries and tells of them.
type changer struct {
	server  *Server
	line    func(any) error
	changed []changed
}

type changed struct {
	delivery store.Delivery
	commit   *store.Commit
}

// settle queues the change of a delivery. When an attempt that is under way brings it to another state first, it is left
// alone: what was delivered just now must not be sent again.
func (c *changer) settle(d store.Delivery, from store.State) {
	commit := c.server.Store.Settle(d.Record, store.Outcome{From: from, Deliveries: []store.Delivery{d}})
	c.changed = append(c.changed, changed{d, commit})
}

// commit waits for the changes and tells of each. Their targets are woken whatever comes of the others.
func (c *changer) commit() error {
	waiting := c.changed
	c.changed = nil
	defer c.wake(waiting)
	for _, w := range waiting {
		switch err := w.commit.Wait(); {
		case errors.Is(err, store.ErrNotFound): // deleted in this moment
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
