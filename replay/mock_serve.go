package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/replay/tape"
	"github.com/hooktape/hooktape/store"
)

// Serve answers a request of a wire.Server: with the bytes of the recorded response, but for the fields of its connection.
// When ctx ends, waiting does.
func (m *Mock) Serve(ctx context.Context, x *wire.Exchange) {
	told := Told{Method: x.Head.Method, Target: x.Head.Target}
	defer func() { m.tell(told, x.Time) }()
	kept := new(Kept)
	defer func() { told.Err = errors.Join(told.Err, kept.Close()) }()
	request, err := receive(x, kept)
	if err != nil {
		x.CloseAfter()
		told.Err = fmt.Errorf("read the request: %w", err)
		m.say(x, &told, http.StatusBadRequest, "text/plain; charset=utf-8", []byte("the request can't be read\n"))
		return
	}
	found, missing, err := m.answer(ctx, request, kept, x.Time)
	told.Missing = missing
	switch miss := missOf(err); {
	case err == nil:
		told.ID = found.id
		told.Err = m.send(x, &told, &found)
	case miss != nil:
		accept, _ := x.Head.Fields.Get("Accept")
		contentType, body := miss.wording(accept)
		m.say(x, &told, notRecorded, contentType, body)
	default:
		told.Err = err
		m.say(x, &told, http.StatusBadGateway, "text/plain; charset=utf-8", []byte(err.Error()+"\n"))
	}
}

// receive reads a request to its end.
func receive(x *wire.Exchange, kept *Kept) (*Request, error) {
	if _, err := io.WriteString(kept, x.Head.Raw); err != nil {
		return nil, err
	}
	if _, err := io.Copy(kept, x); err != nil {
		return nil, err
	}
	return Load(kept.Open)
}

// say answers in words of our own.
func (m *Mock) say(x *wire.Exchange, told *Told, status int, contentType string, body []byte) {
	answer := wire.Answer{
		Status: status, Fields: wire.Fields{{Name: "Content-Type", Value: contentType}}, Body: body,
		HeadOnly: x.Head.Method == http.MethodHead, Close: !x.KeepAlive(), Proto: x.Head.Proto, Date: time.Now(),
	}
	told.Status = status
	n, err := x.Write(wire.AppendResponse(nil, answer))
	told.Size, told.Err = int64(n), errors.Join(told.Err, err)
}

// send gives a recorded response.
func (m *Mock) send(x *wire.Exchange, told *Told, found *recordedAnswer) error {
	head, body, err := found.response()
	if err != nil {
		m.say(x, told, http.StatusBadGateway, "text/plain; charset=utf-8", []byte(err.Error()+"\n"))
		return err
	}
	defer body.Close()
	first, passing := head.ForSender(x.Head.Proto, x.KeepAlive())
	other := (found.method == http.MethodHead) != (x.Head.Method == http.MethodHead) // then a body is missing, or one too many
	if passing.Close || other {
		x.CloseAfter()
	}
	told.Status = head.Status
	n, err := io.WriteString(x, first)
	told.Size = int64(n)
	if err != nil || other {
		return err
	}
	checked := &checkedBody{Reader: body, framer: wire.NewFramer(head.Framing)}
	var from io.Reader = checked
	if passing.Decode {
		from = wire.NewBodyReader(head.Framing, checked)
	}
	size, err := io.Copy(x, from)
	told.Size += size
	if err = errors.Join(err, checked.end()); err != nil {
		x.CloseAfter() // nobody must take half a response for a whole one
	}
	return unlessBroken(err)
}

// checkedBody finds out whether a recorded body is whole.
type checkedBody struct {
	io.Reader
	framer *wire.Framer
	broken error
}

func (b *checkedBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if b.broken == nil {
		_, b.broken = b.framer.Scan(p[:n])
	}
	return n, err
}

func (b *checkedBody) end() error {
	if b.broken != nil {
		return b.broken
	}
	return b.framer.EOF()
}

// pass sends a request that was not recorded to where it is meant for, and takes what comes back onto the tape.
func (m *Mock) pass(ctx context.Context, r *Request, kept *Kept, began time.Time) (found recordedAnswer, err error) {
	sender := Sender{Client: m.o.Client}
	result, err := sender.Send(ctx, r, *m.o.Missing)
	if err != nil {
		return found, err
	}
	defer result.Kept.Close()
	if result.Err != nil {
		return found, fmt.Errorf("pass it to %s: %w", m.o.Missing.Route.URL.Host, result.Err)
	}
	recording := passed(r, kept, began, result)
	if m.o.Keep != nil {
		if err := m.o.Keep(recording); err != nil {
			return found, fmt.Errorf("record it: %w", err)
		}
	}
	m.adding.Lock()
	defer m.adding.Unlock()
	id, err := m.tape.add(recording)
	if err == nil {
		err = m.add(id, recording)
	}
	if err != nil {
		return found, fmt.Errorf("record it: %w", err)
	}
	if recording, err = m.tape.recording(id); err != nil {
		return found, err
	}
	found, _ = responseOf(recording)
	return found, nil
}

// mockSource is the source of what a mock has recorded.
const mockSource = "mock"

// passed is the recording of a request and its response.
func passed(r *Request, kept *Kept, began time.Time, result *Result) *tape.Recording {
	response := tape.Opened(result.Kept.Size(), result.Kept.Open)
	return &tape.Recording{
		ID: ulid.Make().String(), Known: true, Time: tape.Time{Time: began}, Source: mockSource, Via: "direct",
		Proto: r.Head.Proto, Method: r.Head.Method, Target: r.Head.Target, Host: r.Head.Host(), Verdict: string(store.Accepted),
		HeadSize: len(r.Head.Raw), BodySize: max(0, kept.Size()-int64(len(r.Head.Raw))), Request: tape.Opened(kept.Size(), kept.Open),
		Answer: &tape.Answer{
			Status: result.Response.Status, Time: tape.Time{Time: result.Time.Add(result.FirstByte)}, Duration: int64(result.Duration),
			FromAttempt: 1, HeadSize: result.Response.HeadSize, Response: response,
		},
		Attempts: []tape.Attempt{{
			Number: 1, Source: mockSource, Target: mockSource, URL: result.URL.String(), Time: tape.Time{Time: result.Time},
			Head: []byte(result.Head), Status: result.Response.Status, FirstByte: int64(result.FirstByte), Duration: int64(result.Duration),
			HeadSize: result.Response.HeadSize, Response: response,
		}},
	}
}
