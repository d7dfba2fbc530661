package replay

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/textproto"
	"slices"
	"strings"
)

// partsType is that of a form in parts (RFC 7578).
const partsType = "multipart/form-data"

// Why a form in parts can't be changed as it is to be.
var (
	errNoParts  = errors.New("the body is not in the parts that its content type speaks of")
	errBoundary = errors.New("the value has the boundary of the form's parts in it")
)

// formPart is a part of a form: where it stands in the body, its delimiter included, up to the next delimiter.
type formPart struct {
	start, content, behind, end int // behind is where the content ends

	name   string
	file   string // its name, as its sender has it; "": it is a field
	coding string // of the content; "": none
}

// parts changes a field of a form in parts. The bytes of all others stay, and so do their boundary and order.
func (e Edit) parts(body []byte, boundary, name string) ([]byte, error) {
	parts, closing := formParts(body, boundary)
	if closing < 0 {
		return nil, errNoParts
	}
	named := slices.DeleteFunc(slices.Clone(parts), func(p formPart) bool { return p.name != name })
	switch {
	case len(named) == 0 && e.verb != addPart:
		return nil, ErrNoPart
	case e.verb == unsetPart:
		return withoutParts(body, named), nil
	case bytes.Contains([]byte(e.value), []byte("--"+boundary)):
		return nil, errBoundary
	case len(named) == 0:
		added := fmt.Sprintf("--%s\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n", boundary, partName.Replace(name), e.value)
		return slices.Insert(slices.Clone(body), closing, []byte(added)...), nil
	case named[0].file != "":
		return nil, fmt.Errorf("it is the file %q, not a field", named[0].file)
	case named[0].coding != "":
		return nil, fmt.Errorf("the part is in %s", named[0].coding)
	}
	body = withoutParts(body, named[1:]) // as of an urlencoded form, one of several is left
	value := e.value
	if value != "" && named[0].behind == named[0].end { // the line break of the next delimiter was that of the empty line
		value += "\r\n"
	}
	return slices.Replace(body, named[0].content, named[0].behind, []byte(value)...), nil
}

// partName escapes a name as browsers do (HTML Standard, "multipart/form-data encoding algorithm").
var partName = strings.NewReplacer(`"`, "%22", "\r", "%0D", "\n", "%0A")

func withoutParts(body []byte, parts []formPart) []byte {
	body = slices.Clone(body)
	for _, p := range slices.Backward(parts) {
		body = slices.Delete(body, p.start, p.end)
	}
	return body
}

// formParts are the parts of a body, and where the delimiter is that closes it; -1: it is no such body.
func formParts(body []byte, boundary string) (parts []formPart, closing int) {
	if boundary == "" {
		return nil, -1
	}
	at, line, last := nextDelimiter(body, 0, boundary)
	for at >= 0 && !last {
		p := formPart{start: at, content: endOfHead(body, line)}
		if p.content < 0 {
			return nil, -1
		}
		// The delimiter may follow the empty line at once: then the content is empty, and that line ends with it.
		if p.end, line, last = nextDelimiter(body, p.content-len("\n"), boundary); p.end < 0 {
			return nil, -1
		}
		p.behind = max(p.content, len(bytes.TrimSuffix(bytes.TrimSuffix(body[:p.end], []byte("\n")), []byte("\r"))))
		p.describe(body[at:p.content])
		parts, at = append(parts, p), p.end
	}
	return parts, at
}

// nextDelimiter is where the next delimiter stands at the beginning of a line, where the line behind it begins, and
// whether it is the last one; -1: there is none.
func nextDelimiter(body []byte, from int, boundary string) (at, line int, last bool) {
	delimiter := []byte("--" + boundary)
	for at = from; ; at++ {
		i := bytes.Index(body[at:], delimiter)
		if i < 0 {
			return -1, -1, false
		}
		at += i
		if at > 0 && body[at-1] != '\n' {
			continue
		}
		rest := body[at+len(delimiter):]
		if bytes.HasPrefix(rest, []byte("--")) {
			return at, len(body), true
		}
		end := bytes.IndexByte(rest, '\n')
		if end >= 0 && len(bytes.TrimSpace(rest[:end])) == 0 {
			return at, at + len(delimiter) + end + 1, false
		}
	}
}

// endOfHead is behind the empty line that ends the head that begins at from; -1: there is none.
func endOfHead(body []byte, from int) int {
	for at := from; ; {
		end := bytes.IndexByte(body[at:], '\n')
		if end < 0 {
			return -1
		}
		if len(bytes.TrimRight(body[at:at+end], "\r")) == 0 {
			return at + end + 1
		}
		at += end + 1
	}
}

// describe reads the head of a part, whose first line is its delimiter.
func (p *formPart) describe(head []byte) {
	_, fields, _ := bytes.Cut(head, []byte("\n"))
	h, _ := textproto.NewReader(bufio.NewReader(bytes.NewReader(fields))).ReadMIMEHeader() // what can be read of it
	kind, params, err := mime.ParseMediaType(h.Get("Content-Disposition"))
	if err != nil || kind != "form-data" {
		return
	}
	p.name, p.file = params["name"], params["filename"]
	if coding := strings.ToLower(h.Get("Content-Transfer-Encoding")); coding != "7bit" && coding != "8bit" && coding != "binary" {
		p.coding = coding
	}
}
