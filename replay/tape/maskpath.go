package tape

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"net/url"
	"path"
	"strings"

	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/mask"
)

// MaskPath is a place of a request or response whose value is replaced by a fake: json.customer.email, header.x-phone,
// query.name, form.data.phone. A * stands for any characters of a name, or for any index.
type MaskPath struct {
	where string
	names []string
	text  string // as it was written
}

// String is the path as it was written.
func (p MaskPath) String() string { return p.text }

type maskPath MaskPath

// ParseMaskPath reads a path.
func ParseMaskPath(text string) (MaskPath, error) {
	names, err := expr.ParsePattern(text)
	if err != nil {
		return MaskPath{}, fmt.Errorf("%q: %w", text, err)
	}
	switch where := names[0]; {
	case where != "json" && where != "form" && where != "query" && where != "header":
		return MaskPath{}, fmt.Errorf("%q can't be masked: json, form, query and header can", where)
	case len(names) == 1:
		return MaskPath{}, fmt.Errorf("say what of %s is to be masked: %s.NAME", where, where)
	case where == "header" && len(names) > 2:
		return MaskPath{}, fmt.Errorf("there is nothing below %s", strings.Join(names[:2], "."))
	}
	return MaskPath{names[0], names[1:], text}, nil
}

// hiding hides what names tell and paths lead to.
type hiding struct {
	fakes *mask.Fakes
	paths []maskPath
}

func newHiding(fakes *mask.Fakes, paths []MaskPath) hiding {
	h := hiding{fakes: fakes}
	for _, p := range paths {
		h.paths = append(h.paths, maskPath(p))
	}
	return h
}

// head masks a head.
func (h *hiding) head(head string) string {
	head = h.fakes.Head(head)
	for _, p := range h.paths {
		head = p.head(h.fakes, head)
	}
	return head
}

// body masks a body.
func (h *hiding) body(kind string, body []byte) []byte {
	body = h.fakes.Body(kind, body)
	for _, p := range h.paths {
		body = p.body(h.fakes, kind, body)
	}
	return body
}

// target masks a target or URL.
func (h *hiding) target(target string) string {
	target = h.fakes.Target(target)
	for _, p := range h.paths {
		target = p.target(h.fakes, target)
	}
	return target
}

