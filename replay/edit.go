package replay

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"slices"
	"strings"

	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/wire"
)

// Edit changes one part of a request. Make it with ParseSet, ParseAdd or ParseUnset.
type Edit struct {
	verb  verb
	path  []string // its first name is one of editable
	value string
}

// verb is what an Edit does with its part.
type verb string

const (
	setPart   verb = "set"   // gives it another value
	addPart   verb = "add"   // the same, and makes it where there is none
	unsetPart verb = "unset" // takes it away
)

// ErrNoPart says that a request does not have what is to be changed.
var ErrNoPart = errors.New("the request has none")

// editable are the parts of a request that can be changed, and whether a path leads
// on into them.
var editable = map[string]bool{"method": false, "path": false, "query": true, "header": true, "body": false, "json": true, "form": true}

// ParseSet reads PATH=VALUE, where PATH is one of expressions: json.order.id=17,
// header.x-event=paid, form.data.PARAMS.MESSAGE=hi. A value for JSON that is JSON
// is taken as such, any other is a string. What is at the path must be there.
func ParseSet(text string) (Edit, error) { return parseValue(setPart, text) }

// ParseAdd is ParseSet for what need not be there yet.
func ParseAdd(text string) (Edit, error) { return parseValue(addPart, text) }

// ParseUnset reads the PATH of what is to be taken away; it must be there.
func ParseUnset(path string) (Edit, error) {
	names, err := parseEditable(path)
	if err == nil && (names[0] == "method" || names[0] == "path") {
		return Edit{}, fmt.Errorf("a request can't be without %s", names[0])
	}
	return Edit{unsetPart, names, ""}, err
}

func parseValue(verb verb, text string) (Edit, error) {
	path, value, ok := strings.Cut(text, "=")
	if !ok {
		return Edit{}, fmt.Errorf("%q is not PATH=VALUE", text)
	}
	names, err := parseEditable(path)
	return Edit{verb, names, value}, err
}

func parseEditable(path string) (names []string, err error) {
	if names, err = expr.ParsePath(strings.TrimSpace(path)); err != nil {
		return nil, fmt.Errorf("%q: %w", path, err)
	}
	deep, known := editable[names[0]]
	switch {
	case !known:
		return nil, fmt.Errorf("%q can't be set: method, path, query, header, body, json and form can", names[0])
	case deep && len(names) == 1:
		return nil, fmt.Errorf("say what of %s is meant: %s.NAME", names[0], names[0])
	case !deep && len(names) > 1, names[0] == "header" && len(names) > 2:
		return nil, fmt.Errorf("there is nothing below %s", strings.Join(names[:len(names)-1], "."))
	case names[0] == "header" && ofConnection(names[1]):
		return nil, fmt.Errorf("header.%s follows from the body and the connection", names[1])
	}
	return names, nil
}

// ofConnection says whether a field is one that each send makes up.
func ofConnection(name string) bool {
	return slices.ContainsFunc([]string{"content-length", "transfer-encoding", "connection", "keep-alive", "te", "upgrade"},
		func(of string) bool { return strings.EqualFold(name, of) })
}

// Path is the path of what is changed, as expressions have it.
func (e Edit) Path() string { return expr.FormatPath(e.path...) }

// With is the request with some parts changed, in their order. All else stays byte
// for byte, but for the length where the body changes; a body that came in gzip or
// deflate is sent without. The error wraps ErrNoPart when something is not there.
func (r *Request) With(edits ...Edit) (*Request, error) {
	if len(edits) == 0 {
		return r, nil
	}
	body, err := r.Whole()
	if err != nil {
		return nil, err
	}
	e := &editing{head: r.Head, body: body, Edit: wire.Edit{Target: r.Head.Target}}
	for _, one := range edits {
		if err := e.apply(one); err != nil {
			return nil, fmt.Errorf("%s %s: %w", one.verb, one.Path(), err)
		}
	}
	if !e.changed {
		return r.edited(e.Edit, nil)
	}
	size := int64(len(e.body))
	e.Length = &size
	return r.edited(e.Edit, e.body)
}

// editing is a request while it is being changed.
type editing struct {
	wire.Edit
	head    *wire.RequestHead
	body    []byte
	changed bool // the body: then it has no content coding any more
}

