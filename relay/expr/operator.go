package expr

import (
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// choice is a ? b : c. Only the branch taken is evaluated.
type choice struct{ condition, yes, no term }

func (c *choice) taken(s *scope) (term, error) {
	holds, err := boolOf(s, c.condition)
	if holds {
		return c.yes, err
	}
	return c.no, err
}

func (c *choice) eval(s *scope) (cty.Value, error) {
	t, err := c.taken(s)
	if err != nil {
		return cty.NilVal, err
	}
	return t.eval(s)
}

func (c *choice) text(s *scope) (string, bool, error) {
	t, err := c.taken(s)
	if err != nil {
		return "", false, err
	}
	return textOf(s, t)
}

// logical is a && b, or a || b.
type logical struct {
	or          bool
	left, right term
}

func (l *logical) eval(s *scope) (cty.Value, error) {
	v, err := boolOf(s, l.left)
	if err == nil && v != l.or {
		v, err = boolOf(s, l.right)
	}
	return cty.BoolVal(v), err
}

// not is !a.
type not struct{ of term }

func (n not) eval(s *scope) (cty.Value, error) {
	v, err := boolOf(s, n.of)
	return cty.BoolVal(!v), err
}

// equality is a == b, or a != b.
type equality struct {
	negated     bool
	left, right term
}

func (e *equality) eval(s *scope) (cty.Value, error) {
	same, err := e.same(s)
	return cty.BoolVal(same != e.negated), err
}

func (e *equality) same(s *scope) (bool, error) {
	if e.right.kind == nullKind {
		return nullOf(s, e.left)
	}
	if e.left.kind == nullKind {
		return nullOf(s, e.right)
	}
	a, err := e.left.eval(s)
	if err != nil {
		return false, err
	}
	b, err := e.right.eval(s)
	if err != nil {
		return false, err
	}
	return s.equal(a, b)
}

// ordering is a < b and its like.
type ordering struct {
	op          *hclsyntax.Operation
	left, right term
}

func (o *ordering) eval(s *scope) (cty.Value, error) {
	order, err := o.compare(s)
	if err != nil {
		return cty.NilVal, err
	}
	switch o.op {
	case hclsyntax.OpLessThan:
		return cty.BoolVal(order < 0), nil
	case hclsyntax.OpLessThanOrEqual:
		return cty.BoolVal(order <= 0), nil
	case hclsyntax.OpGreaterThan:
		return cty.BoolVal(order > 0), nil
	}
	return cty.BoolVal(order >= 0), nil
}

func (o *ordering) compare(s *scope) (int, error) {
	a, err := o.left.eval(s)
	if err != nil {
		return 0, err
	}
	b, err := o.right.eval(s)
	if err != nil {
		return 0, err
	}
	if isString(a) && isString(b) {
		return compareText(a.AsString(), b.AsString()), nil
	}
	x, err := toNumber(a)
	if err != nil {
		return 0, o.left.locate(err)
	}
	y, err := toNumber(b)
	if err != nil {
		return 0, o.right.locate(err)
	}
	return x.AsBigFloat().Cmp(y.AsBigFloat()), nil
}

// arithmetic is a + b and its like, and -a.
type arithmetic struct {
	impl     function.Function
	operands []term
}

func (a *arithmetic) eval(s *scope) (cty.Value, error) {
	args := make([]cty.Value, len(a.operands))
	for i, operand := range a.operands {
		n, err := numberOf(s, operand)
		if err != nil {
			return cty.NilVal, err
		}
		args[i] = n
	}
	v, err := a.impl.Call(args)
	if err != nil {
		return cty.NilVal, errRange
	}
	return bounded(v)
}
