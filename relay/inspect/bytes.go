package inspect

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// raw sends the exact bytes of a record.
func (s *Server) raw(w http.ResponseWriter, r *http.Request) error {
	rec, err := s.find(r)
	if err != nil {
		return err
	}
	raw := s.Store.Open(rec.Raw)
	defer raw.Close()
	return send(w, raw)
}

// body sends the decoded body of a record. A record that never became a
// request has none; of a body that was cut short, the part that came is sent.
func (s *Server) body(w http.ResponseWriter, r *http.Request) error {
	rec, err := s.find(r)
	if err != nil {
		return err
	}
	head, err := readHead(s.Store, rec)
	if err != nil {
		return refuse(Unknown, "%s", err)
	}
	body, err := openBody(s.Store, rec, head)
	if err != nil {
		return err
	}
	defer body.Close()
	return send(w, body)
}

// answer sends the exact bytes that the sender got.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) error {
	rec, err := s.find(r)
	if err != nil {
		return err
	}
	if rec.Answer == nil {
		return refuse(Unknown, "record %s was not answered", rec.ID)
	}
	head := s.Store.Open(rec.Answer.Raw)
	defer head.Close()
	if rec.Answer.FromAttempt == 0 {
		return send(w, head)
	}
	attempt, err := s.attempt(rec.ID, rec.Answer.FromAttempt)
	if err != nil {
		return err
	}
	response := s.Store.Open(attempt.Response)
	defer response.Close()
	if _, err := response.Seek(int64(attempt.HeadSize), io.SeekStart); err != nil {
		return err
	}
	return send(w, io.MultiReader(head, response))
}

// request sends the exact bytes that one attempt sent.
func (s *Server) request(w http.ResponseWriter, r *http.Request) error {
	rec, attempt, err := s.findAttempt(r)
	if err != nil {
		return err
	}
	if attempt.Head == "" {
		return refuse(Unknown, "attempt %d of record %s sent nothing", attempt.Number, rec.ID)
	}
	raw, behind := rec.Raw, int64(rec.HeadSize)
	if attempt.Sent != nil {
		raw, behind = *attempt.Sent, 0
	}
	body := s.Store.Open(raw)
	defer body.Close()
	if _, err := body.Seek(behind, io.SeekStart); err != nil {
		return err
	}
	return send(w, io.MultiReader(strings.NewReader(attempt.Head), body))
}

// response sends the exact bytes of the response to one attempt.
func (s *Server) response(w http.ResponseWriter, r *http.Request) error {
	_, attempt, err := s.findAttempt(r)
	if err != nil {
		return err
	}
	response := s.Store.Open(attempt.Response)
	defer response.Close()
	return send(w, response)
}

// findAttempt is the attempt that a path names, and its record.
func (s *Server) findAttempt(r *http.Request) (*store.Record, *store.Attempt, error) {
	rec, err := s.find(r)
	if err != nil {
		return nil, nil, err
	}
	number, err := strconv.Atoi(r.PathValue("number"))
	if err != nil {
		return nil, nil, refuse(Misused, "%q is not the number of an attempt", r.PathValue("number"))
	}
	attempt, err := s.attempt(rec.ID, number)
	return rec, attempt, err
}

func (s *Server) attempt(id store.ID, number int) (*store.Attempt, error) {
	attempts, err := s.Store.Attempts(id)
	for i := range attempts {
		if attempts[i].Number == number {
			return &attempts[i], nil
		}
	}
	if err != nil {
		return nil, err
	}
	return nil, refuse(NoAttempt, "record %s has no attempt %d", id, number)
}

// send streams bytes. A read that fails on the way breaks the stream, so that
// nobody takes a part for the whole.
func send(w http.ResponseWriter, from io.Reader) error {
	w.Header().Set("Content-Type", "application/octet-stream")
	counted := &countingWriter{Writer: w}
	_, err := io.Copy(counted, from)
	if err != nil && counted.n > 0 {
		panic(http.ErrAbortHandler)
	}
	return err
}

type countingWriter struct {
	io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.n += int64(n)
	return n, err
}

// openBody opens the decoded body of a record.
func openBody(s *store.Store, rec *store.Record, head *wire.RequestHead) (io.ReadCloser, error) {
	if head == nil {
		return nil, fmt.Errorf("record %s has no body", rec.ID)
	}
	raw := s.Open(rec.Raw)
	if _, err := raw.Seek(int64(rec.HeadSize), io.SeekStart); err != nil {
		raw.Close()
		return nil, err
	}
	var body io.Reader = wire.NewBodyReader(head.Framing, raw)
	if rec.Truncated || rec.Verdict.Refused() {
		body = asFarAsItGoes{body}
	}
	return struct {
		io.Reader
		io.Closer
	}{body, raw}, nil
}

// asFarAsItGoes ends without an error where the kept bytes end.
type asFarAsItGoes struct{ io.Reader }

func (r asFarAsItGoes) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if _, broken := errors.AsType[*wire.SyntaxError](err); broken || errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}
