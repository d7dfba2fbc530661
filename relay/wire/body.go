package wire

import "io"

// A BodyReader decodes a body from its bytes on the wire.
type BodyReader struct {
	framer Framer
	wire   io.Reader
	into   []byte // the caller's buffer during Read
	n      int    // decoded bytes in it
}

// NewBodyReader returns a reader of the decoded body. wire must end where the body
// does: a chunked body is decoded in the buffer given to Read, so more than the
// body may be read from wire.
func NewBodyReader(f Framing, wire io.Reader) *BodyReader {
	r := &BodyReader{wire: wire}
	r.framer.Reset(f)
	if f.Chunked {
		r.framer.Decoded = r.keep
	}
	return r
}

// keep moves decoded bytes forward, over the framing that came with them.
func (r *BodyReader) keep(p []byte) { r.n += copy(r.into[r.n:], p) }

// Read implements io.Reader. The error is io.ErrUnexpectedEOF when the body is
// cut short and a *SyntaxError when its framing is wrong or bytes follow it.
func (r *BodyReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if r.framer.Done() {
			return 0, io.EOF
		}
		if n, err := r.read(p); n > 0 || err != nil {
			return n, err
		}
	}
}

func (r *BodyReader) read(p []byte) (int, error) {
	if r.framer.length {
		p = p[:min(int64(len(p)), r.framer.left)]
	}
	got, readErr := r.wire.Read(p)
	n, err := r.scan(p[:got])
	switch {
	case err != nil || r.framer.Done():
		return n, err
	case readErr != io.EOF:
		return n, readErr
	case n > 0: // the end can wait for the next call
		return n, nil
	}
	return n, r.framer.EOF()
}

// scan decodes p in place and returns how many bytes it decodes to.
func (r *BodyReader) scan(p []byte) (int, error) {
	r.into, r.n = p, 0
	scanned, err := r.framer.Scan(p)
	r.into = nil
	switch {
	case err != nil:
		return r.n, err
	case scanned < len(p):
		return r.n, errBehind()
	case r.framer.Decoded == nil:
		return len(p), nil
	}
	return r.n, nil
}

// Trailers returns the trailer fields, once Read has returned io.EOF.
func (r *BodyReader) Trailers() Fields { return r.framer.Trailers() }

// DecodeBody decodes a body that is in memory. A body that is not chunked is
// returned as it is, not copied. With io.ErrUnexpectedEOF (cut short) or a
// *SyntaxError (framing wrong, or bytes after the end) it returns what was decoded
// up to there.
func DecodeBody(f Framing, wire []byte) (body []byte, trailers Fields, err error) {
	framer := NewFramer(f)
	if f.Chunked {
		body = make([]byte, 0, len(wire))
		framer.Decoded = func(p []byte) { body = append(body, p...) }
	}
	n, err := framer.Scan(wire)
	switch {
	case err != nil:
	case n < len(wire):
		err = errBehind()
	default:
		err = framer.EOF()
	}
	if !f.Chunked {
		body = wire[:n:n]
	}
	return body, framer.Trailers(), err
}

func errBehind() error { return refuse(400, "bytes behind the end of the body") }
