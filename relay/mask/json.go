package mask

import (
	stdjson "encoding/json"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxEmbedded is how deep text within text is looked into: JSON in strings of JSON, URLs in parameters of URLs.
const maxEmbedded = 4

// json hides the values of secret keys in JSON, or in text that contains JSON. It follows no grammar, only strings: what is
// cut short or broken is masked as far as it goes.
func (n masking) json(text string) string {
	m := jsonMasker{names: n, text: text, broken: !stdjson.Valid([]byte(text))}
	m.run()
	if m.kept == 0 {
		return text
	}
	m.out.WriteString(text[m.kept:])
	return m.out.String()
}

type jsonMasker struct {
	names  masking
	text   string
	broken bool // not valid JSON: a quote that seems to end a string may begin one
	out    strings.Builder
	kept   int // text up to here is in out
}

// put replaces text[from:to].
func (m *jsonMasker) put(from, to int, value string) {
	m.out.WriteString(m.text[m.kept:from])
	m.out.WriteString(value)
	m.kept = to
}

func (m *jsonMasker) run() {
	for i := 0; i < len(m.text); {
		if m.text[i] != '"' || i > 0 && m.text[i-1] == '\\' {
			i++
			continue
		}
		end := m.endOfString(i)
		value, isKey := m.valueBehind(end)
		switch {
		case isKey && m.names.IsSecret(m.inner(i, end)):
			i = m.hide(m.inner(i, end), value)
		case isKey:
			i = value
		case m.embedded(i, end):
			i = end
		case m.broken:
			i++
		default:
			i = end
		}
	}
}

// endOfString is the index after the string that begins at i; the string may be cut short.
func (m *jsonMasker) endOfString(i int) int {
	for i++; i < len(m.text); i++ {
		switch m.text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(m.text)
}

// inner is the text of a string.
func (m *jsonMasker) inner(start, end int) string {
	return unquote(strings.TrimSuffix(m.text[start+1:end], `"`))
}

// valueBehind says whether a string that ends at i is a key, and where its value begins.
func (m *jsonMasker) valueBehind(i int) (value int, isKey bool) {
	i = m.skipSpace(i)
	if i >= len(m.text) || m.text[i] != ':' {
		return 0, false
	}
	return m.skipSpace(i + 1), true
}

func (m *jsonMasker) skipSpace(i int) int {
	for i < len(m.text) && strings.IndexByte(" \t\r\n", m.text[i]) >= 0 {
		i++
	}
	return i
}

// hide masks the value that begins at i, and returns the index after it.
func (m *jsonMasker) hide(key string, i int) int {
	if i >= len(m.text) {
		return i
	}
	switch m.text[i] {
	case '"':
		return m.hideString(key, i)
	case '{', '[':
		if !m.names.isGroup(key) {
			return i + 1 // its keys decide for themselves
		}
		return m.hideNest(key, i)
	}
	return m.hideWord(key, i)
}

func (m *jsonMasker) hideString(key string, i int) int {
	end := m.endOfString(i)
	closed := end > i+1 && m.text[end-1] == '"'
	masked := m.names.hide(key, strings.TrimSuffix(m.text[i+1:end], `"`), inJSON)
	if closed {
		masked += `"`
	}
	m.put(i, end, `"`+masked)
	return end
}

// hideWord masks a number or a literal with a string, so that the rest stays JSON. null is no secret.
func (m *jsonMasker) hideWord(key string, i int) int {
	end := i
	for end < len(m.text) && strings.IndexByte(",]} \t\r\n\"", m.text[end]) < 0 {
		end++
	}
	switch word := m.text[i:end]; word {
	case "", "null", "true", "false":
	default:
		m.put(i, end, m.names.hide(key, word, asWord))
	}
	return end
}

// hideNest masks all values in an object or array.
func (m *jsonMasker) hideNest(key string, i int) int {
	for depth := 0; i < len(m.text); {
		switch c := m.text[i]; {
		case c == '{' || c == '[':
			depth++
			i++
		case c == '}' || c == ']':
			i++
			if depth--; depth == 0 {
				return i
			}
		case c == '"':
			end := m.endOfString(i)
			if _, isKey := m.valueBehind(end); isKey {
				i = end
				continue
			}
			i = m.hideString(key, i)
		case strings.IndexByte(",: \t\r\n", c) >= 0:
			i++
		default:
			i = max(m.hideWord(key, i), i+1)
		}
	}
	return i
}

// embedded masks a string that contains more than plain text.
func (m *jsonMasker) embedded(start, end int) bool {
	masked, changed := m.names.embedded(m.inner(start, end))
	if changed {
		m.put(start, end, quote(masked))
	}
	return changed
}

// cleanTail keeps a tail only if JSON needs no escapes for it.
func cleanTail(masked string) string {
	for i := range len(masked) {
		if c := masked[i]; c != '*' && !unreserved(c) {
			return stars
		}
	}
	return masked
}

// unquote is the text inside a JSON string. Invalid escapes stay.
func unquote(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 >= len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch c := s[i]; c {
		case 'n', 't', 'r', 'b', 'f':
			b.WriteByte("\n\t\r\b\f"[strings.IndexByte("ntrbf", c)])
		case 'u':
			r, size := escapedRune(s[i-1:])
			b.WriteRune(r)
			i += size - 2
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// escapedRune reads \uXXXX, or two that form a surrogate pair.
func escapedRune(s string) (r rune, size int) {
	first, ok := hex4(s)
	if !ok {
		return 'u', 2
	}
	if utf16.IsSurrogate(first) {
		if second, ok := hex4(s[6:]); ok {
			return utf16.DecodeRune(first, second), 12
		}
		return utf8.RuneError, 6
	}
	return first, 6
}

func hex4(s string) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(s[2:6], 16, 16)
	return rune(n), err == nil
}

// quote makes a JSON string.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ':
			const digits = "0123456789abcdef"
			b.WriteString(`\u00` + string(digits[r>>4]) + string(digits[r&15]))
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
