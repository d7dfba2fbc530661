package expr

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

const (
	maxArgument = 1 << 20 // bytes of a text that functions work on; sha256, hmac and base64 accept any length
	maxMixed    = 512     // elements of different types that are made one type: the time grows with the square of their number
	maxSet      = 1024    // elements of a set
	maxWidth    = 1000    // width in a verb of format
)

// callable is a function as expressions call it.
type callable struct {
	impl  function.Function
	kind  kind
	guard func(args []cty.Value) error // refuses arguments whose result could grow without bound; nil: none could
}

// functions are cty's standard library under the names that Terraform made known, without range and setproduct, and
// those of our own that only need their arguments. The compiler itself makes the others: see special.
var functions = map[string]callable{
	"abs":      {stdlib.AbsoluteFunc, numberKind, nil},
	"ceil":     {stdlib.CeilFunc, numberKind, nil},
	"floor":    {stdlib.FloorFunc, numberKind, nil},
	"int":      {stdlib.IntFunc, numberKind, nil},
	"log":      {stdlib.LogFunc, numberKind, nil},
	"max":      {stdlib.MaxFunc, numberKind, nil},
	"min":      {stdlib.MinFunc, numberKind, nil},
	"parseint": {stdlib.ParseIntFunc, numberKind, guardParseInt},
	"pow":      {stdlib.PowFunc, numberKind, nil},
	"signum":   {stdlib.SignumFunc, numberKind, nil},

	"chomp":        {stdlib.ChompFunc, textKind, nil},
	"endswith":     {endsWith, truthKind, nil},
	"format":       {stdlib.FormatFunc, textKind, guardFormat},
	"formatlist":   {stdlib.FormatListFunc, listKind, guardFormat},
	"indent":       {stdlib.IndentFunc, textKind, guardIndent},
	"join":         {stdlib.JoinFunc, textKind, guardJoin},
	"lower":        {stdlib.LowerFunc, textKind, nil},
	"regex":        {stdlib.RegexFunc, anyKind, nil},
	"regexall":     {stdlib.RegexAllFunc, listKind, guardRegexAll},
	"regexreplace": {stdlib.RegexReplaceFunc, textKind, guardRegexReplace},
	"replace":      {stdlib.ReplaceFunc, textKind, guardReplace},
	"split":        {stdlib.SplitFunc, listKind, guardSplit},
	"startswith":   {startsWith, truthKind, nil},
	"strcontains":  {strContains, truthKind, nil},
	"strlen":       {stdlib.StrlenFunc, numberKind, nil},
	"strrev":       {stdlib.ReverseFunc, textKind, nil},
	"substr":       {stdlib.SubstrFunc, textKind, nil},
	"title":        {stdlib.TitleFunc, textKind, nil},
	"trim":         {stdlib.TrimFunc, textKind, nil},
	"trimprefix":   {stdlib.TrimPrefixFunc, textKind, nil},
	"trimspace":    {stdlib.TrimSpaceFunc, textKind, nil},
	"trimsuffix":   {stdlib.TrimSuffixFunc, textKind, nil},
	"upper":        {stdlib.UpperFunc, textKind, nil},

	"chunklist":    {stdlib.ChunklistFunc, listKind, nil},
	"coalescelist": {stdlib.CoalesceListFunc, listKind, nil},
	"compact":      {stdlib.CompactFunc, listKind, nil},
	"concat":       {stdlib.ConcatFunc, listKind, nil},
	"contains":     {contains, truthKind, nil},
	"distinct":     {distinct, listKind, nil},
	"element":      {stdlib.ElementFunc, anyKind, nil},
	"flatten":      {stdlib.FlattenFunc, listKind, nil},
	"hasindex":     {stdlib.HasIndexFunc, truthKind, nil},
	"index":        {stdlib.IndexFunc, anyKind, nil},
	"keys":         {stdlib.KeysFunc, listKind, nil},
	"lookup":       {stdlib.LookupFunc, anyKind, nil},
	"merge":        {stdlib.MergeFunc, objectKind, nil},
	"reverse":      {stdlib.ReverseListFunc, listKind, nil},
	"slice":        {stdlib.SliceFunc, listKind, nil},
	"sort":         {stdlib.SortFunc, listKind, nil},
	"values":       {stdlib.ValuesFunc, listKind, nil},
	"zipmap":       {stdlib.ZipmapFunc, objectKind, nil},

	"sethaselement":   {stdlib.SetHasElementFunc, truthKind, nil},
	"setintersection": {stdlib.SetIntersectionFunc, listKind, nil},
	"setsubtract":     {stdlib.SetSubtractFunc, listKind, nil},
	"setsymdiff":      {stdlib.SetSymmetricDifferenceFunc, listKind, nil},
	"setunion":        {stdlib.SetUnionFunc, listKind, nil},

	"csv":        {csvEncode, textKind, nil},
	"csvdecode":  {stdlib.CSVDecodeFunc, listKind, nil},
	"formatdate": {stdlib.FormatDateFunc, textKind, nil},
	"jsondecode": {jsonDecode, anyKind, nil},
	"jsonencode": {stdlib.JSONEncodeFunc, textKind, nil},
	"multipart":  {multipartEncode, textKind, nil},
	"timeadd":    {stdlib.TimeAddFunc, textKind, nil},
	"tobool":     {stdlib.MakeToFunc(cty.Bool), truthKind, nil},
	"tonumber":   {toNumberFunc, numberKind, nil},
	"tostring":   {stdlib.MakeToFunc(cty.String), textKind, nil},
	"unixtime":   {unixTime, numberKind, nil},
	"urlencode":  {urlEncode, textKind, nil},
}

