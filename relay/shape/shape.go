// Package shape holds bodies against a JSON Schema, and says what is wrong with them in the words of a validation
// service: which field, where it stands, what it is and what it should be.
package shape

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Schema is a compiled JSON Schema (draft 4 to 2020-12; formats are checked). It may be used by several goroutines.
type Schema struct {
	compiled *jsonschema.Schema
}

// base is where schemas seem to lie: relative references become names below it.
const base = "file:///"

// errRemote keeps a config from depending on the network.
var errRemote = errors.New("a schema can refer to files only")

// files finds what a schema refers to.
type files func(name string) ([]byte, error)

// Load reads the document behind an URL of the library.
func (read files) Load(address string) (any, error) {
	name, ok := strings.CutPrefix(address, base)
	if !ok {
		return nil, errRemote
	}
	name, err := url.PathUnescape(name)
	if err != nil {
		return nil, err
	}
	text, err := read(name)
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(text))
}

// Compile makes a Schema of the file that name stands for; read gives its text, and those of the files that it refers
// to, by their names relative to it.
func Compile(name string, read func(name string) ([]byte, error)) (*Schema, error) {
	c := jsonschema.NewCompiler()
	c.UseLoader(files(read))
	c.AssertFormat()
	compiled, err := c.Compile(base + url.PathEscape(name))
	if err != nil {
		return nil, compileError(err)
	}
	return &Schema{compiled}, nil
}

// compileError is an error of the library in one line, without the made-up URLs.
func compileError(err error) error {
	if load, ok := errors.AsType[*jsonschema.LoadURLError](err); ok {
		return load.Err
	}
	if wrong, ok := errors.AsType[*jsonschema.SchemaValidationError](err); ok {
		if invalid, ok := errors.AsType[*jsonschema.ValidationError](wrong.Err); ok {
			found := (&finder{}).problems(invalid)
			return fmt.Errorf("it is no JSON Schema: %s: %s", cmp.Or(found[0].Field, "the schema"), found[0].Message)
		}
	}
	text := strings.ReplaceAll(err.Error(), base, "")
	return errors.New(strings.Join(strings.Fields(text), " "))
}

// maxProblems is how many problems of a body are told: who has more begins with these.
const maxProblems = 100

// Problem is what is wrong with a field of a body.
type Problem struct {
	Field   string `json:"field"` // "stocks[0].prtId"; "" is the body as a whole
	Message string `json:"message"`
}

// Invalid says why a body does not fit a schema.
type Invalid struct {
	// Message is for all of it: of a body that is not JSON, what is wrong and where; else that there are problems.
	Message  string
	Problems []Problem // in the order of the body, the first 100; nil: the body is not JSON
}

// Error is one line for people: the fields, and none of the values.
func (e *Invalid) Error() string {
	if e.Problems == nil {
		return e.Message
	}
	var fields []string
	for _, p := range e.Problems {
		if f := cmp.Or(p.Field, "the body"); !slices.Contains(fields, f) {
			fields = append(fields, f)
		}
	}
	const most = 5
	if more := len(fields) - most; more > 0 {
		fields = append(fields[:most], fmt.Sprintf("and %d more", more))
	}
	return "the body does not fit the schema: " + strings.Join(fields, ", ")
}

// wrongFields is the message of a body that has problems.
const wrongFields = "Please correct the specified validation errors and try again"

// Check holds a body against the schema. The error is an *Invalid.
func (s *Schema) Check(body []byte) error {
	body = bytes.TrimPrefix(body, []byte("\uFEFF"))
	v, err := decode(body)
	if err != nil {
		return &Invalid{Message: unparsed(body, err)}
	}
	f := &finder{}
	var problems []Problem
	if large := tooPrecise(v, nil); large != nil {
		problems = f.one(large, "the number has too many digits or too large an exponent")
	} else if invalid, ok := errors.AsType[*jsonschema.ValidationError](s.compiled.Validate(v)); ok {
		problems = f.problems(invalid)
	}
	if len(problems) == 0 {
		return nil
	}
	return &Invalid{Message: wrongFields, Problems: f.placed(problems, body)}
}

// maxDepth is of nesting: beyond it a body is an attack.
const maxDepth = 512

var (
	errBehind = errors.New("there is something behind the end of the JSON")
	errDeep   = fmt.Errorf("it is nested more than %d deep", maxDepth)
)

func decode(body []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errBehind
	}
	if depth(v) > maxDepth {
		return nil, errDeep
	}
	return v, nil
}

func depth(v any) (n int) {
	switch v := v.(type) {
	case map[string]any:
		for _, member := range v {
			n = max(n, depth(member))
		}
	case []any:
		for _, item := range v {
			n = max(n, depth(item))
		}
	default:
		return 0
	}
	return n + 1
}

// unparsed says where a body ends to be JSON.
func unparsed(body []byte, err error) string {
	offset := int64(len(body))
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		offset = max(0, syntax.Offset-1)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the JSON ends too early")
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return "The body is empty."
	}
	line, position := placeOf(body, offset)
	text := err.Error()
	return fmt.Sprintf("%s. Line %d, position %d.", strings.ToUpper(text[:1])+text[1:], line, position)
}

// tooPrecise is the path of a number whose exact value would take much memory: the library compares exact fractions.
func tooPrecise(v any, path []string) []string {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if found := tooPrecise(v[key], append(path, key)); found != nil {
				return found
			}
		}
	case []any:
		for i, item := range v {
			if found := tooPrecise(item, append(path, fmt.Sprint(i))); found != nil {
				return found
			}
		}
	case json.Number:
		if !bounded(string(v)) {
			return append([]string{}, path...)
		}
	}
	return nil
}

// bounded says whether a number has at most 40 digits and an exponent of at most three.
func bounded(number string) bool {
	const digits, exponent = 40, 3
	mantissa, power, _ := strings.Cut(strings.ToLower(number), "e")
	return len(mantissa) <= digits+len("-.") && len(strings.TrimLeft(power, "+-0")) <= exponent
}
