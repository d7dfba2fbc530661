package relay

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// When a target only promises an outcome (202), a target of its own, the follower, asks for it: each of its deliveries is an
// awaited outcome, and each attempt asks once. So questions survive a restart, and are listed, retried and dropped like
// other deliveries.

// followSuffix makes the name of a follower out of the name of its target. No configured name has a slash.
const followSuffix = "/follow"

var (
	errNotYet     = errors.New("the outcome has not come yet")
	errNoLocation = errors.New("follow: the response does not say where to ask")
)

// newFollower is the aim of what follows a target.
func newFollower(s config.Source, t config.Target) *aim {
	follow := t.Follow
	t.Name += followSuffix
	t.Rewrite, t.Expect, t.OrderBy, t.Primary = nil, nil, nil, false
	t.Retry = config.Retry{For: follow.For, Min: follow.Every, Max: follow.Every}
	t.Hold, t.MaxPending = follow.For, 0
	return newAim(s, t)
}

// follows reports whether the target is a follower, which asks for what another target has promised.
func (t *target) follows() bool { return strings.HasSuffix(t.key.name, followSuffix) }

// promise is the follower's delivery for what a response promises; nil: it promises nothing.
func (t *target) promise(s *sent, view *expr.View) *store.Delivery {
	a, follow := t.agent, t.config().Follow
	promised, err := s.attempt.Status == 202, error(nil)
	if follow.When != nil {
		promised, err = follow.When.Bool(view)
	}
	key := ""
	if err == nil && promised && follow.Key != nil {
		key, err = follow.Key.String(view)
	}
	if err != nil {
		a.warn(t.key.source, "follow", err)
	}
	if !promised {
		return nil
	}
	return &store.Delivery{
		Source: t.key.source, Target: t.key.name + followSuffix, State: store.Pending, Key: key,
		Created: a.now(), Due: a.now().Add(follow.Every),
	}
}

// question is the request that asks for the outcome of a message: a GET to the target's host, whatever host the response names.
func (a *Agent) question(to *aim, m message, s *sent) (*wire.Outgoing, error) {
	var held holding
	defer held.giveBack()
	view, err := a.called(to, m, &held)
	if err != nil {
		return nil, err
	}
	target, err := whereToAsk(to.Follow, view)
	if err != nil {
		s.hopeless = true
		return nil, err
	}
	fields, err := to.Follow.Fields(view)
	if err != nil {
		s.hopeless = true
		return nil, fmt.Errorf("follow: %w", err)
	}
	head := "GET " + target + " HTTP/1.1\r\nHost: " + to.URL.Host + "\r\n\r\n"
	if authorization, ok := m.head.Fields.Get("Authorization"); ok {
		fields = append(wire.Fields{{Name: "Authorization", Value: authorization}}, fields...)
	}
	if head, err = (wire.Edit{Set: fields}).Head(head); err != nil {
		s.hopeless = true
		return nil, fmt.Errorf("follow: %w", err)
	}
	s.attempt.Edited, s.attempt.URL = true, to.URL.Scheme+"://"+to.URL.Host+target
	s.body = a.store.Spool() // empty: the call's body is not sent
	return &wire.Outgoing{URL: to.URL, Head: head, Method: "GET", Timeouts: to.timeouts}, nil
}

// called is the view, for expressions, of a message and of its target's last response to it.
func (a *Agent) called(to *aim, m message, held *holding) (*expr.View, error) {
	attempts, err := a.store.Attempts(m.rec.ID)
	if err != nil {
		return nil, err
	}
	view := a.view(m, held)
	for i := range attempts {
		if at := &attempts[i]; at.Target == strings.TrimSuffix(to.Name, followSuffix) && !at.Replay && at.HeadSize > 0 {
			if view.Response, err = a.responseTo(at, held); err != nil {
				return nil, err
			}
		}
	}
	return view, nil
}

// whereToAsk is the path and query of a question.
func whereToAsk(follow *config.Follow, view *expr.View) (string, error) {
	text := ""
	switch {
	case follow.URL != nil:
		var err error
		if text, err = follow.URL.String(view); err != nil {
			return "", fmt.Errorf("follow url: %w", err)
		}
	case view.Response != nil:
		text, _ = view.Response.Head.Fields.Get("Location")
	}
	u, err := url.Parse(text)
	if err != nil || text == "" || !strings.HasPrefix(u.RequestURI(), "/") {
		return "", errNoLocation
	}
	return u.RequestURI(), nil
}

// hear finds out whether a follower's response tells the outcome.
func (t *target) hear(s *sent, kept *store.Spool) {
	if s.lost || s.attempt.Error != "" {
		return
	}
	var held holding
	defer held.giveBack()
	view, err := t.exchange(s, kept, &held)
	come := false
	if err == nil {
		come, err = t.config().Follow.Until.Bool(view)
	}
	if err != nil && !held.denied {
		t.agent.warn(t.key.source, t.config().Follow.Until.Source(), err)
	}
	if !come {
		s.unmet = errNotYet
	}
}

// awaited is the record whose promised outcome this request tells, and its follower; nil: there is none.
func (r *reception) awaited() (id store.ID, of *target) {
	for _, t := range r.routes.Load().followed[r.src.Name] {
		by := endedBy(t)
		if by == nil { // the configuration has just changed
			continue
		}
		key, err := by.Key.String(r.view)
		r.failed(by.Key, err)
		if key == "" {
			continue
		}
		id, err := r.store.PendingOf(t.key.source, t.key.name+followSuffix, key)
		if err == nil && id != (store.ID{}) {
			return id, t.aim.Load().follower
		}
	}
	return store.ID{}, nil
}

func endedBy(t *target) *config.EndedBy {
	if follow := t.config().Follow; follow != nil {
		return follow.EndedBy
	}
	return nil
}

// endFollow ends the follower's delivery whose outcome this request tells, once the request is on the tape.
func (r *reception) endFollow() {
	if r.ended == nil {
		return
	}
	deliveries, err := r.store.Deliveries(r.rec.Cause)
	for _, d := range deliveries {
		if d.Target == r.ended.key.name {
			d.State, d.Error = store.Delivered, ""
			err = r.store.Settle(r.rec.Cause, store.Outcome{From: store.Pending, Deliveries: []store.Delivery{d}}).Wait()
		}
	}
	if err != nil {
		r.complain("can't record that an outcome has arrived, the status will be polled", r.ended.key, err, "record", r.rec.Cause)
	}
}
