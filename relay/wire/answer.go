package wire

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// An Answer is a response that hooktape itself makes.
type Answer struct {
	Status int
	// Fields are written as they are, except Connection, Content-Length and
	// Transfer-Encoding: the message itself decides those. Values may come from a
	// record, so a field whose name could break the message is left out, and
	// control characters in a value become spaces.
	Fields   Fields
	Body     []byte
	HeadOnly bool      // the request was HEAD: the body is counted, not sent
	Close    bool      // the connection closes after this answer
	Proto    string    // of the request; "" is "HTTP/1.1"
	Date     time.Time // zero, or with a Date in Fields: no Date field
}

// usualHead is larger than most heads of our answers.
const usualHead = 256

// AppendResponse appends the answer to dst, head and body, ready for one write.
// The version is always HTTP/1.1, whatever the request's (RFC 9112, section 2.5).
func AppendResponse(dst []byte, a Answer) []byte {
	dst = slices.Grow(dst, usualHead+len(a.Body))
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(a.Status), 10)
	dst = append(dst, ' ')
	dst = append(dst, http.StatusText(a.Status)...)
	dst = append(dst, "\r\n"...)
	if _, given := a.Fields.Get("Date"); !given && !a.Date.IsZero() {
		dst = append(dst, "Date: "...)
		dst = a.Date.UTC().AppendFormat(dst, http.TimeFormat)
		dst = append(dst, "\r\n"...)
	}
	dst = appendFields(dst, a.Fields)
	bodiless := a.Status < 200 || a.Status == 204 || a.Status == 304
	if !bodiless {
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, int64(len(a.Body)), 10)
		dst = append(dst, "\r\n"...)
	}
	dst = append(dst, connectionField("HTTP/1.1", a.Proto, !a.Close)...)
	dst = append(dst, "\r\n"...)
	if bodiless || a.HeadOnly {
		return dst
	}
	return append(dst, a.Body...)
}

func appendFields(dst []byte, fields Fields) []byte {
	for _, f := range fields {
		if !validToken(f.Name) || equalFold(f.Name, "Connection") ||
			equalFold(f.Name, "Content-Length") || equalFold(f.Name, "Transfer-Encoding") {
			continue
		}
		dst = append(dst, f.Name...)
		dst = append(dst, ": "...)
		for i := range len(f.Value) {
			c := f.Value[i]
			if c < ' ' && c != '\t' || c == 0x7f {
				c = ' '
			}
			dst = append(dst, c)
		}
		dst = append(dst, "\r\n"...)
	}
	return dst
}

// connectionField returns the Connection field that a response needs, or "". A
// connection lives on by default only where both sides speak HTTP/1.1 (RFC 9112,
// section 9.3).
func connectionField(response, request string, keepAlive bool) string {
	persists := response != "HTTP/1.0" && request != "HTTP/1.0"
	switch {
	case persists && !keepAlive:
		return "Connection: close\r\n"
	case !persists && keepAlive:
		return "Connection: keep-alive\r\n"
	}
	return ""
}
