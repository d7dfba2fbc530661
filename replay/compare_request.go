package replay

import (
	"crypto/sha256"
	"fmt"
	"io"
	"slices"

	"github.com/hooktape/hooktape/relay/mask"
	"github.com/hooktape/hooktape/relay/wire"
)

// CompareRequests finds the differences between two requests, as Compare does
// between responses: method, path, the parameters of the query, header fields and
// body. An error means that a body can't be read.
func CompareRequests(then, now *Request, rules *Rules) (Difference, error) {
	a, err := then.content()
	if err != nil {
		return Difference{}, err
	}
	b, err := now.content()
	if err != nil {
		return Difference{}, err
	}
	c := newComparison(rules)
	c.line("method", then.Head.Method, now.Head.Method)
	path, x := rules.target(then.Head)
	pathNow, y := rules.target(now.Head)
	c.line("path", path, pathNow)
	if x != y {
		c.forms(readForm("query", x), readForm("query", y), func(at place, then, now *string) { c.unlikeLine("query", at, then, now) })
	}
	c.fields(then.Head.Fields, now.Head.Fields)
	c.bodies(a, b)
	return c.Difference, nil
}

// content is the body as it is compared; of one that was cut short what came.
func (r *Request) content() (content, error) {
	digest := sha256.New()
	b := content{fields: r.Head.Fields, whole: func() ([]byte, error) {
		body, err := r.start(lookedInto)
		return body, unlessBroken(err)
	}}
	raw, err := r.open()
	if err != nil {
		return b, err
	}
	defer raw.Close()
	b.size, err = io.Copy(digest, wire.NewBodyReader(r.Head.Framing, raw))
	if err := unlessBroken(err); err != nil {
		return b, fmt.Errorf("read the record: %w", err)
	}
	digest.Sum(b.digest[:0])
	return b, nil
}

// line compares a part of the request line.
func (c *comparison) line(part, then, now string) {
	if then == now || c.rules.at(part).ignored() {
		return
	}
	at := place{func() string { return part }, func(names mask.Names, value string) string { return names.Target(value) }}
	c.unlikeLine(part, at, &then, &now)
}

func (c *comparison) unlikeLine(part string, at place, then, now *string) {
	if !slices.Contains(c.Line, part) {
		c.Line = append(c.Line, part)
	}
	c.change(at, then, now)
}
