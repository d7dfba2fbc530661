package config

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/hooktape/hooktape/relay/expr"
)

// Variation is one of several ways to send a recorded request again: the changes to make, in this order.
type Variation struct {
	Name  string
	Set   []Assignment // parts that are there
	Add   []Assignment // parts that may be missing
	Unset []string     // paths
}

// Assignment gives a part of a request a value.
type Assignment struct {
	Path  string // as in expressions
	Value string // JSON for a path below json, otherwise text
}

// variations are all those of a file.
type variations struct{ all []Variation }

var variationsSchema = schema[variations]{
	blocks: map[string]func(*decoder, *variations, *hclsyntax.Block){"variation": decodeVariation},
}

var variationSchema = schema[Variation]{
	place: "variation",
	keys: map[string]func(*decoder, *Variation, *hclsyntax.Attribute){
		"set":   func(d *decoder, v *Variation, a *hclsyntax.Attribute) { d.assignments(a, &v.Set) },
		"add":   func(d *decoder, v *Variation, a *hclsyntax.Attribute) { d.assignments(a, &v.Add) },
		"unset": decodeUnset,
	},
}

// LoadVariations reads a file of variations; env looks up variables for env(). Its errors are those of Load.
func LoadVariations(path string, env func(string) (string, bool)) ([]Variation, error) {
	text, file, err := readFile(path)
	if err != nil {
		return nil, &LoadError{Path: path, Err: err, File: file}
	}
	text = bytes.TrimPrefix(text, []byte("\uFEFF"))
	around := &surroundings{dir: filepath.Dir(file.Path), lookup: env, files: []File{file}}
	found, diags := decodeVariations(text, around)
	if diags.HasErrors() {
		return nil, &Diagnostics{Problems: problems(path, text, diags), Files: around.files}
	}
	return found, nil
}

func decodeVariations(text []byte, around *surroundings) ([]Variation, hcl.Diagnostics) {
	body, diags := parse(text)
	if diags.HasErrors() {
		return nil, diags
	}
	d := newDecoder(text, around)
	d.places = []placeNames{{variationsSchema.place, variationsSchema.names()}, {variationSchema.place, variationSchema.names()}}
	found := new(variations)
	decodeBody(d, found, body, &variationsSchema)
	if found.all == nil {
		d.fail(body.Range(), `there is no variation: write variation "NAME" { set = { "json.a" = 1 } }`)
	}
	return found.all, d.diags
}

// maxVariationName is the most characters a name can have: it stands in a table.
const maxVariationName = 64

func decodeVariation(d *decoder, all *variations, b *hclsyntax.Block) {
	v := Variation{}
	switch {
	case len(b.Labels) != 1:
		d.fail(b.DefRange(), `a variation has one name: write variation "NAME" { ... }`)
		return
	case strings.TrimSpace(b.Labels[0]) == "" || utf8.RuneCountInString(b.Labels[0]) > maxVariationName || strings.ContainsFunc(b.Labels[0], unicode.IsControl):
		d.fail(b.LabelRanges[0], "a name has up to %d characters in one line", maxVariationName)
	}
	v.Name = b.Labels[0]
	d.once("variation "+v.Name, b.LabelRanges[0], "a second variation of this name")
	decodeBody(d, &v, b.Body, &variationSchema)
	all.all = append(all.all, v)
}

func decodeUnset(d *decoder, v *Variation, a *hclsyntax.Attribute) {
	d.texts(a, func(path string, at hcl.Range) {
		if d.pathInRequest(path, at) {
			v.Unset = append(v.Unset, path)
		}
	})
}

// pathInRequest checks a path as expressions have them.
func (d *decoder) pathInRequest(path string, at hcl.Range) bool {
	_, err := expr.ParsePath(path)
	if err == nil {
		return true
	}
	why := err.Error()
	if wrong, ok := errors.AsType[*expr.SyntaxError](err); ok {
		why = wrong.Message // without its place, which counts from the start of the path
	}
	d.fail(at, "%q is no path: %s", path, why)
	return false
}

// assignments reads { "PATH" = VALUE }.
func (d *decoder) assignments(a *hclsyntax.Attribute, into *[]Assignment) {
	object, ok := a.Expr.(*hclsyntax.ObjectConsExpr)
	if !ok {
		d.fail(a.Expr.Range(), `%q must be an object: { "json.order.id" = 17 }`, a.Name)
		return
	}
	for _, item := range object.Items {
		at := item.KeyExpr.Range()
		key, diags := item.KeyExpr.Value(nil)
		if diags.HasErrors() || key.IsNull() || key.Type() != cty.String {
			d.fail(at, `put the path in quotes: "json.order.id"`)
			continue
		}
		value, ok := d.constant(key.AsString(), item.ValueExpr)
		if !ok || !d.pathInRequest(key.AsString(), at) {
			continue
		}
		text, err := assigned(key.AsString(), value)
		if err != nil {
			d.fail(item.ValueExpr.Range(), "%s", err)
			continue
		}
		*into = append(*into, Assignment{key.AsString(), text})
	}
}

var errNoText = errors.New("only parts of json can be other than text, a number, true or false")

// assigned is a value in the form that its path takes.
func assigned(path string, value cty.Value) (string, error) {
	names, err := expr.ParsePath(path)
	if err != nil {
		return "", err
	}
	text, err := ctyjson.Marshal(value, value.Type())
	switch {
	case err != nil:
		return "", err
	case names[0] == "json":
		return string(text), nil
	case value.IsNull() || !value.Type().IsPrimitiveType():
		return "", errNoText
	case value.Type() == cty.String:
		return value.AsString(), nil
	}
	return string(text), nil
}
