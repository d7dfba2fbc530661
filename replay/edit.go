package replay

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/sjson"

	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/wire"
)

// Set gives one part of a request another value.
type Set struct {
	path  []string // its first name is one of settable
	value string
}

// settable are the parts of a request that can be set, and whether a path leads
// on into them.
var settable = map[string]bool{"method": false, "path": false, "query": true, "header": true, "body": false, "json": true, "form": true}

// ParseSet reads PATH=VALUE, where PATH is one of expressions: json.order.id=17,
// header.x-event=paid, form.data.PARAMS.MESSAGE=hi. A value for JSON that is JSON
// is taken as such, any other is a string.
func ParseSet(text string) (Set, error) {
	path, value, ok := strings.Cut(text, "=")
	if !ok {
		return Set{}, fmt.Errorf("%q is not PATH=VALUE", text)
	}
	names, err := expr.ParsePath(strings.TrimSpace(path))
	if err != nil {
		return Set{}, fmt.Errorf("%q: %w", path, err)
	}
	deep, known := settable[names[0]]
	switch {
	case !known:
		return Set{}, fmt.Errorf("%q can't be set: method, path, query, header, body, json and form can", names[0])
	case deep && len(names) == 1:
		return Set{}, fmt.Errorf("say what of %s is to be set: %s.NAME=VALUE", names[0], names[0])
	case !deep && len(names) > 1, names[0] == "header" && len(names) > 2:
		return Set{}, fmt.Errorf("there is nothing below %s", strings.Join(names[:len(names)-1], "."))
	}
	return Set{names, value}, nil
}

// With is the request with some parts set, in their order. All else stays byte
// for byte, but for the length where the body changes.
func (r *Request) With(sets ...Set) (*Request, error) {
	if len(sets) == 0 {
		return r, nil
	}
	body, err := r.whole()
	if err != nil {
		return nil, err
	}
	e := &edit{wire.Edit{Target: r.Head.Target}, body, false}
	for _, s := range sets {
		if err := e.apply(s); err != nil {
			return nil, fmt.Errorf("set %s: %w", strings.Join(s.path, "."), err)
		}
	}
	if !e.changed {
		return r.edited(e.Edit, nil)
	}
	size := int64(len(e.body))
	e.Length = &size
	return r.edited(e.Edit, e.body)
}

// edit is what becomes of a request.
type edit struct {
	wire.Edit
	body    []byte
	changed bool // the body
}

var errNoJSON = errors.New("the body is not JSON")

func (e *edit) apply(s Set) (err error) {
	path, query, hasQuery := strings.Cut(e.Target, "?")
	switch s.path[0] {
	case "method":
		e.Method = s.value
	case "path":
		e.Target = s.value
		if hasQuery {
			e.Target += "?" + query
		}
	case "query":
		e.Target = path + "?" + wire.SetParameter(query, formName(s.path[1:]), s.value)
	case "header":
		e.Set = slices.DeleteFunc(e.Set, func(f wire.Field) bool { return strings.EqualFold(f.Name, s.path[1]) })
		e.Set = append(e.Set, wire.Field{Name: s.path[1], Value: s.value})
	case "body":
		e.body, e.changed = []byte(s.value), true
	case "form":
		e.body, e.changed = []byte(wire.SetParameter(string(e.body), formName(s.path[1:]), s.value)), true
	case "json":
		if !json.Valid(e.body) {
			return errNoJSON
		}
		e.body, err = sjson.SetRawBytes(e.body, jsonPath(s.path[1:]), jsonValue(s.value))
		e.changed = true
	}
	return err
}

// formName is a path as PHP writes it: data[PARAMS][MESSAGE].
func formName(path []string) string {
	name := path[0]
	for _, key := range path[1:] {
		name += "[" + key + "]"
	}
	return name
}

// jsonPath is a path in the words of sjson, which has characters of its own.
func jsonPath(path []string) string {
	var b strings.Builder
	for i, name := range path {
		if i > 0 {
			b.WriteByte('.')
		}
		for _, c := range []byte(name) {
			if strings.IndexByte(`.\*?|#@!{}[]()~:`, c) >= 0 {
				b.WriteByte('\\')
			}
			b.WriteByte(c)
		}
	}
	return b.String()
}

func jsonValue(text string) []byte {
	if json.Valid([]byte(text)) {
		return []byte(text)
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // text always marshals
	}
	return quoted
}
