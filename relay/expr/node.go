package expr

import (
	"errors"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

const (
	// maxSteps is the budget of one evaluation: a step for each part evaluated, for each value worked on, and for each
	// bytesPerStep bytes made. It lasts for some tenths of a second, and bounds what is made to 64 MiB.
	maxSteps     = 1 << 20
	bytesPerStep = 64
	// hashedPerStep is how many hashed bytes cost a step: nothing is made from them.
	hashedPerStep = 512
	// maxText is the most bytes that a template or function may make.
	maxText = 64 << 20
)

var (
	errBudget = errors.New("the expression takes too long for this record")
	errLarge  = errors.New("the result is too large")
)

// scope is the state of one evaluation.
type scope struct {
	view   *View
	locals []cty.Value // of the enclosing for expressions, innermost last
	memo   []cty.Value // what lookups inside for expressions found
	budget int
}

func (s *scope) spend(steps int) error {
	if s.budget -= steps; s.budget < 0 {
		return errBudget
	}
	return nil
}

// charge spends what walking through a value costs. Parts that share memory are each counted all the same.
func (s *scope) charge(v cty.Value) error {
	if err := s.spend(1); err != nil {
		return err
	}
	switch {
	case isString(v):
		return s.spend(len(v.AsString()) / bytesPerStep)
	case isSequence(v) || isKeyed(v):
		for it := v.ElementIterator(); it.Next(); {
			_, item := it.Element()
			if err := s.charge(item); err != nil {
				return err
			}
		}
	}
	return nil
}

// node computes a part of an expression.
type node interface {
	eval(s *scope) (cty.Value, error)
}

// texter is a node that knows the exact bytes which its value stands for.
type texter interface {
	text(s *scope) (text string, ok bool, err error)
}

// finder is a node whose value stands in the record itself.
type finder interface {
	find(s *scope) (found, error)
}

// term is a node with what the compiler knows of it.
type term struct {
	node
	kind   kind
	varies bool // it depends on the record
	at     hcl.Range
}

func (t term) eval(s *scope) (cty.Value, error) {
	if err := s.spend(1); err != nil {
		return cty.NilVal, err
	}
	v, err := t.node.eval(s)
	return v, t.locate(err)
}

// locate adds the place to an error that has none yet.
func (t term) locate(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*fault](err); ok || errors.Is(err, errBudget) {
		return err
	}
	return &fault{t.at, err}
}

// textOf is the exact text of a term; ok is false when it is null.
func textOf(s *scope, t term) (string, bool, error) {
	if n, ok := t.node.(texter); ok {
		if err := s.spend(1); err != nil {
			return "", false, err
		}
		text, ok, err := n.text(s)
		return text, ok, t.locate(err)
	}
	v, err := t.eval(s)
	if err != nil {
		return "", false, err
	}
	text, ok, err := textOfValue(v)
	return text, ok, t.locate(err)
}

// nullOf says whether a term is null, without decoding what it finds in the record.
func nullOf(s *scope, t term) (bool, error) {
	if n, ok := t.node.(finder); ok {
		f, err := n.find(s)
		if err != nil {
			return false, t.locate(err)
		}
		return f.isNull(), nil
	}
	v, err := t.eval(s)
	return err == nil && v.IsNull(), err
}

func boolOf(s *scope, t term) (bool, error) {
	v, err := t.eval(s)
	if err != nil {
		return false, err
	}
	b, err := toBool(v)
	return b, t.locate(err)
}

func numberOf(s *scope, t term) (cty.Value, error) {
	v, err := t.eval(s)
	if err != nil {
		return cty.NilVal, err
	}
	n, err := toNumber(v)
	return n, t.locate(err)
}

type literal struct{ v cty.Value }

func (l literal) eval(*scope) (cty.Value, error) { return l.v, nil }

// failing is a part that could not be had when the expression was compiled. It occurs only inside try and can.
type failing struct{ err error }

func (f failing) eval(*scope) (cty.Value, error) { return cty.NilVal, f.err }

// lookup finds a variable, or something below it.
type lookup struct {
	variable variable
	path     []step
	slot     int // of scope.memo; -1: not inside a loop
}

func (l *lookup) find(s *scope) (found, error) {
	f, err := l.variable.find(s.view, l.path)
	if err != nil {
		return nil, err
	}
	return f, s.spend(costOf(s.view, l.path))
}

// costOf is the cost of looking through the body; outside loops a lookup happens only a few times.
func costOf(v *View, path []step) int {
	if len(path) == 0 {
		return 0
	}
	return len(v.message.text) / bytesPerStep / 16
}

func (l *lookup) eval(s *scope) (cty.Value, error) {
	if l.slot >= 0 && s.memo[l.slot] != cty.NilVal {
		return s.memo[l.slot], nil
	}
	f, err := l.find(s)
	if err != nil {
		return cty.NilVal, err
	}
	v, err := f.value()
	if err == nil && l.slot >= 0 {
		s.memo[l.slot] = v
	}
	return v, err
}

