package replay

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/hooktape/hooktape/relay/expr"
)

// formValues are the fields of a form by their paths.
type formValues struct {
	values map[string][]string
	fields map[string]fieldName
}

// fieldName is how a field is called: data[PARAMS][], and as a path.
type fieldName struct {
	sent  string
	names []string
}

// readForm reads an urlencoded form or query: part is which of them.
func readForm(part, encoded string) formValues {
	f := formValues{make(map[string][]string), make(map[string]fieldName)}
	counts := make(map[string]int) // of names that end in []
	for pair := range strings.SplitSeq(encoded, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, value = unescapedForm(name), unescapedForm(value)
		names := append([]string{part}, expr.FormKeys(name)...)
		if last := len(names) - 1; names[last] == "" && last > 1 {
			names[last] = strconv.Itoa(counts[name])
			counts[name]++
		}
		where := expr.FormatPath(names...)
		f.values[where] = append(f.values[where], value)
		f.fields[where] = fieldName{name, names}
	}
	return f
}

// unescapedForm decodes a name or value; what is not encoded right stays.
func unescapedForm(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

// forms compares urlencoded forms by their fields.
func (c *comparison) forms(part, then, now string, change func(at place, then, now *string)) {
	a, b := readForm(part, then), readForm(part, now)
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
