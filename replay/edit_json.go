package replay

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// with is the document with a value at a path, and all else as it is written. add
// makes what is not there: members of objects, and an element behind the last.
func (t *tree) with(path []string, value []byte, add bool) ([]byte, error) {
	n := uint32(root)
	for i, name := range path {
		below, ok := t.child(n, name)
		switch {
		case ok:
			n = below
		case add:
			return t.added(n, path[i:], value)
		default:
			return nil, ErrNoPart
		}
	}
	at := t.nodes[n]
	return t.replaced(at.from, at.to, value), nil
}

// replaced is the text with other bytes in the place of some.
func (t *tree) replaced(from, to uint32, by []byte) []byte {
	return slices.Concat(t.text[:from], by, t.text[to:])
}

// added is the document with a value below a node that does not have the first
// name of its path.
func (t *tree) added(n uint32, path []string, value []byte) ([]byte, error) {
	name, made := path[0], nested(path[1:], value)
	switch t.kind(n) {
	case '{':
		made = slices.Concat(jsonString(name), []byte(":"), made)
	case '[':
		count := 0
		for range t.elements(n) {
			count++
		}
		if name != strconv.Itoa(count) {
			return nil, fmt.Errorf("the array has %d elements, and the next is [%d]", count, count)
		}
	default:
		return nil, fmt.Errorf("there is nothing below %s", t.raw(n))
	}
	at := t.nodes[n].from + 1 // behind the bracket
	for i := n + 1; i < t.nodes[n].next; i = t.nodes[i].next {
		at = t.nodes[i].to
	}
	if t.nodes[n].next > n+1 {
		made = slices.Concat([]byte(","), made)
	}
	return t.replaced(at, at, made), nil
}

// nested is a value inside of new objects and arrays.
func nested(path []string, value []byte) []byte {
	for _, name := range slices.Backward(path) {
		if name == "0" {
			value = slices.Concat([]byte("["), value, []byte("]"))
		} else {
			value = slices.Concat([]byte("{"), jsonString(name), []byte(":"), value, []byte("}"))
		}
	}
	return value
}

// without is the document without what is at a path: of an object all members of
// that name.
func (t *tree) without(path []string) ([]byte, error) {
	last := path[len(path)-1]
	n, there := t.find(path[:len(path)-1])
	if there {
		_, there = t.child(n, last)
	}
	if !there {
		return nil, ErrNoPart
	}
	parts, gone := t.parts(n, last)
	return t.keeping(parts, gone), nil
}

// part is where a member or element stands in the text.
type part struct{ from, to uint32 }

// parts are the members or elements of a node, and which of them have a name.
func (t *tree) parts(n uint32, name string) (parts []part, named []bool) {
	if t.kind(n) == '{' {
		for key, value := range t.members(n) {
			parts = append(parts, part{t.nodes[key].from, t.nodes[value].to})
			named = append(named, t.str(key) == name)
		}
		return parts, named
	}
	for element := range t.elements(n) {
		named = append(named, strconv.Itoa(len(parts)) == name)
		parts = append(parts, part{t.nodes[element].from, t.nodes[element].to})
	}
	return parts, named
}

// keeping is the document without some of these parts, which are all of one node.
func (t *tree) keeping(parts []part, gone []bool) []byte {
	var b strings.Builder
	b.Write(t.text[:parts[0].from])
	first := true
	for i, p := range parts {
		if gone[i] {
			continue
		}
		if !first { // with the comma before it
			b.Write(t.text[parts[i-1].to:p.from])
		}
		first = false
		b.Write(t.text[p.from:p.to])
	}
	b.Write(t.text[parts[len(parts)-1].to:])
	return []byte(b.String())
}
