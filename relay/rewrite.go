package relay

import (
	"fmt"

	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// rewrite makes of a message what the target's rewrite block says: out is changed, and the new body kept in s, so that
// it is on the tape with its attempt. What can't be computed from this record can't be sent: that is hopeless, while
// memory or the disk may have room again later.
func (a *Agent) rewrite(to *aim, m message, out *wire.Outgoing, s *sent) error {
	var held holding
	defer held.giveBack()
	view := a.view(m, &held)
	unread := false
	read := view.Body
	view.Body = func() ([]byte, error) {
		body, err := read()
		unread = err != nil
		return body, err
	}
	edit, body, err := to.Rewrite.Edit(view, to.URL)
	if err == nil {
		err = out.Apply(edit)
	}
	if err != nil {
		a.metrics.failed(s.attempt.Source)
		s.hopeless = !unread
		return err
	}
	s.attempt.Edited, s.attempt.URL = true, out.URL.String()
	if body == nil {
		return nil
	}
	if err := a.keepBody(body, s, out); err != nil {
		return fmt.Errorf("the rewritten body could not be recorded: %w", err)
	}
	return nil
}

// Rewrite says what a target of a source gets in the place of a request, and the new body; nil: the body stays. The view
// needs no Params.
func (a *Agent) Rewrite(source, target string, v *expr.View) (wire.Edit, []byte, error) {
	src := a.routes.Load().named(source)
	if src == nil {
		return wire.Edit{}, nil, fmt.Errorf("no source %q is configured", source)
	}
	return src.Rewrite(target, v)
}

// keepBody puts the body that an attempt sends onto the disk, or into its spool while it is small, and has out send it from
// there.
func (a *Agent) keepBody(body []byte, s *sent, out *wire.Outgoing) error {
	s.body = a.store.Spool()
	if _, err := s.body.Write(body); err != nil {
		return err
	}
	raw, err := s.body.Raw()
	if err == nil {
		a.carry(out, raw, 0)
	}
	return err
}

// outcome is what is written down of the attempt.
func (s *sent) outcome() store.Outcome {
	if s.absent {
		return store.Outcome{}
	}
	return store.Outcome{Attempt: s.attempt, Sent: s.body}
}

// deliveries are the one that the attempt belongs to, and that which waits for what its response promises.
func (s *sent) deliveries(d store.Delivery) []store.Delivery {
	if s.promised == nil {
		return []store.Delivery{d}
	}
	return []store.Delivery{d, *s.promised}
}

// wakeFollower tells who asks for what the response promises that there is something to ask for.
func (t *target) wakeFollower(s *sent) {
	if follower := t.aim.Load().follower; s.promised != nil && follower != nil {
		follower.rouse()
	}
}

// abandon lets go of all that is left of an attempt, its response too.
func (s *sent) abandon() {
	if s.response != nil {
		s.response.Close()
	}
	s.discard()
}

// discard lets go of what was kept of the attempt; it is on the tape then, or is to be forgotten.
func (s *sent) discard() {
	if s.body != nil {
		s.body.Discard()
	}
}