var functionNames = slices.Sorted(maps.Keys(merged(functions, specialNames)))

func merged(known map[string]callable, more []string) map[string]callable {
	all := maps.Clone(known)
	for _, name := range more {
		all[name] = callable{}
	}
	return all
}

// call is a call of one of functions.
type call struct {
	name   string
	f      callable
	args   []term
	expand bool // the last argument is a list of arguments

	instructions int // of the regular expression in args; 0: there is none, or it depends on the record
}

func (c *call) eval(s *scope) (cty.Value, error) {
	given, err := c.given(s)
	if err != nil {
		return cty.NilVal, err
	}
	for _, v := range given {
		if err := s.charge(v); err != nil {
			return cty.NilVal, err
		}
	}
	args, err := c.arguments(given)
	if err != nil {
		return cty.NilVal, err
	}
	if err := c.spendMatching(s, args); err != nil {
		return cty.NilVal, err
	}
	if c.f.guard != nil {
		if err := c.f.guard(args); err != nil {
			return cty.NilVal, fmt.Errorf("%s() refused: %w", c.name, err)
		}
	}
	v, err := c.f.impl.Call(args)
	if err != nil {
		return cty.NilVal, &callError{c.name, err}
	}
	if !v.IsWhollyKnown() {
		return cty.NilVal, &callError{c.name, errors.New("the values do not fit")}
	}
	return bounded(v)
}

// callError is an error of the library. It may contain values, which may be secrets.
type callError struct {
	name string
	err  error
}

func (e *callError) Error() string { return fmt.Sprintf("%s() failed: %s", e.name, e.err) }

// given are the arguments as written.
func (c *call) given(s *scope) ([]cty.Value, error) {
	values := make([]cty.Value, 0, len(c.args))
	for i, arg := range c.args {
		v, err := arg.eval(s)
		if err != nil {
			return nil, err
		}
		if c.expand && i == len(c.args)-1 {
			if !isSequence(v) {
				return nil, arg.locate(errNoLoop)
			}
			values = append(values, v.AsValueSlice()...)
			continue
		}
		values = append(values, v)
	}
	return values, nil
}

// arguments turns the given values into what the function's parameters want.
func (c *call) arguments(given []cty.Value) ([]cty.Value, error) {
	params := c.f.impl.Params()
	if len(given) < len(params) || len(given) > len(params) && c.f.impl.VarParam() == nil {
		return nil, fmt.Errorf("%s() got %d arguments", c.name, len(given))
	}
	args := make([]cty.Value, len(given))
	for i, v := range given {
		param := c.f.impl.VarParam()
		if i < len(params) {
			param = &params[i]
		}
		converted, err := argument(v, param)
		if err != nil {
			return nil, fmt.Errorf("%s() cannot take its argument %d: %w", c.name, i+1, err)
		}
		args[i] = converted
	}
	return args, nil
}

func argument(v cty.Value, param *function.Parameter) (cty.Value, error) {
	switch {
	case v.IsNull() && !param.AllowNull:
		return cty.NilVal, errNull
	case v.IsNull() && param.Type != cty.DynamicPseudoType:
		return cty.NullVal(param.Type), nil
	case isString(v) && len(v.AsString()) > maxArgument:
		return cty.NilVal, errors.New("the text is longer than 1 MiB")
	case param.Type == cty.Number:
		return toNumber(v)
	case param.Type == cty.String:
		text, _, err := textOfValue(v)
		return cty.StringVal(text), err
	case param.Type.IsListType() || param.Type.IsSetType():
		return collection(v, param.Type)
	}
	return convert.Convert(v, param.Type)
}

