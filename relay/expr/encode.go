package expr

import (
	"encoding/csv"
	"errors"
	"fmt"
	"mime/multipart"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// define makes a function with parameters of the given types.
func define(result cty.Type, impl func(args []cty.Value) (cty.Value, error), params ...cty.Type) function.Function {
	spec := &function.Spec{
		Type: function.StaticReturnType(result),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return impl(args) },
	}
	for i, t := range params {
		spec.Params = append(spec.Params, function.Parameter{
			Name: fmt.Sprintf("argument %d", i+1), Type: t, AllowDynamicType: true, AllowNull: t == cty.DynamicPseudoType,
		})
	}
	return function.New(spec)
}

// dynamic is define for a function whose result type is only known with its value.
func dynamic(impl func(args []cty.Value) (cty.Value, error), params ...cty.Type) function.Function {
	f := define(cty.DynamicPseudoType, impl, params...)
	spec := &function.Spec{
		Params: f.Params(),
		Type: func(args []cty.Value) (cty.Type, error) {
			v, err := impl(args)
			if err != nil {
				return cty.NilType, err
			}
			return v.Type(), nil
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return impl(args) },
	}
	return function.New(spec)
}

func compareTexts(holds func(s, t string) bool) function.Function {
	return define(cty.Bool, func(args []cty.Value) (cty.Value, error) {
		return cty.BoolVal(holds(args[0].AsString(), args[1].AsString())), nil
	}, cty.String, cty.String)
}

var (
	startsWith  = compareTexts(strings.HasPrefix)
	endsWith    = compareTexts(strings.HasSuffix)
	strContains = compareTexts(strings.Contains)
)

var toNumberFunc = define(cty.Number, func(args []cty.Value) (cty.Value, error) { return args[0], nil }, cty.Number)

var contains = define(cty.Bool, func(args []cty.Value) (cty.Value, error) {
	if !isSequence(args[0]) {
		return cty.NilVal, errNoLoop
	}
	s := &scope{budget: maxSteps}
	for _, item := range args[0].AsValueSlice() {
		if same, err := s.equal(item, args[1]); same || err != nil {
			return cty.BoolVal(same), err
		}
	}
	return cty.False, nil
}, cty.DynamicPseudoType, cty.DynamicPseudoType)

// distinct drops elements that came earlier. (The library's own compares each with every other.)
var distinct = dynamic(func(args []cty.Value) (cty.Value, error) {
	if !isSequence(args[0]) {
		return cty.NilVal, errNoLoop
	}
	var kept []cty.Value
	seen := map[string]bool{}
	for _, item := range args[0].AsValueSlice() {
		key, err := ctyjson.Marshal(item, item.Type())
		if err != nil {
			return cty.NilVal, err
		}
		if !seen[string(key)] {
			seen[string(key)] = true
			kept = append(kept, item)
		}
	}
	return cty.TupleVal(kept), nil
}, cty.DynamicPseudoType)

var jsonDecode = dynamic(func(args []cty.Value) (cty.Value, error) {
	d := parseDocument(args[0].AsString())
	if d == "" {
		return cty.NilVal, errors.New("the text is not JSON")
	}
	return d.value()
}, cty.String)

// csvEncode is csv(rows): a list of lists as RFC 4180 text, with lines ended by LF; null is an empty cell.
var csvEncode = define(cty.String, func(args []cty.Value) (cty.Value, error) {
	if !isSequence(args[0]) {
		return cty.NilVal, errors.New("a list of rows is wanted")
	}
	var b strings.Builder
	w := csv.NewWriter(&b)
	for _, row := range args[0].AsValueSlice() {
		cells, err := cellsOf(row)
		if err != nil {
			return cty.NilVal, err
		}
		if err := w.Write(cells); err != nil {
			return cty.NilVal, err
		}
		if b.Len() > maxText {
			return cty.NilVal, errLarge
		}
	}
	w.Flush()
	return cty.StringVal(b.String()), w.Error()
}, cty.DynamicPseudoType)

