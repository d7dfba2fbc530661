package replay

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/hooktape/hooktape/relay/wire"
)

// Aim is where a request is sent, and how long that may take.
type Aim struct {
	Route    wire.Route
	Timeouts wire.Timeouts
	Rewrite  *Rewrite // what is sent in its place; nil: it is sent itself

	// Dial makes the connection to what does as the Route says itself, at the other end of a tunnel: the request goes
	// there as it is. Nil: the Route's URL is where it goes.
	Dial func(context.Context) (net.Conn, error)
}

// Rewrite is what a target gets in the place of a request, once its head is made for the target.
type Rewrite struct {
	Edit wire.Edit
	Body []byte // nil: the request's own
}

// Result is what one send came to.
type Result struct {
	Time      time.Time
	URL       *url.URL
	Head      string    // of the request as it was sent
	Body      []byte    // that was sent in the place of the recorded one; nil: that was
	Response  *Response // nil: none came
	Kept      *Kept     // the bytes of the response; nil: none came. The caller closes it
	FirstByte time.Duration
	Duration  time.Duration
	Err       error // why no response came, or not all of one

	came struct { // what Response and Kept point to
		response Response
		kept     Kept
	}
}

// Unreachable says that no connection came about: nothing has seen the request.
func (r *Result) Unreachable() bool {
	failed, ok := errors.AsType[*wire.SendError](r.Err)
	return ok && (failed.Phase == wire.PhaseDial || failed.Phase == wire.PhaseTLS)
}

// Sender sends requests. The zero Sender is not ready: it needs a Client.
type Sender struct {
	Client *wire.Client
}

// Send sends a request and reads the response to its end. What goes wrong is
// in the Result; an error means that the request could not be made for this aim.
func (s *Sender) Send(ctx context.Context, r *Request, a Aim) (*Result, error) {
	head, err := a.head(r)
	if err != nil {
		return nil, fmt.Errorf("make the request for its target: %w", err)
	}
	out := &wire.Outgoing{URL: a.Route.URL, Dial: a.Dial, Head: head, Method: r.Head.Method, Bytes: r.rest, Body: r.large, Timeouts: a.Timeouts}
	sent := r.Body
	if a.Rewrite != nil {
		if err := out.Apply(a.Rewrite.Edit); err != nil {
			return nil, err
		}
		if a.Rewrite.Body != nil {
			sent, out.Bytes, out.Body = a.Rewrite.Body, a.Rewrite.Body, nil
		}
	}
	result := &Result{Time: time.Now(), URL: out.URL, Head: out.Head, Body: sent}
	response, err := s.Client.Do(ctx, out)
	if err == nil {
		err = result.read(response)
	} else {
		result.Duration = time.Since(result.Time)
	}
	result.Err = err
	return result, nil
}

// head is that of a request as it is sent.
func (a *Aim) head(r *Request) (string, error) {
	if a.Dial != nil {
		return r.Head.Raw, nil
	}
	return a.Route.Head(r.Head)
}

// digest is what a body is hashed with.
type digest struct {
	hash.Hash
	take func(p []byte) // Write
}

var digests = sync.Pool{New: func() any {
	d := &digest{Hash: sha256.New()}
	d.take = func(p []byte) { d.Write(p) }
	return d
}}

// read takes a response in: its bytes, and what is compared of them.
func (r *Result) read(from *wire.Response) error {
	defer from.Close()
	r.Kept, r.Response = &r.came.kept, &r.came.response
	r.came.response = newResponse(from.Head, r.Kept)
	digest := digests.Get().(*digest)
	defer digests.Put(digest)
	digest.Reset()
	from.SetDecoded(digest.take)
	r.Kept.begin(from.Head)
	err := r.Kept.body(from)
	r.Response.Size = from.BodySize()
	digest.Sum(r.Response.digest[:0])
	r.FirstByte = from.FirstByte.Sub(r.Time)
	if errors.Is(err, io.EOF) {
		r.Duration = from.LastByte().Sub(r.Time)
		return nil
	}
	r.Duration = time.Since(r.Time)
	return err
}
