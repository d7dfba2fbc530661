package wire

import (
	"io"
	"net/url"
	"time"
)

// Framing says how long a body is (RFC 9112, section 6.3).
// The zero Framing is no body.
type Framing struct {
	Chunked bool
	Length  int64 // bytes, when not Chunked; -1: until the connection closes (responses only)
}

// A RequestHead is the parsed head of a request: views into Raw.
type RequestHead struct {
	Raw       string // request line through blank line, as received
	Method    string
	Target    string // as sent
	Proto     string // "HTTP/1.1" or "HTTP/1.0"
	Fields    Fields
	Framing   Framing
	KeepAlive bool // the sender lets the connection live on after this request
	Continue  bool // the sender waits for 100 Continue before it sends the body
}

func (h *RequestHead) Host() string  { panic("soon") }
func (h *RequestHead) Path() string  { panic("soon") }
func (h *RequestHead) Query() string { panic("soon") }

type ResponseHead struct {
	Raw       string
	Proto     string
	Status    int
	Reason    string
	Fields    Fields
	Framing   Framing
	KeepAlive bool
}

func ParseRequestHead(b []byte) (*RequestHead, error)                         { panic("soon") }
func ParseResponseHead(b []byte, requestMethod string) (*ResponseHead, error) { panic("soon") }

// SkipBlank returns how many bytes of empty lines b begins with.
func SkipBlank(b []byte) int { panic("soon") }

// HeadEnd returns the length of the head that b begins with, blank line
// included, or -1. looked is how many bytes of b an earlier call has seen.
func HeadEnd(b []byte, looked int) int { panic("soon") }

type Framer struct {
	Decoded func(p []byte)
}

func NewFramer(framing Framing) *Framer            { panic("soon") }
func (f *Framer) Reset(framing Framing)            { panic("soon") } // keeps Decoded; so that a Framer can be embedded by value
func (f *Framer) Scan(p []byte) (n int, err error) { panic("soon") }
func (f *Framer) EOF() error                       { panic("soon") } // the stream has ended: nil, or io.ErrUnexpectedEOF. Ends an until-close body
func (f *Framer) Done() bool                       { panic("soon") }
func (f *Framer) Size() int64                      { panic("soon") }
func (f *Framer) Trailers() Fields                 { panic("soon") }

type BodyReader struct{}

func NewBodyReader(f Framing, wire io.Reader) *BodyReader                         { panic("soon") }
func (r *BodyReader) Read(p []byte) (int, error)                                  { panic("soon") }
func (r *BodyReader) Trailers() Fields                                            { panic("soon") }
func DecodeBody(f Framing, wire []byte) (body []byte, trailers Fields, err error) { panic("soon") }

type Route struct {
	Prefix   string
	URL      *url.URL
	KeepHost bool
	Add      Fields
}

func (r Route) Head(h *RequestHead) (string, error)          { panic("soon") }
func MatchPrefix(path, prefix string) (rest string, ok bool) { panic("soon") }

type Answer struct {
	Status   int
	Fields   Fields
	Body     []byte
	HeadOnly bool      // the request was HEAD
	Close    bool      // the connection closes after this answer
	Proto    string    // of the request
	Date     time.Time // zero: no Date field
}

func AppendResponse(dst []byte, a Answer) []byte { panic("soon") }

// Passing says how the body follows a head made by ForSender.
type Passing struct {
	Decode bool // send the decoded body (BodyReader), not its wire bytes
	Close  bool // the connection must close after the answer
}

func (h *ResponseHead) ForSender(proto string, keepAlive bool) (head string, passing Passing) {
	panic("soon")
}
