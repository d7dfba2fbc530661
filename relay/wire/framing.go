package wire

import (
	"math"
	"strings"
)

// Framing says where a body ends (RFC 9112, section 6.3). The zero Framing means
// no body.
type Framing struct {
	Chunked bool
	Length  int64 // bytes, unless Chunked; -1: until the connection closes (responses only)
}

// semantics gathers what the fields of a head say about the message as a whole.
type semantics struct {
	hosts           int
	host            string
	lengths         int
	length          string
	codings         int
	coding          string
	close           bool // Connection: close
	keepAlive       bool // Connection: keep-alive
	expectsContinue bool
	badTrailer      bool // the Trailer field announces a field that must not be one
}

// note is called with each field. The names that matter all differ in length, so
// that others cost little.
func (s *semantics) note(f Field) {
	switch len(f.Name) {
	case len("Host"):
		if equalFold(f.Name, "Host") {
			s.hosts++
			s.host = f.Value
		}
	case len("Expect"):
		if equalFold(f.Name, "Expect") && hasElement(f.Value, "100-continue") {
			s.expectsContinue = true
		}
	case len("Trailer"):
		if equalFold(f.Name, "Trailer") && announcesFraming(f.Value) {
			s.badTrailer = true
		}
	case len("Connection"):
		if equalFold(f.Name, "Connection") {
			s.close = s.close || hasElement(f.Value, "close")
			s.keepAlive = s.keepAlive || hasElement(f.Value, "keep-alive")
		}
	case len("Content-Length"):
		if equalFold(f.Name, "Content-Length") {
			s.lengths++
			s.length = f.Value
		}
	case len("Transfer-Encoding"):
		if equalFold(f.Name, "Transfer-Encoding") {
			s.codings++
			s.coding = f.Value
		}
	}
}

// framing decides the length of a body that is there. RFC 9112 lets a recipient
// repair some of what is refused here; another recipient may repair it differently,
// which is what request smuggling lives on (section 11.2).
func (s *semantics) framing(proto string) (Framing, error) {
	switch {
	case s.codings > 0 && s.lengths > 0:
		return Framing{}, refuse(400, "both Content-Length and Transfer-Encoding")
	case s.codings > 1:
		return Framing{}, refuse(400, "more than one Transfer-Encoding field")
	case s.lengths > 1:
		return Framing{}, refuse(400, "more than one Content-Length field")
	case s.codings == 1:
		return s.chunked(proto)
	case s.lengths == 1:
		n, ok := parseLength(s.length)
		if !ok {
			return Framing{}, refuse(400, "malformed Content-Length %q", clip(s.length))
		}
		return Framing{Length: n}, nil
	}
	return Framing{}, nil
}

func (s *semantics) chunked(proto string) (Framing, error) {
	switch {
	case proto == "HTTP/1.0":
		return Framing{}, refuse(400, "Transfer-Encoding in HTTP/1.0")
	case !equalFold(s.coding, "chunked"):
		return Framing{}, refuse(400, "Transfer-Encoding %q", clip(s.coding))
	case s.badTrailer:
		return Framing{}, refuse(400, "Trailer field announces framing")
	}
	return Framing{Chunked: true}, nil
}

// checkHost applies RFC 9112, section 3.2.
func (s *semantics) checkHost(proto string) error {
	switch {
	case s.hosts > 1:
		return refuse(400, "more than one Host field")
	case s.hosts == 0 && proto == "HTTP/1.1":
		return refuse(400, "no Host field")
	case !validHost(s.host):
		return refuse(400, "malformed Host %q", clip(s.host))
	}
	return nil
}

// keepsAlive applies RFC 9112, section 9.3.
func (s *semantics) keepsAlive(proto string) bool {
	return !s.close && (proto == "HTTP/1.1" || s.keepAlive)
}

// parseLength parses 1*DIGIT: no sign, no space, no list.
func parseLength(s string) (n int64, ok bool) {
	if !isDigits(s) {
		return 0, false
	}
	for i := range len(s) {
		digit := int64(s[i] - '0')
		if n > (math.MaxInt64-digit)/10 {
			return 0, false
		}
		n = n*10 + digit
	}
	return n, true
}

// hasElement says whether the comma-separated list has that element.
func hasElement(list, element string) bool {
	for e := range strings.SplitSeq(list, ",") {
		if equalFold(trim(e), element) {
			return true
		}
	}
	return false
}

// announcesFraming says whether a list of trailer names has one that would
// change where the message ends (RFC 9110, section 6.5.1).
func announcesFraming(list string) bool {
	for e := range strings.SplitSeq(list, ",") {
		if framesMessage(trim(e)) {
			return true
		}
	}
	return false
}

func framesMessage(name string) bool {
	return equalFold(name, "Content-Length") || equalFold(name, "Transfer-Encoding") || equalFold(name, "Trailer")
}

// clip keeps a sender's text short enough to be quoted in a reason.
func clip(s string) string {
	const most = 40 // characters
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
