package expr

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

const (
	maxBranches  = 65536 // fields and groups of a form
	maxFormDepth = 64    // PHP's limit on nesting; deeper names are not split
)

var errManyFields = errors.New("the form has more than 65536 fields")

// branch is a field of a form, or a group of them. Only one of text and names is used.
type branch struct {
	leaf  bool
	text  string
	names []string // in the order they came in
	below map[string]*branch
	next  int // the key that [] stands for
}

// parseForm reads a query or an urlencoded body as PHP does.
func parseForm(text string) (*branch, error) {
	p := formParser{root: &branch{}}
	for pair := range strings.SplitSeq(text, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		if err := p.put(unescapeForm(name), unescapeForm(value)); err != nil {
			return nil, err
		}
	}
	return p.root, nil
}

// parseFormBody is nil when the content type is not of a form.
func parseFormBody(contentType, text string) (*branch, error) {
	kind, params, err := mime.ParseMediaType(contentType)
	switch {
	case err == nil && kind == "application/x-www-form-urlencoded":
		return parseForm(text)
	case err == nil && kind == "multipart/form-data":
		return parseMultipart(params["boundary"], text)
	}
	return nil, nil
}

// parseMultipart is nil when the body is not in the shape that its content type says.
func parseMultipart(boundary, text string) (*branch, error) {
	if boundary == "" {
		return nil, nil
	}
	p := formParser{root: &branch{}}
	r := multipart.NewReader(strings.NewReader(text), boundary)
	for {
		part, err := r.NextRawPart()
		if err == io.EOF {
			return p.root, nil
		}
		if err != nil {
			return nil, nil
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return nil, nil
		}
		if err := p.put(part.FormName(), string(content)); err != nil {
			return nil, err
		}
	}
}

// unescapeForm decodes + and %XX; any other % stays, as in PHP.
func unescapeForm(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	s = strings.ReplaceAll(s, "+", " ")
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

type formParser struct {
	root *branch
	made int
}

func (p *formParser) put(name, value string) error {
	b := p.root
	for _, key := range FormKeys(name) {
		if b.leaf { // a=1&a[b]=2: the later one counts
			*b = branch{}
		}
		if key == "" && b != p.root {
			key = strconv.Itoa(b.next)
		}
		next := b.below[key]
		if next == nil {
			if p.made++; p.made > maxBranches {
				return errManyFields
			}
			next = b.add(key)
		}
		b = next
	}
	*b = branch{leaf: true, text: value}
	return nil
}

func (b *branch) add(key string) *branch {
	if b.below == nil {
		b.below = map[string]*branch{}
	}
	made := &branch{}
	b.below[key] = made
	b.names = append(b.names, key)
	if n, ok := arrayIndex(key); ok && n >= b.next {
		b.next = n + 1
	}
	return made
}

// FormKeys splits the name of a field of a form into its keys, as PHP does: data[PARAMS][MESSAGE] is data, PARAMS and
// MESSAGE, and tags[] is tags and "".
func FormKeys(name string) []string {
	first, rest, ok := strings.Cut(name, "[")
	if !ok || first == "" || strings.Count(name, "[") > maxFormDepth {
		return []string{name}
	}
	keys := []string{first}
	for {
		key, after, ok := strings.Cut(rest, "]")
		if !ok {
			if len(keys) == 1 {
				return []string{name}
			}
			return keys
		}
		keys = append(keys, key)
		if rest, ok = strings.CutPrefix(after, "["); !ok {
			return keys // PHP drops what follows the brackets
		}
	}
}

// arrayIndex reads a key that is an index: 0, 1, 2, but not 01.
func arrayIndex(key string) (int, bool) {
	n, err := strconv.Atoi(key)
	return n, err == nil && n >= 0 && n < 1<<31 && strconv.Itoa(n) == key
}

// at is the branch at a path; nil when there is none.
func (b *branch) at(path []step) *branch {
	for _, s := range path {
		if b == nil {
			return nil
		}
		b = b.below[s.name]
	}
	return b
}

// isList says whether the keys are 0, 1, 2 and so on.
func (b *branch) isList() bool {
	for i, name := range b.names {
		if name != strconv.Itoa(i) {
			return false
		}
	}
	return len(b.names) > 0
}

func (b *branch) value() cty.Value {
	if b.leaf {
		return cty.StringVal(toUTF8(b.text))
	}
	if b.isList() {
		items := make([]cty.Value, len(b.names))
		for i, name := range b.names {
			items[i] = b.below[name].value()
		}
		return cty.TupleVal(items)
	}
	members := make(map[string]cty.Value, len(b.names))
	for _, name := range slices.Sorted(slices.Values(b.names)) {
		members[toUTF8(name)] = b.below[name].value()
	}
	return cty.ObjectVal(members)
}
