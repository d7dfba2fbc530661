package replay

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/mask"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/replay/tape"
)

// Rules say what does not count when messages are compared, and what is shown of
// what does. The zero Rules leave nothing out and mask secrets; nil are the zero
// Rules. Once they are made they may be used by several goroutines.
type Rules struct {
	Names  mask.Names // what is masked in changes beside the defaults
	Reveal bool       // nothing is masked

	rules  []*rule
	texts  []*textRule
	blanks *tape.Blanks // take out what can't be compared; nil: nothing
}

// Masked are the rules for messages of a file that was masked, by rules of its own, which may be nil: what these hide is
// the same, whatever it is, so that a masked file is as good a baseline as another.
func (r *Rules) Masked(by *tape.Hidden) (*Rules, error) {
	masked := new(Rules)
	if r != nil {
		*masked = *r
	}
	var err error
	masked.blanks, err = tape.NewBlanks(by, masked.Names)
	return masked, err
}

// blanked is what is compared of the text of a body, in UTF-8.
func (r *Rules) blanked(of content, text []byte) []byte {
	if r == nil {
		return of.inUTF8(text)
	}
	if r.blanks != nil {
		text = r.blanks.Body(of.contentType(), text)
	}
	text = of.inUTF8(text)
	for _, rule := range r.texts {
		text = rule.blankBody(text)
	}
	return text
}

// target is what is compared of the target of a request.
func (r *Rules) target(head *wire.RequestHead) (path, query string) {
	path, query = head.Path(), head.Query()
	if r != nil && r.blanks != nil {
		path, query, _ = strings.Cut(r.blanks.Target(path+"?"+query), "?")
	}
	return path, query
}

// field is what is compared of the values of a header field.
func (r *Rules) field(name string, values []string) []string {
	if r == nil || r.blanks == nil && r.texts == nil {
		return values
	}
	blanked := slices.Clone(values)
	for i := range blanked {
		if r.blanks != nil {
			blanked[i] = r.blanks.Field(name, blanked[i])
		}
		for _, text := range r.texts {
			blanked[i] = string(text.blank([]byte(blanked[i])))
		}
	}
	return blanked
}

// rule is a path at which something is left out.
type rule struct {
	source    string // as it was written
	place     string // where, in a file; "" on the command line
	names     []string
	unordered bool        // else what is there is not compared
	applied   atomic.Bool // it has made a difference
}

// leftOut are the parts of messages that can be left out, and whether a path
// leads on into them.
var leftOut = map[string]bool{
	"status": false, "method": false, "path": false, "query": true, "header": true, "body": false, "json": true, "form": true,
}

// Ignore leaves out what is at a path, and all below it: header.date,
// json.meta.*, json.items[*].id, body.
func (r *Rules) Ignore(path string) error { return r.add(path, "", false) }

// Unordered has an array of JSON compared without regard to the order of its
// elements.
func (r *Rules) Unordered(path string) error { return r.add(path, "", true) }

func (r *Rules) add(path, place string, unordered bool) error {
	names, err := expr.ParsePattern(path)
	if err != nil {
		return fmt.Errorf("%q: %w", path, err)
	}
	deep, known := leftOut[names[0]]
	switch {
	case !known:
		return fmt.Errorf("%q is not compared: status, method, path, query, header, body, json and form are", names[0])
	case unordered && names[0] != "json":
		return fmt.Errorf("%q: only arrays of json can be without an order", path)
	case !deep && len(names) > 1, names[0] == "header" && len(names) > 2:
		return fmt.Errorf("%q: there is nothing below %s", path, strings.Join(names[:len(names)-1], "."))
	case names[0] == "header" && len(names) == 2:
		names[1] = strings.ToLower(names[1])
	}
	r.rules = append(r.rules, &rule{source: path, place: place, names: names, unordered: unordered})
	return nil
}

// IgnoreFile is where rules stand that belong to a project, in its folder.
const IgnoreFile = "hooktape.ignore"

// ReadFile is Read for a file. The error wraps fs.ErrNotExist when there is none.
func (r *Rules) ReadFile(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("read what to ignore: %w", err)
	}
	defer file.Close()
	return r.Read(name, file)
}

// maxRuleLine is the length of a line of a file of rules in bytes: a path is
// shorter.
const maxRuleLine = 16 << 10