func cellsOf(row cty.Value) ([]string, error) {
	if !isSequence(row) {
		return nil, errors.New("a row must be a list of cells")
	}
	cells := make([]string, 0, row.LengthInt())
	for _, cell := range row.AsValueSlice() {
		text, _, err := textOfValue(cell)
		if err != nil {
			return nil, err
		}
		cells = append(cells, text)
	}
	return cells, nil
}

// multipartEncode is multipart(boundary, parts): a multipart/form-data body (RFC 7578). Each part is an object of name
// and value, for a file also of filename and type.
var multipartEncode = define(cty.String, func(args []cty.Value) (cty.Value, error) {
	boundary := args[0].AsString()
	if !isSequence(args[1]) {
		return cty.NilVal, errors.New("a list of parts is wanted")
	}
	var b strings.Builder
	w := multipart.NewWriter(&b)
	if err := w.SetBoundary(boundary); err != nil {
		return cty.NilVal, errors.New("the boundary must be 1 to 70 letters, digits and dashes")
	}
	for _, part := range args[1].AsValueSlice() {
		if err := writePart(w, part, boundary); err != nil {
			return cty.NilVal, err
		}
		if b.Len() > maxText {
			return cty.NilVal, errLarge
		}
	}
	if err := w.Close(); err != nil {
		return cty.NilVal, err
	}
	return cty.StringVal(b.String()), nil
}, cty.String, cty.DynamicPseudoType)

func writePart(w *multipart.Writer, part cty.Value, boundary string) error {
	get := func(name string) string {
		text, _, _ := textOfValue(child(part, newStep(name)))
		return text
	}
	if get("name") == "" {
		return errors.New("a part needs a name")
	}
	value := get("value")
	if strings.Contains(value, "--"+boundary) {
		return errors.New("a part contains the boundary")
	}
	quote := strings.NewReplacer("\\", "\\\\", `"`, "%22", "\r", "%0D", "\n", "%0A").Replace
	h := textproto.MIMEHeader{}
	disposition := fmt.Sprintf(`form-data; name="%s"`, quote(get("name")))
	if name := get("filename"); name != "" {
		disposition += fmt.Sprintf(`; filename="%s"`, quote(name))
	}
	h.Set("Content-Disposition", disposition)
	if t := get("type"); t != "" {
		if strings.ContainsAny(t, "\r\n") {
			return errors.New("the type of a part is one line")
		}
		h.Set("Content-Type", t)
	}
	pw, err := w.CreatePart(h)
	if err != nil {
		return err
	}
	_, err = pw.Write([]byte(value))
	return err
}

// urlEncode is urlencode(text): as a part of a path or query, everything but letters, digits and -._~ escaped.
var urlEncode = define(cty.String, func(args []cty.Value) (cty.Value, error) {
	return cty.StringVal(strings.ReplaceAll(url.QueryEscape(args[0].AsString()), "+", "%20")), nil
}, cty.String)

// unixTime is unixtime(text) or unixtime(text, zone): the seconds since 1970 of an RFC 3339 time, or of one without a
// zone ("2006-01-02 15:04:05", "2006-01-02T15:04:05"), which is then taken in the given IANA zone, or in UTC.
var unixTime = function.New(&function.Spec{
	Params:   []function.Parameter{{Name: "time", Type: cty.String}},
	VarParam: &function.Parameter{Name: "zone", Type: cty.String},
	Type:     function.StaticReturnType(cty.Number),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		zone := time.UTC
		if len(args) > 1 {
			var err error
			if zone, err = time.LoadLocation(args[1].AsString()); err != nil {
				return cty.NilVal, errors.New("the zone is unknown")
			}
		}
		for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", time.DateTime} {
			if t, err := time.ParseInLocation(layout, args[0].AsString(), zone); err == nil {
				return cty.NumberIntVal(t.Unix()), nil
			}
		}
		return cty.NilVal, errors.New("the text is no time like 2006-01-02T15:04:05Z")
	},
})
