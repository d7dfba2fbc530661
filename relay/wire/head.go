package wire

import (
	"bytes"
	"strings"
)

// A RequestHead is the head of a request, from its request line through the
// blank line. Raw is the head; all other strings are views into it.
type RequestHead struct {
	Raw       string // as received
	Method    string
	Target    string // the request target as sent
	Proto     string // "HTTP/1.1" or "HTTP/1.0"
	Fields    Fields
	Framing   Framing
	KeepAlive bool // the sender lets the connection live on after this request
	Continue  bool // the sender waits for 100 Continue before it sends the body (HTTP/1.1 only)
}

// A ResponseHead is the head of a response, made like a RequestHead.
type ResponseHead struct {
	Raw       string
	Proto     string // "HTTP/1.1" or "HTTP/1.0"
	Status    int    // 100 to 999
	Reason    string // may be empty
	Fields    Fields
	Framing   Framing
	KeepAlive bool // the server lets the connection live on after this response
}

// ParseRequestHead parses the head that b begins with and copies it, once. The
// length of Raw says how much of b it was. Empty lines before a request are the
// caller's to skip, with SkipBlank.
//
// The error is ErrShort when b may become a head, and a *SyntaxError when it
// never will; the latter may come before the head is complete.
func ParseRequestHead(b []byte) (*RequestHead, error) {
	end := HeadEnd(b, 0)
	if end < 0 {
		return nil, shortRequest(b)
	}
	h := &RequestHead{Raw: string(b[:end])}
	line, rest := cutLine(h.Raw)
	if err := h.parseRequestLine(line); err != nil {
		return nil, err
	}
	var s semantics
	var err error
	if h.Fields, err = parseFields(rest, &s); err != nil {
		return nil, err
	}
	if err := s.checkHost(h.Proto); err != nil {
		return nil, err
	}
	if h.Framing, err = s.framing(h.Proto); err != nil {
		return nil, err
	}
	h.KeepAlive = s.keepsAlive(h.Proto)
	h.Continue = s.expectsContinue && h.Proto == "HTTP/1.1" && h.Framing != Framing{}
	return h, nil
}

// ParseResponseHead parses the head that b begins with. The method of the
// request decides with the status whether a body follows (RFC 9112, section
// 6.3). The errors are those of ParseRequestHead; a SyntaxError's status is 502.
func ParseResponseHead(b []byte, requestMethod string) (*ResponseHead, error) {
	h, err := parseResponseHead(b, requestMethod)
	if e, ok := err.(*SyntaxError); ok {
		return nil, refuse(502, "%s", e.Reason)
	}
	return h, err
}

func parseResponseHead(b []byte, requestMethod string) (*ResponseHead, error) {
	end := HeadEnd(b, 0)
	if end < 0 {
		return nil, shortResponse(b)
	}
	h := &ResponseHead{Raw: string(b[:end])}
	line, rest := cutLine(h.Raw)
	if err := h.parseStatusLine(line); err != nil {
		return nil, err
	}
	var s semantics
	var err error
	if h.Fields, err = parseFields(rest, &s); err != nil {
		return nil, err
	}
	if h.Framing, err = s.framing(h.Proto); err != nil {
		return nil, err
	}
	switch {
	case requestMethod == "HEAD" || h.Status < 200 || h.Status == 204 || h.Status == 304:
		h.Framing = Framing{}
	case s.codings+s.lengths == 0:
		h.Framing = Framing{Length: -1}
	}
	h.KeepAlive = s.keepsAlive(h.Proto) && h.Framing.Length >= 0
	return h, nil
}

// Interim returns how many bytes of heads of interim responses (RFC 9110, section
// 15.2) b begins with; the final response follows them. 101 counts as final, since
// no HTTP follows it.
func Interim(b []byte) (n int) {
	for {
		rest := b[n:]
		version, code, _ := bytes.Cut(rest[:min(len(rest), len("HTTP/1.1 103"))], []byte(" "))
		if !bytes.HasPrefix(version, []byte("HTTP/")) || len(code) < 3 || code[0] != '1' || string(code[:3]) == "101" {
			return n
		}
		end := HeadEnd(rest, 0)
		if end < 0 {
			return n
		}
		n += end
	}
}

