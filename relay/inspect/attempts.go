package inspect

import (
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net/http"

	"github.com/hooktape/hooktape/store"
)

// NewAttempt is an attempt that was made outside the agent, by a replay.
type NewAttempt struct {
	Attempt
	Head     string    `json:"head"` // of the request as sent
	Sent     []byte    `json:"sent"` // the body as sent; null: it was the record's
	Response io.Reader `json:"-"`    // the bytes of the response, the first HeadSize of them its head; nil: none came
}

// attempts sends what was tried with a record, one a line.
func (s *Server) attempts(w http.ResponseWriter, r *http.Request) error {
	rec, err := s.find(r)
	if err != nil {
		return err
	}
	attempts, err := s.Store.Attempts(rec.ID)
	if err != nil {
		return err
	}
	reveal := r.URL.Query().Get("reveal") == "true"
	names, err := s.names()
	if err != nil {
		return err
	}
	return sendLines(w, func(line func(any) error) error {
		for i := range attempts {
			shown := showAttempt(&attempts[i])
			if !reveal {
				shown.URL = names.Target(shown.URL)
			}
			if err := line(shown); err != nil {
				return err
			}
		}
		return nil
	})
}

// showAttempt is the JSON of an attempt. Nothing is masked.
func showAttempt(a *store.Attempt) Attempt {
	return Attempt{
		Number: a.Number, Source: a.Source, Target: a.Target, Replay: a.Replay, Edited: a.Edited, URL: a.URL,
		Time: Time{a.Time}, Status: a.Status, Error: a.Error, Finding: a.Finding, FirstByte: Milliseconds(a.FirstByte),
		Duration: Milliseconds(a.Duration), HeadSize: a.HeadSize, Size: a.Response.Size,
	}
}

// The parts of a posted attempt, in this order.
const (
	partResponse = "response" // bytes
	partAttempt  = "attempt"  // a NewAttempt as JSON
)

// addAttempt puts a replay's attempt onto the tape and answers with it once it
// is on disk.
func (s *Server) addAttempt(w http.ResponseWriter, r *http.Request) error {
	rec, err := s.find(r)
	if err != nil {
		return err
	}
	parts, err := multipartOf(r)
	if err != nil {
		return refuse(Misused, "read the attempt: %s", err)
	}
	response := s.Store.Spool()
	defer response.Discard()
	posted, err := readAttempt(parts, response)
	if err != nil {
		return err
	}
	attempt := &store.Attempt{
		Record: rec.ID, Source: posted.Source, Target: posted.Target, Replay: true, Edited: posted.Edited,
		URL: posted.URL, Time: posted.Time.Time, Head: posted.Head, Status: posted.Status, Error: posted.Error,
		FirstByte: posted.FirstByte.Duration(), Duration: posted.Duration.Duration(), HeadSize: posted.HeadSize,
	}
	o := store.Outcome{Attempt: attempt, Response: response}
	if posted.Sent != nil {
		o.Sent = s.Store.Spool()
		defer o.Sent.Discard()
		if _, err := o.Sent.Write(posted.Sent); err != nil {
			return err
		}
	}
	if err := s.Store.Settle(rec.ID, o).Wait(); err != nil {
		return err
	}
	return reply(w, showAttempt(attempt))
}

// multipartOf is r.MultipartReader, which takes multipart/form-data and mixed alike.
func multipartOf(r *http.Request) (*multipart.Reader, error) {
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, err
	}
	return multipart.NewReader(r.Body, params["boundary"]), nil
}

func readAttempt(parts *multipart.Reader, response io.Writer) (*NewAttempt, error) {
	for {
		part, err := parts.NextPart()
		if err != nil {
			return nil, refuse(Misused, "read the attempt: %s", err)
		}
		switch part.FormName() {
		case partResponse:
			if _, err := io.Copy(response, part); err != nil {
				return nil, err
			}
		case partAttempt:
			posted := new(NewAttempt)
			if err := json.NewDecoder(part).Decode(posted); err != nil {
				return nil, refuse(Misused, "read the attempt: %s", err)
			}
			return posted, nil
		}
	}
}
