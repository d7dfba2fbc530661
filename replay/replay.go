// Package replay sends recorded requests again and compares what comes back
// with what came back then.
//
//	Load      the recorded bytes of a request → Request
//	With      Request, what is to be set → Request
//	Signed    Request → Request as its sender would send it now
//	Send      Request, Aim → Result                  over the same wire.Client as deliveries
//	ReadThen  the recorded bytes of a response → Response
//	Compare   Response, Response, Rules → Difference
//
// Run does it for many: it reads Shots ahead, prepares each shortly before it is
// due (Load, With, Signed, ReadThen), and sends it when it is due (Send), in the
// order and at the times that a Pace says. Comparing, recording and reporting
// what came is left to the caller, beside the sending, so that no send waits for it.
//
// Where records come from and where attempts go is the caller's business.
//
// For tests there is Play, which plays a tape file at an app and says where its
// answers differ, and Mock, which stands for the other side and answers from a
// Tape: as a http.RoundTripper, as a http.Handler for httptest.NewServer, and on
// a wire.Server.
package replay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/hooktape/hooktape/relay/wire"
)

// buffers are what messages are read through.
var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// inMemory is how much of a request is kept in memory for its sends: no head is
// longer. The body of a larger request is read from the tape for each send.
const inMemory = 256 << 10

// ErrNoRequest says that a record's bytes never became a whole request, so
// that there is nothing to send.
var ErrNoRequest = errors.New("its bytes are no whole request")

// Request is a recorded request, ready to be sent any number of times.
type Request struct {
	Head *wire.RequestHead
	Body []byte // what takes the place of the recorded body; nil: nothing does

	rest  []byte                        // the bytes behind the head
	large func() (io.ReadCloser, error) // opens them, where they are too many to be rest; else nil
}

// open opens the bytes behind the head.
func (r *Request) open() (io.ReadCloser, error) {
	if r.large != nil {
		return r.large()
	}
	return io.NopCloser(bytes.NewReader(r.rest)), nil
}

// Load reads a request from the exact bytes of its record, which open gives.
// open must stay usable for as long as the Request is. The error wraps
// ErrNoRequest when the bytes are not one.
func Load(open func() (io.ReadCloser, error)) (*Request, error) {
	raw, err := open()
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	start, err := readStart(raw)
	if err != nil {
		return nil, fmt.Errorf("read the record: %w", err)
	}
	r, err := Parse(start)
	if err == nil && len(start) >= inMemory {
		r.rest, r.large = nil, func() (io.ReadCloser, error) { return openBehind(open, len(r.Head.Raw)) }
	}
	return r, err
}

// Parse is Load for bytes that are in memory. They stay in use, and must not be
// changed.
func Parse(raw []byte) (*Request, error) {
	head, err := wire.ParseRequestHead(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoRequest, err)
	}
	return &Request{Head: head, rest: raw[len(head.Raw):]}, nil
}

// readStart reads all of a short message, and the beginning of a long one.
func readStart(raw io.Reader) ([]byte, error) {
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	n, err := io.ReadFull(raw, buf[:])
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return bytes.Clone(buf[:n]), nil // of its own size
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(io.MultiReader(bytes.NewReader(buf[:]), raw), inMemory))
}

// openBehind opens the record and passes over its head.
func openBehind(open func() (io.ReadCloser, error), head int) (io.ReadCloser, error) {
	raw, err := open()
	if err != nil {
		return nil, err
	}
	if _, err := io.CopyN(io.Discard, raw, int64(head)); err != nil {
		raw.Close()
		return nil, fmt.Errorf("read the record: %w", err)
	}
	return raw, nil
}
