package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/hooktape/hooktape/relay/mask"
	"github.com/hooktape/hooktape/store"
)

// records sends the chosen records, one a line.
func (s *Server) records(w http.ResponseWriter, r *http.Request) error {
	p := parser{Values: r.URL.Query()}
	q := p.query()
	chosen, err := s.choose(q.Filter)
	if err := errors.Join(p.err, err); err != nil {
		return err
	}
	if err := s.upToNow(r.Context()); err != nil {
		return err
	}
	return sendLines(w, func(line func(any) error) error {
		scan := chosen.scan()
		scan.Newest, scan.After = q.Newest, q.After
		sent := 0
		var lost damage
		for rec, err := range s.Store.Records(scan) {
			if err := lost.passOver(err); err != nil {
				return err
			}
			if r.Context().Err() != nil {
				return nil
			}
			if err != nil || !chosen.takes(rec) {
				continue
			}
			shown, err := s.show(rec, q.Reveal)
			if err := lost.passOver(err); err != nil {
				return err
			}
			if err := line(shown); err != nil {
				return err
			}
			if sent++; sent == q.Limit {
				break
			}
		}
		return lost.err()
	})
}

// toldMax is how long a question waits for answers that senders are still getting: most end at once.
const toldMax = time.Second

// upToNow waits until everything so far can be read: what was committed, and what senders have been answered.
func (s *Server) upToNow(ctx context.Context) error {
	if s.Agent != nil {
		ctx, cancel := context.WithTimeout(ctx, toldMax)
		defer cancel()
		s.Agent.Told(ctx)
	}
	return s.Store.Sync()
}

// damageMax is how many damaged things are named after a list.
const damageMax = 5

// damage gathers what is damaged in a list while the rest is sent.
type damage struct {
	named []string
	more  int
}

// passOver notes an error about something damaged; any other is returned.
func (d *damage) passOver(err error) error {
	switch {
	case !errors.Is(err, store.ErrDamaged):
		return err
	case len(d.named) < damageMax:
		d.named = append(d.named, err.Error())
	default:
		d.more++
	}
	return nil
}

// err says what is missing from the list; nil when nothing is.
func (d *damage) err() error {
	switch {
	case len(d.named) == 0:
		return nil
	case d.more == 0:
		return refuse(Failed, "not all of it can be read: %s", strings.Join(d.named, "; "))
	}
	return refuse(Failed, "not all of it can be read: %s; and %d more", strings.Join(d.named, "; "), d.more)
}

// record sends one record.
func (s *Server) record(w http.ResponseWriter, r *http.Request) error {
	rec, err := s.find(r)
	if err != nil {
		return err
	}
	shown, err := s.show(rec, r.URL.Query().Get("reveal") == "true")
	var lost damage
	if err := lost.passOver(err); err != nil {
		return err
	}
	shown.Damage = lost.named
	return reply(w, shown)
}

// find is the record that a path names: by its id, a unique ending of it, last,
// or last~N. It sees every record that was answered before the question.
func (s *Server) find(r *http.Request) (*store.Record, error) {
	if err := s.upToNow(r.Context()); err != nil {
		return nil, err
	}
	name := r.PathValue("name")
	id, err := s.Store.Find(name)
	if err != nil {
		return nil, notFound(name, err)
	}
	rec, err := s.Store.Get(id)
	if err != nil {
		return nil, notFound(name, err)
	}
	return rec, nil
}

func notFound(name string, err error) error {
	if several, ok := errors.AsType[*store.AmbiguousError](err); ok {
		p := refuse(Ambiguous, "several records end with %s", strings.ToUpper(name))
		p.IDs = several.IDs
		return p
	}
	if errors.Is(err, store.ErrNotFound) {
		return refuse(Unknown, "no record %s", name)
	}
	return err
}

// show makes the JSON of a record. With an error that wraps store.ErrDamaged, it has what can be read of the answer and
// the deliveries.
func (s *Server) show(rec *store.Record, reveal bool) (*Record, error) {
	deliveries, err := s.Store.Deliveries(rec.ID)
	if err != nil && !errors.Is(err, store.ErrDamaged) {
		return nil, err
	}
	names, unread := s.names()
	if unread != nil {
		return nil, unread
	}
	shown := newRecord(rec)
	if !reveal {
		shown.Path = names.Target(rec.Target)
	}
	for _, d := range deliveries {
		shown.Deliveries = append(shown.Deliveries, s.showDelivery(d))
	}
	if head, err := readHead(s.Store, rec); err == nil {
		found := mask.Auth(head.Fields)
		shown.Auth = Auth{found.Scheme, found.Present, found.Masked, Time{found.Expires}}
	}
	return shown, errors.Join(rec.Damage, err)
}

// newRecord is the JSON of a record without its deliveries, and without Auth, which
// is read from its bytes. Nothing is masked.
func newRecord(rec *store.Record) *Record {
	shown := &Record{
		ID: rec.ID, Time: Time{rec.Time}, Source: rec.Source, SourcePath: rec.Path, Origin: rec.Origin, Session: rec.Session, Trace: rec.Trace, Outbound: rec.Outbound, Undelivered: rec.Undelivered,
		Via: rec.Via, Remote: rec.Remote, Edge: rec.Edge, Base: rec.Base, Proxy: rec.Proxy, Proto: rec.Proto, TLS: rec.TLS, Method: rec.Method, Path: rec.Target,
		Host: rec.Host, Event: rec.Event, Events: rec.Events, Verdict: rec.Verdict, Reason: rec.Reason, Verified: rec.Verified,
		Size: rec.Raw.Size, BodySize: rec.BodySize, Truncated: rec.Truncated,
		Deliveries: []Delivery{}, Count: rec.Count, Until: Time{rec.Until},
	}
	if rec.Cause != (store.ID{}) {
		shown.Cause, shown.CauseBy = &rec.Cause, rec.CauseBy
	}
	if shown.Session == nil {
		shown.Session = []string{}
	}
	if rec.Answer != nil {
		shown.Answer = &Answer{rec.Answer.Status, Milliseconds(rec.Answer.Duration), rec.Answer.Early, rec.Answer.Error}
	}
	return shown
}

func (s *Server) showDelivery(d store.Delivery) Delivery {
	shown := Delivery{Target: d.Target, State: d.State, Attempts: d.Attempts, Status: d.Status, Error: d.Error, Finding: d.Finding}
	if d.State == store.Pending {
		shown.Next = Time{d.Due}
		shown.Away = s.Agent != nil && s.Agent.Away(d.Source, d.Target)
	}
	return shown
}

// listWriter notes whether the first line of a list has been sent.
type listWriter struct {
	http.ResponseWriter
	begun bool
}

func (l *listWriter) Write(p []byte) (int, error) {
	l.begun = true
	return l.ResponseWriter.Write(p)
}

// sendLines streams NDJSON. If something has been sent already, an error of lines
// becomes the trailer.
func sendLines(w http.ResponseWriter, lines func(line func(any) error) error) error {
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Trailer", errorTrailer)
	list := &listWriter{ResponseWriter: w}
	encoder := json.NewEncoder(list)
	encoder.SetEscapeHTML(false)
	if err := lines(encoder.Encode); err != nil {
		fail(list, err)
	}
	return nil
}
