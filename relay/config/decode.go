package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/hooktape/hooktape/relay/expr"
)

// schema says what may stand in a body: how each key and block gets into a T.
type schema[T any] struct {
	place  string // "source": how messages name it
	keys   map[string]func(*decoder, *T, *hclsyntax.Attribute)
	blocks map[string]func(*decoder, *T, *hclsyntax.Block)
}

func (s *schema[T]) names() []string {
	return slices.Sorted(func(yield func(string) bool) {
		for name := range maps.Keys(s.keys) {
			if !yield(name) {
				return
			}
		}
		for name := range maps.Keys(s.blocks) {
			if !yield(name) {
				return
			}
		}
	})
}

// decoder gathers what is wrong while it reads a file.
type decoder struct {
	around *surroundings
	load   *expr.Load
	places []placeNames // for hints
	diags  hcl.Diagnostics
	seen   map[string]hcl.Range // what may stand only once, by a key that the caller of once chooses
	urls   map[string]hcl.Range // of targets, by the names of source and target
	ends   []ending             // of ended_by blocks: their sources may come further down
}

func newDecoder(text []byte, around *surroundings) *decoder {
	return &decoder{
		around: around,
		load:   &expr.Load{Text: text, Env: around.env, File: around.file, Unknown: unknownAtRequest},
		places: places(),
		seen:   map[string]hcl.Range{},
		urls:   map[string]hcl.Range{},
	}
}

func (d *decoder) fail(at hcl.Range, format string, args ...any) {
	d.diags = append(d.diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: fmt.Sprintf(format, args...), Subject: &at})
}

// once checks that key comes for the first time; if not, it reports a problem at at.
func (d *decoder) once(key string, at hcl.Range, what string) {
	if first, again := d.seen[key]; again {
		d.fail(at, "%s; the first is in line %d", what, first.Start.Line)
		return
	}
	d.seen[key] = at
}

// The names that expressions can't use, by when the expressions are computed.
var (
	unknownAtRequest     = []string{"response", "delivery"}
	unknownAfterResponse = []string{"delivery"}
)

// after reads blocks whose expressions are computed at another time: unknown are the names that they can't use then.
func after[T any](unknown []string, decode func(*decoder, *T, *hclsyntax.Block)) func(*decoder, *T, *hclsyntax.Block) {
	return func(d *decoder, v *T, b *hclsyntax.Block) {
		before := d.load.Unknown
		defer func() { d.load.Unknown = before }()
		d.load.Unknown = unknown
		decode(d, v, b)
	}
}

// decodeBody reads a body's keys and blocks in the order in which they stand.
func decodeBody[T any](d *decoder, v *T, body *hclsyntax.Body, s *schema[T]) {
	attributes := slices.SortedFunc(maps.Values(body.Attributes), func(a, b *hclsyntax.Attribute) int {
		return a.SrcRange.Start.Byte - b.SrcRange.Start.Byte
	})
	for _, a := range attributes {
		switch decode, ok := s.keys[a.Name]; {
		case ok:
			decode(d, v, a)
		case s.blocks[a.Name] != nil:
			d.fail(a.NameRange, "%q is a block: write %s { ... }", a.Name, a.Name)
		default:
			d.fail(a.NameRange, "unknown key %q%s", a.Name, d.hint(a.Name, s.place, s.names()))
		}
	}
	for _, b := range body.Blocks {
		switch decode, ok := s.blocks[b.Type]; {
		case ok:
			decode(d, v, b)
		case s.keys[b.Type] != nil:
			d.fail(b.TypeRange, "%q is a key: write %s = ...", b.Type, b.Type)
		default:
			d.fail(b.TypeRange, "unknown block %q%s", b.Type, d.hint(b.Type, s.place, s.names()))
		}
	}
}

// hint suggests what may have been meant by an unknown name.
func (d *decoder) hint(name, place string, known []string) string {
	if near := expr.Nearest(name, known); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	for _, other := range d.places {
		if other.place != place && slices.Contains(other.names, name) {
			if other.place == "" {
				return "; it belongs outside of all blocks"
			}
			return fmt.Sprintf("; it belongs in a %s block", other.place)
		}
	}
	for _, other := range d.places {
		if near := expr.Nearest(name, other.names); near != "" && other.place != "" {
			return fmt.Sprintf("; did you mean %q, in a %s block?", near, other.place)
		}
	}
	return ""
}

