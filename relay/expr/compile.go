package expr

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// compiler turns HCL's syntax tree into terms. HCL's own nodes are never evaluated: they would decode all of a record
// to look at one field, fail on what is missing, and know no bounds.
type compiler struct {
	load   *Load
	diags  hcl.Diagnostics
	locals []string                          // two for each enclosing loop: key and value; "" can't be named
	items  map[*hclsyntax.AnonSymbolExpr]int // of splats: the index of the element among locals
	slots  int
	tries  int // how many calls of try and can enclose this
	secret bool
}

func (c *compiler) fail(at hcl.Range, format string, args ...any) term {
	c.diags = append(c.diags, problem(at, format, args...))
	return term{node: literal{null}, at: at}
}

// compile dispatches on the kind of node.
func (c *compiler) compile(e hclsyntax.Expression) term {
	t := c.node(e)
	t.at = e.Range()
	return t
}

func (c *compiler) node(e hclsyntax.Expression) term {
	switch e := e.(type) {
	case *hclsyntax.LiteralValueExpr:
		return c.literal(e)
	case *hclsyntax.ParenthesesExpr:
		return c.compile(e.Expression)
	case *hclsyntax.TemplateWrapExpr:
		return c.compile(e.Wrapped)
	case *hclsyntax.TemplateExpr:
		return c.template(e)
	case *hclsyntax.TemplateJoinExpr:
		loop := c.compile(e.Tuple)
		return term{node: &joined{loop}, kind: textKind, varies: loop.varies}
	case *hclsyntax.ScopeTraversalExpr:
		return c.traversal(e)
	case *hclsyntax.RelativeTraversalExpr:
		return c.into(c.compile(e.Source), e.Traversal, e.Range())
	case *hclsyntax.IndexExpr:
		from, key := c.compile(e.Collection), c.compile(e.Key)
		return term{node: &index{from, key}, varies: from.varies || key.varies}
	case *hclsyntax.BinaryOpExpr:
		return c.binary(e)
	case *hclsyntax.UnaryOpExpr:
		return c.unary(e)
	case *hclsyntax.ConditionalExpr:
		return c.choice(e)
	case *hclsyntax.FunctionCallExpr:
		return c.call(e)
	case *hclsyntax.TupleConsExpr:
		return c.tuple(e)
	case *hclsyntax.ObjectConsExpr:
		return c.object(e)
	case *hclsyntax.ForExpr:
		return c.loop(e)
	case *hclsyntax.SplatExpr:
		return c.splat(e)
	case *hclsyntax.AnonSymbolExpr:
		return term{node: local{c.items[e]}}
	}
	return c.fail(e.Range(), "an expression of this kind can't be used here")
}

func (c *compiler) literal(e *hclsyntax.LiteralValueExpr) term {
	if _, err := bounded(e.Val); err != nil {
		return c.fail(e.Range(), "%s", err)
	}
	return term{node: literal{e.Val}, kind: kindOf(e.Val)}
}

func kindOf(v cty.Value) kind {
	switch {
	case v.IsNull():
		return nullKind
	case v.Type() == cty.String:
		return textKind
	case v.Type() == cty.Number:
		return numberKind
	case v.Type() == cty.Bool:
		return truthKind
	case isSequence(v):
		return listKind
	case isKeyed(v):
		return objectKind
	}
	return anyKind
}

func (c *compiler) template(e *hclsyntax.TemplateExpr) term {
	if len(e.Parts) == 1 {
		if l, ok := e.Parts[0].(*hclsyntax.LiteralValueExpr); ok {
			return c.compile(l)
		}
	}
	parts, varies := c.all(e.Parts)
	return term{node: &template{parts}, kind: textKind, varies: varies}
}

// all compiles several terms, and says whether one of them varies.
func (c *compiler) all(exprs []hclsyntax.Expression) (terms []term, varies bool) {
	terms = make([]term, len(exprs))
	for i, e := range exprs {
		terms[i] = c.compile(e)
		varies = varies || terms[i].varies
	}
	return terms, varies
}

