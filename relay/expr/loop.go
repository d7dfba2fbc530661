package expr

import (
	"errors"

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
	coll, err := l.over.eval(s)
	if err != nil {
		return cty.NilVal, err
	}
	if !coll.IsNull() && !coll.CanIterateElements() {
		return cty.NilVal, l.over.locate(errNoLoop)
	}
	into := result{keyed: l.key != nil, grouped: l.grouped}
	if coll.IsNull() { // what is missing has no elements
		return into.value(), nil
	}
	depth := len(s.locals)
	defer func() { s.locals = s.locals[:depth] }()
	for it := coll.ElementIterator(); it.Next(); {
		k, v := it.Element()
		s.locals = append(s.locals[:depth], k, v)
		if err := l.turn(s, &into); err != nil {
			return cty.NilVal, err
		}
	}
	return into.value(), nil
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

// result collects what a loop makes.
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

// splat is list[*].path: each is evaluated with the element as the innermost local.
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
