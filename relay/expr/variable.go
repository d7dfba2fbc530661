package expr

import (
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/zclconf/go-cty/cty"

	"github.com/hooktape/hooktape/relay/wire"
)

// step is one step of a path into a variable: .name or [index]. Both are always set, since PHP forms need the one and
// JSON arrays the other; index is -1 for a name that is no index.
type step struct {
	name  string
	index int
}

// found is what stands at a path in a record.
type found interface {
	value() (cty.Value, error)
	text() (text string, ok bool, err error) // its exact bytes; ok is false: null
	isNull() bool                            // without decoding anything
	count() (n int, ok bool)                 // elements, without decoding them; ok is false: it has none
}

// variable is a name that expressions know.
type variable struct {
	kind kind
	find func(v *View, path []step) (found, error) // path is empty for text, numbers and booleans
}

var variables = map[string]variable{
	"id":       scalar(func(v *View) string { return v.Record.ID.String() }),
	"time":     scalar(func(v *View) string { return v.Record.Time.UTC().Format(time.RFC3339Nano) }),
	"source":   optional(func(v *View) string { return v.Record.Source }),
	"session":  {listKind, findSession},
	"method":   scalar(func(v *View) string { return v.Record.Method }),
	"path":     scalar((*View).path),
	"query":    {objectKind, findQuery},
	"header":   {objectKind, func(v *View, path []step) (found, error) { return findHeader(v.fields(), path), nil }},
	"headers":  {objectKind, func(v *View, path []step) (found, error) { return findHeaders(v.fields(), path), nil }},
	"body":     {textKind, findBody},
	"json":     {anyKind, findJSON},
	"form":     {objectKind, findForm},
	"event":    optional(func(v *View) string { return v.Record.Event }),
	"events":   {listKind, func(v *View, path []step) (found, error) { return findInList(v.Record.AllEvents(), path), nil }},
	"verdict":  scalar(func(v *View) string { return string(v.Record.Verdict) }),
	"status":   {numberKind, findStatus},
	"size":     {numberKind, findSize},
	"remote":   scalar(func(v *View) string { return v.Record.Remote }),
	"host":     scalar(func(v *View) string { return v.Record.Host }),
	"via":      scalar(func(v *View) string { return v.Record.Via }),
	"trace":    optional(func(v *View) string { return v.Record.Trace }),
	"verified": {truthKind, func(v *View, _ []step) (found, error) { return plain{cty.BoolVal(v.Record.Verified)}, nil }},
	"params":   {objectKind, func(v *View, path []step) (found, error) { return findParam(v.Params, path), nil }},
	"response": {objectKind, findResponse},
	"delivery": {objectKind, findDelivery},
}

var variableNames = slices.Sorted(maps.Keys(variables))

// responseParts are the variables below response; the compiler turns response.json.a into a path into one of them.
var responseParts = map[string]variable{
	"status":  {numberKind, ofResponse(findResponseStatus)},
	"header":  {objectKind, ofResponse(func(r *Response, path []step) (found, error) { return findHeader(r.Head.Fields, path), nil })},
	"headers": {objectKind, ofResponse(func(r *Response, path []step) (found, error) { return findHeaders(r.Head.Fields, path), nil })},
	"body":    {textKind, ofResponse(findResponseBody)},
	"json":    {anyKind, ofResponse(findResponseJSON)},
}

var responseNames = slices.Sorted(maps.Keys(responseParts))

// scalar is a text variable that always has a value.
func scalar(get func(*View) string) variable {
	return variable{textKind, func(v *View, _ []step) (found, error) { return words(get(v)), nil }}
}

// optional is a text variable that is null when empty.
func optional(get func(*View) string) variable {
	return variable{textKind, func(v *View, _ []step) (found, error) {
		if s := get(v); s != "" {
			return words(s), nil
		}
		return missing{}, nil
	}}
}

func ofResponse(find func(*Response, []step) (found, error)) func(*View, []step) (found, error) {
	return func(v *View, path []step) (found, error) {
		if v.Response == nil {
			return missing{}, nil
		}
		return find(v.Response, path)
	}
}

func findSession(v *View, path []step) (found, error) { return findInList(v.Record.Session, path), nil }

