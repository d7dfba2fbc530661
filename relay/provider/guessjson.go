package provider

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxJSON is the size in bytes of the largest body that is tried in other layouts: there are many.
const maxJSON = 1 << 20

// guessJSON writes a JSON body as common libraries do: whatever parses a body and prints it again does so in its own
// way, with its own order of keys, escapes and layout.
func guessJSON(body []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		if len(body) > maxJSON || !json.Valid(body) {
			return
		}
		for _, order := range jsonOrders {
			ordered, err := order.write(body)
			if err != nil {
				continue
			}
			for _, escapes := range jsonEscapes {
				escaped := escapes.write(ordered)
				for _, layout := range jsonLayouts {
					what := "the JSON as it is written " + layout.name + escapes.name + order.name
					if !yield(what+": it was parsed and printed again", layout.write(escaped)) {
						return
					}
				}
			}
		}
	}
}

var jsonOrders = []struct {
	name  string
	write func([]byte) ([]byte, error)
}{
	{"", compactJSON},
	{", with its keys sorted", sortJSON},
}

func compactJSON(body []byte) ([]byte, error) {
	var b bytes.Buffer
	err := json.Compact(&b, body)
	return b.Bytes(), err
}

// sortJSON keeps numbers as they are written.
func sortJSON(body []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(value)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// jsonEscapes are ways of escaping compact JSON.
var jsonEscapes = []struct {
	name  string
	write func([]byte) []byte
}{
	{"", func(text []byte) []byte { return text }},
	{", with nothing escaped that need not be", plainJSON},
	{`, with \u escapes`, func(text []byte) []byte { return asciiJSON(plainJSON(text)) }},
	{`, with \u and \/ escapes`, func(text []byte) []byte { return slashJSON(asciiJSON(plainJSON(text))) }},
	{`, with \/ escapes`, func(text []byte) []byte { return slashJSON(plainJSON(text)) }},
	{", with <, > and & escaped", func(text []byte) []byte { return htmlJSON(plainJSON(text)) }},
}

// plainJSON removes the escapes that JSON can do without: \/, and \u of anything but control characters, quotes and
// backslashes. Surrogates that are not a pair stay.
func plainJSON(text []byte) []byte {
	b := make([]byte, 0, len(text))
	for len(text) > 0 {
		i := bytes.IndexByte(text, '\\')
		if i < 0 || i+1 == len(text) {
			return append(b, text...)
		}
		b, text = append(b, text[:i]...), text[i:]
		r, size := escapedRune(text)
		if text[1] == '/' {
			r, size = '/', 2
		}
		if r < ' ' || r == '"' || r == '\\' || size == 0 {
			size = 2
			b, text = append(b, text[:size]...), text[size:]
			continue
		}
		b, text = utf8.AppendRune(b, r), text[size:]
	}
	return b
}

// escapedRune reads \uXXXX, or two that form a surrogate pair; size is 0 when text begins with something else.
func escapedRune(text []byte) (r rune, size int) {
	unit := func(at int) (rune, bool) {
		if len(text) < at+6 || text[at] != '\\' || text[at+1] != 'u' {
			return 0, false
		}
		n, err := strconv.ParseUint(string(text[at+2:at+6]), 16, 16)
		return rune(n), err == nil
	}
	r, ok := unit(0)
	switch {
	case !ok:
		return 0, 0
	case !utf16.IsSurrogate(r):
		return r, 6
	}
	if low, ok := unit(6); ok {
		if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return 0, 0
}

// asciiJSON escapes all that is not ASCII. In JSON that can only be in strings.
func asciiJSON(text []byte) []byte {
	var b strings.Builder
	for _, r := range string(text) {
		switch {
		case r < utf8.RuneSelf:
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return []byte(b.String())
}

func slashJSON(text []byte) []byte { return bytes.ReplaceAll(text, []byte("/"), []byte(`\/`)) }

func htmlJSON(text []byte) []byte {
	var b bytes.Buffer
	json.HTMLEscape(&b, text)
	return b.Bytes()
}

var jsonLayouts = []struct {
	name  string
	write func([]byte) []byte
}{
	{"compact", func(text []byte) []byte { return text }},
	{"with spaces behind commas and colons", spacedJSON},
	{"indented by 2 spaces", indentJSON("  ")},
	{"indented by 4 spaces", indentJSON("    ")},
	{"indented by tabs", indentJSON("\t")},
}

func indentJSON(by string) func([]byte) []byte {
	return func(text []byte) []byte {
		var b bytes.Buffer
		if indentedSize(text, len(by)) > inflation*len(text)+indentFree || json.Indent(&b, text, "", by) != nil {
			return text
		}
		return b.Bytes()
	}
}

// indentFree is how many bytes indentation may add to a body of any size, besides inflation: a small body may be deep.
const indentFree = 64 << 10

// indentedSize is a lower bound on the size of compact JSON once it is indented by so many bytes a level. Indentation
// grows with the square of the levels: 20 KB of brackets become 400 MB.
func indentedSize(text []byte, by int) int {
	size, level, quoted := len(text), 0, false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++
		case quoted:
		case c == '{' || c == '[':
			level++
			size += 1 + by*level
		case c == '}' || c == ']':
			level--
			size += 1 + by*level
		case c == ',':
			size += 1 + by*level
		case c == ':':
			size++
		}
	}
	return size
}

// spacedJSON is how Python's json module prints.
func spacedJSON(text []byte) []byte {
	b := make([]byte, 0, len(text)+len(text)/8)
	quoted := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		b = append(b, c)
		switch {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++
			b = append(b, text[i])
		case !quoted && (c == ',' || c == ':'):
			b = append(b, ' ')
		}
	}
	return b
}
