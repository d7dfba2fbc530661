package expr

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/agext/levenshtein"
	"github.com/hashicorp/hcl/v2"
)

// SyntaxError says why text is not a valid expression.
type SyntaxError struct {
	Message string // of one line
	Column  int    // from 1, in characters; 0: unknown
	Snippet string // the expression with a caret under the place; "" if that is unknown
}

func (e *SyntaxError) Error() string {
	if e.Snippet == "" {
		return e.Message
	}
	return e.Message + "\n" + e.Snippet
}

func newSyntaxError(text []byte, diags hcl.Diagnostics) error {
	d := diags[0]
	e := &SyntaxError{Message: strings.ReplaceAll(Message(d), "the end of the file", "its end")}
	if d.Subject != nil {
		if rest := string(text[min(d.Subject.Start.Byte, len(text)):]); d.Detail != "" && strings.HasPrefix(rest, "=") {
			e.Message = "equality is written =="
		}
		e.Column = d.Subject.Start.Column
		line, caret := Excerpt(text, *d.Subject)
		e.Snippet = "  " + line + "\n  " + caret
	}
	return e
}

// problem is a diagnostic with its whole message in Summary.
func problem(at hcl.Range, format string, args ...any) *hcl.Diagnostic {
	return &hcl.Diagnostic{Severity: hcl.DiagError, Summary: fmt.Sprintf(format, args...), Subject: &at}
}

// Message is the message of a diagnostic, in one line without a full stop. It never contains the value of an
// expression.
func Message(d *hcl.Diagnostic) string {
	if d.Detail == "" {
		return d.Summary
	}
	detail := strings.Join(strings.Fields(d.Detail), " ")
	return lowerFirst(d.Summary) + ": " + lowerFirst(strings.TrimSuffix(detail, "."))
}

func lowerFirst(s string) string {
	if len(s) > 1 && s[1] >= 'a' && s[1] <= 'z' || len(s) > 1 && s[1] == ' ' {
		return strings.ToLower(s[:1]) + s[1:]
	}
	return s
}

// maxExcerpt is how many characters of a line are shown.
const maxExcerpt = 160

// Excerpt is the line of text in which at begins, and a line with carets under it. Tabs are kept in both, so that the
// carets are in the right place however wide tabs are.
func Excerpt(text []byte, at hcl.Range) (line, carets string) {
	start := min(max(at.Start.Byte, 0), len(text))
	first := strings.LastIndexByte(string(text[:start]), '\n') + 1
	line, _, _ = strings.Cut(string(text[first:]), "\n")
	line = strings.TrimSuffix(line, "\r")
	from := min(start-first, len(line))
	to := max(min(at.End.Byte-first, len(line)), from)
	if cut := from - maxExcerpt/2; cut > 0 && utf8.RuneCountInString(line) > maxExcerpt {
		for !utf8.RuneStart(line[cut]) {
			cut--
		}
		line, from, to = "…"+line[cut:], from-cut+len("…"), to-cut+len("…")
	}
	carets = indent(line[:from]) + strings.Repeat("^", max(1, utf8.RuneCountInString(line[from:to])))
	return clip(line), clip(carets)
}

// indent is white space as wide as s on a terminal.
func indent(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, s)
}

func clip(s string) string { return clipTo(s, maxExcerpt) }

// clipTo is s, cut to so many characters.
func clipTo(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}

// Nearest is the known name that was probably meant by name; "" when none is similar.
func Nearest(name string, known []string) string {
	best, distance := "", max(1, min(2, len(name)/3))+1
	name = strings.ToLower(name)
	for _, k := range known {
		d := levenshtein.Distance(name, k, nil)
		if swapped(name, k) {
			d = 1
		}
		if d < distance {
			best, distance = k, d
		}
	}
	return best
}

// swapped says whether a is b with two neighbouring letters swapped, which is one slip and not two.
func swapped(a, b string) bool {
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	return len(a) == len(b) && len(a) >= i+2 && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}

// didYouMean is the end of a message about an unknown name.
func didYouMean(name string, known []string) string {
	if near := Nearest(name, known); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// fault says why a part of an expression has no value, and which part.
type fault struct {
	at  hcl.Range
	err error
}

func (f *fault) Error() string { return f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

// messageOf is the message for people. What the library says of values is left out if they may be secrets.
func messageOf(err error, secret bool) string {
	if c, ok := errors.AsType[*callError](err); ok && secret {
		return c.name + "() failed"
	}
	return err.Error()
}

func placeOf(err error, otherwise hcl.Range) hcl.Range {
	if f, ok := errors.AsType[*fault](err); ok && f.at.End.Byte > 0 {
		return f.at
	}
	return otherwise
}
