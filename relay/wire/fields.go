package wire

import "strings"

// maxFields bounds what one head costs in memory beyond its bytes: a field of
// four bytes on the wire takes 32 in Fields. Real requests have under a hundred.
const maxFields = 1000

// parseFields parses the field lines of s, which ends with an empty line, and
// notes in sem what they say about the message.
//
// Line ends are CR LF or LF alone (RFC 9112, section 2.2); a CR anywhere else
// is a control character like others.
func parseFields(s string, sem *semantics) (Fields, error) {
	n := strings.Count(s, "\n") - 1
	if n > maxFields {
		return nil, refuse(431, "more than %d header fields", maxFields)
	}
	if n <= 0 {
		return nil, nil
	}
	fields := make(Fields, 0, n)
	for {
		var line string
		if line, s = cutLine(s); line == "" {
			return fields, nil
		}
		f, err := parseField(line)
		if err != nil {
			return nil, err
		}
		fields = append(fields, f)
		sem.note(f)
	}
}

func parseField(line string) (Field, error) {
	i := 0
	for i < len(line) && isToken[line[i]] {
		i++
	}
	if i == 0 || i == len(line) || line[i] != ':' {
		return Field{}, malformedField(line, i)
	}
	f := Field{Name: line[:i], Value: trim(line[i+1:])}
	if !validValue(f.Value) {
		return Field{}, refuse(400, "control character in the value of %s", clip(f.Name))
	}
	return f, nil
}

// malformedField says what is wrong with a line whose name ends at i.
func malformedField(line string, i int) error {
	rest := strings.TrimLeft(line[i:], " \t")
	switch {
	case i == 0 && isBlank(line[0]):
		return refuse(400, "folded header field") // obs-fold, RFC 9112, section 5.2
	case i == 0 && line[0] == ':':
		return refuse(400, "header field without a name")
	case i == len(line) || !strings.Contains(rest, ":"):
		return refuse(400, "header field without a colon")
	case rest[0] == ':':
		return refuse(400, "space between a field name and its colon")
	}
	return refuse(400, "malformed field name")
}

// cutLine returns the first line of s without its end, and what follows it.
func cutLine(s string) (line, rest string) {
	i := strings.IndexByte(s, '\n')
	if i < 0 {
		return s, ""
	}
	line, rest = s[:i], s[i+1:]
	if i > 0 && line[i-1] == '\r' {
		line = line[:i-1]
	}
	return line, rest
}

// trim removes the optional white space of RFC 9110, section 5.6.3.
func trim(s string) string {
	for s != "" && isBlank(s[0]) {
		s = s[1:]
	}
	for s != "" && isBlank(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// isToken are the characters of methods and field names (RFC 9110, section 5.6.2).
var isToken = classOf("!#$%&'*+-.^_`|~" +
	"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")

func classOf(chars string) (class [256]bool) {
	for _, c := range []byte(chars) {
		class[c] = true
	}
	return class
}

func validToken(s string) bool {
	for i := range len(s) {
		if !isToken[s[i]] {
			return false
		}
	}
	return s != ""
}

// validValue says whether s is free of control characters other than tab.
// Bytes from 0x80 up are allowed (obs-text, RFC 9110, section 5.5).
func validValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < ' ' && c != '\t') || c == 0x7f {
			return false
		}
	}
	return true
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// cutLineEnd is cutLine, but the line keeps its end.
func cutLineEnd(s string) (line, rest string) {
	i := strings.IndexByte(s, '\n')
	return s[:i+1], s[i+1:]
}

// sizeOf returns the bytes that writeFields writes.
func sizeOf(fields Fields) int {
	n := 0
	for _, f := range fields {
		n += len(f.Name) + len(": ") + len(f.Value) + len("\r\n")
	}
	return n
}

func writeFields(b *strings.Builder, fields Fields) {
	for _, f := range fields {
		b.WriteString(f.Name)
		b.WriteString(": ")
		b.WriteString(f.Value)
		b.WriteString("\r\n")
	}
}
