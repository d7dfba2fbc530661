package relay

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// asksStatus says whether the request asks what became of another one. One that is judged again has no exchange.
func (r *reception) asksStatus() bool {
	return r.src != nil && r.view != nil && r.src.AsksStatus(r.view.Head)
}

// planStatus answers a sender that asks what became of what it sent. Who may ask was checked like every request of the
// source, and is told of records of this source only.
func (r *reception) planStatus() plan {
	answer, err := r.status()
	switch {
	case errors.Is(err, store.ErrNotFound):
		answer = refusal(finding{status: http.StatusNotFound, reason: "there is no such record"})
	case r.held.denied:
		return r.instead(r.noRoom())
	case err != nil:
		r.warn(r.src.Name, "status", err)
		answer = refusal(finding{status: http.StatusInternalServerError, reason: "the status can't be told"})
	}
	return plan{render: r.render(answer)}
}

func (r *reception) status() (wire.Answer, error) {
	about := r.src.Status
	name, err := about.Record.String(r.view)
	if err != nil {
		return wire.Answer{}, err
	}
	id, err := store.ParseID(name)
	if err != nil {
		return wire.Answer{}, store.ErrNotFound // no name of any record, and no ending of one either: these can be guessed
	}
	m, err := r.load(id)
	if err != nil {
		return wire.Answer{}, err
	}
	if m.rec.Source != r.src.Name || m.rec.Verdict.Refused() {
		return wire.Answer{}, store.ErrNotFound
	}
	view, err := r.progress(m, about.Target)
	if err != nil {
		return wire.Answer{}, err
	}
	body, err := about.Body.Bytes(view)
	if err != nil {
		return wire.Answer{}, err
	}
	fields, err := about.Fields(view)
	return wire.Answer{Status: http.StatusOK, Fields: withContentType(fields, body), Body: body}, err
}

// progress is what expressions see of a record that is being delivered: the delivery to the named target ("": the
// source's first), and the last response to it. What the target has promised and is followed takes its place.
func (r *reception) progress(m message, target string) (*expr.View, error) {
	if target == "" && len(r.src.targets) > 0 {
		target = r.src.targets[0].key.name
	}
	view := r.Agent.view(m, &r.held)
	deliveries, err := r.store.Deliveries(m.rec.ID)
	if err != nil {
		return nil, err
	}
	attempts, err := r.store.Attempts(m.rec.ID)
	if err != nil {
		return nil, err
	}
	for i := range deliveries {
		if of := deliveries[i].Target; of == target && view.Delivery == nil || of == target+followSuffix {
			view.Delivery = &expr.Delivery{Delivery: deliveries[i], Updated: deliveries[i].Created}
		}
	}
	for i := range attempts {
		at := &attempts[i]
		if at.Target != target && at.Target != target+followSuffix || at.Replay {
			continue
		}
		if view.Delivery != nil {
			view.Delivery.Updated = at.Time.Add(at.Duration)
		}
		if at.HeadSize > 0 {
			if view.Response, err = r.responseTo(at, &r.held); err != nil {
				return nil, err
			}
		}
	}
	return view, nil
}

// responseTo is what expressions see of the response to an attempt that is on the tape.
func (a *Agent) responseTo(at *store.Attempt, held *holding) (*expr.Response, error) {
	f := a.store.Open(at.Response)
	defer f.Close()
	start := make([]byte, at.HeadSize)
	if _, err := io.ReadFull(f, start); err != nil {
		return nil, err
	}
	method, _, _ := strings.Cut(at.Head, " ")
	head, err := wire.ParseResponseHead(start, method)
	if err != nil {
		return nil, err
	}
	return a.responseView(head, at.Response, held), nil
}