func findInList(values []string, path []step) found {
	switch {
	case len(path) == 0:
		return lines(values)
	case len(path) == 1 && path[0].index >= 0 && path[0].index < len(values):
		return words(values[path[0].index])
	}
	return missing{}
}

func findStatus(v *View, _ []step) (found, error) {
	if v.Record.Answer == nil {
		return missing{}, nil
	}
	return plain{cty.NumberIntVal(int64(v.Record.Answer.Status))}, nil
}

func findSize(v *View, _ []step) (found, error) {
	size := v.Record.Raw.Size
	if size == 0 { // the record is not stored yet
		size = int64(v.Record.HeadSize) + v.Record.BodySize
	}
	return plain{cty.NumberIntVal(size)}, nil
}

func findBody(v *View, _ []step) (found, error) {
	text, err := v.body()
	return content(text), err
}

func findJSON(v *View, path []step) (found, error) {
	d, err := v.message.document(v.Body)
	return jsonFound{d.at(path)}, err
}

func findQuery(v *View, path []step) (found, error) {
	tree, err := v.queryTree()
	if err != nil {
		return nil, err
	}
	if len(path) == 0 {
		return formFound{tree, v.rawQuery(), true}, nil
	}
	return formFound{branch: tree.at(path)}, nil
}

func findForm(v *View, path []step) (found, error) {
	tree, err := v.formTree()
	if err != nil {
		return nil, err
	}
	if len(path) == 0 {
		raw, err := v.body()
		return formFound{tree, raw, true}, err
	}
	return formFound{branch: tree.at(path)}, nil
}

func findHeader(fields wire.Fields, path []step) found {
	switch len(path) {
	case 0:
		return headerFound{fields}
	case 1:
		if value, ok := fields.Get(path[0].name); ok {
			return words(value)
		}
	}
	return missing{}
}

func findHeaders(fields wire.Fields, path []step) found {
	if len(path) == 0 {
		return headersFound{fields}
	}
	values := fields.Values(path[0].name)
	if values == nil {
		return missing{}
	}
	return findInList(values, path[1:])
}

func findParam(params map[string]string, path []step) found {
	switch len(path) {
	case 0:
		return paramsFound(params)
	case 1:
		if value, ok := params[path[0].name]; ok {
			return words(value)
		}
	}
	return missing{}
}

func findResponseStatus(r *Response, _ []step) (found, error) {
	return plain{cty.NumberIntVal(int64(r.Head.Status))}, nil
}

func findResponseBody(r *Response, _ []step) (found, error) {
	text, err := r.message.body(r.Body)
	return content(text), err
}

func findResponseJSON(r *Response, path []step) (found, error) {
	d, err := r.document()
	return jsonFound{d.at(path)}, err
}

// findResponse is response as a whole, or one of its parts if the name is unknown to the compiler.
func findResponse(v *View, path []step) (found, error) {
	if v.Response == nil {
		return missing{}, nil
	}
	if len(path) == 0 {
		return responseFound{v}, nil
	}
	part, ok := responseParts[path[0].name]
	if !ok || len(path) > 1 && !part.kind.hasElements() {
		return missing{}, nil
	}
	return part.find(v, path[1:])
}

// missing is null.
type missing struct{}

func (missing) value() (cty.Value, error)   { return null, nil }
func (missing) text() (string, bool, error) { return "", false, nil }
func (missing) isNull() bool                { return true }
func (missing) count() (int, bool)          { return 0, false }

// words is text.
type words string

func (w words) value() (cty.Value, error)   { return cty.StringVal(toUTF8(string(w))), nil }
func (w words) text() (string, bool, error) { return string(w), true, nil }
func (w words) isNull() bool                { return false }
func (w words) count() (int, bool)          { return 0, false }

// content is the bytes of a body: without a value if they are not text, but always with exact bytes.
type content string

func (c content) value() (cty.Value, error) {
	if c.isNull() {
		return null, nil
	}
	return cty.StringVal(string(c)), nil
}
func (c content) text() (string, bool, error) { return string(c), true, nil }
func (c content) isNull() bool                { return !utf8.ValidString(string(c)) }
func (c content) count() (int, bool)          { return 0, false }