// placeNames are the names that may stand in a place.
type placeNames struct {
	place string
	names []string
}

// places are all places of a config file.
func places() []placeNames {
	return []placeNames{
		{topSchema.place, topSchema.names()},
		{limitsSchema.place, limitsSchema.names()},
		{retainSchema.place, retainSchema.names()},
		{sourceSchema.place, sourceSchema.names()},
		{dedupeSchema.place, dedupeSchema.names()},
		{signatureSchema.place, signatureSchema.names()},
		{keyFromSchema.place, keyFromSchema.names()},
		{ackSchema.place, ackSchema.names()},
		{statusSchema.place, statusSchema.names()},
		{targetSchema.place, targetSchema.names()},
		{rewriteSchema.place, rewriteSchema.names()},
		{expectSchema.place, expectSchema.names()},
		{followSchema.place, followSchema.names()},
		{endedBySchema.place, endedBySchema.names()},
		{retrySchema.place, retrySchema.names()},
		{subscribeSchema.place, subscribeSchema.names()},
		{callSchema.place, callSchema.names()},
		{tlsSchema.place, tlsSchema.names()},
		{acmeSchema.place, acmeSchema.names()},
		{edgeSchema.place, edgeSchema.names()},
		{tunnelSchema.place, tunnelSchema.names()},
		{uplinkSchema.place, uplinkSchema.names()},
		{copySchema.place, copySchema.names()},
	}
}

// label is the one name after a block's type.
func (d *decoder) label(b *hclsyntax.Block) (name string, at hcl.Range) {
	switch {
	case len(b.Labels) == 0:
		d.fail(b.TypeRange, `a %s needs a name: write %s "NAME" { ... }`, b.Type, b.Type)
		return "", b.TypeRange
	case len(b.Labels) > 1:
		d.fail(b.LabelRanges[1], "a %s has one name", b.Type)
	}
	name, at = b.Labels[0], b.LabelRanges[0]
	if err := CheckName(name); err != nil {
		d.fail(at, "%s", err)
	}
	return name, at
}

// CheckName says what is wrong with the name of a source, a target or a tunnel.
func CheckName(name string) error {
	if namePattern.MatchString(name) {
		return nil
	}
	return errors.New("a name has up to 64 letters, digits, dots, dashes and underscores, and begins with a letter or digit")
}

// unlabeled refuses names after the type of a block that takes none.
func (d *decoder) unlabeled(b *hclsyntax.Block) {
	if len(b.Labels) > 0 {
		d.fail(b.LabelRanges[0], "%s has no name: write %s { ... }", b.Type, b.Type)
	}
}

// constant is the value of a key that cannot depend on a record; ok is false when there was a problem.
func (d *decoder) constant(name string, e hclsyntax.Expression) (v cty.Value, ok bool) {
	if isWord(e) {
		d.fail(e.Range(), "put the value of %q in quotes: \"%s\"", name, hcl.ExprAsKeyword(e))
		return cty.NilVal, false
	}
	x, diags := expr.Compile(e, d.load)
	if diags.HasErrors() {
		d.diags = append(d.diags, diags...)
		return cty.NilVal, false
	}
	v, ok = x.Constant()
	if !ok {
		d.fail(e.Range(), "%q is read when the config is loaded: it cannot depend on a record", name)
	}
	return v, ok
}

func (d *decoder) text(a *hclsyntax.Attribute) (s string, ok bool) { return d.textOf(a.Name, a.Expr) }

func (d *decoder) textOf(name string, e hclsyntax.Expression) (s string, ok bool) {
	v, ok := d.constant(name, e)
	switch {
	case !ok:
		return "", false
	case v.IsNull() || v.Type() != cty.String:
		d.fail(e.Range(), "%q must be text in quotes", name)
		return "", false
	case v.AsString() == "":
		d.fail(e.Range(), "%q is empty", name)
		return "", false
	}
	return v.AsString(), true
}

// path reads the name of a file.
func (d *decoder) path(a *hclsyntax.Attribute, into *string) { d.textInto(a, into) }

func (d *decoder) textInto(a *hclsyntax.Attribute, into *string) {
	if text, ok := d.text(a); ok {
		*into = text
	}
}

func (d *decoder) flag(a *hclsyntax.Attribute, into *bool) {
	if !isWord(a.Expr) {
		v, ok := d.constant(a.Name, a.Expr)
		if !ok {
			return
		}
		if !v.IsNull() && v.Type() == cty.Bool {
			*into = v.True()
			return
		}
	}
	d.fail(a.Expr.Range(), "%q must be true or false", a.Name)
}

