package wire

import (
	"net/url"
	"strings"
)

// Host returns the authority that the request is for: that of an absolute-form
// target, which wins (RFC 9112, section 3.2.2), else the Host field's value.
func (h *RequestHead) Host() string {
	if authority, _, ok := cutAbsolute(h.Target); ok {
		return authority
	}
	host, _ := h.Fields.Get("Host")
	return host
}

// Path returns the path of the target as sent, without the query: "/a//b%20c".
// It is "*" for OPTIONS of the whole server.
func (h *RequestHead) Path() string {
	path, _, _ := strings.Cut(h.originForm(), "?")
	return path
}

// Query returns the query of the target as sent, without its "?".
func (h *RequestHead) Query() string {
	_, query, _ := strings.Cut(h.Target, "?")
	return query
}

// originForm returns the target without scheme and authority. The empty path
// of an absolute-form is "/", or "*" for OPTIONS (RFC 9112, section 3.2.4).
func (h *RequestHead) originForm() string {
	_, rest, ok := cutAbsolute(h.Target)
	switch {
	case !ok:
		return h.Target
	case rest == "" && h.Method == "OPTIONS":
		return "*"
	case rest == "" || rest[0] == '?':
		return "/" + rest
	}
	return rest
}

// cutAbsolute cuts an absolute-form target after its authority.
func cutAbsolute(target string) (authority, rest string, ok bool) {
	if target == "" || target[0] == '/' || target[0] == '*' {
		return "", "", false
	}
	scheme, rest, ok := strings.Cut(target, "://")
	if !ok || !equalFold(scheme, "http") && !equalFold(scheme, "https") {
		return "", "", false
	}
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		return rest[:i], rest[i:], true
	}
	return rest, "", true
}

// checkTarget refuses what url.ParseRequestURI does, without building a URL for
// the origin-form that nearly all requests have.
func checkTarget(method, target string) error {
	switch {
	case method == "CONNECT":
		return refuse(400, "CONNECT")
	case target == "":
		return refuse(400, "empty request target")
	case !validValue(target) || strings.IndexByte(target, '\t') >= 0:
		return refuse(400, "control character in the request target")
	case target == "*" && method == "OPTIONS":
		return nil
	case target[0] == '/':
		path, _, _ := strings.Cut(target, "?")
		return checkEscapes(path)
	}
	authority, _, ok := cutAbsolute(target)
	if !ok {
		return refuse(400, "malformed request target")
	}
	// User information is deprecated (RFC 9110, section 4.2.4), and some servers
	// take an escaped host as it is while others, net/http among them, decode it.
	if authority == "" || !validHost(authority) || strings.Contains(authority, "%") {
		return refuse(400, "malformed host in the request target")
	}
	if _, err := url.ParseRequestURI(target); err != nil {
		return refuse(400, "malformed request target")
	}
	return nil
}

// checkEscapes refuses a percent sign that is not followed by two hex digits.
func checkEscapes(path string) error {
	for {
		i := strings.IndexByte(path, '%')
		if i < 0 {
			return nil
		}
		if len(path) < i+3 || hexValue(path[i+1]) < 0 || hexValue(path[i+2]) < 0 {
			return refuse(400, "malformed percent-encoding in the path")
		}
		path = path[i+3:]
	}
}

func hexValue(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

var (
	// isRegName are the characters of a host name (RFC 3986, section 3.2.2).
	isRegName = classOf("-._~!$&'()*+,;=%" +
		"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	// isLiteral are the characters between the brackets of an IPv6 address,
	// zone included.
	isLiteral = classOf(":-._~%" +
		"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
)

// validHost says whether s is uri-host [ ":" port ]. Empty is valid: senders
// that have no name for the host send that (RFC 9112, section 3.2).
func validHost(s string) bool {
	class, i := &isRegName, 0
	if strings.HasPrefix(s, "[") {
		class, i = &isLiteral, 1
	}
	start := i
	for i < len(s) && class[s[i]] {
		i++
	}
	if start == 1 {
		if i == start || i == len(s) || s[i] != ']' {
			return false
		}
		i++
	}
	port := s[i:]
	return port == "" || port == ":" || port[0] == ':' && isDigits(port[1:])
}
