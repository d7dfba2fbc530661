package expr

import (
	"errors"
	"iter"

	"github.com/zclconf/go-cty/cty"
)

var (
	errNoLoop    = errors.New("a list or object is wanted here")
	errTwice     = errors.New(`two elements have the same key; write "..." behind the value to group them`)
	errManyItems = errors.New("the loop makes more than 65536 elements")
)

// loop is [for k, v in coll : value if condition] and {for k, v in coll : key => value}.
type loop struct {
	over      term
	key       *term // nil: a list
	val       term
	condition *term // nil: all
	grouped   bool
}

func (l *loop) eval(s *scope) (cty.Value, error) {
	into := result{keyed: l.key != nil, grouped: l.grouped}
	depth := len(s.locals)
	defer func() { s.locals = s.locals[:depth] }()
	for e, err := range elementsOf(s, l.over) {
		if err != nil {
			return cty.NilVal, err
		}
		s.locals = append(s.locals[:depth], e.key, e.value)
		if err := l.turn(s, &into); err != nil {
			return cty.NilVal, err
		}
	}
	return into.value(), nil
}

// element is an element of a list or object; key is its index or its name.
type element struct{ key, value cty.Value }

// elementsOf yields the elements of a list or object, or why there can be none. What is missing has none. A long array
// of the record is decoded one element at a time: a batch may be larger than what may be decoded at once.
func elementsOf(s *scope, t term) iter.Seq2[element, error] {
	return func(yield func(element, error) bool) {
		coll, long, err := collectionOf(s, t)
		if err == nil && !coll.IsNull() && !coll.CanIterateElements() {
			err = errNoLoop
		}
		switch {
		case err != nil:
			yield(element{}, t.locate(err))
		case long != "":
			n := int64(0)
			for v, err := range long.decoded(s) {
				if !yield(element{cty.NumberIntVal(n), v}, t.locate(err)) {
					return
				}
				n++
			}
		case !coll.IsNull():
			for it := coll.ElementIterator(); it.Next(); {
				k, v := it.Element()
				if !yield(element{k, v}, nil) {
					return
				}
			}
		}
	}
}

// collectionOf is what a loop runs over: a value, or an array of the record that is too long to become one.
func collectionOf(s *scope, t term) (coll cty.Value, long document, err error) {
	l, ok := t.node.(*lookup)
	if !ok || l.slot >= 0 { // inside another loop it is decoded only once, for all turns
		coll, err = t.eval(s)
		return coll, "", err
	}
	f, err := l.find(s)
	if err != nil {
		return cty.NilVal, "", err
	}
	if j, ok := f.(jsonFound); ok && len(j.document) > maxWhole && j.document[0] == '[' {
		return null, j.document, nil
	}
	coll, err = f.value()
	return coll, "", err
}

// decoded yields the elements of an array, decoding one at a time.
func (d document) decoded(s *scope) iter.Seq2[cty.Value, error] {
	return func(yield func(cty.Value, error) bool) {
		for _, raw := range d.elements {
			v, err := cty.NilVal, s.spend(len(raw)/bytesPerStep)
			if err == nil {
				v, err = raw.value()
			}
			if !yield(v, err) {
				return
			}
		}
	}
}

// turn evaluates the loop's body for the element in s.locals.
func (l *loop) turn(s *scope, into *result) error {
	if l.condition != nil {
		if holds, err := boolOf(s, *l.condition); err != nil || !holds {
			return err
		}
	}
	key := ""
	if l.key != nil {
		text, ok, err := textOf(s, *l.key)
		if err != nil {
			return err
		}
		if !ok {
			return l.key.locate(errNull)
		}
		key = toUTF8(text)
	}
	v, err := l.val.eval(s)
	if err != nil {
		return err
	}
	return into.add(key, v)
}

// result collects what a loop yields.
type result struct {
	keyed, grouped bool
	items          []cty.Value
	members        map[string][]cty.Value
	size           int
}

func (r *result) add(key string, v cty.Value) error {
	if r.size++; r.size > maxValues {
		return errManyItems
	}
	if !r.keyed {
		r.items = append(r.items, v)
		return nil
	}
	if r.members == nil {
		r.members = map[string][]cty.Value{}
	}
	if !r.grouped && r.members[key] != nil {
		return errTwice
	}
	r.members[key] = append(r.members[key], v)
	return nil
}

func (r *result) value() cty.Value {
	if !r.keyed {
		return cty.TupleVal(r.items)
	}
	made := make(map[string]cty.Value, len(r.members))
	for key, values := range r.members {
		made[key] = values[0]
		if r.grouped {
			made[key] = cty.TupleVal(values)
		}
	}
	return cty.ObjectVal(made)
}

// splat is list[*].path: each is evaluated once per element, which is then the innermost local.
type splat struct{ over, each term }

func (p *splat) eval(s *scope) (cty.Value, error) {
	coll, err := p.over.eval(s)
	if err != nil {
		return cty.NilVal, err
	}
	elements := []cty.Value{coll}
	switch {
	case coll.IsNull():
		return cty.EmptyTupleVal, nil
	case isSequence(coll):
		elements = coll.AsValueSlice()
	}
	depth := len(s.locals)
	defer func() { s.locals = s.locals[:depth] }()
	values := make([]cty.Value, len(elements))
	for i, element := range elements {
		s.locals = append(s.locals[:depth], null, element)
		if values[i], err = p.each.eval(s); err != nil {
			return cty.NilVal, err
		}
	}
	return cty.TupleVal(values), nil
}