func (l *lookup) text(s *scope) (string, bool, error) {
	f, err := l.find(s)
	if err != nil {
		return "", false, err
	}
	return f.text()
}

// local is a variable of a for expression.
type local struct{ index int }

func (l local) eval(s *scope) (cty.Value, error) { return s.locals[l.index], nil }

// access follows a path into a computed value: local.name, f(x)[0]. What is not there is null.
type access struct {
	from term
	path []step
}

func (a *access) eval(s *scope) (cty.Value, error) {
	v, err := a.from.eval(s)
	if err != nil {
		return cty.NilVal, err
	}
	for _, st := range a.path {
		v = child(v, st)
	}
	return v, nil
}

// child is one element of a value, or null.
func child(v cty.Value, st step) cty.Value {
	switch {
	case v.IsNull():
		return null
	case v.Type().IsObjectType():
		if v.Type().HasAttribute(st.name) {
			return v.GetAttr(st.name)
		}
	case v.Type().IsMapType():
		if key := cty.StringVal(st.name); v.HasIndex(key).True() {
			return v.Index(key)
		}
	case v.Type().IsTupleType() || v.Type().IsListType():
		if st.index >= 0 && st.index < v.LengthInt() {
			return v.Index(cty.NumberIntVal(int64(st.index)))
		}
	}
	return null
}

// index is a path step that must be computed: json[header.x-key].
type index struct{ from, key term }

func (x *index) eval(s *scope) (cty.Value, error) {
	key, err := x.key.eval(s)
	if err != nil {
		return cty.NilVal, err
	}
	st, err := stepOf(key)
	if err != nil {
		return cty.NilVal, x.key.locate(err)
	}
	if l, ok := x.from.node.(*lookup); ok {
		path := append(l.path[:len(l.path):len(l.path)], st)
		return (&lookup{variable: l.variable, path: path, slot: -1}).eval(s)
	}
	v, err := x.from.eval(s)
	if err != nil {
		return cty.NilVal, err
	}
	return child(v, st), nil
}

// stepOf turns a value into a path step.
func stepOf(key cty.Value) (step, error) {
	text, ok, err := textOfValue(key)
	if err != nil || !ok {
		return step{}, errors.New("the key must be text or a number")
	}
	return newStep(text), nil
}

func newStep(name string) step {
	if n, ok := arrayIndex(name); ok {
		return step{name, n}
	}
	return step{name, -1}
}

// tuple is [a, b].
type tuple struct{ items []term }

func (t *tuple) eval(s *scope) (cty.Value, error) {
	values := make([]cty.Value, len(t.items))
	for i, item := range t.items {
		v, err := item.eval(s)
		if err != nil {
			return cty.NilVal, err
		}
		values[i] = v
	}
	return cty.TupleVal(values), nil
}

// members is {a = b}.
type members struct{ keys, values []term }

func (m *members) eval(s *scope) (cty.Value, error) {
	made := make(map[string]cty.Value, len(m.keys))
	for i := range m.keys {
		key, ok, err := textOf(s, m.keys[i])
		if err != nil {
			return cty.NilVal, err
		}
		if !ok {
			return cty.NilVal, m.keys[i].locate(errNull)
		}
		if made[toUTF8(key)], err = m.values[i].eval(s); err != nil {
			return cty.NilVal, err
		}
	}
	return cty.ObjectVal(made), nil
}

// template is "text ${a} text".
type template struct{ parts []term }

func (t *template) text(s *scope) (string, bool, error) {
	var b strings.Builder
	for _, part := range t.parts {
		text, _, err := textOf(s, part)
		if err != nil {
			return "", false, err
		}
		if b.Len()+len(text) > maxText {
			return "", false, errLarge
		}
		if err := s.spend(len(text) / bytesPerStep); err != nil {
			return "", false, err
		}
		b.WriteString(text)
	}
	return b.String(), true, nil
}

func (t *template) eval(s *scope) (cty.Value, error) {
	text, _, err := t.text(s)
	if err != nil {
		return cty.NilVal, err
	}
	return cty.StringVal(toUTF8(text)), nil
}

// joined is "%{for x in y}text%{endfor}": the texts of a loop joined into one.
type joined struct{ loop term }

func (j *joined) eval(s *scope) (cty.Value, error) {
	v, err := j.loop.eval(s)
	if err != nil {
		return cty.NilVal, err
	}
	var b strings.Builder
	for _, item := range v.AsValueSlice() {
		text, _, err := textOfValue(item)
		if err != nil {
			return cty.NilVal, err
		}
		if b.Len()+len(text) > maxText {
			return cty.NilVal, errLarge
		}
		b.WriteString(text)
	}
	return cty.StringVal(b.String()), s.spend(b.Len() / bytesPerStep)
}
