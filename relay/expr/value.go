package expr

import (
	"errors"
	"math/big"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"
)

// null is the value of whatever is missing.
var null = cty.NullVal(cty.DynamicPseudoType)

// kind is what the compiler knows of a value.
type kind int

const (
	anyKind kind = iota
	textKind
	numberKind
	truthKind
	listKind
	objectKind
	nullKind // the literal null
)

func (k kind) String() string {
	return [...]string{"anything", "text", "a number", "true or false", "a list", "an object", "null"}[k]
}

// hasElements says whether a path can lead into a value of that kind.
func (k kind) hasElements() bool { return k == anyKind || k == listKind || k == objectKind }

var (
	errNotText   = errors.New("a list or object is not text")
	errNotNumber = errors.New("a number is wanted")
	errNotTruth  = errors.New("true or false is wanted")
	errNull      = errors.New("the value is null")
	errRange     = errors.New("the number is too large or too small")
)

// maxNumberText is the longest text that can be a number: parsing takes the square of the length.
const maxNumberText = 64

// maxBits is how far from 1 a computed number may be, in powers of two: numbers further off print as megabytes.
const maxBits = 4096

func isString(v cty.Value) bool { return !v.IsNull() && v.Type() == cty.String }

func isSequence(v cty.Value) bool {
	t := v.Type()
	return !v.IsNull() && (t.IsTupleType() || t.IsListType() || t.IsSetType())
}

func isKeyed(v cty.Value) bool {
	t := v.Type()
	return !v.IsNull() && (t.IsObjectType() || t.IsMapType())
}

// toBool takes null for false.
func toBool(v cty.Value) (bool, error) {
	switch {
	case v.IsNull():
		return false, nil
	case v.Type() == cty.Bool:
		return v.True(), nil
	case isString(v) && (v.AsString() == "true" || v.AsString() == "false"):
		return v.AsString() == "true", nil
	}
	return false, errNotTruth
}

func toNumber(v cty.Value) (cty.Value, error) {
	switch {
	case v.IsNull():
		return cty.NilVal, errNull
	case v.Type() == cty.Number:
		return v, nil
	case !isString(v) || len(v.AsString()) > maxNumberText:
		return cty.NilVal, errNotNumber
	}
	n, err := cty.ParseNumberVal(v.AsString())
	if err != nil {
		return cty.NilVal, errNotNumber
	}
	return bounded(n)
}

// bounded refuses numbers that would print as more than a few thousand digits.
func bounded(v cty.Value) (cty.Value, error) {
	if v.IsNull() || v.Type() != cty.Number {
		return v, nil
	}
	f := v.AsBigFloat()
	if exponent := f.MantExp(nil); f.IsInf() || exponent > maxBits || exponent < -maxBits {
		return cty.NilVal, errRange
	}
	return v, nil
}

// textOfValue is the text that a value stands for in a template; ok is false for null.
func textOfValue(v cty.Value) (string, bool, error) {
	switch {
	case v.IsNull():
		return "", false, nil
	case v.Type() == cty.String:
		return v.AsString(), true, nil
	case v.Type() == cty.Number:
		return formatNumber(v.AsBigFloat()), true, nil
	case v.Type() == cty.Bool && v.True():
		return "true", true, nil
	case v.Type() == cty.Bool:
		return "false", true, nil
	}
	return "", false, errNotText
}

func formatNumber(f *big.Float) string { return f.Text('f', -1) }

// equal compares without converting. Lists of any type are compared by elements, objects and maps by members.
func (s *scope) equal(a, b cty.Value) (bool, error) {
	if err := s.spend(1); err != nil {
		return false, err
	}
	switch {
	case a.IsNull() || b.IsNull():
		return a.IsNull() && b.IsNull(), nil
	case isSequence(a) && isSequence(b):
		return s.equalSequences(a, b)
	case isKeyed(a) && isKeyed(b):
		return s.equalObjects(a, b)
	case a.Type() != b.Type():
		return false, nil
	}
	same := a.Equals(b)
	return same.IsKnown() && same.True(), nil
}

func (s *scope) equalSequences(a, b cty.Value) (bool, error) {
	if a.LengthInt() != b.LengthInt() {
		return false, nil
	}
	left, right := a.ElementIterator(), b.ElementIterator()
	for left.Next() && right.Next() {
		_, x := left.Element()
		_, y := right.Element()
		if same, err := s.equal(x, y); !same || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (s *scope) equalObjects(a, b cty.Value) (bool, error) {
	if a.LengthInt() != b.LengthInt() {
		return false, nil
	}
	members := b.AsValueMap()
	for key, x := range a.AsValueMap() {
		y, ok := members[key]
		if !ok {
			return false, nil
		}
		if same, err := s.equal(x, y); !same || err != nil {
			return false, err
		}
	}
	return true, nil
}

// compareText compares two texts as times if both are times, else byte by byte.
func compareText(a, b string) int {
	x, errX := time.Parse(time.RFC3339, a)
	y, errY := time.Parse(time.RFC3339, b)
	if errX == nil && errY == nil {
		return x.Compare(y)
	}
	return strings.Compare(a, b)
}