// traversal is a variable, or a path below one.
func (c *compiler) traversal(e *hclsyntax.ScopeTraversalExpr) term {
	name := e.Traversal.RootName()
	if i := c.local(name); i >= 0 {
		return c.into(term{node: local{i}}, e.Traversal[1:], e.Range())
	}
	v, ok := variables[name]
	if !ok {
		known := slices.Concat(c.namedLocals(), variableNames)
		return c.fail(e.Traversal[0].SourceRange(), "unknown variable %q%s", name, didYouMean(name, known))
	}
	if slices.Contains(c.load.Unknown, name) {
		return c.fail(e.Traversal[0].SourceRange(), "%s is not available here", name)
	}
	path, ok := c.path(e.Traversal[1:])
	if !ok {
		return term{node: literal{null}}
	}
	if name == "response" && len(path) > 0 {
		part, known := responseParts[path[0].name]
		if !known {
			at := e.Traversal[1].SourceRange()
			return c.fail(at, "response has no %q%s", path[0].name, didYouMean(path[0].name, responseNames))
		}
		name, v, path = "response."+path[0].name, part, path[1:]
	}
	if name == "delivery" && len(path) > 0 && deliveryParts[path[0].name] == nil {
		at := e.Traversal[1].SourceRange()
		return c.fail(at, "delivery has no %q%s", path[0].name, didYouMean(path[0].name, deliveryNames))
	}
	if len(path) > 0 && !v.kind.hasElements() {
		return c.fail(e.Range(), "%s is %s, nothing is below it", name, v.kind)
	}
	return c.lookup(v, path)
}

func (c *compiler) lookup(v variable, path []step) term {
	t := term{kind: v.kind, varies: true}
	if len(path) > 0 {
		t.kind = anyKind
	}
	l := &lookup{variable: v, path: path, slot: -1}
	if len(c.locals) > 0 {
		l.slot = c.slots
		c.slots++
	}
	t.node = l
	return t
}

// into follows a path that is known now into a value.
func (c *compiler) into(from term, traversal hcl.Traversal, at hcl.Range) term {
	path, ok := c.path(traversal)
	if !ok || len(path) == 0 {
		return from
	}
	from.at = at
	return term{node: &access{from, path}, varies: from.varies}
}

func (c *compiler) path(traversal hcl.Traversal) (path []step, ok bool) {
	for _, t := range traversal {
		switch t := t.(type) {
		case hcl.TraverseAttr:
			path = append(path, newStep(t.Name))
		case hcl.TraverseIndex:
			s, err := stepOf(t.Key)
			if err != nil {
				c.fail(t.SourceRange(), "%s", err)
				return nil, false
			}
			path = append(path, s)
		default:
			c.fail(t.SourceRange(), "this cannot stand in a path")
			return nil, false
		}
	}
	return path, true
}

// local is the index of a loop's variable; -1 when there is none of that name.
func (c *compiler) local(name string) int {
	for i, l := range slices.Backward(c.locals) {
		if l == name {
			return i
		}
	}
	return -1
}

func (c *compiler) namedLocals() []string {
	return slices.DeleteFunc(slices.Clone(c.locals), func(name string) bool { return name == "" })
}

func (c *compiler) binary(e *hclsyntax.BinaryOpExpr) term {
	left, right := c.compile(e.LHS), c.compile(e.RHS)
	t := term{kind: truthKind, varies: left.varies || right.varies}
	switch e.Op {
	case hclsyntax.OpLogicalAnd, hclsyntax.OpLogicalOr:
		t.node = &logical{e.Op == hclsyntax.OpLogicalOr, left, right}
	case hclsyntax.OpEqual, hclsyntax.OpNotEqual:
		c.checkComparable(left, right)
		t.node = &equality{e.Op == hclsyntax.OpNotEqual, left, right}
	case hclsyntax.OpLessThan, hclsyntax.OpLessThanOrEqual, hclsyntax.OpGreaterThan, hclsyntax.OpGreaterThanOrEqual:
		t.node = &ordering{e.Op, left, right}
	default:
		t.kind = numberKind
		t.node = &arithmetic{e.Op.Impl, []term{left, right}}
	}
	return t
}

// checkComparable refuses a comparison that can never hold: status == "200".
func (c *compiler) checkComparable(a, b term) {
	if a.kind == b.kind || slices.Contains([]kind{anyKind, nullKind}, a.kind) || slices.Contains([]kind{anyKind, nullKind}, b.kind) {
		return
	}
	at := hcl.RangeBetween(a.at, b.at)
	c.fail(at, "%s is %s and %s is %s: they are never equal", c.source(a), a.kind, c.source(b), b.kind)
}

func (c *compiler) source(t term) string { return string(t.at.SliceBytes(c.load.Text)) }

func (c *compiler) unary(e *hclsyntax.UnaryOpExpr) term {
	of := c.compile(e.Val)
	if e.Op == hclsyntax.OpLogicalNot {
		return term{node: not{of}, kind: truthKind, varies: of.varies}
	}
	return term{node: &arithmetic{e.Op.Impl, []term{of}}, kind: numberKind, varies: of.varies}
}

