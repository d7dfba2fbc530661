package relay

import (
	"cmp"
	"fmt"
	"time"

	"github.com/hooktape/hooktape/relay/provider"
	"github.com/hooktape/hooktape/relay/wire"
)

// Sign says what to change of a request so that it is as the sender of a source would send it now: signed with the first
// secret of the source, with the time of now and a fresh id. body is the decoded one.
func (a *Agent) Sign(name string, head *wire.RequestHead, body []byte) (*provider.Signature, error) {
	src := a.routes.Load().named(name)
	if src == nil {
		return nil, fmt.Errorf("no source %q is configured", name)
	}
	return src.Sign(src.settings(), &provider.Request{
		Head: head, Body: body, URL: src.urlOf(head, false), Time: a.now(),
	})
}

// Verified is what came of checking who a request is from.
type Verified struct {
	Provider *provider.Provider
	Failure  *provider.Failure // with all that can be found out about it; nil: the request is right
}

// Verify checks a request as one of a source that came at a time, under the secrets of now; at the zero time its age is
// not looked at. body is the decoded one, sawTLS how its sender came. It takes as long as it takes to find out what is
// wrong. The error says why nothing can be checked.
func (a *Agent) Verify(name string, head *wire.RequestHead, body []byte, at time.Time, sawTLS bool) (Verified, error) {
	src := a.routes.Load().named(name)
	switch {
	case src == nil:
		return Verified{}, fmt.Errorf("no source %q is configured", name)
	case src.Provider == nil:
		return Verified{}, fmt.Errorf("source %q has no provider in the configuration", name)
	case !src.Checks():
		return Verified{}, fmt.Errorf("source %q has no secret in the configuration, so nothing is checked", name)
	}
	q := newInquiry(src, head, cmp.Or(at, a.now()), sawTLS)
	if q.ageless = at.IsZero(); q.ageless {
		q.begin()
	}
	q.body = func() ([]byte, error) { return body, nil }
	if q.streams() {
		q.write(body)
	}
	failure, err := q.conclude()
	if err != nil || failure == nil || failure.Kind != provider.Mismatch {
		return Verified{src.Provider, failure}, err
	}
	others := a.routes.Load().secretsBut(name)
	explained := *failure
	explained.Reason = cmp.Or(provider.Explain(src.Provider, q.whole(body), q.setting, others), failure.Reason)
	return Verified{src.Provider, &explained}, nil
}

// whole is the request with all of its body.
func (q *inquiry) whole(body []byte) *provider.Request {
	request := q.request
	request.Body = body
	return &request
}
