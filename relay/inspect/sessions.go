package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"

	"github.com/hooktape/hooktape/store"
)

// Session is a session as JSON shows it.
type Session struct {
	Name      string `json:"name"`
	Created   Time   `json:"created"`
	Capturing bool   `json:"capturing"`
	Started   Time   `json:"started"`        // when capturing last began; null: never
	Stopped   Time   `json:"stopped"`        // when capturing last ended; null: it still goes on, or never began
	Full      bool   `json:"full,omitempty"` // it ended because sessions had all the room that they may take
	Records   int64  `json:"records"`
	Bytes     int64  `json:"bytes"` // of requests, answers and responses
	First     Time   `json:"first"` // when the first of its records came; null: it has none
	Last      Time   `json:"last"`
	// Masked are the rules by which its secrets were replaced before it was imported; null: they were not.
	Masked json.RawMessage `json:"masked,omitempty"`
}

func newSession(s *store.Session) Session {
	return Session{
		Name: s.Name, Created: Time{s.Created}, Capturing: s.Capturing(), Started: Time{s.Started}, Stopped: Time{s.Stopped},
		Full: s.Full, Records: s.Records, Bytes: s.Bytes, First: Time{s.First}, Last: Time{s.Last}, Masked: s.Masked,
	}
}

// Room is how much of the tape the records of sessions take, and may take.
type Room struct {
	Bytes int64 `json:"bytes"` // of the file, about
	Limit int64 `json:"limit"` // 0: any, or not known because no agent runs
}

// SessionChange has the options of a question that changes a session. The zero value sets none.
type SessionChange struct {
	Force    bool     `json:"force,omitempty"`    // start, create: replace the session of this name
	Continue bool     `json:"continue,omitempty"` // start: go on with the session of this name
	Records  []string `json:"records,omitempty"`  // create: by their ids or endings; none: those that the filter chooses
	Take     bool     `json:"take,omitempty"`     // delete: also its records that are in no other session
}

// ChangedSession is a session as it is now, or as it was before it was deleted.
type ChangedSession struct {
	Session
	Deleted *Deleted `json:"deleted,omitempty"` // of a delete with Take
}

// listSessions sends all sessions, one a line, in the order in which they were made.
func (s *Server) listSessions(w http.ResponseWriter, _ *http.Request) error {
	if err := s.Store.Sync(); err != nil {
		return err
	}
	all, damaged := s.Store.Sessions()
	return sendLines(w, func(line func(any) error) error {
		for _, one := range all {
			if err := line(newSession(&one)); err != nil {
				return err
			}
		}
		return damaged
	})
}

func (s *Server) room(w http.ResponseWriter, _ *http.Request) error {
	stats := s.Store.Stats()
	return reply(w, Room{stats.Pinned, stats.PinMax})
}

// changeSession starts, stops, creates or deletes a session, and sends it as it is now, or as it was before.
func (s *Server) changeSession(w http.ResponseWriter, r *http.Request) error {
	change, ok := map[string]func(*http.Request, string, SessionChange) (ChangedSession, error){
		"start": s.startSession, "stop": s.stopSession, "create": s.createSession, "delete": s.deleteSession,
	}[r.PathValue("verb")]
	if !ok {
		return refuse(Unknown, "sessions can be started, stopped, created and deleted, not %q", r.PathValue("verb"))
	}
	var q SessionChange
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		return refuse(Misused, "read the question: %s", err)
	}
	if err := s.Store.Sync(); err != nil {
		return err
	}
	name := r.PathValue("name")
	changed, err := change(r, name, q)
	if err != nil {
		return sessionProblem(name, err)
	}
	return reply(w, changed)
}

// sessionProblem says what is wrong with a question about a session.
func sessionProblem(name string, err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return refuse(NoSession, "there is no session %q", name)
	case errors.Is(err, store.ErrExists):
		return refuse(Taken, "there is a session %q already", name)
	case errors.Is(err, store.ErrNotCapturing):
		return refuse(NoSession, "session %q is not capturing", name)
	case errors.Is(err, store.ErrName):
		return refuse(Misused, "%s", store.CheckSessionName(name))
	}
	return err
}

func (s *Server) startSession(_ *http.Request, name string, q SessionChange) (ChangedSession, error) {
	if q.Continue {
		return s.nowSession(name, s.Store.ResumeSession(name))
	}
	return s.nowSession(name, s.Store.StartSession(name, q.Force))
}

func (s *Server) stopSession(_ *http.Request, name string, _ SessionChange) (ChangedSession, error) {
	return s.nowSession(name, s.Store.StopSession(name))
}

