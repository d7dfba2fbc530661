package expr

import (
	"strings"
	"time"
	"unsafe"

	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// View is what expressions see of one record. Several expressions may be evaluated over one View, one after another; it
// keeps what they find out about the record. It belongs to one goroutine.
type View struct {
	Record *store.Record
	Head   *wire.RequestHead // nil: the bytes never became a request
	// Body returns the decoded body. It is called once, when the first expression needs it; the bytes must not change
	// while the View is in use. Nil: there is no body.
	Body     func() ([]byte, error)
	Response *Response // nil: none
	Delivery *Delivery // nil: none
	// Params are the params of the record's source.
	Params map[string]string

	message message
	query   *branch
}

// Delivery is the delivery that expressions see.
type Delivery struct {
	store.Delivery
	Updated time.Time // when its last attempt ended, or if it had none, when it was made
}

// Response is the response that expressions see.
type Response struct {
	Head *wire.ResponseHead
	Body func() ([]byte, error) // as View.Body

	message message
}

// message is what has been found out about a body so far.
type message struct {
	read  bool
	err   error
	text  string
	json  document
	form  *branch
	known struct{ json, form bool }
	fault error // of the form
}

// body reads the body if nobody has yet.
func (m *message) body(open func() ([]byte, error)) (string, error) {
	if m.read || open == nil {
		return m.text, m.err
	}
	m.read = true
	b, err := open()
	if err != nil {
		m.err = err
		return "", err
	}
	// The bytes do not change while the View is in use, and a body can be large: no copy.
	m.text = unsafe.String(unsafe.SliceData(b), len(b))
	return m.text, nil
}

func (m *message) document(open func() ([]byte, error)) (document, error) {
	if m.known.json {
		return m.json, nil
	}
	text, err := m.body(open)
	if err != nil {
		return "", err
	}
	m.known.json = true
	m.json = parseDocument(text)
	return m.json, nil
}

func (v *View) body() (string, error) { return v.message.body(v.Body) }

func (v *View) fields() wire.Fields {
	if v.Head == nil {
		return nil
	}
	return v.Head.Fields
}

func (v *View) path() string {
	if v.Head != nil {
		return v.Head.Path()
	}
	path, _, _ := strings.Cut(v.Record.Target, "?")
	return path
}

func (v *View) rawQuery() string {
	if v.Head != nil {
		return v.Head.Query()
	}
	_, query, _ := strings.Cut(v.Record.Target, "?")
	return query
}

func (v *View) queryTree() (*branch, error) {
	if v.query != nil {
		return v.query, nil
	}
	tree, err := parseForm(v.rawQuery())
	if err != nil {
		return nil, err
	}
	v.query = tree
	return tree, nil
}

// formTree is nil when the body is not a form.
func (v *View) formTree() (*branch, error) {
	m := &v.message
	if m.known.form {
		return m.form, m.fault
	}
	text, err := v.body()
	if err != nil {
		return nil, err
	}
	m.known.form = true
	contentType, _ := v.fields().Get("Content-Type")
	m.form, m.fault = parseFormBody(contentType, text)
	return m.form, m.fault
}

func (r *Response) document() (document, error) { return r.message.document(r.Body) }