// lines is a list of text.
type lines []string

func (l lines) value() (cty.Value, error) {
	items := make([]cty.Value, len(l))
	for i, s := range l {
		items[i] = cty.StringVal(toUTF8(s))
	}
	return cty.TupleVal(items), nil
}
func (l lines) text() (string, bool, error) { return "", false, errNotText }
func (l lines) isNull() bool                { return false }
func (l lines) count() (int, bool)          { return len(l), true }

// plain is a number or a boolean.
type plain struct{ v cty.Value }

func (p plain) value() (cty.Value, error)   { return p.v, nil }
func (p plain) text() (string, bool, error) { return textOfValue(p.v) }
func (p plain) isNull() bool                { return false }
func (p plain) count() (int, bool)          { return 0, false }

type jsonFound struct{ document }

func (j jsonFound) text() (string, bool, error) {
	text, ok := j.document.text()
	return text, ok, nil
}

// formFound is a field or group of a form or query; branch is nil if there is none. raw is the bytes of the whole form.
type formFound struct {
	branch *branch
	raw    string
	whole  bool
}

func (f formFound) value() (cty.Value, error) {
	if f.branch == nil {
		return null, nil
	}
	return f.branch.value(), nil
}

func (f formFound) text() (string, bool, error) {
	switch {
	case f.branch == nil:
		return "", false, nil
	case f.whole:
		return f.raw, true, nil
	case f.branch.leaf:
		return f.branch.text, true, nil
	}
	return "", false, errNotText
}

func (f formFound) isNull() bool { return f.branch == nil }

func (f formFound) count() (int, bool) {
	if f.branch == nil || f.branch.leaf {
		return 0, false
	}
	return len(f.branch.names), true
}

type headerFound struct{ fields wire.Fields }

func (h headerFound) value() (cty.Value, error) {
	members := map[string]cty.Value{}
	for _, f := range h.fields {
		name := strings.ToLower(f.Name)
		if _, again := members[name]; !again {
			members[name] = cty.StringVal(toUTF8(f.Value))
		}
	}
	return cty.ObjectVal(members), nil
}
func (h headerFound) text() (string, bool, error) { return "", false, errNotText }
func (h headerFound) isNull() bool                { return false }
func (h headerFound) count() (int, bool)          { return countNames(h.fields), true }

type headersFound struct{ fields wire.Fields }

func (h headersFound) value() (cty.Value, error) {
	members := map[string]cty.Value{}
	for _, f := range h.fields {
		name := strings.ToLower(f.Name)
		if _, again := members[name]; !again {
			members[name], _ = lines(h.fields.Values(name)).value()
		}
	}
	return cty.ObjectVal(members), nil
}
func (h headersFound) text() (string, bool, error) { return "", false, errNotText }
func (h headersFound) isNull() bool                { return false }
func (h headersFound) count() (int, bool)          { return countNames(h.fields), true }

type paramsFound map[string]string

func (p paramsFound) value() (cty.Value, error) {
	members := make(map[string]cty.Value, len(p))
	for name, value := range p {
		members[name] = cty.StringVal(toUTF8(value))
	}
	return cty.ObjectVal(members), nil
}
func (p paramsFound) text() (string, bool, error) { return "", false, errNotText }
func (p paramsFound) isNull() bool                { return false }
func (p paramsFound) count() (int, bool)          { return len(p), true }

func countNames(fields wire.Fields) int {
	names := map[string]struct{}{}
	for _, f := range fields {
		names[strings.ToLower(f.Name)] = struct{}{}
	}
	return len(names)
}

type responseFound struct{ view *View }

func (r responseFound) value() (cty.Value, error) {
	members := map[string]cty.Value{}
	for name, part := range responseParts {
		f, err := part.find(r.view, nil)
		if err != nil {
			return cty.NilVal, err
		}
		if members[name], err = f.value(); err != nil {
			return cty.NilVal, err
		}
	}
	return cty.ObjectVal(members), nil
}
func (r responseFound) text() (string, bool, error) { return "", false, errNotText }
func (r responseFound) isNull() bool                { return false }
func (r responseFound) count() (int, bool)          { return len(responseParts), true }