// fits says whether a pattern is that of a name.
func fits(pattern, name string) bool {
	if !strings.Contains(pattern, "*") {
		return pattern == name
	}
	pattern = strings.NewReplacer("*", "*", "?", `\?`, "[", `\[`, `\`, `\\`, "/", "\x00").Replace(pattern)
	ok, err := path.Match(pattern, strings.ReplaceAll(name, "/", "\x00"))
	return ok && err == nil
}

// head masks in a head: fields, or the query of its first line.
func (p maskPath) head(f *mask.Fakes, head string) string {
	switch p.where {
	case "header":
		return p.fields(f, head)
	case "query":
		line, _, _ := strings.Cut(head, "\n")
		if strings.HasPrefix(line, "HTTP/") {
			return head
		}
		return p.target(f, line) + head[len(line):]
	}
	return head
}

// target masks in the query of a target, of a URL, or of a line in which one stands.
func (p maskPath) target(f *mask.Fakes, text string) string {
	before, query, ok := strings.Cut(text, "?")
	if p.where != "query" || !ok {
		return text
	}
	end := strings.IndexAny(query, " #")
	if end < 0 {
		end = len(query)
	}
	return before + "?" + p.pairs(f, query[:end]) + query[end:]
}

func (p maskPath) fields(f *mask.Fakes, head string) string {
	var b strings.Builder
	first := true
	for line := range strings.Lines(head) {
		name, value, ok := strings.Cut(line, ":")
		if bare := strings.TrimSpace(value); ok && !first && bare != "" && fits(strings.ToLower(p.names[0]), strings.ToLower(strings.TrimSpace(name))) {
			line = name + ":" + strings.Replace(value, bare, f.Value(bare), 1)
		}
		first = false
		b.WriteString(line)
	}
	return b.String()
}

// pairs masks the values of a query or form.
func (p maskPath) pairs(f *mask.Fakes, text string) string {
	all := strings.Split(text, "&")
	for i, pair := range all {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			continue
		}
		if decoded, err := url.QueryUnescape(name); err == nil && p.leadsTo(expr.FormKeys(decoded)) {
			all[i] = name + "=" + f.InURL(value)
		}
	}
	return strings.Join(all, "&")
}

// leadsTo says whether the path leads to a place, or to something around it.
func (p maskPath) leadsTo(names []string) bool {
	if len(names) < len(p.names) {
		return false
	}
	for i, pattern := range p.names {
		if !fits(pattern, names[i]) {
			return false
		}
	}
	return true
}

// body masks in a body without coding.
func (p maskPath) body(f *mask.Fakes, contentType string, body []byte) []byte {
	switch {
	case p.where == "json" && beginsLikeJSON(body):
		w := &jsonWalk{path: p, fakes: f, text: body}
		w.all()
		w.out.Write(w.text[w.kept:])
		return w.out.Bytes()
	case p.where == "form" && strings.HasPrefix(strings.ToLower(contentType), "application/x-www-form-urlencoded"):
		return []byte(p.pairs(f, string(body)))
	}
	return body
}

// byteOrder is the mark that some put before JSON (RFC 8259 section 8.1).
var byteOrder = []byte("\ufeff")

// beginsLikeJSON says whether a path may lead anywhere in a body, of which all but the beginning may be missing.
func beginsLikeJSON(body []byte) bool {
	start := bytes.TrimLeft(bytes.TrimPrefix(body, byteOrder), " \t\r\n")
	return len(start) > 0 && (start[0] == '{' || start[0] == '[')
}

// jsonWalk goes through JSON, which may be cut short or several values behind each other, and replaces in place what a path
// leads to.
type jsonWalk struct {
	path  maskPath
	fakes *mask.Fakes
	text  []byte
	at    int
	names []string // where it is
	out   bytes.Buffer
	kept  int // text up to here is in out
}

func (w *jsonWalk) space() {
	for w.at < len(w.text) && bytes.IndexByte([]byte(" \t\r\n,:"), w.text[w.at]) >= 0 {
		w.at++
	}
}

// depthMax is how deep it goes, as deep as encoding/json.
const depthMax = 10000

// all goes through all values.
func (w *jsonWalk) all() {
	if bytes.HasPrefix(w.text, byteOrder) {
		w.at = len(byteOrder)
	}
	for w.at < len(w.text) {
		before := w.at
		if w.value(); w.at == before { // what stands here begins none
			w.at++
		}
	}
}

// value goes through one value.
func (w *jsonWalk) value() {
	w.space()
	if w.at >= len(w.text) {
		return
	}
	if c := w.text[w.at]; c == '{' || c == '[' {
		if len(w.names) == depthMax {
			w.at = len(w.text)
			return
		}
		w.nest()
		return
	}
	start := w.at
	w.skip()
	if w.at == start || !w.path.leadsTo(w.names) {
		return
	}
	raw := string(w.text[start:w.at])
	switch {
	case raw[0] == '"':
		inside := strings.TrimSuffix(raw[1:], `"`)
		raw = `"` + w.fakes.InJSON(inside) + raw[1+len(inside):]
	case raw[0] == '-' || '0' <= raw[0] && raw[0] <= '9':
		raw = w.fakes.Number(raw)
	}
	w.out.Write(w.text[w.kept:start])
	w.out.WriteString(raw)
	w.kept = w.at
}

// nest goes through an object or array.
func (w *jsonWalk) nest() {
	object := w.text[w.at] == '{'
	w.at++
	for i := 0; ; i++ {
		w.space()
		if w.at >= len(w.text) {
			return
		}
		if w.text[w.at] == '}' || w.text[w.at] == ']' {
			w.at++
			return
		}
		name := fmt.Sprint(i)
		if object {
			start := w.at
			w.skip()
			_ = stdjson.Unmarshal(w.text[start:w.at], &name) // unless it is cut short, and nothing follows
		}
		w.names = append(w.names, name)
		w.value()
		w.names = w.names[:len(w.names)-1]
	}
}

// skip passes over a string, number or literal.
func (w *jsonWalk) skip() {
	if w.text[w.at] != '"' {
		for w.at < len(w.text) && bytes.IndexByte([]byte(" \t\r\n,:]}"), w.text[w.at]) < 0 {
			w.at++
		}
		return
	}
	for w.at++; w.at < len(w.text) && w.text[w.at] != '"'; w.at++ {
		if w.text[w.at] == '\\' {
			w.at++
		}
	}
	w.at = min(w.at+1, len(w.text))
}