// collection makes a list or set. cty's own conversion would compare every element's type with every other's.
func collection(v cty.Value, want cty.Type) (cty.Value, error) {
	if !isSequence(v) {
		return cty.NilVal, errors.New("a list is wanted")
	}
	items := v.AsValueSlice()
	switch {
	case want.IsSetType() && len(items) > maxSet:
		return cty.NilVal, fmt.Errorf("a set can have %d elements", maxSet)
	case len(items) == 0:
		return convert.Convert(v, want)
	case want.ElementType() == cty.String:
		if err := allText(items); err != nil {
			return cty.NilVal, err
		}
	case !alike(items):
		if len(items) > maxMixed {
			return cty.NilVal, fmt.Errorf("a list of more than %d elements must have elements of one type", maxMixed)
		}
		return convert.Convert(v, want)
	}
	if want.IsSetType() {
		return cty.SetVal(items), nil
	}
	return cty.ListVal(items), nil
}

// allText turns each element into text, in place.
func allText(items []cty.Value) error {
	for i, item := range items {
		text, ok, err := textOfValue(item)
		if err != nil {
			return err
		}
		items[i] = cty.StringVal(text)
		if !ok {
			items[i] = cty.NullVal(cty.String)
		}
	}
	return nil
}

func alike(items []cty.Value) bool {
	for _, item := range items[1:] {
		if !item.Type().Equals(items[0].Type()) {
			return false
		}
	}
	return true
}

// textSize is how many bytes of text a value may print as.
func textSize(v cty.Value) int {
	switch {
	case isString(v):
		return len(v.AsString())
	case isSequence(v) || isKeyed(v):
		size := 2
		for it := v.ElementIterator(); it.Next(); {
			key, item := it.Element()
			size += textSize(item) + 4
			if isKeyed(v) {
				size += len(key.AsString())
			}
		}
		return size
	case !v.IsNull() && v.Type() == cty.Number:
		return maxBits // the most digits
	}
	return len("false")
}

func within(size int) error {
	if size > maxText {
		return errLarge
	}
	return nil
}

// product multiplies sizes without overflowing.
func product(a, b int) int {
	if a > 0 && b > maxText/a {
		return maxText + 1
	}
	return a * b
}

func guardParseInt(args []cty.Value) error {
	if isString(args[0]) && len(args[0].AsString()) > maxNumberText {
		return errNotNumber
	}
	return nil
}

var wideVerb = regexp.MustCompile(`%[^%a-zA-Z]*[0-9*]{4,}`)

func guardFormat(args []cty.Value) error {
	format, largest, lists := args[0].AsString(), 0, 1
	if wideVerb.MatchString(format) {
		return fmt.Errorf("a width beyond %d", maxWidth-1)
	}
	for _, arg := range args[1:] {
		if isSequence(arg) {
			lists = max(lists, arg.LengthInt())
		}
		largest = max(largest, textSize(arg))
	}
	one := product(strings.Count(format, "%"), largest+maxWidth)
	return within(product(lists, len(format)+one))
}

func guardIndent(args []cty.Value) error {
	spaces, _ := args[0].AsBigFloat().Int64()
	if spaces < 0 || spaces > maxWidth {
		return fmt.Errorf("spaces must be between 0 and %d", maxWidth)
	}
	text := args[1].AsString()
	return within(len(text) + product(strings.Count(text, "\n"), int(spaces)))
}

func guardJoin(args []cty.Value) error {
	separator, size := len(args[0].AsString()), 0
	for _, list := range args[1:] {
		for _, item := range list.AsValueSlice() {
			if size += separator + textSize(item); size > maxText {
				return errLarge
			}
		}
	}
	return nil
}

func guardReplace(args []cty.Value) error {
	text, old, with := args[0].AsString(), args[1].AsString(), args[2].AsString()
	return within(len(text) + product(strings.Count(text, old), len(with)))
}

// guardRegexReplace: $1 repeats what it matched, so the result may be as long as the two texts multiplied.
func guardRegexReplace(args []cty.Value) error {
	return within(product(len(args[0].AsString())+1, len(args[2].AsString())+1))
}

// guardRegexAll: each match is a value of its own, and of several texts when the pattern has groups.
func guardRegexAll(args []cty.Value) error {
	pattern, err := regexp.Compile(args[0].AsString())
	if err != nil {
		return nil // the function reports that itself
	}
	found := len(pattern.FindAllStringIndex(args[1].AsString(), maxValues))
	if product(found, pattern.NumSubexp()+1) >= maxValues {
		return errLarge
	}
	return nil
}

func guardSplit(args []cty.Value) error {
	if strings.Count(args[1].AsString(), args[0].AsString()) >= maxValues {
		return errLarge
	}
	return nil
}
