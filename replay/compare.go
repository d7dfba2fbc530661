package replay

import (
	"slices"
	"strconv"
	"strings"

	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/wire"
)

// Difference says in what two messages differ.
type Difference struct {
	Line    []string `json:"line,omitempty"` // of requests: what of the request line differs, method, path and query
	Status  bool     `json:"status"`         // of responses
	Headers []string `json:"headers"`        // names of the fields that differ, in lower case, sorted; never nil
	Body    bool     `json:"body"`
	Changes []Change `json:"changes"`        // each of these, the first 100; never nil
	More    int      `json:"more,omitempty"` // changes behind them
}

// Any says whether there is a difference.
func (d Difference) Any() bool {
	return d.Status || d.Body || len(d.Headers) > 0 || len(d.Line) > 0
}

// Change is one thing in which two messages differ.
type Change struct {
	Where string  `json:"where"` // a path as expressions have it, or "line 7" of a body that is text: of the one then, or of the one now where there was none
	Then  *string `json:"then"`  // JSON values as they were sent; nil: there was none
	Now   *string `json:"now"`
	After string  `json:"after,omitempty"` // the line before, in a body that is text
}

// Compare finds the differences between two responses.
//
// Fields are compared by their values in their order, but for those of the
// clock, of the connection and of the body's length. Bodies are compared without
// chunk framing and content coding: JSON by what it says, with numbers by their
// value (1.0 is 1) and the last of keys that come twice; forms by their fields;
// other text by line; anything else, and what is larger than 16 MiB, by size and
// hash. Rules may leave something out, and nil rules don't.
//
// Messages that are the same cost no look at their bodies.
func Compare(then, now *Response, rules *Rules) Difference {
	if then.Status == now.Status && then.Size == now.Size && then.digest == now.digest && alike(then.Fields, now.Fields) {
		return Difference{Headers: []string{}, Changes: []Change{}} // as nearly always
	}
	c := newComparison(rules)
	if then.Status != now.Status && !rules.at("status").ignored() {
		c.Status = true
		c.change(words("status"), text(strconv.Itoa(then.Status)), text(strconv.Itoa(now.Status)))
	}
	c.fields(then.Fields, now.Fields)
	c.bodies(then.content(), now.content())
	return c.Difference
}

// comparison is a Difference that is being made.
type comparison struct {
	Difference
	rules *Rules
}

func newComparison(rules *Rules) *comparison {
	return &comparison{Difference{Headers: []string{}, Changes: []Change{}}, rules}
}

// fields compares header fields.
func (c *comparison) fields(then, now wire.Fields) {
	a, b := byName(then), byName(now)
	names := namesOf(a, b)
	for _, name := range names {
		if slices.Equal(a[name], b[name]) || c.rules.at("header", name).ignored() || slices.Equal(c.rules.field(name, a[name]), c.rules.field(name, b[name])) {
			continue
		}
		c.Headers = append(c.Headers, name)
		c.change(words(expr.FormatPath("header", name)), joined(c.shownFields(name, a[name])), joined(c.shownFields(name, b[name])))
	}
}

// shownFields are the values of fields of a name, with their secrets hidden one by one.
func (c *comparison) shownFields(name string, values []string) []string {
	names, reveal := c.rules.masking()
	if reveal || values == nil {
		return values
	}
	shown := make([]string, len(values))
	for i, value := range values {
		shown[i] = names.Field(name, value)
	}
	return shown
}

// joined are the values of a name; nil when there are none.
func joined(values []string) *string {
	if values == nil {
		return nil
	}
	return text(strings.Join(values, ", "))
}

func text(s string) *string { return &s }

// namesOf are the keys of both, sorted.
func namesOf(a, b map[string][]string) []string {
	var names []string
	for name := range a {
		names = append(names, name)
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

// byName are the values of the fields that are compared.
func byName(fields wire.Fields) map[string][]string {
	named := map[string][]string{}
	for _, f := range fields {
		if isCompared(f.Name) {
			name := strings.ToLower(f.Name)
			named[name] = append(named[name], f.Value)
		}
	}
	return named
}

// isCompared says whether fields of a name are: those of the clock, of the connection and of the body's length are not.
func isCompared(name string) bool {
	not := ""
	switch len(name) {
	case len("date"):
		not = "date"
	case len("trailer"):
		not = "trailer"
	case len("connection"): // and of keep-alive
		if strings.EqualFold(name, "keep-alive") {
			return false
		}
		not = "connection"
	case len("content-length"):
		not = "content-length"
	case len("transfer-encoding"):
		not = "transfer-encoding"
	}
	return not == "" || !strings.EqualFold(name, not)
}
