package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"mime"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/hooktape/hooktape/relay/mask"
	"github.com/hooktape/hooktape/relay/wire"
)

// rendering is a body made readable. The text is not cleaned yet.
type rendering struct{ kind, text string }

// renderBody makes the body of a message readable: JSON and XML indented, form
// fields one a line, other text as it is, everything else as hex. It shows what
// came: values are unchanged, except that secrets are masked, and those of names
// too.
func renderBody(m *message, names mask.Names, reveal bool) rendering {
	contentType, _ := m.fields.Get("Content-Type")
	body, note := m.body, ""
	if text, ok := wire.DecodeStart(m.fields, body, shownBody); ok {
		coding, _ := m.fields.Get("Content-Encoding")
		body, note = text, ", shown without "+strings.ToLower(coding)
	}
	if !wire.IsText(body) {
		return rendering{orDash(contentType) + ", binary" + note, hexDump(body)}
	}
	if !reveal {
		body = names.Body(contentType, body)
	}
	return rendering{orDash(contentType) + note, readable(contentType, body)}
}

// renderJunk shows bytes that never became a message: as text if they are text,
// which they are when they only broke a rule of HTTP.
func renderJunk(junk []byte, names mask.Names, reveal bool) string {
	if !reveal {
		junk = []byte(names.Head(string(junk)))
	}
	if wire.IsText(junk) {
		return string(junk)
	}
	return hexDump(junk)
}

func readable(contentType string, body []byte) string {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		kind = ""
	}
	trimmed := bytes.TrimSpace(body)
	switch {
	case len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '['): // curl -d calls JSON a form
		var indented bytes.Buffer
		if json.Indent(&indented, trimmed, "", "  ") == nil {
			return indented.String()
		}
	case kind == "application/x-www-form-urlencoded":
		return formText(string(trimmed))
	case bytes.HasPrefix(trimmed, []byte("<")) && strings.Contains(kind, "xml"):
		if text, err := xmlText(trimmed); err == nil {
			return text
		}
	}
	return string(body)
}

// formText shows the fields of a form, decoded, in their order.
func formText(form string) string {
	var b strings.Builder
	for pair := range strings.SplitSeq(form, "&") {
		name, value, _ := strings.Cut(pair, "=")
		fmt.Fprintf(&b, "%s = %s\n", formValue(name), formValue(value))
	}
	return b.String()
}

// formValue decodes one name or value; what is not encoded properly stays as it
// is. A line end in it would look like another field, so it is escaped.
func formValue(s string) string {
	if decoded, err := url.QueryUnescape(s); err == nil {
		s = decoded
	}
	return clean(s)
}

// xmlText puts each element on a line of its own, with the bytes of every token
// as they came. Elements that only contain text stay on one line.
func xmlText(doc []byte) (string, error) {
	var (
		b      strings.Builder
		depth  int
		opened bool // the last token on the line was a start element, or text after one
	)
	decoder := xml.NewDecoder(bytes.NewReader(doc))
	decoder.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	for from := int64(0); ; from = decoder.InputOffset() {
		token, err := decoder.RawToken()
		if err == io.EOF {
			return b.String(), nil
		}
		if err != nil {
			return "", err
		}
		text := string(bytes.TrimSpace(doc[from:decoder.InputOffset()]))
		_, ending := token.(xml.EndElement)
		_, chars := token.(xml.CharData)
		if ending {
			depth--
		}
		if text == "" {
			continue // white space, or the end of <empty/>
		}
		if !(opened && (chars || ending)) {
			newLine(&b, depth)
		}
		b.WriteString(text)
		_, starting := token.(xml.StartElement)
		opened = starting || opened && chars
		if starting {
			depth++
		}
	}
}

func newLine(b *strings.Builder, depth int) {
	if b.Len() > 0 {
		b.WriteByte('\n')
	}
	b.WriteString(strings.Repeat("  ", max(0, depth)))
}

// hexDump shows the beginning of binary bytes.
func hexDump(b []byte) string {
	text := hex.Dump(b[:min(len(b), shownHex)])
	if more := len(b) - shownHex; more > 0 {
		text += fmt.Sprintf("and %d bytes more\n", more)
	}
	return text
}

// copySafely copies text for a terminal, escaping what is harmful there, and says
// whether that changed anything.
func copySafely(w io.Writer, r io.Reader) (changed bool, err error) {
	buffer := make([]byte, 32<<10)
	kept := 0 // bytes of a character, or of a line end, that the next read completes
	for {
		n, err := r.Read(buffer[kept:])
		text := buffer[:kept+n]
		if kept = 0; err == nil {
			kept = unfinished(text)
		}
		safe := cleanStream(string(text[:len(text)-kept]))
		changed = changed || safe != string(text[:len(text)-kept])
		if _, err := io.WriteString(w, safe); err != nil {
			return changed, err
		}
		copy(buffer, text[len(text)-kept:])
		if err == io.EOF {
			return changed, nil
		}
		if err != nil {
			return changed, err
		}
	}
}

// cleanStream is clean, with line ends and tabs left as they are.
func cleanStream(s string) string {
	lines := strings.SplitAfter(s, "\n")
	for i, line := range lines {
		end := line[len(strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")):]
		if end == "\r" {
			end = "" // without a line feed it would move the cursor
		}
		cells := strings.Split(line[:len(line)-len(end)], "\t")
		for j := range cells {
			cells[j] = clean(cells[j])
		}
		lines[i] = strings.Join(cells, "\t") + end
	}
	return strings.Join(lines, "")
}

// unfinished is how many of the last bytes may belong to an incomplete character
// or line end.
func unfinished(text []byte) int {
	if n := len(text); n > 0 && text[n-1] == '\r' {
		return 1
	}
	for n := 1; n <= min(utf8.UTFMax-1, len(text)); n++ {
		if tail := text[len(text)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}
