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
	Files    []File    // what was read before they were found: what Watch looks at until all is right
}

// Problem is one problem, and where.
type Problem struct {
	File    string // as given to Load
	Line    int    // from 1
	Column  int    // from 1, in characters
	Message string // one line, in lower case, without a full stop
	Source  string // the line
	Carets  string // as wide as Source, with carets under the place
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

// ourWords says HCL's messages in the words of this project: it calls keys arguments or attributes.
var ourWords = strings.NewReplacer(
	"an argument definition", "a key", "argument definition", "key", "single-argument", "one-key",
	"an argument", "a key", "argument", "key", "an attribute", "a key", "attribute", "key", "newline", "line end",
)

// problems makes Diagnostics of HCL's. HCL's own writer prints the values of expressions, which may be secrets.
func problems(name string, text []byte, diags hcl.Diagnostics) []Problem {
	made := make([]Problem, 0, len(diags))
	for _, d := range diags {
		p := Problem{File: name, Line: 1, Column: 1, Message: expr.Message(d)}
		if d.Detail != "" {
			p.Message = ourWords.Replace(p.Message)
		}
		if d.Subject != nil {
			p.Line, p.Column = d.Subject.Start.Line, d.Subject.Start.Column
			p.Source, p.Carets = expr.Excerpt(text, *d.Subject)
		}
		made = append(made, p)
	}
	slices.SortStableFunc(made, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.Compact(made)
}
