package relay

import (
	"fmt"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// judge holds a 2xx response against the target's expect block, once all of it is in kept. A response that is not as
// expected is a finding of the attempt, and has failed it where the block says so. One that could not be kept, or for
// which there is no memory, is taken as it is: nothing is known of it.
func (t *target) judge(s *sent, kept *store.Spool) {
	if t.follows() {
		t.hear(s, kept)
		return
	}
	expect, follow := t.config().Expect, t.config().Follow
	if expect == nil && follow == nil || s.lost || s.attempt.Error != "" || s.attempt.Status/100 != 2 {
		return
	}
	var held holding
	defer held.giveBack()
	view, err := t.exchange(s, kept, &held)
	if err == nil && follow != nil {
		s.promised = t.promise(s, view)
	}
	if expect == nil {
		return
	}
	holds := false
	if err == nil {
		holds, err = expect.When.Bool(view)
	}
	a := t.agent
	switch {
	case held.denied:
		a.complain("response can't be checked against expect", t.key, errNoRoom)
		return
	case err != nil:
		a.warn(t.key.source, expect.When.Source(), err)
	}
	if holds {
		return
	}
	s.attempt.Finding = expect.When.Shown()
	if expect.OnFail == config.RetryUnexpected {
		s.unmet, s.promised = errUnexpected(s.attempt.Finding), nil
	}
	a.metrics.unexpected(t.key)
	a.complain("response is not as expected", t.key, fmt.Errorf("not %s", s.attempt.Finding), "record", s.attempt.Record)
}

// exchange is what expressions see of an attempt: the request and its response.
func (t *target) exchange(s *sent, kept *store.Spool, held *holding) (*expr.View, error) {
	raw, err := kept.Raw()
	if err != nil {
		return nil, err
	}
	view := t.agent.view(s.message, held)
	view.Response = t.agent.responseView(s.response.Head, raw, held)
	return view, nil
}

// responseMost is how large a response may be without its content coding, in bytes, for expressions to look into it.
const responseMost = decodedFactor * (32 << 20)

// responseView is what expressions see of a response whose bytes are raw. Clients that ask for gzip get it from most
// servers: it is decoded.
func (a *Agent) responseView(head *wire.ResponseHead, raw store.Raw, held *holding) *expr.Response {
	size := int64(len(head.Raw))
	body := func() ([]byte, error) { return a.wholeBody(head.Framing, raw, size, raw.Size-size, held) }
	view := &expr.Response{Head: head, Body: body}
	if wire.IsCoded(head.Fields) {
		view.Body = func() ([]byte, error) { return a.decoded(head.Fields, body, responseMost, held) }
	}
	return view
}

// errUnexpected is a condition that does not hold for a response.
type errUnexpected string

func (e errUnexpected) Error() string { return "the response is not as expected: " + string(e) }
