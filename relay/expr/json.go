package expr

import (
	"errors"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/zclconf/go-cty/cty"
)

const (
	maxDepth    = 512     // of nested JSON, as in PHP; deeper is an attack, and recursion must end
	maxWhole    = 1 << 20 // bytes of JSON that are decoded at once
	maxValues   = 65536   // values decoded at once: each takes about 200 bytes
	maxDigits   = 40      // of a number: 128 bits and then some
	maxExponent = 400     // beyond any float64
)

var errTooBig = errors.New("the JSON is too big to be used whole: over 1 MiB or 65536 values; a for loop may go over a longer array")

// document is JSON known to be valid and not too deep, without leading space; "" is none.
type document string

// parseDocument is the document in a body, or "".
func parseDocument(body string) document {
	body = strings.TrimPrefix(body, "\uFEFF")
	body = strings.Trim(body, " \t\r\n")
	if body == "" || !shallow(body) || !gjson.Valid(body) {
		return ""
	}
	return document(body)
}

// shallow says whether text nests no deeper than maxDepth. It must be asked before gjson.Valid, which recurses. While
// the text is valid both see the same strings, so the depth found here is never less than gjson's.
func shallow(text string) bool {
	if strings.Count(text, "{")+strings.Count(text, "[") <= maxDepth { // true of most bodies, and many times faster
		return true
	}
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{', '[':
			if depth++; depth > maxDepth {
				return false
			}
		case '}', ']':
			depth--
		case '"':
			i = endOfString(text, i) - 1
		}
	}
	return true
}

// endOfString is the index after the string that begins at i.
func endOfString(text string, i int) int {
	for i++; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

// endOfValue is the index after the value that begins at i.
func endOfValue(text string, i int) int {
	switch text[i] {
	case '"':
		return endOfString(text, i)
	case '{', '[':
		return endOfNest(text, i)
	}
	for i < len(text) && !strings.ContainsRune(",]} \t\r\n", rune(text[i])) {
		i++
	}
	return i
}

func endOfNest(text string, i int) int {
	for depth := 0; i < len(text); i++ {
		switch text[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		case '"':
			i = endOfString(text, i) - 1
		}
	}
	return len(text)
}

func skipSpace(text string, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\t' || text[i] == '\r' || text[i] == '\n') {
		i++
	}
	return i
}

// elements calls yield for each element of an object or array with its raw key (quotes included; "" in arrays) and its
// raw value, until yield returns false.
func (d document) elements(yield func(key string, value document) bool) {
	text := string(d)
	i := skipSpace(text, 1)
	for i < len(text) && text[i] != '}' && text[i] != ']' {
		key := ""
		if text[0] == '{' {
			end := endOfString(text, i)
			key = text[i:end]
			i = skipSpace(text, skipSpace(text, end)+len(":"))
		}
		if i >= len(text) {
			return
		}
		end := endOfValue(text, i)
		if !yield(key, document(text[i:end])) {
			return
		}
		if i = skipSpace(text, end); i < len(text) && text[i] == ',' {
			i = skipSpace(text, i+1)
		}
	}
}

// at is the value at a path; "" when there is none.
func (d document) at(path []step) document {
	for _, s := range path {
		if d == "" || d[0] != '{' && d[0] != '[' {
			return ""
		}
		d = d.child(s)
	}
	return d
}

// child is one element. If a key comes twice, the last one counts.
func (d document) child(s step) document {
	var found document
	if d[0] == '{' {
		for key, value := range d.elements {
			if keyIs(key, s.name) {
				found = value
			}
		}
		return found
	}
	n := 0
	for _, value := range d.elements {
		if n == s.index {
			return value
		}
		n++
	}
	return ""
}

func keyIs(raw, name string) bool {
	if inner := raw[1 : len(raw)-1]; strings.IndexByte(inner, '\\') < 0 {
		return inner == name
	}
	return unquote(raw) == name
}

// unquote is the text of a JSON string.
func unquote(raw string) string {
	if inner := raw[1 : len(raw)-1]; strings.IndexByte(inner, '\\') < 0 {
		return inner
	}
	return gjson.Parse(raw).Str
}

func (d document) isNull() bool {
	return d == "" || d[0] == 'n' || isNumber(d[0]) && !withinLimits(string(d))
}

func isNumber(c byte) bool { return c == '-' || '0' <= c && c <= '9' }

// text is the text of a string, or the bytes of anything else.
func (d document) text() (text string, ok bool) {
	if d.isNull() {
		return "", false
	}
	if d[0] == '"' {
		return unquote(string(d)), true
	}
	return string(d), true
}

// count is the number of elements.
func (d document) count() (n int, ok bool) {
	if d == "" || d[0] != '{' && d[0] != '[' {
		return 0, false
	}
	if d[0] == '{' {
		names := map[string]struct{}{}
		for key := range d.elements {
			names[unquote(key)] = struct{}{}
		}
		return len(names), true
	}
	for range d.elements {
		n++
	}
	return n, true
}

// value decodes the document.
func (d document) value() (cty.Value, error) {
	if len(d) > maxWhole && (d[0] == '{' || d[0] == '[') {
		return cty.NilVal, errTooBig
	}
	left := maxValues
	return d.decode(&left)
}

func (d document) decode(left *int) (cty.Value, error) {
	if *left--; *left < 0 {
		return cty.NilVal, errTooBig
	}
	if d.isNull() {
		return null, nil
	}
	switch d[0] {
	case '"':
		return cty.StringVal(toUTF8(unquote(string(d)))), nil
	case 't':
		return cty.True, nil
	case 'f':
		return cty.False, nil
	case '{':
		return d.object(left)
	case '[':
		return d.tuple(left)
	}
	return number(string(d))
}

func (d document) object(left *int) (cty.Value, error) {
	members := map[string]cty.Value{}
	for key, raw := range d.elements {
		value, err := raw.decode(left)
		if err != nil {
			return cty.NilVal, err
		}
		members[toUTF8(unquote(key))] = value
	}
	return cty.ObjectVal(members), nil
}

func (d document) tuple(left *int) (cty.Value, error) {
	var items []cty.Value
	for _, raw := range d.elements {
		value, err := raw.decode(left)
		if err != nil {
			return cty.NilVal, err
		}
		items = append(items, value)
	}
	return cty.TupleVal(items), nil
}

// number is the value of a number if that is within limits.
func number(text string) (cty.Value, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return cty.NumberIntVal(n), nil
	}
	return cty.ParseNumberVal(text)
}

// withinLimits says whether a number has few enough digits and a small enough exponent to compute with.
func withinLimits(text string) bool {
	mantissa, exponent := text, ""
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		mantissa, exponent = text[:i], text[i+1:]
	}
	digits := len(strings.TrimPrefix(mantissa, "-"))
	if strings.IndexByte(mantissa, '.') >= 0 {
		digits--
	}
	if digits > maxDigits {
		return false
	}
	if exponent == "" {
		return true
	}
	n, err := strconv.Atoi(exponent)
	return err == nil && -maxExponent <= n && n <= maxExponent
}

// toUTF8 replaces bytes that are not UTF-8.
func toUTF8(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
