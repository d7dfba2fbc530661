package replay

import (
	"bytes"
	"encoding/json"
	"iter"
	"math"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

const (
	// maxDepth is how deep JSON nests at most that is looked into, as in
	// expressions: deeper is an attack, and recursion has to end.
	maxDepth = 512
	// maxNodes is how many values and keys JSON has at most that is looked into:
	// a node takes 12 bytes.
	maxNodes = 4 << 20
)

// tree is JSON taken apart in place: what stands where in its text, in the order
// of the text. A member of an object is the node of its key, and behind it that of
// its value.
type tree struct {
	text  []byte
	nodes []node
}

// node is a value, or a key.
type node struct {
	from, to uint32 // in the text
	next     uint32 // the node behind this one and all that is inside of it
}

// root is the node of the whole document.
const root = 0

// parseTree takes JSON apart; nil when the text is none, or is too deep or has too
// many values. A byte order mark is passed over.
func parseTree(text []byte) *tree {
	start := len(text) - len(bytes.TrimPrefix(text, []byte("\uFEFF")))
	if len(text) > math.MaxUint32 || !json.Valid(text[start:]) {
		return nil
	}
	t := &tree{text: text}
	var open []uint32 // the objects and arrays around i
	for i := start; i < len(text); {
		switch text[i] {
		case ' ', '\t', '\r', '\n', ',', ':':
			i++
			continue
		case '}', ']':
			i++
			n := &t.nodes[open[len(open)-1]]
			n.to, n.next = uint32(i), uint32(len(t.nodes))
			open = open[:len(open)-1]
			continue
		}
		if len(t.nodes) == maxNodes {
			return nil
		}
		n := node{from: uint32(i), next: uint32(len(t.nodes) + 1)}
		if c := text[i]; c == '{' || c == '[' {
			if len(open) == maxDepth {
				return nil
			}
			open = append(open, uint32(len(t.nodes)))
			i++
		} else {
			i = endOfScalar(text, i)
			n.to = uint32(i)
		}
		t.nodes = append(t.nodes, n)
	}
	return t
}

// endOfScalar is the index behind the string, number or literal that begins at i
// of JSON.
func endOfScalar(text []byte, i int) int {
	if text[i] != '"' {
		for i < len(text) && strings.IndexByte(",:]} \t\r\n", text[i]) < 0 {
			i++
		}
		return i
	}
	for i++; text[i] != '"'; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// raw is the text of a node.
func (t *tree) raw(n uint32) []byte { return t.text[t.nodes[n].from:t.nodes[n].to] }

// kind is '{', '[', '"', '0' for numbers, and else the first letter.
func (t *tree) kind(n uint32) byte {
	c := t.text[t.nodes[n].from]
	if c == '-' || '0' <= c && c <= '9' {
		return '0'
	}
	return c
}

// str is what a string or key says.
func (t *tree) str(n uint32) string {
	raw := t.raw(n)
	if inner := raw[1 : len(raw)-1]; bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	return gjson.ParseBytes(raw).Str
}

// elements are those of an array.
func (t *tree) elements(n uint32) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for i := n + 1; i < t.nodes[n].next; i = t.nodes[i].next {
			if !yield(i) {
				return
			}
		}
	}
}

// members are those of an object: their keys and values.
func (t *tree) members(n uint32) iter.Seq2[uint32, uint32] {
	return func(yield func(key, value uint32) bool) {
		for i := n + 1; i < t.nodes[n].next; i = t.nodes[i+1].next {
			if !yield(i, i+1) {
				return
			}
		}
	}
}

// object is an object by its keys, in their order; of keys that come twice the
// last one counts, as in most parsers.
func (t *tree) object(n uint32) (keys []string, values map[string]uint32) {
	values = make(map[string]uint32)
	for key, value := range t.members(n) {
		name := t.str(key)
		if _, again := values[name]; !again {
			keys = append(keys, name)
		}
		values[name] = value
	}
	return keys, values
}

// child finds an element by its index, or a member by its name.
func (t *tree) child(n uint32, name string) (found uint32, ok bool) {
	switch t.kind(n) {
	case '{':
		for key, value := range t.members(n) {
			if t.str(key) == name {
				found, ok = value, true
			}
		}
	case '[':
		left, err := strconv.Atoi(name)
		if err != nil || left < 0 || strconv.Itoa(left) != name {
			return 0, false
		}
		for element := range t.elements(n) {
			if left == 0 {
				return element, true
			}
			left--
		}
	}
	return found, ok
}

// find is the node at a path.
func (t *tree) find(names []string) (n uint32, ok bool) {
	n = root
	for _, name := range names {
		if n, ok = t.child(n, name); !ok {
			return 0, false
		}
	}
	return n, true
}

// number is a number in its one form: 1, 1.0 and 10e-1 are the same. ok is false
// for one whose exponent is beyond all bounds.
func number(text string) (normal string, ok bool) {
	mantissa, exponent := text, int64(0)
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		var err error
		if exponent, err = strconv.ParseInt(text[i+1:], 10, 32); err != nil {
			return text, false
		}
		mantissa = text[:i]
	}
	mantissa, negative := strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	exponent -= int64(len(fraction))
	digits := strings.TrimLeft(whole+fraction, "0")
	trimmed := strings.TrimRight(digits, "0")
	exponent += int64(len(digits) - len(trimmed))
	switch {
	case trimmed == "":
		return "0", true
	case negative:
		trimmed = "-" + trimmed
	}
	return trimmed + "e" + strconv.FormatInt(exponent, 10), true
}