// SkipBlank returns how many bytes of empty lines b begins with. RFC 9112,
// section 2.2 has them ignored before a request: some senders put a CR LF after
// a body that its length does not count.
func SkipBlank(b []byte) int {
	n := 0
	for {
		switch rest := b[n:]; {
		case len(rest) > 0 && rest[0] == '\n':
			n++
		case len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
			n += 2
		default:
			return n
		}
	}
}

// HeadEnd returns the length of the head that b begins with, blank line
// included, or -1 when b has no end of one. looked is how many bytes of b an
// earlier call has seen, so that a head that trickles in is searched only once.
func HeadEnd(b []byte, looked int) int {
	for i := max(0, looked-2); ; i++ { // the end may have begun two bytes ago: LF CR
		n := bytes.IndexByte(b[i:], '\n')
		if n < 0 {
			return -1
		}
		i += n
		switch rest := b[i+1:]; {
		case len(rest) > 0 && rest[0] == '\n':
			return i + 2
		case len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
			return i + 3
		}
	}
}

// shortRequest judges the beginning of a request: what can't become one is
// refused at once, and not only when the sender gives up.
func shortRequest(b []byte) error {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		line, _ := cutLine(string(b[:i+1]))
		if err := new(RequestHead).parseRequestLine(line); err != nil {
			return err
		}
		return ErrShort
	}
	for i, c := range b {
		if c == ' ' && i > 0 {
			return ErrShort
		}
		if !isToken[c] {
			return refuse(400, "malformed request line")
		}
	}
	return ErrShort
}

func shortResponse(b []byte) error {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		const start = "HTTP/1."
		switch n := min(len(b), len(start)); {
		case isTLSAlert(b):
			return refuse(502, "TLS, where plain HTTP was asked for")
		case string(b[:n]) != start[:n]:
			return malformedStatusLine(string(b))
		}
		return ErrShort
	}
	line, _ := cutLine(string(b[:i+1]))
	if err := new(ResponseHead).parseStatusLine(line); err != nil {
		return err
	}
	return ErrShort
}

// parseRequestLine parses METHOD SP TARGET SP VERSION.
func (h *RequestHead) parseRequestLine(line string) error {
	method, rest, ok1 := strings.Cut(line, " ")
	target, proto, ok2 := strings.Cut(rest, " ")
	switch {
	case !ok1 || !ok2:
		return refuse(400, "malformed request line")
	case !validToken(method):
		return refuse(400, "malformed method")
	case method == "PRI" && target == "*":
		return refuse(400, "HTTP/2 without TLS negotiation")
	}
	if err := checkVersion(proto); err != nil {
		return err
	}
	h.Method, h.Target, h.Proto = method, target, proto
	return checkTarget(method, target)
}

// malformedStatusLine shows what an app said that does not speak HTTP.
func malformedStatusLine(line string) error {
	return refuse(502, "malformed status line %q", clip(line))
}

// parseStatusLine parses VERSION SP STATUS [SP REASON]: many servers leave out
// the reason, and some of them also the space before it.
func (h *ResponseHead) parseStatusLine(line string) error {
	proto, rest, ok := strings.Cut(line, " ")
	if !ok || !strings.HasPrefix(proto, "HTTP/") {
		return malformedStatusLine(line)
	}
	if err := checkVersion(proto); err != nil {
		return err
	}
	code, reason, _ := strings.Cut(rest, " ")
	if len(code) != 3 || code[0] < '1' || !isDigits(code) {
		return refuse(502, "malformed status code")
	}
	if !validValue(reason) {
		return refuse(502, "control character in the reason phrase")
	}
	h.Proto, h.Reason = proto, reason
	h.Status = int(code[0]-'0')*100 + int(code[1]-'0')*10 + int(code[2]-'0')
	return nil
}

func checkVersion(proto string) error {
	if proto == "HTTP/1.1" || proto == "HTTP/1.0" {
		return nil
	}
	digit := func(i int) bool { return '0' <= proto[i] && proto[i] <= '9' }
	if len(proto) == len("HTTP/1.1") && proto[:5] == "HTTP/" && digit(5) && proto[6] == '.' && digit(7) {
		return refuse(505, "version %s", proto)
	}
	return refuse(400, "malformed HTTP version")
}
