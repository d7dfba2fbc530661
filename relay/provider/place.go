package provider

import (
	"net/url"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/hooktape/hooktape/relay/wire"
)

// A place says where in a request a value stands: "X-Signature" is a header field, "query:token" a parameter of the
// target, "json:auth.token" a path into a JSON body (in gjson's syntax), "form:token" a parameter of a form-encoded
// body. Empty means nowhere.
type place string

// inBody says that the place can only be found once the whole body is there.
func (p place) inBody() bool {
	return strings.HasPrefix(string(p), "json:") || strings.HasPrefix(string(p), "form:")
}

// String names the place for people.
func (p place) String() string {
	switch kind, name, _ := strings.Cut(string(p), ":"); kind {
	case "query":
		return "query parameter " + name
	case "json":
		return name + " of the JSON body"
	case "form":
		return name + " of the form"
	}
	return string(p)
}

// get returns the value there; of several fields of that name, the first.
func (p place) get(r *Request) (value string, ok bool) {
	kind, name, has := strings.Cut(string(p), ":")
	if !has {
		return r.Head.Fields.Get(kind)
	}
	switch kind {
	case "query":
		return parameter(r.Head.Query(), name)
	case "json":
		found := gjson.GetBytes(r.Body, name)
		return found.String(), found.Exists()
	}
	return parameter(string(r.Body), name)
}

// all returns the values there: all those of a header field that is there several times, otherwise the one.
func (p place) all(r *Request) []string {
	if !strings.Contains(string(p), ":") {
		return r.Head.Fields.Values(string(p))
	}
	if value, ok := p.get(r); ok {
		return []string{value}
	}
	return nil
}

// parameter returns the first parameter of that name, unescaped.
func parameter(query, name string) (value string, ok bool) {
	for pair := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if key, err := url.QueryUnescape(key); err != nil || key != name {
			continue
		}
		value, err := url.QueryUnescape(value)
		return value, err == nil
	}
	return "", false
}

// set adds to g what puts value at that place of r.
func (p place) set(g *Signature, r *Request, value string) error {
	kind, name, has := strings.Cut(string(p), ":")
	switch {
	case !has:
		g.Fields = append(g.Fields, wire.Field{Name: kind, Value: value})
		return nil
	case kind == "query":
		g.Query = append(g.Query, wire.Field{Name: name, Value: value})
		return nil
	case kind == "json":
		body, err := setJSON(bodyWith(g, r), name, value)
		if err == nil {
			g.Body = body
		}
		return err
	}
	g.Body = []byte(wire.SetParameter(string(bodyWith(g, r)), name, value))
	return nil
}

// setJSON sets a value of a JSON document, and leaves the rest as it is written. A number stays a number.
func setJSON(body []byte, path, value string) ([]byte, error) {
	if gjson.GetBytes(body, path).Type == gjson.Number {
		return sjson.SetRawBytes(body, path, []byte(value))
	}
	return sjson.SetBytes(body, path, value)
}

// bodyWith returns the body of r as g leaves it.
func bodyWith(g *Signature, r *Request) []byte {
	if g.Body != nil {
		return g.Body
	}
	return r.Body
}