func (e *editing) apply(one Edit) error {
	switch name := formName(one.path[1:]); one.path[0] {
	case "method":
		e.Method = one.value
	case "path":
		return e.editPath(one.value)
	case "query":
		return e.editQuery(one, name)
	case "header":
		return e.editHeader(one, one.path[1])
	case "body":
		e.body, e.changed = []byte(one.value), true
	case "form":
		return e.editForm(one, name)
	case "json":
		return e.editJSON(one)
	}
	return nil
}

func (e *editing) editPath(path string) error {
	if strings.Contains(path, "?") {
		return errors.New("the query is no part of the path: set query.NAME")
	}
	_, query, ok := strings.Cut(e.Target, "?")
	e.Target = path
	if ok {
		e.Target += "?" + query
	}
	return nil
}

func (e *editing) editQuery(one Edit, name string) error {
	path, query, _ := strings.Cut(e.Target, "?")
	query, err := one.parameter(query, name)
	if err != nil {
		return err
	}
	e.Target = path
	if query != "" {
		e.Target += "?" + query
	}
	return nil
}

// parameter changes one of a query or form.
func (e Edit) parameter(encoded, name string) (string, error) {
	switch there := wire.HasParameter(encoded, name); {
	case !there && e.verb != addPart:
		return "", ErrNoPart
	case e.verb == unsetPart:
		return wire.DropParameter(encoded, name), nil
	}
	return wire.SetParameter(encoded, name, e.value), nil
}

func (e *editing) editHeader(one Edit, name string) error {
	if one.verb != addPart && !e.hasHeader(name) {
		return ErrNoPart
	}
	same := func(s string) bool { return strings.EqualFold(s, name) }
	e.Set = slices.DeleteFunc(e.Set, func(f wire.Field) bool { return same(f.Name) })
	e.Drop = slices.DeleteFunc(e.Drop, same)
	if one.verb == unsetPart {
		e.Drop = append(e.Drop, name)
		return nil
	}
	e.Set = append(e.Set, wire.Field{Name: name, Value: one.value})
	return nil
}

// hasHeader says whether there is such a field after the edits so far.
func (e *editing) hasHeader(name string) bool {
	if _, set := e.Set.Get(name); set {
		return true
	}
	_, sent := e.head.Fields.Get(name)
	return sent && !slices.ContainsFunc(e.Drop, func(dropped string) bool { return strings.EqualFold(dropped, name) })
}

var errNoForm = errors.New("the body is no form, urlencoded or multipart/form-data")

func (e *editing) editForm(one Edit, name string) error {
	contentType, _ := e.head.Fields.Get("Content-Type")
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || kind != formType && kind != partsType {
		return errNoForm
	}
	if err := e.decode(); err != nil {
		return err
	}
	var form []byte
	if kind == partsType {
		form, err = one.parts(e.body, params["boundary"], name)
	} else {
		var encoded string
		encoded, err = one.parameter(string(e.body), name)
		form = []byte(encoded)
	}
	if err != nil {
		return err
	}
	e.body, e.changed = form, true
	return nil
}

var errNoJSON = errors.New("the body is not JSON")

func (e *editing) editJSON(one Edit) error {
	if err := e.decode(); err != nil {
		return err
	}
	t := parseTree(e.body)
	if t == nil {
		return errNoJSON
	}
	var err error
	switch names := one.path[1:]; one.verb {
	case unsetPart:
		e.body, err = t.without(names)
	case addPart:
		e.body, err = t.with(names, jsonValue(one.value), true)
	default:
		e.body, err = t.with(names, jsonValue(one.value), false)
	}
	e.changed = true
	return err
}

// decode takes the content coding off the body before it is changed.
func (e *editing) decode() error {
	if e.changed {
		return nil
	}
	body, err := wire.DecodeContent(e.head.Fields, e.body, signedMax)
	e.body = body
	return err
}

// formName is a path as PHP writes it: data[PARAMS][MESSAGE].
func formName(path []string) string {
	if len(path) == 0 {
		return ""
	}
	name := path[0]
	for _, key := range path[1:] {
		name += "[" + key + "]"
	}
	return name
}

func jsonValue(text string) []byte {
	if json.Valid([]byte(text)) {
		return []byte(text)
	}
	return jsonString(text)
}

func jsonString(text string) []byte {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false) // it is no page
	if err := encoder.Encode(text); err != nil {
		panic(err) // text always marshals
	}
	return []byte(strings.TrimSuffix(b.String(), "\n"))
}
