package expr

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// specialNames are the functions that the compiler turns into nodes: they look at their arguments before these have a
// value, or at their exact bytes.
var specialNames = []string{"base64", "can", "coalesce", "env", "file", "hmac", "length", "sha256", "try"}

// special compiles a call of one of them.
func (c *compiler) special(e *hclsyntax.FunctionCallExpr) term {
	if e.ExpandFinal {
		return c.fail(e.Range(), "%s() takes its arguments one by one, without ...", e.Name)
	}
	switch e.Name {
	case "try", "can":
		return c.try(e)
	case "env", "file":
		return c.loaded(e)
	}
	arity := map[string][2]int{"coalesce": {1, -1}, "length": {1, 1}, "sha256": {1, 1}, "base64": {1, 1}, "hmac": {2, 3}}[e.Name]
	if !c.arity(e, arity[0], arity[1]) {
		return term{node: literal{null}}
	}
	args, varies := c.all(e.Args)
	switch e.Name {
	case "coalesce":
		return term{node: coalesce(args), varies: varies}
	case "length":
		return term{node: length{args[0]}, kind: numberKind, varies: varies}
	}
	return term{node: &digest{e.Name, args}, kind: textKind, varies: varies}
}

// try compiles try(a, b, c), which is the first that does not fail, and can(a).
func (c *compiler) try(e *hclsyntax.FunctionCallExpr) term {
	most := -1
	if e.Name == "can" {
		most = 1
	}
	if !c.arity(e, 1, most) {
		return term{node: literal{null}}
	}
	c.tries++
	args, varies := c.all(e.Args)
	c.tries--
	if e.Name == "can" {
		return term{node: can{args[0]}, kind: truthKind, varies: varies}
	}
	return term{node: try(args), varies: varies}
}

// loaded compiles env("NAME") and file("NAME"), which are read at once.
func (c *compiler) loaded(e *hclsyntax.FunctionCallExpr) term {
	if !c.arity(e, 1, 1) {
		return term{node: literal{null}}
	}
	read := c.load.File
	if e.Name == "env" {
		read = c.load.Env
	}
	if read == nil {
		return c.fail(e.Range(), "%s() can be used in the config file only", e.Name)
	}
	name := c.compile(e.Args[0])
	l, ok := name.node.(literal)
	if !ok || !isString(l.v) {
		return c.fail(e.Args[0].Range(), "%s() takes a name in quotes: it is read when the config is loaded", e.Name)
	}
	value, err := read(l.v.AsString())
	if err != nil {
		if c.tries > 0 {
			return term{node: failing{err}, kind: textKind}
		}
		return c.fail(e.Range(), "%s", err)
	}
	c.secret = true
	return term{node: literal{cty.StringVal(value)}, kind: textKind}
}

type try []term

func (t try) eval(s *scope) (v cty.Value, err error) {
	for _, arg := range t {
		if v, err = arg.eval(s); err == nil || errors.Is(err, errBudget) {
			return v, err
		}
	}
	return cty.NilVal, err
}

func (t try) text(s *scope) (text string, ok bool, err error) {
	for _, arg := range t {
		if text, ok, err = textOf(s, arg); err == nil || errors.Is(err, errBudget) {
			return text, ok, err
		}
	}
	return "", false, err
}

type can struct{ arg term }

func (c can) eval(s *scope) (cty.Value, error) {
	_, err := c.arg.eval(s)
	if errors.Is(err, errBudget) {
		return cty.NilVal, err
	}
	return cty.BoolVal(err == nil), nil
}

// coalesce is the first argument that is not null.
type coalesce []term

func (c coalesce) eval(s *scope) (cty.Value, error) {
	for _, arg := range c {
		if v, err := arg.eval(s); err != nil || !v.IsNull() {
			return v, err
		}
	}
	return null, nil
}

func (c coalesce) text(s *scope) (string, bool, error) {
	for _, arg := range c {
		if text, ok, err := textOf(s, arg); err != nil || ok {
			return text, ok, err
		}
	}
	return "", false, nil
}

// length counts the elements of a list or object, without decoding those of the record. What is missing has none.
type length struct{ of term }

func (l length) eval(s *scope) (cty.Value, error) {
	if n, ok := l.of.node.(finder); ok {
		f, err := n.find(s)
		if err != nil {
			return cty.NilVal, err
		}
		if n, ok := f.count(); ok || f.isNull() {
			return cty.NumberIntVal(int64(n)), nil
		}
	}
	v, err := l.of.eval(s)
	switch {
	case err != nil:
		return cty.NilVal, err
	case v.IsNull():
		return cty.NumberIntVal(0), nil
	case !isSequence(v) && !isKeyed(v):
		return cty.NilVal, errors.New("length() counts the elements of a list or object; strlen() the characters of a text")
	}
	return cty.NumberIntVal(int64(v.LengthInt())), nil
}

// digest is sha256(x), base64(x) or hmac(key, x, algorithm) of exact bytes; null if they are missing.
type digest struct {
	name string
	args []term
}

func (d *digest) eval(s *scope) (cty.Value, error) {
	var texts [3]string
	for i, arg := range d.args {
		text, ok, err := textOf(s, arg)
		if err != nil || !ok {
			return null, err
		}
		if err := s.spend(len(text) / hashedPerStep); err != nil {
			return cty.NilVal, err
		}
		texts[i] = text
	}
	switch d.name {
	case "sha256":
		sum := sha256.Sum256([]byte(texts[0]))
		return cty.StringVal(hex.EncodeToString(sum[:])), nil
	case "base64":
		return cty.StringVal(base64.StdEncoding.EncodeToString([]byte(texts[0]))), nil
	}
	return keyed(texts[0], texts[1], texts[2])
}

// keyed is an HMAC, in hex.
func keyed(key, message, algorithm string) (cty.Value, error) {
	algorithms := map[string]func() hash.Hash{"": sha256.New, "sha256": sha256.New, "sha1": sha1.New, "sha512": sha512.New, "md5": md5.New}
	algorithmOf, ok := algorithms[algorithm]
	if !ok {
		return cty.NilVal, errors.New("hmac() knows sha256, sha1, sha512 and md5")
	}
	if key == "" {
		return cty.NilVal, errors.New("hmac() needs a key that is not empty")
	}
	mac := hmac.New(algorithmOf, []byte(key))
	mac.Write([]byte(message))
	return cty.StringVal(hex.EncodeToString(mac.Sum(nil))), nil
}