// Read adds the rules of a file: a path to ignore on each line, or one behind the
// word unordered, or an expression for IgnoreText behind the word text. Empty
// lines are left out, and so are comments: what stands behind a # at the start of a
// line or behind a space; of an expression, which may look for #7, behind a # that
// has spaces on both sides. An error names the line.
func (r *Rules) Read(name string, text io.Reader) error {
	lines := bufio.NewScanner(text)
	lines.Buffer(nil, maxRuleLine)
	n := 1
	for ; lines.Scan(); n++ {
		line := withoutComment(strings.TrimPrefix(lines.Text(), "\ufeff"))
		if line == "" {
			continue
		}
		if err := r.readLine(line, fmt.Sprintf("%s:%d", name, n)); err != nil {
			return fmt.Errorf("%s:%d: %w", name, n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s:%d: %w", name, n, err)
	}
	return nil
}

func (r *Rules) readLine(line, place string) error {
	if pattern, ok := strings.CutPrefix(line, textRuleWord); ok {
		return r.addText(strings.TrimSpace(pattern), place)
	}
	path, unordered := strings.CutPrefix(line, "unordered ")
	return r.add(strings.TrimSpace(path), place, unordered)
}

// textRuleWord is what an expression stands behind.
const textRuleWord = "text "

func withoutComment(line string) string {
	line = strings.TrimSpace(line)
	if strings.HasPrefix(line, "#") {
		return ""
	}
	behind := []string{" #", "\t#"}
	if strings.HasPrefix(line, textRuleWord) {
		behind = []string{" # ", "\t# "}
	}
	for _, before := range behind {
		line, _, _ = strings.Cut(line, before)
	}
	return strings.TrimSpace(line)
}

// Idle are the rules that have left nothing out so far, as they were written, with
// their places in files. What they were made for may be gone, or they have a typo.
func (r *Rules) Idle() (idle []string) {
	if r == nil {
		return nil
	}
	add := func(applied bool, source, place string) {
		switch {
		case applied:
		case place != "":
			idle = append(idle, source+" ("+place+")")
		default:
			idle = append(idle, source)
		}
	}
	for _, one := range r.rules {
		add(one.applied.Load(), one.source, one.place)
	}
	for _, one := range r.texts {
		add(one.applied.Load(), one.source, one.place)
	}
	return idle
}

// path is a place in a message, and the rules that may hold there or below.
type path struct {
	names []string
	rules []*rule
}

// at is the path of a part of a message.
func (r *Rules) at(names ...string) path {
	if r == nil || len(r.rules) == 0 {
		return path{names: names}
	}
	p := path{rules: r.rules}
	for _, name := range names {
		p = p.below(name)
	}
	return p
}

// below is the path one name deeper. All that are made of one p share memory, so
// only the one made last may be used.
func (p path) below(name string) path {
	next := path{names: append(p.names, name)}
	for i, r := range p.rules {
		depth := len(p.names)
		if depth < len(r.names) && matches(r.names[depth], name) || depth >= len(r.names) && !r.unordered {
			if next.rules == nil {
				next.rules = make([]*rule, 0, len(p.rules)-i)
			}
			next.rules = append(next.rules, r)
		}
	}
	return next
}

// ignores says whether what is at the path is not compared, and hasNoOrder
// whether the elements of the array there may stand anywhere.
func (p path) ignores() bool    { return len(p.ending(false)) > 0 }
func (p path) hasNoOrder() bool { return len(p.ending(true)) > 0 }

// ignored and unordered are the same, and take note that the rules were of use.
func (p path) ignored() bool   { return applied(p.ending(false)) }
func (p path) unordered() bool { return applied(p.ending(true)) }

// ending are the rules about what is at the path: those that ignore a part of a
// message ignore all below it.
func (p path) ending(unordered bool) (rules []*rule) {
	for _, r := range p.rules {
		if r.unordered == unordered && (len(r.names) == len(p.names) || !unordered && len(r.names) < len(p.names)) {
			rules = append(rules, r)
		}
	}
	return rules
}

func applied(rules []*rule) bool {
	for _, r := range rules {
		if !r.applied.Load() { // most often it is set, and goroutines share it
			r.applied.Store(true)
		}
	}
	return len(rules) > 0
}

// matches says whether a name is one of a pattern, in which * stands for any
// characters.
func matches(pattern, name string) bool {
	first, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == name
	}
	name, ok := strings.CutPrefix(name, first)
	if !ok {
		return false
	}
	for {
		middle, after, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(name, rest)
		}
		i := strings.Index(name, middle)
		if i < 0 {
			return false
		}
		name, rest = name[i+len(middle):], after
	}
}
