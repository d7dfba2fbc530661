package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

const (
	callTimeout = 10 * time.Second // of each wait for a provider's API
	callMax     = 1 << 20          // bytes of a response that are looked at; all of it is recorded
)

// call is a request of the agent's own to the API of a provider. It goes on the tape like what others send, before it
// is sent, and so does what comes back.
type call struct {
	source  string // whose it is
	event   string // what it is for
	method  string
	url     *url.URL
	headers wire.Fields
	body    []byte
}

// reply is what came back.
type reply struct {
	record store.ID // of the call
	head   *wire.ResponseHead
	body   []byte // decoded; its first callMax bytes
}

// userAgent is how we call ourselves where nothing else is configured.
const userAgent = "hooktape"

// errNoControl is a text that would end the part of a head that it stands in.
var errNoControl = errors.New("a line break or another control character is in the URL or a header")

// head is the head of the call as it is sent.
func (c *call) head() (*wire.RequestHead, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", c.method, c.url.RequestURI(), c.url.Host)
	fields := append(c.headers[:len(c.headers):len(c.headers)], wire.Field{Name: "Content-Length", Value: fmt.Sprint(len(c.body))})
	if _, given := fields.Get("User-Agent"); !given {
		fields = append(fields, wire.Field{Name: "User-Agent", Value: userAgent})
	}
	for _, f := range fields {
		if strings.ContainsAny(f.Name+f.Value, "\r\n\x00") {
			return nil, errNoControl
		}
		fmt.Fprintf(&b, "%s: %s\r\n", f.Name, f.Value)
	}
	b.WriteString("\r\n")
	return wire.ParseRequestHead([]byte(b.String()))
}

// call makes a call. An error says why there is no response, or none that could be read to its end; then the reply has
// the record alone, or is nil where there is none.
func (a *Agent) call(ctx context.Context, c *call) (*reply, error) {
	head, err := c.head()
	if err != nil {
		return nil, err
	}
	rec := &store.Record{
		Time: a.now(), Source: c.source, Via: store.ViaAgent, TLS: c.url.Scheme == "https", Proto: head.Proto, Method: c.method,
		Target: head.Target, Host: c.url.Host, Event: c.event, Verdict: store.Accepted, HeadSize: len(head.Raw), BodySize: int64(len(c.body)),
	}
	raw := a.store.Spool()
	defer raw.Discard()
	_, err = raw.WriteString(head.Raw)
	if err == nil {
		_, err = raw.Write(c.body)
	}
	if err == nil {
		err = a.store.Append(rec, raw, nil, nil).Wait()
	}
	if err != nil {
		return nil, fmt.Errorf("the call could not be recorded: %w", err)
	}
	return a.exchange(ctx, c, head, rec)
}

// exchange sends a recorded call, and records what comes back.
func (a *Agent) exchange(ctx context.Context, c *call, head *wire.RequestHead, rec *store.Record) (*reply, error) {
	s := sent{attempt: &store.Attempt{Record: rec.ID, Source: c.source, URL: c.url.String(), Time: a.now(), Head: head.Raw}}
	out := &wire.Outgoing{
		URL: c.url, Head: head.Raw, Method: c.method, Bytes: c.body,
		Timeouts: wire.Timeouts{Dial: dialTimeout, Write: callTimeout, FirstByte: callTimeout, Total: wholeTimeout * callTimeout},
	}
	outcome := store.Outcome{Attempt: s.attempt}
	kept := a.store.Spool()
	defer kept.Discard()
	defer s.abandon()
	var got *reply
	var err error
	if s.response, err = a.client.Do(ctx, out); err != nil {
		s.fail(err, a.now())
	} else if got, err = s.listen(kept, a.now); err == nil {
		outcome.Answer = &store.Answer{
			Status: s.attempt.Status, Time: a.now(), Raw: store.InlineRaw([]byte(s.response.Head.Raw)), FromAttempt: store.ThisAttempt,
			Duration: a.now().Sub(rec.Time),
		}
	}
	if err != nil {
		got = &reply{record: rec.ID}
	}
	s.keep(&outcome, kept)
	if err := a.store.Settle(rec.ID, outcome).Wait(); err != nil {
		a.complain("can't record the result of a call", targetKey{source: c.source}, err, "record", rec.ID)
	}
	rec.Answer = outcome.Answer
	a.done(rec)
	return got, err
}

// listen reads the response of a call to its end.
func (s *sent) listen(kept *store.Spool, now func() time.Time) (*reply, error) {
	h := s.response.Head
	s.attempt.Status, s.attempt.HeadSize = h.Status, len(h.Raw)
	s.attempt.FirstByte = s.response.FirstByte.Sub(s.attempt.Time)
	from := &tee{from: s.response, to: kept}
	from.keep([]byte(h.Raw))
	body, err := io.ReadAll(io.LimitReader(wire.NewBodyReader(h.Framing, from), callMax))
	if err == nil {
		_, err = io.Copy(io.Discard, from) // what is too much to look at, and trailers
	}
	s.end(err, from.err, now())
	s.lost = from.err != nil
	s.response.Close()
	if err != nil {
		return nil, err
	}
	return &reply{record: s.attempt.Record, head: h, body: body}, nil
}
