package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"

	"github.com/hooktape/hooktape/store"
)

// NewAttempt is an attempt made outside the agent, by a replay.
type NewAttempt struct {
	Attempt
	Record   store.ID  `json:"record"`
	Head     string    `json:"head"` // of the request as sent
	Sent     []byte    `json:"sent"` // the body as sent; null: it was the record's
	Response io.Reader `json:"-"`    // the bytes of the response, the first HeadSize of them its head; nil: none came
}

// attempts sends the attempts for a record, one a line.
func (s *Server) attempts(w http.ResponseWriter, r *http.Request) error {
	rec, err := s.find(r)
	if err != nil {
		return err
	}
	attempts, err := s.Store.Attempts(rec.ID)
	var lost damage
	if err := lost.passOver(err); err != nil {
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
		return lost.err()
	})
}

// showAttempt is the JSON of an attempt. Nothing is masked.
func showAttempt(a *store.Attempt) Attempt {
	return Attempt{
		Number: a.Number, Source: a.Source, Target: a.Target, Replay: a.Replay, Edited: a.Edited, Accepted: a.Accepted, URL: a.URL,
		Time: Time{a.Time}, Status: a.Status, Error: a.Error, Finding: a.Finding, FirstByte: Milliseconds(a.FirstByte),
		Duration: Milliseconds(a.Duration), HeadSize: a.HeadSize, Size: a.Response.Size,
	}
}

// The parts of each posted attempt, in this order.
const (
	partResponse = "response" // bytes; missing: none came
	partAttempt  = "attempt"  // a NewAttempt as JSON
)

// addedAttempts says what became of posted attempts.
type addedAttempts struct {
	Gone int `json:"gone"` // attempts whose record is no longer there
}

// AddAttempts puts attempts of a replay onto the tape, in their order, and returns when they are on disk. Attempts whose
// record was deleted meanwhile are skipped, and counted.
func (c *Client) AddAttempts(ctx context.Context, attempts []NewAttempt) (gone int, err error) {
	if c.local != nil {
		return c.local.putAttempts(attempts)
	}
	out, in := io.Pipe()
	form := multipart.NewWriter(in)
	written := make(chan struct{})
	go func() {
		defer close(written)
		in.CloseWithError(writeAttempts(form, attempts))
	}()
	added, err := object[addedAttempts](c.do(ctx, http.MethodPost, "/v1/attempts", form.FormDataContentType(), out))
	out.Close()
	<-written
	return added.Gone, err
}

func writeAttempts(form *multipart.Writer, attempts []NewAttempt) error {
	for i := range attempts {
		a := &attempts[i]
		if a.Response != nil {
			part, err := form.CreateFormFile(partResponse, partResponse)
			if err != nil {
				return err
			}
			if _, err := io.Copy(part, a.Response); err != nil {
				return err
			}
		}
		part, err := form.CreateFormField(partAttempt)
		if err != nil {
			return err
		}
		if err := json.NewEncoder(part).Encode(a); err != nil {
			return err
		}
	}
	return form.Close()
}

// addAttempts puts attempts of a replay onto the tape, and answers once they are on disk.
func (s *Server) addAttempts(w http.ResponseWriter, r *http.Request) error {
	parts, err := multipartOf(r)
	if err != nil {
		return refuse(Misused, "read the attempts: %s", err)
	}
	var commits []*store.Commit
	for err == nil {
		var commit *store.Commit
		if commit, err = s.addAttempt(parts); err == nil {
			commits = append(commits, commit)
		}
	}
	if err == io.EOF {
		err = nil
	}
	gone, failed := settled(commits)
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	return reply(w, addedAttempts{gone})
}

// putAttempts is addAttempts in the same process.
func (s *Server) putAttempts(attempts []NewAttempt) (gone int, err error) {
	commits := make([]*store.Commit, 0, len(attempts))
	for i := range attempts {
		commit, failed := s.putAttempt(&attempts[i])
		if err = failed; err != nil {
			break
		}
		commits = append(commits, commit)
	}
	gone, failed := settled(commits)
	return gone, errors.Join(err, failed)
}

func (s *Server) putAttempt(a *NewAttempt) (*store.Commit, error) {
	response := s.Store.Spool()
	defer response.Discard()
	if a.Response != nil {
		if _, err := io.Copy(response, a.Response); err != nil {
			return nil, err
		}
	}
	return s.settle(a, response)
}

// settled waits until attempts are on disk, and counts those whose record is gone.
func settled(commits []*store.Commit) (gone int, err error) {
	for _, commit := range commits {
		switch failed := commit.Wait(); {
		case errors.Is(failed, store.ErrNotFound):
			gone++
		default:
			err = errors.Join(err, failed)
		}
	}
	return gone, err
}

// addAttempt puts the next posted attempt onto the tape. The error is io.EOF when there is none.
func (s *Server) addAttempt(parts *multipart.Reader) (*store.Commit, error) {
	response := s.Store.Spool()
	defer response.Discard()
	posted, err := readAttempt(parts, response)
	if err != nil {
		return nil, err
	}
	return s.settle(posted, response)
}

// settle puts an attempt onto the tape.
func (s *Server) settle(a *NewAttempt, response *store.Spool) (*store.Commit, error) {
	o := store.Outcome{Response: response, Attempt: &store.Attempt{
		Record: a.Record, Source: a.Source, Target: a.Target, Replay: true, Edited: a.Edited, Accepted: a.Accepted,
		URL: a.URL, Time: a.Time.Time, Head: a.Head, Status: a.Status, Error: a.Error,
		FirstByte: a.FirstByte.Duration(), Duration: a.Duration.Duration(), HeadSize: a.HeadSize,
	}}
	if a.Sent != nil {
		o.Sent = s.Store.Spool()
		defer o.Sent.Discard()
		if _, err := o.Sent.Write(a.Sent); err != nil {
			return nil, err
		}
	}
	return s.Store.Settle(a.Record, o), nil
}

// multipartOf is r.MultipartReader, which accepts multipart/form-data and mixed alike.
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
		if err == io.EOF {
			return nil, io.EOF
		}
		if err != nil {
			return nil, refuse(Misused, "read the attempts: %s", err)
		}
		switch part.FormName() {
		case partResponse:
			if _, err := io.Copy(response, part); err != nil {
				return nil, err
			}
		case partAttempt:
			posted := new(NewAttempt)
			if err := json.NewDecoder(part).Decode(posted); err != nil {
				return nil, refuse(Misused, "read the attempts: %s", err)
			}
			return posted, nil
		}
	}
}
