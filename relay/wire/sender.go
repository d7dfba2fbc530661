package wire

import (
	"slices"
	"strings"
)

// Passing says how the body follows a head made by ForSender.
type Passing struct {
	Decode bool // send the decoded body (BodyReader), not its bytes on the wire
	Close  bool // the connection must close after the answer
}

// ForSender returns an app's head as it goes on to the sender of a request of
// that version: byte for byte, without the fields of the app's own connection
// (RFC 9110, section 7.6.1). keepAlive says whether the sender's connection could
// live on; where its fate must be said, a Connection field says it.
//
// A sender that speaks HTTP/1.0 does not understand chunks: it gets the body
// decoded, which ends with the connection.
func (h *ResponseHead) ForSender(proto string, keepAlive bool) (head string, passing Passing) {
	unchunk := proto == "HTTP/1.0"
	passing = Passing{
		Decode: unchunk && h.Framing.Chunked,
		Close:  !keepAlive || h.Framing.Length < 0 || unchunk && h.Framing.Chunked,
	}
	connection := connectionField(h.Proto, proto, !passing.Close)
	dropped := func(f Field) bool { return h.aboutConnection(f.Name) || unchunk && aboutChunks(f.Name) }
	if connection == "" && !slices.ContainsFunc(h.Fields, dropped) {
		return h.Raw, passing
	}
	var b strings.Builder
	b.Grow(len(h.Raw) + len(connection))
	line, rest := cutLineEnd(h.Raw)
	b.WriteString(line)
	for _, f := range h.Fields {
		line, rest = cutLineEnd(rest)
		if !dropped(f) {
			b.WriteString(line)
		}
	}
	b.WriteString(connection)
	b.WriteString(rest)
	return b.String(), passing
}

// aboutConnection says whether a response field is about the app's connection.
// Unlike in requests, the fields that Connection names are too; but an app that
// names a framing field there must not unframe the body.
func (h *ResponseHead) aboutConnection(name string) bool {
	if aboutConnection(name) {
		return !equalFold(name, "Proxy-Status") // RFC 9209: for whoever debugs the sender
	}
	for _, f := range h.Fields {
		if equalFold(f.Name, "Connection") && hasElement(f.Value, name) {
			return !framesMessage(name)
		}
	}
	return false
}

func aboutChunks(name string) bool {
	return equalFold(name, "Transfer-Encoding") || equalFold(name, "Trailer")
}
