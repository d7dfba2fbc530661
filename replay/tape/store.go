package tape

import (
	"errors"
	"fmt"
	"io"

	"github.com/hooktape/hooktape/store"
)

// Of is a record of a store as a Recording, whose blocks read from the store. With an error that wraps store.ErrDamaged it
// has what can be read.
func Of(s *store.Store, rec *store.Record) (*Recording, error) {
	r := &Recording{
		ID: rec.ID.String(), Known: true, Time: Time{rec.Time}, Until: Time{rec.Until}, Count: rec.Count,
		Source: rec.Source, Path: rec.Path, Base: rec.Base, Via: rec.Via, Remote: rec.Remote, Proxy: rec.Proxy, TLS: rec.TLS, Proto: rec.Proto, Method: rec.Method,
		Target: rec.Target, Host: rec.Host, Event: rec.Event, Events: rec.Events, Trace: rec.Trace, Outbound: rec.Outbound, Undelivered: rec.Undelivered, CauseBy: string(rec.CauseBy),
		Session: rec.Session, Verdict: string(rec.Verdict), Reason: rec.Reason, Verified: rec.Verified, Truncated: rec.Truncated,
		HeadSize: rec.HeadSize, BodySize: rec.BodySize, Request: blockOf(s, rec.Raw),
	}
	if rec.Cause != (store.ID{}) {
		r.Cause = rec.Cause.String()
	}
	attempts, err := s.Attempts(rec.ID)
	if err != nil && !errors.Is(err, store.ErrDamaged) {
		return nil, err
	}
	for i := range attempts {
		r.Attempts = append(r.Attempts, attemptOf(s, &attempts[i]))
	}
	deliveries, lost := s.Deliveries(rec.ID)
	if lost != nil && !errors.Is(lost, store.ErrDamaged) {
		return nil, lost
	}
	for _, d := range deliveries {
		r.Deliveries = append(r.Deliveries, Delivery{
			Target: d.Target, State: string(d.State), Attempts: d.Attempts, Status: d.Status, Error: d.Error, Finding: d.Finding,
			Key: d.Key, Created: Time{d.Created},
		})
	}
	if rec.Answer != nil {
		r.Answer = answerOf(s, rec.Answer, attempts)
	}
	return r, errors.Join(err, lost)
}

// Readable says why not all bytes of a recording can be read; nil: they can.
func (r *Recording) Readable() error {
	if err := r.Request.check(); err != nil {
		return fmt.Errorf("record %s: %s: %w", r.ID, partRequest, err)
	}
	if a := r.Answer; a != nil && a.FromAttempt == 0 { // else its bytes are the attempt's
		if err := a.Response.check(); err != nil {
			return fmt.Errorf("record %s: %s: %w", r.ID, partAnswer, err)
		}
	}
	for i := range r.Attempts {
		a := &r.Attempts[i]
		if a.Sent != nil {
			if err := a.Sent.check(); err != nil {
				return fmt.Errorf("record %s: %s %d: %w", r.ID, partSent, a.Number, err)
			}
		}
		if err := a.Response.check(); err != nil {
			return fmt.Errorf("record %s: %s %d: %w", r.ID, partResponse, a.Number, err)
		}
	}
	return nil
}

// blockOf reads raw bytes from where they are.
func blockOf(s *store.Store, raw store.Raw) Block {
	if raw.Pieces == (store.ID{}) {
		return Bytes(raw.Inline)
	}
	return Opened(raw.Size, func() (io.ReadCloser, error) { return s.Open(raw), nil })
}

func attemptOf(s *store.Store, a *store.Attempt) Attempt {
	shown := Attempt{
		Number: a.Number, Source: a.Source, Target: a.Target, Replay: a.Replay, Accepted: a.Accepted, Edited: a.Edited, URL: a.URL, Time: Time{a.Time},
		Head: []byte(a.Head), Status: a.Status, Error: a.Error, Finding: a.Finding, FirstByte: int64(a.FirstByte),
		Duration: int64(a.Duration), HeadSize: a.HeadSize, Response: blockOf(s, a.Response),
	}
	if a.Sent != nil {
		sent := blockOf(s, *a.Sent)
		shown.Sent = &sent
	}
	return shown
}

// answerOf is an answer with all its bytes: of those that came from an attempt the store has the head alone.
func answerOf(s *store.Store, a *store.Answer, attempts []store.Attempt) *Answer {
	shown := &Answer{Status: a.Status, Time: Time{a.Time}, Duration: int64(a.Duration), Error: a.Error, Response: blockOf(s, a.Raw)}
	for i := range attempts {
		if from := &attempts[i]; a.FromAttempt > 0 && from.Number == a.FromAttempt {
			shown.FromAttempt, shown.HeadSize = a.FromAttempt, int(a.Raw.Size)
			shown.Response = joined(shown.Response, behindHead(blockOf(s, from.Response), from.HeadSize))
		}
	}
	if shown.HeadSize == 0 {
		shown.HeadSize, _, _ = examineResponse(shown.Response) // whoever reads the bytes is told what is wrong with them
	}
	return shown
}
