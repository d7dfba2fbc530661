// Package expr compiles HCL expressions to functions over a record.
//
// One language serves conditions (when, --where), keys (order_by) and texts (the body of an ack). Its variables:
//
//	id source method host via event trace verdict   text; source, event and trace are null where there is none
//	time       text: the arrival in RFC 3339, UTC
//	remote     text: ip:port of the sender
//	events     list of the names of the record's events; event is the first
//	session    list of the sessions that the record belongs to
//	verified   true or false
//	status     number: of the answer; null until there is one
//	size       number: bytes of the record, head and framing included, as in its JSON
//	path       text: the path of the request target as sent, without the query
//	query      object: the query's parameters, nested as PHP nests them; as text, the query as sent
//	header     object: the first value of each field, by its name in lower case; header.x-token finds X-Token
//	headers    object: the list of all values of each field
//	body       text: the body, without chunk framing, and decoded where it came in gzip or deflate; null where it is not
//	           UTF-8
//	json       the body as JSON; null where it is not
//	form       object: the fields of a form body (urlencoded or multipart), nested like query; null for other bodies
//	params     object: the params of the record's source, all text
//	delivery   object of target, state, attempts, status, error, finding, created and updated; null where there is none
//	response   object of status, header, headers, body and json; null where there is none
//
// What is missing is null, at any depth: json.a.b[0] is null where there is no json.a, and never fails. Where text is
// wanted (in templates, for sha256, hmac and base64, as the whole result) values stand for their exact bytes: body for
// itself, UTF-8 or not; a JSON string for what it says; any other JSON value for the bytes in which it was sent; null
// for nothing. Elsewhere text is Unicode, normalized, as HCL has it.
//
// JSON is read in place: json.a.b costs a scan but no decoding. If a key comes twice, the last one counts, as in most
// parsers. A byte order mark is skipped. What is nested more than 512 deep is not JSON (RFC 8259 section 9 leaves the
// limit to us). Objects and arrays can be used whole, in loops and as arguments, up to 1 MiB and 65536 values. Numbers
// of more than 40 digits or with an exponent beyond 400 are null.
//
// In a form, data[PARAMS][MESSAGE]=hi is form.data.PARAMS.MESSAGE, and tags[]=a&tags[]=b is the list form.tags. If a
// field comes twice, the last one counts.
//
// Comparisons: == compares without converting, lists and objects by content; < and its like compare numbers, or two
// texts, which are compared as times if both are times. && and || evaluate their right side only if it matters.
//
// Functions are those of cty's standard library, without range and setproduct; see functions. Each evaluation has a
// budget of steps and bytes, so that no body makes it run long or grow large; beyond that, evaluation fails.
package expr

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// maxSource is the most bytes of an expression that Parse accepts: far more than people write, and few enough to keep
// the parser's recursion shallow.
const maxSource = 16 << 10

// Expr is a compiled expression. It may be used by several goroutines at once, each with a View of its own.
type Expr struct {
	source   string
	start    int // where source begins in the file
	root     term
	slots    int       // how many lookups keep their value during an evaluation
	constant cty.Value // the value, if no record is needed for it; else cty.NilVal
	secret   bool      // env or file was read
}

// Load is what an expression of the config file may read while it is compiled.
type Load struct {
	Text []byte                            // the file that the expression is in
	Env  func(name string) (string, error) // nil: env is refused
	File func(name string) (string, error) // nil: file is refused
	// Unknown are variables of which nothing is known when the expression is computed. They would always be null, so
	// they are refused. Nil: none.
	Unknown []string
}

// Parse compiles a condition given on the command line or through the API. env and file are refused. The error is a
// *SyntaxError.
func Parse(src string) (*Expr, error) { return parse(src, CompileCondition) }

// ParseWhere is Parse for expressions that choose requests: they have neither a response nor a delivery to look at.
func ParseWhere(src string) (*Expr, error) {
	return parse(src, CompileCondition, "response", "delivery")
}

// ParseText is Parse for expressions that yield text.
func ParseText(src string) (*Expr, error) { return parse(src, CompileText) }

// ParseValue is Parse for expressions that may yield anything.
func ParseValue(src string) (*Expr, error) { return parse(src, Compile) }

func parse(src string, compile func(hcl.Expression, *Load) (*Expr, hcl.Diagnostics), unknown ...string) (*Expr, error) {
	if strings.TrimSpace(src) == "" {
		return nil, &SyntaxError{Message: "the expression is empty"}
	}
	if len(src) > maxSource {
		return nil, &SyntaxError{Message: fmt.Sprintf("the expression is longer than %d bytes", maxSource)}
	}
	if !utf8.ValidString(src) {
		return nil, &SyntaxError{Message: "the expression is not UTF-8"}
	}
	text := []byte(src)
	parsed, diags := hclsyntax.ParseExpression(text, "", hcl.InitialPos)
	if diags.HasErrors() {
		return nil, newSyntaxError(text, diags)
	}
	e, diags := compile(parsed, &Load{Text: text, Unknown: unknown})
	if diags.HasErrors() {
		return nil, newSyntaxError(text, diags)
	}
	return e, nil
}

