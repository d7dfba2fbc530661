package replay

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/hooktape/hooktape/relay/wire"
)

// Response is a response as it is compared: its body by length and digest, so
// that large ones cost no memory. It is looked into where these differ.
type Response struct {
	Status   int
	Fields   wire.Fields
	HeadSize int   // with the heads of interim responses before it
	Size     int64 // of the body without chunk framing

	framing wire.Framing
	digest  [sha256.Size]byte
	from    source
}

// source has the exact bytes of a response, head included.
type source interface {
	Open() (io.ReadCloser, error)
}

// openFunc is a source.
type openFunc func() (io.ReadCloser, error)

func (open openFunc) Open() (io.ReadCloser, error) { return open() }

func newResponse(head *wire.ResponseHead, from source) Response {
	return Response{Status: head.Status, Fields: head.Fields, HeadSize: len(head.Raw), framing: head.Framing, from: from}
}

// ReadThen reads a recorded response from its exact bytes, which open gives. open
// must stay usable for as long as the Response is. method is that of the request,
// on which it depends whether there is a body. A body that was cut short then is
// compared as far as it came.
func ReadThen(open func() (io.ReadCloser, error), method string) (*Response, error) {
	raw, err := open()
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	start, err := readStart(raw)
	if err != nil {
		return nil, fmt.Errorf("read the response: %w", err)
	}
	before := wire.Interim(start) // as other tools record them
	head, err := wire.ParseResponseHead(start[before:], method)
	if err != nil {
		return nil, fmt.Errorf("read the response: %w", err)
	}
	r := newResponse(head, openFunc(open))
	r.HeadSize += before
	rest := io.MultiReader(bytes.NewReader(start[r.HeadSize:]), raw)
	digest := digests.Get().(*digest)
	defer digests.Put(digest)
	digest.Reset()
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	r.Size, err = io.CopyBuffer(digest, wire.NewBodyReader(head.Framing, rest), buf[:])
	if err := unlessBroken(err); err != nil {
		return nil, fmt.Errorf("read the response: %w", err)
	}
	digest.Sum(r.digest[:0])
	return &r, nil
}

// unlessBroken is an error that is not about the bytes themselves.
func unlessBroken(err error) error {
	if _, broken := errors.AsType[*wire.SyntaxError](err); broken || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// Body is the body as expressions have it: without chunk framing, and decoded
// where it came in gzip or deflate. The error wraps wire.ErrContentTooLarge when
// it has more than 16 MiB.
func (r *Response) Body() ([]byte, error) { return r.content().plain() }

func (r *Response) content() content { return content{r.Fields, r.Size, r.digest, r.whole} }

// whole is the body without chunk framing.
func (r *Response) whole() ([]byte, error) {
	raw, err := r.from.Open()
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	if _, err := io.CopyN(io.Discard, raw, int64(r.HeadSize)); err != nil {
		return nil, fmt.Errorf("read the response: %w", err)
	}
	body := make([]byte, r.Size)
	n, err := io.ReadFull(wire.NewBodyReader(r.framing, raw), body)
	if err := unlessBroken(err); err != nil {
		return nil, fmt.Errorf("read the response: %w", err)
	}
	return body[:n], nil
}