// isWord says whether an expression is a bare word, and not true, false or null.
func isWord(e hclsyntax.Expression) bool {
	word := hcl.ExprAsKeyword(e)
	return word != "" && word != "null" && word != "true" && word != "false"
}

// number reads a whole number from least to most.
func (d *decoder) number(a *hclsyntax.Attribute, least, most int, into *int) {
	v, ok := d.constant(a.Name, a.Expr)
	if !ok {
		return
	}
	if !v.IsNull() && v.Type() == cty.Number {
		n, exact := v.AsBigFloat().Int64()
		if exact == 0 && n >= int64(least) && n <= int64(most) {
			*into = int(n)
			return
		}
	}
	d.fail(a.Expr.Range(), "%q must be a whole number from %d to %d", a.Name, least, most)
}

// duration reads a duration of at least least.
func (d *decoder) duration(a *hclsyntax.Attribute, least time.Duration, into *time.Duration) {
	v, ok := d.constant(a.Name, a.Expr)
	if !ok {
		return
	}
	text := "" // stays empty for a number without a unit, which could mean anything
	if !v.IsNull() && v.Type() == cty.String {
		text = v.AsString()
	}
	t, err := ParseDuration(text)
	switch {
	case err != nil:
		d.fail(a.Expr.Range(), "%q is no duration: %s", a.Name, err)
	case t < least && least > 0:
		d.fail(a.Expr.Range(), "%q must be %s or more", a.Name, durationText(least))
	case t < least:
		d.fail(a.Expr.Range(), "%q must not be negative", a.Name)
	default:
		*into = t
	}
}

// size reads a number of bytes, at least one.
func (d *decoder) size(a *hclsyntax.Attribute, into *int64) { d.sizeFrom(a, 1, into) }

// sizeFrom reads a number of bytes of at least least.
func (d *decoder) sizeFrom(a *hclsyntax.Attribute, least int64, into *int64) {
	v, ok := d.constant(a.Name, a.Expr)
	if !ok {
		return
	}
	text := ""
	switch {
	case v.IsNull():
	case v.Type() == cty.String:
		text = v.AsString()
	case v.Type() == cty.Number:
		text = v.AsBigFloat().Text('f', -1)
	}
	n, err := ParseSize(text)
	switch {
	case err != nil:
		d.fail(a.Expr.Range(), "%q is no size: %s", a.Name, err)
	case n < least:
		d.fail(a.Expr.Range(), "%q must be %s or more", a.Name, sizeText(least))
	default:
		*into = n
	}
}

// rate reads a number in a span of time.
func (d *decoder) rate(a *hclsyntax.Attribute, into *Rate) {
	text, ok := d.text(a)
	if !ok {
		return
	}
	r, err := ParseRate(text)
	if err != nil {
		d.fail(a.Expr.Range(), "%q is no rate: %s", a.Name, err)
		return
	}
	*into = r
}

// texts reads a list of texts, and where each one stands.
func (d *decoder) texts(a *hclsyntax.Attribute, each func(text string, at hcl.Range)) {
	list, ok := a.Expr.(*hclsyntax.TupleConsExpr)
	if !ok {
		d.fail(a.Expr.Range(), `%q must be a list: ["...", "..."]`, a.Name)
		return
	}
	for _, e := range list.Exprs {
		if text, ok := d.textOf(a.Name, e); ok {
			each(text, e.Range())
		}
	}
}

// value reads an expression that may yield anything for a record.
func (d *decoder) value(e hclsyntax.Expression, into **expr.Expr) {
	d.compiled(expr.Compile(e, d.load))(into)
}

// condition reads an expression that yields true or false for a record.
func (d *decoder) condition(a *hclsyntax.Attribute, into **expr.Expr) {
	d.compiled(expr.CompileCondition(a.Expr, d.load))(into)
}

// template reads an expression that yields text for a record.
func (d *decoder) template(e hclsyntax.Expression, into **expr.Expr) {
	d.compiled(expr.CompileText(e, d.load))(into)
}

func (d *decoder) compiled(x *expr.Expr, diags hcl.Diagnostics) func(into **expr.Expr) {
	d.diags = append(d.diags, diags...)
	return func(into **expr.Expr) {
		if !diags.HasErrors() {
			*into = x
		}
	}
}
