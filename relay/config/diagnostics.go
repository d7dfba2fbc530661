package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/hooktape/hooktape/relay/expr"
)

// Diagnostics are all problems of a config file.
type Diagnostics struct {
	Problems []Problem // in the order of the file
	Files    []File    // what was read before they were found: what Watch looks at until they are gone
}

// Problem is one problem, and where.
type Problem struct {
	File    string // as given to Load
	Line    int    // from 1
	Column  int    // from 1, in characters
	Message string // one line, in lower case, without a full stop
	Source  string // the line
	Carets  string // as wide as Source, with carets under the problem
}

// Error shows all problems, each like
//
//	hooktape.hcl:4,3: unknown key "method"; did you mean "methods"?
//	  4 |   method = ["POST"]
//	    |   ^^^^^^
func (d *Diagnostics) Error() string {
	texts := make([]string, len(d.Problems))
	for i, p := range d.Problems {
		texts[i] = p.String()
	}
	return strings.Join(texts, "\n")
}

func (p Problem) String() string {
	line := fmt.Sprint(p.Line)
	margin := strings.Repeat(" ", len(line))
	return fmt.Sprintf("%s:%d,%d: %s\n  %s | %s\n  %s | %s", p.File, p.Line, p.Column, p.Message, line, p.Source, margin, p.Carets)
}

// syntax puts the most frequent of HCL's messages in this project's words. HCL calls keys arguments or attributes.
var syntax = map[string]string{
	"Argument or block definition required":    "a key or a block is expected here",
	"Attribute redefined":                      "this key was given before",
	"Invalid argument name":                    "a key stands here without quotes",
	"Invalid block definition":                 `a block is written NAME { ... }, and a key NAME = VALUE`,
	"Invalid multi-line string":                "the text is not closed with a quote in its line",
	"Invalid single-argument block definition": "a block in one line has one key and is closed in that line",
	"Missing newline after argument":           "a line end is expected here",
	"Missing newline after block definition":   "a line end is expected here, behind the block",
	"Unclosed configuration block":             `this block is not closed: a "}" is missing`,
	"Unterminated template string":             "the text is not closed: a quote is missing, or the line that ends what << began",
}

// ourWords does so for all other messages.
var ourWords = strings.NewReplacer(
	"an argument definition", "a key", "argument definition", "key", "an attribute", "a key", "attribute", "key", "newline", "line end",
)

func message(d *hcl.Diagnostic) string {
	if d.Detail == "" { // the message is one of ours
		return d.Summary
	}
	if ours, ok := syntax[d.Summary]; ok {
		return ours
	}
	return ourWords.Replace(expr.Message(d))
}

// problems turns HCL's diagnostics into ours. HCL's own writer would print the values of expressions, which may be
// secrets; secrets that stand in the text are hidden.
func problems(name string, text []byte, diags hcl.Diagnostics) []Problem {
	made := make([]Problem, 0, len(diags))
	shown := withoutSecrets(text)
	for _, d := range diags {
		p := Problem{File: name, Line: 1, Column: 1, Message: message(d)}
		if d.Subject != nil {
			p.Line, p.Column = d.Subject.Start.Line, d.Subject.Start.Column
			p.Source, p.Carets = expr.Excerpt(shown, *d.Subject)
		}
		made = append(made, p)
	}
	slices.SortStableFunc(made, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.Compact(made)
}
