package wire

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// An Edit says what to change in the head of a request. What it does not name stays as it is, byte for byte: the zero
// Edit changes nothing.
type Edit struct {
	Method string // "": as it is
	Target string // of the request line; "": as it is
	Set    Fields // replace the fields of the same names, each where the first one stands, or at the end if there was none
	Drop   []string

	// Length, when not nil, is the size in bytes of a body that replaces the old one: Content-Length says so, and the
	// fields about the old body's framing and coding go.
	Length *int64
}

// ofOldBody are the fields that are true only of the body they came with.
var ofOldBody = []string{"Transfer-Encoding", "Trailer", "Content-Encoding", "Content-MD5", "Content-Digest", "Repr-Digest", "Digest"}

// Head returns the head with the changes. The error is a *SyntaxError when the result is no valid head; values can't
// break out of their fields, nor the target out of its line.
func (e Edit) Head(raw string) (string, error) {
	h, err := ParseRequestHead([]byte(raw))
	if err != nil {
		return "", err
	}
	if e.Method != "" && !validToken(e.Method) {
		return "", refuse(400, "malformed method")
	}
	if strings.ContainsFunc(e.Target, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return "", refuse(400, "the target has a space or a line break in it") // could be read as several lines
	}
	for _, f := range e.Set {
		if !validToken(f.Name) || !validValue(f.Value) {
			return "", refuse(400, "field %s can't be written into a head", clip(f.Name))
		}
	}
	set, drop := e.body(h)
	var b strings.Builder
	b.Grow(len(raw) + sizeOf(set))
	line, rest := cutLineEnd(raw)
	b.WriteString(e.startLine(h, line))
	written := map[string]bool{}
	for _, f := range h.Fields {
		line, rest = cutLineEnd(rest)
		name := strings.ToLower(f.Name)
		switch place := named(set, f.Name); {
		case len(place) > 0 && !written[name]:
			written[name] = true
			writeInPlace(&b, line, place)
		case len(place) > 0, containsName(drop, f.Name):
		default:
			b.WriteString(line)
		}
	}
	for _, f := range set {
		if !written[strings.ToLower(f.Name)] {
			writeFields(&b, Fields{f})
		}
	}
	b.WriteString(rest)
	edited := b.String()
	_, err = ParseRequestHead([]byte(edited))
	return edited, err
}

func (e Edit) startLine(h *RequestHead, line string) string {
	method, target := h.Method, h.Target
	if e.Method != "" {
		method = e.Method
	}
	if e.Target != "" {
		target = e.Target
	}
	return method + " " + target + line[len(h.Method)+len(" ")+len(h.Target):]
}

// body returns Set and Drop, extended by what a new body needs.
func (e Edit) body(h *RequestHead) (set Fields, drop []string) {
	if e.Length == nil {
		return e.Set, e.Drop
	}
	set, drop = slices.Clone(e.Set), slices.Clone(e.Drop)
	for _, name := range ofOldBody {
		if len(named(set, name)) == 0 {
			drop = append(drop, name)
		}
	}
	length := Field{Name: "Content-Length", Value: strconv.FormatInt(*e.Length, 10)}
	if old, ok := h.Fields.Get(length.Name); ok && old == length.Value {
		return set, drop
	}
	return append(set, length), drop
}

func named(fields Fields, name string) (some Fields) {
	for _, f := range fields {
		if equalFold(f.Name, name) {
			some = append(some, f)
		}
	}
	return some
}

func containsName(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return equalFold(n, name) })
}

// writeInPlace writes the first field in the place of line, keeping its name, blanks and line end; the others follow it.
func writeInPlace(b *strings.Builder, line string, fields Fields) {
	name, value, _ := strings.Cut(line, ":")
	if strings.Trim(value, " \t\r\n") == "" { // there is no value to replace
		writeFields(b, Fields{{Name: name, Value: fields[0].Value}})
	} else {
		b.WriteString(name + ":")
		writeReplaced(b, value, fields[0].Value)
	}
	writeFields(b, fields[1:])
}

// Apply changes the head of a request that is about to be sent, as the rewrite block of a target asks for. A new body is
// for the caller to put in. The error says in one line why the result would not be a valid request.
func (o *Outgoing) Apply(e Edit) error {
	head, err := e.Head(o.Head)
	if syntax, ok := errors.AsType[*SyntaxError](err); ok {
		return fmt.Errorf("rewrite: %s", syntax.Reason)
	}
	if err != nil {
		return err
	}
	o.Head, o.Method = head, cmp.Or(e.Method, o.Method)
	if e.Target != "" {
		o.URL = &url.URL{Scheme: o.URL.Scheme, Host: o.URL.Host, Opaque: "//" + o.URL.Host + e.Target}
	}
	return nil
}
