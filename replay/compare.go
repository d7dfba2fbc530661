package replay

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/hooktape/hooktape/relay/wire"
)

// Response is a response as it is compared: its body by length and digest, so
// that large ones cost no memory.
type Response struct {
	Status   int
	Fields   wire.Fields
	HeadSize int
	Size     int64 // of the body without chunk framing
	digest   [sha256.Size]byte
}

func newResponse(head *wire.ResponseHead) *Response {
	return &Response{Status: head.Status, Fields: head.Fields, HeadSize: len(head.Raw)}
}

// ReadThen reads a recorded response from its exact bytes. method is that of
// the request, on which it depends whether there is a body. A body that was
// cut short then is compared as far as it came.
func ReadThen(raw io.Reader, method string) (*Response, error) {
	start, err := readStart(raw)
	if err != nil {
		return nil, fmt.Errorf("read the response: %w", err)
	}
	head, err := wire.ParseResponseHead(start, method)
	if err != nil {
		return nil, fmt.Errorf("read the response: %w", err)
	}
	r := newResponse(head)
	rest := io.MultiReader(bytes.NewReader(start[len(head.Raw):]), raw)
	digest := sha256.New()
	r.Size, err = io.Copy(digest, wire.NewBodyReader(head.Framing, rest))
	if _, broken := errors.AsType[*wire.SyntaxError](err); err != nil && !broken && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("read the response: %w", err)
	}
	digest.Sum(r.digest[:0])
	return r, nil
}

// Difference says in what two responses differ.
type Difference struct {
	Status  bool     `json:"status"`
	Headers []string `json:"headers"` // names of the fields that differ, in lower case, sorted; never nil
	Body    bool     `json:"body"`
}

// Any says whether there is a difference.
func (d Difference) Any() bool { return d.Status || d.Body || len(d.Headers) > 0 }

// Compare finds the differences between two responses.
func Compare(then, now *Response) Difference {
	return Difference{
		Status:  then.Status != now.Status,
		Headers: differing(then.Fields, now.Fields),
		Body:    then.Size != now.Size || then.digest != now.digest,
	}
}

// differing are the names of the fields whose values differ. Not compared are
// the clock, and what belongs to the connection and to the length of the body,
// which is compared itself.
func differing(then, now wire.Fields) []string {
	names := []string{}
	if alike(then, now) { // as nearly always
		return names
	}
	a, b := byName(then), byName(now)
	for name := range a {
		if !slices.Equal(a[name], b[name]) {
			names = append(names, name)
		}
	}
	for name := range b {
		if _, both := a[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// alike says whether nothing that is compared differs, the order of the fields
// included.
func alike(then, now wire.Fields) bool {
	for {
		then, now = nextCompared(then), nextCompared(now)
		if len(then) == 0 || len(now) == 0 {
			return len(then) == len(now)
		}
		if then[0].Value != now[0].Value || !strings.EqualFold(then[0].Name, now[0].Name) {
			return false
		}
		then, now = then[1:], now[1:]
	}
}

// nextCompared passes over the fields that are not compared.
func nextCompared(fields wire.Fields) wire.Fields {
	for len(fields) > 0 && !isCompared(fields[0].Name) {
		fields = fields[1:]
	}
	return fields
}

func byName(fields wire.Fields) map[string][]string {
	named := map[string][]string{}
	for _, f := range fields {
		name := strings.ToLower(f.Name)
		named[name] = append(named[name], f.Value)
	}
	maps.DeleteFunc(named, func(name string, _ []string) bool { return !isCompared(name) })
	return named
}

var notCompared = []string{"connection", "content-length", "date", "keep-alive", "trailer", "transfer-encoding"}

func isCompared(name string) bool {
	return !slices.ContainsFunc(notCompared, func(not string) bool { return strings.EqualFold(name, not) })
}
