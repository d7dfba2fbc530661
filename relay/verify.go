package relay

import (
	"context"
	"errors"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/provider"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

const (
	// explainMax is the largest body, in bytes, for which the reason of a wrong signature is looked for at once: that
	// goes over it many times. hooktape verify does it for larger ones.
	explainMax = 64 << 10
	// explainRate and explainBurst are how many reasons are looked for in a second, and at once: enough for anybody who
	// reads them, too few for a flood of wrong signatures to take our time.
	explainRate, explainBurst = 2, 20
)

// inquiry is the check of one request under its source's provider.
type inquiry struct {
	src     *source
	setting *provider.Setting
	request provider.Request
	check   provider.Verifier // nil: nothing can be checked
	body    func() ([]byte, error)
	ageless bool // the age of the request is not looked at
}

// newInquiry begins the check of a request that has arrived at a time; sawTLS is how its sender came.
func newInquiry(src *source, head *wire.RequestHead, at time.Time, sawTLS bool) *inquiry {
	q := &inquiry{src: src, request: provider.Request{Head: head, URL: src.urlOf(head, sawTLS), Time: at}}
	q.begin()
	return q
}

// begin makes the verifier, where there is something to check with: with the secrets of now.
func (q *inquiry) begin() {
	q.setting = q.src.settings()
	if q.ageless {
		setting := *q.setting
		setting.Tolerance = math.MaxInt64
		q.setting = &setting
	}
	if q.src.Checks() && !q.keyMissing() {
		q.check = q.src.Provider.Scheme.Verifier(&q.request, q.setting)
	}
}

// keyMissing says whether the secret was not handed out yet, so that nobody can be told from anybody.
func (q *inquiry) keyMissing() bool { return q.src.key != nil && len(q.setting.Secrets) == 0 }

// streams says whether the check wants to see the body while it comes.
func (q *inquiry) streams() bool { return q.check != nil && !q.check.Whole() }

func (q *inquiry) write(p []byte) { _, _ = q.check.Write(p) } // it never fails

// conclude is what came of the check. An error means that the body could not be had, and nothing is known.
func (q *inquiry) conclude() (*provider.Failure, error) {
	failure, err := q.verify()
	if err != nil || !q.keyMissing() && (q.src.key == nil || failure == nil || failure.Kind != provider.Mismatch) {
		return failure, err
	}
	return q.again(failure)
}

// again checks once more, with the secret that the provider hands out now; failure is what came of the check under the
// one from before. When it can't be had, that check says nothing.
func (q *inquiry) again(failure *provider.Failure) (*provider.Failure, error) {
	used := "" // one that came since was not
	if len(q.setting.Secrets) > 0 {
		used = q.setting.Secrets[0]
	}
	secret, err := q.src.key.renew(context.Background(), used)
	switch {
	case err != nil:
		return &provider.Failure{Kind: provider.Unavailable, Reason: "the key can't be had: " + err.Error()}, nil
	case secret == used:
		return failure, nil
	}
	q.begin()
	if err := q.readBody(); err != nil {
		return nil, err
	}
	if q.streams() {
		q.write(q.request.Body)
	}
	return q.verify()
}

func (q *inquiry) verify() (*provider.Failure, error) {
	if q.check == nil {
		return nil, nil
	}
	if q.check.Whole() {
		if err := q.readBody(); err != nil {
			return nil, err
		}
	}
	return q.check.Verify(), nil
}

func (q *inquiry) readBody() (err error) {
	if q.request.Body == nil {
		q.request.Body, err = q.body()
	}
	return err
}

// handshake is the answer to a provider that asks who is there; nil for any other request.
func (q *inquiry) handshake(bodySize int64) *provider.Reply {
	p := q.src.Provider
	if p == nil || p.Handshake == nil || bodySize > provider.MaxHandshake {
		return nil
	}
	if bodySize > 0 && q.readBody() != nil {
		return nil
	}
	return p.Handshake(&q.request, q.setting)
}

// inquire begins the check of the request, as far as its head has not decided yet.
func (r *reception) inquire() {
	if r.src == nil || r.src.Provider == nil {
		return
	}
	switch r.found.verdict {
	case store.MethodNotAllowed: // hands may be shaken with another method
		q := newInquiry(r.src, r.x.Head, r.x.Time, r.from.tls)
		if r.x.Head.Framing == (wire.Framing{}) {
			r.shake(q.handshake(0), true)
		}
	case store.Accepted:
		r.inquiry = newInquiry(r.src, r.x.Head, r.x.Time, r.from.tls)
		if r.inquiry.streams() {
			r.x.SetDecoded(r.inquiry.write)
		}
	}
}

// shake takes the request for a handshake when there is a reply to it, and nobody has to have signed it.
func (r *reception) shake(reply *provider.Reply, unsigned bool) bool {
	if reply == nil || unsigned && !reply.Open {
		return false
	}
	r.found = r.shaken(reply)
	r.found.proven = !unsigned
	return true
}

// shaken is the finding about a provider that asks who is there. What it is told is no page for a browser.
func (r *reception) shaken(reply *provider.Reply) finding {
	found := finding{verdict: store.Handshake, status: reply.Status, reason: reply.Reason, fields: reply.Fields, body: reply.Body}
	if reply.Fetch == "" || r.x == nil {
		return found
	}
	if _, err := r.keys.ask(r.ctx, reply.Fetch, nil, false); err != nil {
		found.status, found.fields, found.body = http.StatusBadGateway, nil, nil
		found.reason = "the provider asks to visit a URL, and that failed: " + err.Error()
	}
	return found
}

// judge finds out whether the request is what it should be, now that all of it is here.
func (r *reception) judge() {
	q := r.inquiry
	if q == nil || r.found.verdict != store.Accepted {
		return
	}
	q.body = r.coded
	reply := q.handshake(r.rec.BodySize)
	if r.shake(reply, true) {
		return
	}
	failure, err := q.conclude()
	switch {
	case errors.Is(err, errNoRoom):
		r.found = r.noRoom()
	case err != nil:
		r.found = unwritten()
	case failure != nil:
		r.found = r.failing(failure)
	default:
		r.rec.Verified = q.check != nil
		if r.rec.Verified {
			r.shake(reply, false)
		}
	}
}

// failing is the finding about a request that has failed its check.
func (r *reception) failing(f *provider.Failure) finding {
	reason := f.Reason
	if f.Kind == provider.Mismatch {
		reason = r.explain(reason)
	}
	if r.src.OnInvalid == config.RecordInvalid && f.Kind != provider.Unavailable {
		return finding{verdict: store.Accepted, reason: "not verified: " + reason}
	}
	return denied(r.src.Provider, f, reason)
}

// explain looks for what makes a signature wrong. When there is too much to look at, it is what the check says.
func (r *reception) explain(reason string) string {
	if r.rec.BodySize > explainMax || !r.explaining.Allow() || r.inquiry.readBody() != nil {
		return reason
	}
	others := r.routes.Load().secretsBut(r.src.Name)
	if found := provider.Explain(r.src.Provider, &r.inquiry.request, r.inquiry.setting, others); found != "" {
		return found
	}
	return reason
}

// denied is the finding about a request that is not taken for the provider's. The sender learns no reason: it may be
// somebody who tries.
func denied(p *provider.Provider, f *provider.Failure, reason string) finding {
	found := finding{verdict: store.InvalidSignature, reason: reason, status: p.Denied, told: "the signature is not right"}
	switch {
	case f.Kind == provider.Unavailable:
		return finding{
			verdict: store.Unverified, reason: reason, told: "the request can't be checked just now",
			status: http.StatusServiceUnavailable, fields: wire.Fields{{Name: "Retry-After", Value: "30"}},
		}
	case f.Token:
		found.verdict, found.told = store.Unauthorized, "the token is missing or wrong"
	}
	if found.status == 0 {
		found.status = http.StatusUnauthorized
	}
	return found
}

// name finds out what events the request has.
func (r *reception) name() {
	if r.src.Event == nil || r.asksStatus() || r.found.verdict == store.Handshake {
		return
	}
	names, err := r.src.Event.Texts(r.view)
	r.failed(r.src.Event, err)
	r.rec.Event, r.rec.Events = eventsOf(names)
}

const (
	eventMax  = 200 // bytes of an event's name: it is a word, not a message
	eventsMax = 100 // of one record
)

// eventsOf is the first of some names, and if there are several different ones, all of them.
func eventsOf(names []string) (first string, all []string) {
	for _, name := range names {
		name = name[:min(len(name), eventMax)]
		if name != "" && !slices.Contains(all, name) && len(all) < eventsMax {
			all = append(all, name)
		}
	}
	switch len(all) {
	case 0:
		return "", nil
	case 1:
		return all[0], nil
	}
	return all[0], all
}
