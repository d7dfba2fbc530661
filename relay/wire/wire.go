// Package wire speaks HTTP/1.1 byte for byte.
//
// hooktape records what was sent, not what some library made of it. So this
// package never rebuilds a message: it finds where a message ends in the bytes
// that come in, checks it, and gives views into it.
//
//	bytes → ParseRequestHead → RequestHead   strict; says where the head ends
//	      → Framer                           says where the body ends, decodes on the way
//	RequestHead → Route.Head → bytes         the head as a target gets it
//	ResponseHead → ForSender → bytes         an app's head as the sender gets it
//	Answer → AppendResponse → bytes          an answer of hooktape's own
//
// Server and Client do that on sockets; everything above is pure.
//
// The parser is stricter than RFC 9112 asks for, because the same bytes go to
// another parser later: whatever two parsers could read differently is refused.
// What net/http refuses is refused here; fuzz tests hold the two together.
// Whatever is legal but odd (case, order, duplicates, spaces round values, bare
// LF) is kept as it came.
package wire

import (
	"errors"
	"fmt"
)

// ErrShort says that the bytes are the beginning of a head: read more and parse
// again.
var ErrShort = errors.New("head is not complete")

// A SyntaxError says why hooktape does not accept bytes as a message.
type SyntaxError struct {
	Status int    // the answer that the sender deserves: 400, 431 or 505; 502 for the head of a response
	Reason string // a short phrase for the operator: "two Content-Length fields"
}

func (e *SyntaxError) Error() string { return e.Reason }

// refuse returns a SyntaxError.
func refuse(status int, format string, args ...any) error {
	return &SyntaxError{Status: status, Reason: fmt.Sprintf(format, args...)}
}

// A Field is a header or trailer field.
type Field struct {
	Name  string // as sent
	Value string // without the spaces and tabs around it
}

// Fields are the fields of a head or of trailers in the order they were sent,
// duplicates included.
type Fields []Field

// Get returns the value of the first field of that name; names are compared
// ignoring case.
func (f Fields) Get(name string) (value string, ok bool) {
	for i := range f {
		if equalFold(f[i].Name, name) {
			return f[i].Value, true
		}
	}
	return "", false
}

// Values returns the values of all fields of that name, in their order.
func (f Fields) Values(name string) []string {
	var values []string
	for i := range f {
		if equalFold(f[i].Name, name) {
			values = append(values, f[i].Value)
		}
	}
	return values
}

// equalFold compares ignoring case, in ASCII only: strings.EqualFold takes the
// Kelvin sign for a k.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
