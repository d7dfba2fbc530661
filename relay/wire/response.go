package wire

import (
	"io"
	"time"
)

// A Response is the response to an Outgoing. Close it.
type Response struct {
	Head      *ResponseHead
	FirstByte time.Time // when the first byte of Head arrived
	Reused    bool      // the connection was used before
}

func (r *Response) Read(p []byte) (int, error) { return 0, io.EOF }
func (r *Response) BodySize() int64            { return 0 }
func (r *Response) Close() error               { return nil }