// Compile compiles an expression of the config file. Each diagnostic has its message in Summary, which never contains
// the value of an expression.
func Compile(e hcl.Expression, load *Load) (*Expr, hcl.Diagnostics) {
	syntax, ok := e.(hclsyntax.Expression)
	if !ok {
		return nil, hcl.Diagnostics{problem(e.Range(), "expressions must be in HCL's own syntax")}
	}
	c := &compiler{load: load}
	root := c.compile(syntax)
	if c.diags.HasErrors() {
		return nil, c.diags
	}
	x := &Expr{source: string(syntax.Range().SliceBytes(load.Text)), start: syntax.Range().Start.Byte, root: root, slots: c.slots, secret: c.secret}
	if !root.varies {
		v, err := x.eval(&View{})
		if err != nil {
			return nil, hcl.Diagnostics{problem(placeOf(err, e.Range()), "%s", messageOf(err, c.secret))}
		}
		x.constant = v
	}
	return x, nil
}

// CompileCondition is Compile for expressions that yield true or false.
func CompileCondition(e hcl.Expression, load *Load) (*Expr, hcl.Diagnostics) {
	x, diags := Compile(e, load)
	if diags.HasErrors() {
		return nil, diags
	}
	if k := x.root.kind; k != anyKind && k != truthKind && k != nullKind {
		return nil, hcl.Diagnostics{problem(e.Range(), "a condition must be true or false, and this is %s", k)}
	}
	if x.constant != cty.NilVal {
		if _, err := toBool(x.constant); err != nil {
			return nil, hcl.Diagnostics{problem(e.Range(), "a condition must be true or false")}
		}
	}
	return x, nil
}

// CompileText is Compile for expressions that yield text.
func CompileText(e hcl.Expression, load *Load) (*Expr, hcl.Diagnostics) {
	x, diags := Compile(e, load)
	if diags.HasErrors() {
		return nil, diags
	}
	_, inRecord := x.root.node.(*lookup) // stands for its bytes
	if k := x.root.kind; !inRecord && (k == listKind || k == objectKind) {
		return nil, hcl.Diagnostics{problem(e.Range(), "text is wanted, and this is %s; jsonencode() makes text of it", k)}
	}
	return x, nil
}

// Source is the expression as written.
func (e *Expr) Source() string { return e.source }

// Constant is the value of an expression that needs no record.
func (e *Expr) Constant() (v cty.Value, ok bool) { return e.constant, e.constant != cty.NilVal }

// Bool says whether the condition holds; null counts as false. An error means that it could not be computed; the caller
// counts the error, and takes the condition for false.
func (e *Expr) Bool(v *View) (bool, error) {
	value, err := e.eval(v)
	if err != nil {
		return false, e.failed(err)
	}
	holds, err := toBool(value)
	if err != nil {
		return false, e.failed(err)
	}
	return holds, nil
}

// String is the value as text, in its exact bytes; null is "".
func (e *Expr) String(v *View) (string, error) {
	text, _, err := e.text(v)
	if err != nil {
		return "", e.failed(err)
	}
	return strings.Clone(text), nil // text may be a view into a large body
}

// Bytes is the value in its exact bytes; null is nil. They belong to the caller.
func (e *Expr) Bytes(v *View) ([]byte, error) {
	text, ok, err := e.text(v)
	if err != nil {
		return nil, e.failed(err)
	}
	if !ok {
		return nil, nil
	}
	return []byte(text), nil
}

// Texts are the texts of a list, or the value itself as the only text; null, in a list too, is left out.
func (e *Expr) Texts(v *View) ([]string, error) {
	value, err := e.eval(v)
	if err != nil {
		return nil, e.failed(err)
	}
	values := []cty.Value{value}
	if isSequence(value) {
		values = value.AsValueSlice()
	}
	var texts []string
	for _, one := range values {
		text, ok, err := textOfValue(one)
		if err != nil {
			return nil, e.failed(err)
		}
		if ok {
			texts = append(texts, text)
		}
	}
	return texts, nil
}

func (e *Expr) eval(v *View) (value cty.Value, err error) {
	defer recovered(&err)
	return e.root.eval(e.scope(v))
}

func (e *Expr) text(v *View) (text string, ok bool, err error) {
	defer recovered(&err)
	return textOf(e.scope(v), e.root)
}

func (e *Expr) scope(v *View) *scope {
	s := &scope{view: v, budget: maxSteps}
	if e.slots > 0 {
		s.memo = make([]cty.Value, e.slots)
	}
	return s
}

var errPanic = errors.New("the values do not fit the expression")

// recovered turns a panic of the value library into an error: no body may end the agent through an expression.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = errPanic
	}
}

// EvalError says why an expression has no value for a record.
type EvalError struct {
	Expr    string // its source in one line; of a long one, the part that failed
	Message string
}

func (e *EvalError) Error() string { return e.Expr + ": " + e.Message }

// maxShown is how many characters of an expression an error shows: enough to find it in the config.
const maxShown = 120

// shown is the source in one line; of a long one, the part that err is about.
func (e *Expr) shown(err error) string {
	source := e.source
	if f, ok := errors.AsType[*fault](err); ok && utf8.RuneCountInString(oneLine(source)) > maxShown {
		from, to := f.at.Start.Byte-e.start, f.at.End.Byte-e.start
		if 0 <= from && from < to && to <= len(source) {
			source = source[from:to]
		}
	}
	return clipTo(oneLine(source), maxShown)
}

// Shown is the expression for people: in one line, and cut off if it is long.
func (e *Expr) Shown() string { return clipTo(oneLine(e.source), maxShown) }

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func (e *Expr) failed(err error) error {
	return &EvalError{Expr: e.shown(err), Message: messageOf(err, e.secret)}
}