func (c *compiler) choice(e *hclsyntax.ConditionalExpr) term {
	condition, yes, no := c.compile(e.Condition), c.compile(e.TrueResult), c.compile(e.FalseResult)
	t := term{node: &choice{condition, yes, no}, varies: condition.varies || yes.varies || no.varies}
	if yes.kind == no.kind {
		t.kind = yes.kind
	}
	return t
}

func (c *compiler) tuple(e *hclsyntax.TupleConsExpr) term {
	items, varies := c.all(e.Exprs)
	return term{node: &tuple{items}, kind: listKind, varies: varies}
}

func (c *compiler) object(e *hclsyntax.ObjectConsExpr) term {
	t := term{kind: objectKind}
	m := &members{}
	for _, item := range e.Items {
		key, value := c.objectKey(item.KeyExpr), c.compile(item.ValueExpr)
		m.keys, m.values = append(m.keys, key), append(m.values, value)
		t.varies = t.varies || key.varies || value.varies
	}
	t.node = m
	return t
}

// objectKey takes a bare name literally, as HCL does.
func (c *compiler) objectKey(e hclsyntax.Expression) term {
	key, ok := e.(*hclsyntax.ObjectConsKeyExpr)
	if !ok {
		return c.compile(e)
	}
	if !key.ForceNonLiteral {
		if name := hcl.ExprAsKeyword(key.Wrapped); name != "" {
			return term{node: literal{cty.StringVal(name)}, kind: textKind, at: e.Range()}
		}
		if _, dotted := key.Wrapped.(*hclsyntax.ScopeTraversalExpr); dotted {
			return c.fail(e.Range(), "put a key in quotes, or in parentheses when it is to be computed")
		}
	}
	return c.compile(key.Wrapped)
}

func (c *compiler) loop(e *hclsyntax.ForExpr) term {
	l := &loop{over: c.compile(e.CollExpr), grouped: e.Group}
	c.locals = append(c.locals, e.KeyVar, e.ValVar)
	l.val = c.compile(e.ValExpr)
	varies := l.over.varies || l.val.varies
	if e.KeyExpr != nil {
		key := c.compile(e.KeyExpr)
		l.key, varies = &key, varies || key.varies
	}
	if e.CondExpr != nil {
		condition := c.compile(e.CondExpr)
		l.condition, varies = &condition, varies || condition.varies
	}
	c.locals = c.locals[:len(c.locals)-2]
	t := term{node: l, kind: listKind, varies: varies}
	if l.key != nil {
		t.kind = objectKind
	}
	return t
}

func (c *compiler) splat(e *hclsyntax.SplatExpr) term {
	over := c.compile(e.Source)
	if c.items == nil {
		c.items = map[*hclsyntax.AnonSymbolExpr]int{}
	}
	c.items[e.Item] = len(c.locals) + 1
	c.locals = append(c.locals, "", "")
	each := c.compile(e.Each)
	c.locals = c.locals[:len(c.locals)-2]
	return term{node: &splat{over, each}, kind: listKind, varies: over.varies || each.varies}
}

// call compiles a function call: of one that is part of the language, or else of one in functions.
func (c *compiler) call(e *hclsyntax.FunctionCallExpr) term {
	if slices.Contains(specialNames, e.Name) {
		return c.special(e)
	}
	f, ok := functions[e.Name]
	if !ok {
		return c.fail(e.NameRange, "unknown function %q%s", e.Name, didYouMean(e.Name, functionNames))
	}
	if !e.ExpandFinal {
		params := f.impl.Params()
		least, most := len(params), len(params)
		if f.impl.VarParam() != nil {
			most = -1
		}
		if !c.arity(e, least, most) {
			return term{node: literal{null}}
		}
	}
	args, varies := c.all(e.Args)
	made := &call{name: e.Name, f: f, args: args, expand: e.ExpandFinal, instructions: c.checkPattern(e, args)}
	return term{node: made, kind: f.kind, varies: varies}
}

// arity checks the number of arguments; most is -1 for any number.
func (c *compiler) arity(e *hclsyntax.FunctionCallExpr, least, most int) bool {
	n := len(e.Args)
	if n >= least && (most < 0 || n <= most) {
		return true
	}
	want := fmt.Sprint(least)
	switch {
	case most < 0:
		want = fmt.Sprintf("at least %d", least)
	case most > least:
		want = fmt.Sprintf("%d or %d", least, most)
	}
	noun := "arguments"
	if want == "1" {
		noun = "argument"
	}
	c.fail(e.Range(), "%s() takes %s %s, not %d", e.Name, want, noun, n)
	return false
}
