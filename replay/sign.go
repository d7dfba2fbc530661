package replay

import (
	"errors"
	"fmt"
	"io"

	"github.com/hooktape/hooktape/relay/provider"
	"github.com/hooktape/hooktape/relay/wire"
)

// signedMax is the size of the largest body that can be signed or changed, in
// bytes: it has to be in memory.
const signedMax = 64 << 20

var errTooLargeToSign = errors.New("the body is too large to be signed again or changed")

// Signed is the request as its sender would send it now. Sign says what that
// changes; everything else stays byte for byte.
func (r *Request) Signed(sign func(head *wire.RequestHead, body []byte) (*provider.Signature, error)) (*Request, error) {
	body, err := r.Whole()
	if err != nil {
		return nil, err
	}
	g, err := sign(r.Head, body)
	if err != nil {
		return nil, err
	}
	return r.edited(g.Edit(r.Head), g.Body)
}

// Whole is the body without chunk framing. One of more than 64 MiB is an error.
func (r *Request) Whole() ([]byte, error) {
	body, err := r.start(signedMax + 1)
	if err != nil {
		return nil, fmt.Errorf("read the record: %w", err)
	}
	if len(body) > signedMax {
		return nil, errTooLargeToSign
	}
	return body, nil
}

// start is the decoded body, as far as it came and most bytes of it.
func (r *Request) start(most int64) ([]byte, error) {
	raw, err := r.open()
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	return io.ReadAll(io.LimitReader(wire.NewBodyReader(r.Head.Framing, raw), most))
}

// edited is the request with a changed head, and when body is not nil with
// that body in the place of its own.
func (r *Request) edited(e wire.Edit, body []byte) (*Request, error) {
	raw, err := e.Head(r.Head.Raw)
	if err != nil {
		return nil, fmt.Errorf("edit the request: %w", err)
	}
	head, err := wire.ParseRequestHead([]byte(raw))
	if err != nil {
		return nil, fmt.Errorf("edit the request: %w", err)
	}
	if body != nil {
		return &Request{Head: head, Body: body, rest: body}, nil
	}
	return &Request{Head: head, Body: r.Body, rest: r.rest, large: r.large}, nil
}
