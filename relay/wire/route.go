package wire

import (
	"errors"
	"net/url"
	"strings"
)

var (
	// ErrDotSegments says that a path which would be rewritten has "." or ".."
	// segments, encoded ones included: they could lead out of the target's path.
	ErrDotSegments = errors.New("path has dot segments and would be rewritten")
	// ErrOutsidePrefix says that a path is not below the Route's prefix.
	ErrOutsidePrefix = errors.New("path is not below the source's path")
	// ErrBadField says that a field to be added can't be written into a head.
	ErrBadField = errors.New("field can't be added")
)

// A Route says how the recorded head of a request becomes the head that a
// target gets. What a Route does not name is copied byte for byte: odd spaces,
// bare LF, case, order and all.
//
// The fields of the connection that the request came on are left out:
// Connection, Keep-Alive, Proxy-*, TE and Upgrade. Transfer-Encoding and Trailer
// stay because the body is forwarded in its framing; Expect and the fields that
// Connection names stay because their loss would change what the app sees.
type Route struct {
	// Prefix is the source's path, which URL's path replaces; one slash at its
	// end does not count. With "" or "/" the whole path is appended to URL's
	// path.
	Prefix string
	// URL is the target. Its host becomes the Host field's value, its query goes
	// before the recorded one.
	URL *url.URL
	// KeepHost keeps the host that the sender asked for.
	KeepHost bool
	// Add are written after the recorded fields.
	Add Fields
}

// Head returns the head for the target. The errors are ErrDotSegments,
// ErrOutsidePrefix and ErrBadField.
//
// A request without a Host field gets none, HTTP/1.0 stays HTTP/1.0, and the
// target of OPTIONS * stays as it is.
func (r Route) Head(h *RequestHead) (string, error) {
	target, err := r.target(h)
	if err != nil {
		return "", err
	}
	for _, f := range r.Add {
		if !validToken(f.Name) || !validValue(f.Value) {
			return "", ErrBadField
		}
	}
	var b strings.Builder
	b.Grow(len(h.Raw) - len(h.Target) + len(target) + len(r.URL.Host) + sizeOf(r.Add))
	start := len(h.Method) + len(" ")
	line, rest := cutLineEnd(h.Raw)
	b.WriteString(line[:start])
	b.WriteString(target)
	b.WriteString(line[start+len(h.Target):])
	r.writeFields(&b, h, rest)
	return b.String(), nil
}

// writeFields copies the field lines of s, which ends with the empty line.
func (r Route) writeFields(b *strings.Builder, h *RequestHead, s string) {
	host := r.URL.Host
	if r.KeepHost {
		host = h.Host()
	}
	from, to := 0, 0 // what of s is copied as it is
	for _, f := range h.Fields {
		line, _ := cutLineEnd(s[to:])
		switch end := to + len(line); {
		case aboutConnection(f.Name):
			b.WriteString(s[from:to])
			from = end
		case equalFold(f.Name, "Host"):
			value := to + len(f.Name) + len(":")
			b.WriteString(s[from:value])
			writeReplaced(b, s[value:end], host)
			from = end
		}
		to += len(line)
	}
	b.WriteString(s[from:to])
	writeFields(b, r.Add)
	b.WriteString(s[to:])
}

// writeReplaced writes by instead of value, keeping the blanks and the line end of value.
func writeReplaced(b *strings.Builder, value, by string) {
	left := len(value) - len(strings.TrimLeft(value, " \t"))
	right := left + len(strings.TrimRight(value[left:], " \t\r\n"))
	b.WriteString(value[:left])
	b.WriteString(by)
	b.WriteString(value[right:])
}

// aboutConnection says whether a request field is about the connection it came on.
func aboutConnection(name string) bool {
	switch len(name) {
	case len("TE"):
		return equalFold(name, "TE")
	case len("Upgrade"):
		if equalFold(name, "Upgrade") {
			return true
		}
	case len("Connection"): // and of Keep-Alive
		if equalFold(name, "Connection") || equalFold(name, "Keep-Alive") {
			return true
		}
	}
	const proxy = "Proxy-"
	return len(name) >= len(proxy) && equalFold(name[:len(proxy)], proxy)
}

// target returns the request target that the target gets.
func (r Route) target(h *RequestHead) (string, error) {
	origin := h.originForm()
	if origin == "*" {
		return origin, nil
	}
	path, query, hasQuery := strings.Cut(origin, "?")
	path, err := r.path(path)
	if err != nil {
		return "", err
	}
	switch {
	case r.URL.RawQuery == "" && !hasQuery:
		return path, nil
	case r.URL.RawQuery == "":
		return path + "?" + query, nil
	case query == "":
		return path + "?" + r.URL.RawQuery, nil
	}
	return path + "?" + r.URL.RawQuery + "&" + query, nil
}

// path puts the target's path in the place of the prefix.
func (r Route) path(path string) (string, error) {
	rest, ok := MatchPrefix(path, r.Prefix)
	if !ok {
		return "", ErrOutsidePrefix
	}
	to := r.URL.EscapedPath()
	base := strings.TrimSuffix(to, "/")
	switch {
	case base == strings.TrimSuffix(r.Prefix, "/"):
		return path, nil
	case HasDotSegment(rest):
		return "", ErrDotSegments
	case rest == "" && to == "":
		return "/", nil
	case rest == "":
		return to, nil
	}
	return base + rest, nil
}

// MatchPrefix says whether path, with or without a query, is prefix or below
// it, and returns what follows the prefix: "", or something that begins with
// "/" or "?". Both are compared as written, in whole segments: "/a" matches
// "/a", "/a/" and "/a/b", but not "/ab". One slash at the prefix's end does not
// count. The prefixes "" and "/" match every path, even "*", and all of it follows.
func MatchPrefix(path, prefix string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(path, strings.TrimSuffix(prefix, "/"))
	switch {
	case !ok:
		return "", false
	case rest == "" || rest[0] == '/' || rest[0] == '?' || len(rest) == len(path):
		return rest, true
	}
	return "", false
}

// HasDotSegment says whether a segment of path is "." or ".." to some server:
// dots and separators may be encoded, a backslash taken for a slash (URL
// Standard, section 4.4), and parameters cut off behind ";" (servlets).
func HasDotSegment(path string) bool {
	dots, other := 0, false
	for path != "" {
		c := path[0]
		path = path[1:]
		if c == '%' && len(path) >= 2 {
			c = byte(hexValue(path[0])<<4 | hexValue(path[1]))
			path = path[2:]
		}
		switch {
		case c == '/' || c == '\\':
			if !other && dots > 0 && dots <= 2 {
				return true
			}
			dots, other = 0, false
		case c == '.' && !other:
			dots++
		case c == ';' && !other && dots > 0 && dots <= 2:
			return true
		default:
			other = true
		}
	}
	return !other && dots > 0 && dots <= 2
}

// Forwarded returns the fields that tell a target who sent a request, to which host, and whether over TLS: the de
// facto standard that RFC 7239 describes. They go into Route.Add.
func Forwarded(peer, host string, tls bool) Fields {
	proto := "http"
	if tls {
		proto = "https"
	}
	return Fields{{"X-Forwarded-For", peer}, {"X-Forwarded-Proto", proto}, {"X-Forwarded-Host", host}}
}
