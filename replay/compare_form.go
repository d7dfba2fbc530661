package replay

import (
	"bytes"
	"crypto/sha256"
	"io"
	"mime/multipart"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/wire"
)

// formValues are the fields of a form by their paths.
type formValues struct {
	values map[string][]string
	fields map[string]fieldName
	counts map[string]int // of names that end in []
}

// fieldName is how a field is called: data[PARAMS][], and as a path.
type fieldName struct {
	sent  string
	names []string
}

// fieldsMax is how many fields a form has at most that is looked into: each takes some hundred bytes and microseconds.
const fieldsMax = 1 << 14

// hasFewFields says whether an urlencoded form can be looked into.
func hasFewFields(encoded []byte) bool { return bytes.Count(encoded, []byte("&")) < fieldsMax }

func newForm() formValues {
	return formValues{make(map[string][]string), make(map[string]fieldName), make(map[string]int)}
}

// readForm reads an urlencoded form or query: part is which of them.
func readForm(part, encoded string) formValues {
	f := newForm()
	for pair := range strings.SplitSeq(encoded, "&") {
		if name, value, _ := strings.Cut(pair, "="); pair != "" {
			f.add(part, unescapedForm(name), unescapedForm(value))
		}
	}
	return f
}

// readMultipart reads a form in parts (RFC 7578); ok is false when it is none. Of what is no text it has size and hash. The
// name of a file is a value of its field, too.
func readMultipart(body []byte, boundary string) (f formValues, ok bool) {
	f = newForm()
	if boundary == "" {
		return f, false
	}
	parts := multipart.NewReader(bytes.NewReader(body), boundary)
	for range fieldsMax {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			return f, true
		}
		if err != nil {
			return f, false
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return f, false
		}
		shown := string(value)
		if !wire.IsText(value) {
			shown = hashed(int64(len(value)), sha256.Sum256(value))
		}
		values := []string{shown}
		if file := part.FileName(); file != "" {
			values = []string{"filename=" + file, shown}
		}
		f.add("form", part.FormName(), values...)
	}
	return f, false
}

// add adds a field by the name that it was sent with, decoded.
func (f formValues) add(part, name string, values ...string) {
	names := append([]string{part}, expr.FormKeys(name)...)
	if last := len(names) - 1; names[last] == "" && last > 1 {
		names[last] = strconv.Itoa(f.counts[name])
		f.counts[name]++
	}
	where := expr.FormatPath(names...)
	f.values[where] = append(f.values[where], values...)
	f.fields[where] = fieldName{name, names}
}

// unescapedForm decodes a name or value; what is not encoded right stays.
func unescapedForm(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

// forms compares forms by their fields.
func (c *comparison) forms(a, b formValues, change func(at place, then, now *string)) {
	for _, where := range namesOf(a.values, b.values) {
		field, ok := a.fields[where]
		if !ok {
			field = b.fields[where]
		}
		p := c.rules.at(field.names...)
		if slices.Equal(a.values[where], b.values[where]) || p.ignored() {
			continue
		}
		change(formField(path{names: field.names}, field.sent), joined(a.values[where]), joined(b.values[where]))
	}
}