// nowSession is a session after a change.
func (s *Server) nowSession(name string, err error) (ChangedSession, error) {
	if err != nil {
		return ChangedSession{}, err
	}
	session, err := s.Store.Session(name)
	return ChangedSession{Session: newSession(&session)}, err
}

// createSession makes a session of the records that are named or chosen. If there are none, it changes nothing.
func (s *Server) createSession(r *http.Request, name string, q SessionChange) (ChangedSession, error) {
	p := parser{Values: r.URL.Query()}
	chosen, err := s.choose(p.filter())
	if err := errors.Join(p.err, err); err != nil {
		return ChangedSession{}, err
	}
	slices := s.chosenIDs(r.Context(), chosen)
	if len(q.Records) > 0 {
		ids, err := s.named(q.Records)
		if err != nil {
			return ChangedSession{}, err
		}
		slices = func(yield func([]store.ID, error) bool) { yield(ids, nil) }
	}
	made := false
	for ids, err := range slices {
		if err == nil && !made {
			err = s.Store.CreateSession(name, q.Force)
			made = err == nil
		}
		if err == nil {
			err = s.Store.AddToSession(name, ids...)
		}
		if err != nil && made { // a part could be taken for everything that was asked for
			err = errors.Join(err, s.Store.DeleteSession(name))
		}
		if err != nil {
			return ChangedSession{}, err
		}
	}
	if !made {
		return ChangedSession{}, refuse(Unknown, "no record matches")
	}
	return s.nowSession(name, nil)
}

// sessionSlice is how many ids are gathered before they are put into a session.
const sessionSlice = 4096

// chosenIDs are the chosen records, some at a time, without those that are damaged.
func (s *Server) chosenIDs(ctx context.Context, chosen *choice) iter.Seq2[[]store.ID, error] {
	return func(yield func([]store.ID, error) bool) {
		var ids []store.ID
		for rec, err := range s.Store.Records(chosen.scan()) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil && !errors.Is(err, store.ErrDamaged) {
				yield(nil, err)
				return
			}
			if err != nil || !chosen.takes(rec) {
				continue
			}
			if ids = append(ids, rec.ID); len(ids) == sessionSlice {
				if !yield(ids, nil) {
					return
				}
				ids = ids[:0]
			}
		}
		if len(ids) > 0 {
			yield(ids, nil)
		}
	}
}

// deleteSession forgets a session and, if asked to, those of its records that are in no other one.
func (s *Server) deleteSession(_ *http.Request, name string, q SessionChange) (ChangedSession, error) {
	changed, err := s.nowSession(name, nil)
	if err != nil {
		return changed, err
	}
	if !q.Take {
		return changed, s.Store.DeleteSession(name)
	}
	told, err := newDeleted(s.Store.DeleteSessionRecords(name))
	changed.Deleted = &told
	return changed, err
}

// Sessions are all sessions.
func (c *Client) Sessions(ctx context.Context) iter.Seq2[Session, error] {
	return lines[Session](func() (*http.Response, error) { return c.get(ctx, "/v1/sessions", nil) })
}

// Room is how much of the tape the sessions take.
func (c *Client) Room(ctx context.Context) (Room, error) {
	return object[Room](c.get(ctx, "/v1/room", nil))
}

// StartSession lets a session capture.
func (c *Client) StartSession(ctx context.Context, name string, q SessionChange) (ChangedSession, error) {
	return c.changeSession(ctx, name, "start", Filter{}, q)
}

// StopSession ends a session's capture.
func (c *Client) StopSession(ctx context.Context, name string) (ChangedSession, error) {
	return c.changeSession(ctx, name, "stop", Filter{}, SessionChange{})
}

// CreateSession makes a session of existing records: those that q names, or else those that the filter chooses.
func (c *Client) CreateSession(ctx context.Context, name string, f Filter, q SessionChange) (ChangedSession, error) {
	return c.changeSession(ctx, name, "create", f, q)
}

// DeleteSession forgets a session, and returns it as it was.
func (c *Client) DeleteSession(ctx context.Context, name string, q SessionChange) (ChangedSession, error) {
	return c.changeSession(ctx, name, "delete", Filter{}, q)
}

func (c *Client) changeSession(ctx context.Context, name, verb string, f Filter, q SessionChange) (ChangedSession, error) {
	path := fmt.Sprintf("/v1/sessions/%s/%s?%s", segment(name), verb, f.values().Encode())
	return object[ChangedSession](c.post(ctx, path, q))
}
