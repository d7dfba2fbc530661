package expr

import (
	"errors"
	"regexp/syntax"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// matchedPerStep is how many bytes of text a step matches against one instruction of a regular expression: at worst,
// matching takes the product of bytes and instructions.
const matchedPerStep = 128

// matcher says which arguments of a function are a regular expression and the text to match.
type matcher struct{ pattern, text int }

var matchers = map[string]matcher{"regex": {0, 1}, "regexall": {0, 1}, "regexreplace": {1, 0}}

// checkPattern refuses a regular expression that can never match, and returns the number of its instructions; 0 if it
// depends on the record, or there is none.
func (c *compiler) checkPattern(e *hclsyntax.FunctionCallExpr, args []term) int {
	m, ok := matchers[e.Name]
	if !ok || m.pattern >= len(args) {
		return 0
	}
	l, ok := args[m.pattern].node.(literal)
	if !ok || !isString(l.v) {
		return 0
	}
	n, err := instructions(l.v.AsString())
	if wrong, ok := errors.AsType[*syntax.Error](err); ok {
		c.fail(args[m.pattern].at, "this is no regular expression: %s", wrong.Code)
	}
	return n
}

// instructions is the size of the program that a regular expression is compiled to.
func instructions(pattern string) (int, error) {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return 0, err
	}
	return len(program.Inst), nil
}

// spendMatching spends what it costs to compile the call's regular expression, if it has one, and to match the text.
func (c *call) spendMatching(s *scope, args []cty.Value) error {
	m, ok := matchers[c.name]
	if !ok {
		return nil
	}
	n := c.instructions
	if n == 0 {
		n, _ = instructions(args[m.pattern].AsString()) // the function itself reports what is wrong with it
	}
	return s.spend(n + n*len(args[m.text].AsString())/matchedPerStep)
}
