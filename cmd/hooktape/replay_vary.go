package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/replay"
	"github.com/hooktape/hooktape/store"
)

// varyFlags have each request sent in several variations.
type varyFlags struct {
	file string
	show []string
}

func (f *varyFlags) add(c *cobra.Command) {
	c.Flags().Var(filled{&f.file}, "vary", "send each request once for each variation in this FILE, and show the results as a table")
	c.Flags().StringArrayVar(&f.show, "show", nil, "with --vary: add a column with this expression: 'length(response.json.data)'; repeatable")
}

// variation is a way in which each request is sent.
type variation struct {
	name  string // "": there is one way only
	edits []replay.Edit
}

// variations reads the file; each has the edits of flags first. Without a file there is one, of no name.
func (f *varyFlags) variations(e *env, flags []replay.Edit) ([]variation, error) {
	if f.file == "" {
		if f.show != nil {
			return nil, misused("--expect says what a response is to be", "--show needs --vary")
		}
		return []variation{{edits: flags}}, nil
	}
	read, err := config.LoadVariations(f.file, e.lookup)
	if err != nil {
		return nil, misused("", "--vary: %w", err)
	}
	var all []variation
	for _, v := range read {
		edits, err := editsOf(&v)
		if err != nil {
			return nil, misused("", "--vary %s: variation %q: %w", f.file, v.Name, err)
		}
		all = append(all, variation{v.Name, slices.Concat(flags, edits)})
	}
	return all, nil
}

func editsOf(v *config.Variation) (edits []replay.Edit, err error) {
	take := func(edit replay.Edit, failed error) {
		edits = append(edits, edit)
		if err == nil {
			err = failed
		}
	}
	for _, a := range v.Set {
		take(replay.ParseSet(a.Path + "=" + a.Value))
	}
	for _, a := range v.Add {
		take(replay.ParseAdd(a.Path + "=" + a.Value))
	}
	for _, path := range v.Unset {
		take(replay.ParseUnset(path))
	}
	return edits, err
}

// shown are the expressions of the table's columns.
func (f *varyFlags) shown() (shown []*expr.Expr, err error) {
	for _, text := range f.show {
		x, err := expr.ParseText(text)
		if err != nil {
			return nil, misused("", "--show: %w", err)
		}
		shown = append(shown, x)
	}
	return shown, nil
}

// varied says whether the requests are sent in several variations.
func (r *replayer) varied() bool { return r.flags.vary.file != "" }

// row is what the table shows of a response, and --json too.
type row struct {
	status, size, took string
	values             []string // of the shown expressions
	shown              []string // the same as people see them
}

// rowOf reads a response; nil: none came.
func (r *replayer) rowOf(p *played, response *replay.Response, took time.Duration) row {
	of := row{"-", "-", "-", make([]string, len(r.shown)), make([]string, len(r.shown))}
	if response == nil {
		return of
	}
	of.status, of.size, of.took = statusText(response.Status), size(response.Size), milliseconds(took)
	view := p.request.View(recordOf(p.rec), response)
	for i, x := range r.shown {
		value, err := x.String(view)
		if err != nil {
			value = "-"
		}
		of.values[i], of.shown[i] = value, cut(r.masked(x, value), longestCell)
	}
	return of
}

// memberPattern finds the names of what an expression reads, with indexes behind them.
var memberPattern = regexp.MustCompile(`(?:\.|\[")([\w-]+)(?:"\])?(?:\[(?:\d+|\*)\]|\.\*|\s)*`)

// factPattern is what may be shown that was made of a secret: its length, or whether it is there.
var factPattern = regexp.MustCompile(`^(?:true|false|-|\d{1,5})$`)

// masked is the value of an expression as people see it. What a function makes of a secret is taken for a secret, too.
func (r *replayer) masked(x *expr.Expr, value string) string {
	if r.flags.reveal {
		return value
	}
	source := x.Source()
	for _, at := range memberPattern.FindAllStringSubmatchIndex(source, -1) {
		rest := source[at[1]:]
		switch {
		case strings.HasPrefix(rest, "."), strings.HasPrefix(rest, `["`): // what is in it has a name of its own
		case rest == "", !factPattern.MatchString(value):
			value = r.names.Field(source[at[2]:at[3]], value)
		}
	}
	return string(r.names.Body("", []byte(r.names.Field("", value))))
}

// variedJSON is what --json tells beside the rest of a send that is one of several variations.
type variedJSON struct {
	Variation string            `json:"variation"`
	Shown     map[string]string `json:"shown"`  // values by their expressions
	Unlike    []string          `json:"unlike"` // status, size and the expressions whose values are not as recorded, or as in the first variation where nothing is
}

// varied is a send as a row of the table.
type varied struct {
	variedJSON
	row      row
	recorded *row // to be shown above it; nil: it is shown already, or there is none
}

// endTable prints the rest of the table, and what its stars mean.
func (r *reporter) endTable() error {
	if r.table == nil || r.of.flags.asJSON || r.summary.All() == 0 {
		return nil
	}
	err := r.table.flush()
	switch out := r.of.env.stdout; {
	case err != nil || !r.starred:
	case r.unlikeFirst:
		_, err = fmt.Fprintln(out, "* is not as in the first variation")
	default:
		_, err = fmt.Fprintln(out, "* is not as recorded")
	}
	return err
}

// vary makes the row of a send.
func (r *reporter) vary(p *played) *varied {
	v := &varied{variedJSON: variedJSON{p.variation.name, make(map[string]string), []string{}}}
	if p.now != nil {
		v.row = r.of.rowOf(p, p.now.Response, p.now.Duration)
	} else {
		v.row = r.of.rowOf(p, nil, 0)
	}
	like := r.like(p, &v.row)
	if p.then != nil && p.variation == &r.of.variations[0] {
		v.recorded = &like
	}
	if v.row.status != like.status {
		v.Unlike = append(v.Unlike, "status")
	}
	if v.row.size != like.size {
		v.Unlike = append(v.Unlike, "size")
	}
	for i, x := range r.of.shown {
		v.Shown[x.Source()] = v.row.shown[i]
		if v.row.values[i] != like.values[i] {
			v.Unlike = append(v.Unlike, x.Source())
		}
	}
	return v
}

// like is the row that one is compared with: that of the recorded response, else that of the first variation that came.
func (r *reporter) like(p *played, now *row) row {
	if p.then != nil {
		return r.of.rowOf(p, p.then.Response, p.then.took)
	}
	r.unlikeFirst = true
	of := varying{p.rec.ID, p.aim.target}
	first := r.first[of]
	if first == nil {
		first = &firstRow{row: *now}
		r.first[of] = first
	}
	if first.came++; first.came == len(r.of.variations) {
		delete(r.first, of)
	}
	return first.row
}

// varying is what is sent in several variations.
type varying struct {
	record store.ID
	target string
}

// firstRow is the row of the variation that came first, kept until all have come.
type firstRow struct {
	row
	came int
}

// newVariedTable is the table of the outcomes.
func (r *replayer) newVariedTable() *table {
	titles := []string{"RECORD", "VARIATION", "STATUS", "SIZE", "TIME"}
	for _, x := range r.shown {
		titles = append(titles, clean(x.Shown()))
	}
	t := newTable(r.env.stdout, r.env.inkFor(r.env.stdout), append(titles, "")...)
	t.right = []int{3, 4}
	return t
}

// printVaried adds a send to the table, and the recorded response above the first of its record.
func (r *reporter) printVaried(s *sendJSON) error {
	if s.recorded != nil {
		if err := r.table.add(s.recorded.cells(r.named(s), "recorded", nil, "")); err != nil {
			return err
		}
	}
	note := s.Error
	if s.Unexpected != "" {
		note = s.Unexpected
	}
	r.starred = r.starred || len(s.Unlike) > 0
	return r.table.add(s.row.cells(r.named(s), s.Variation, s.marks(r.of.shown), note))
}

// named is what the table calls a record: with the target, where a source has several.
func (r *reporter) named(s *sendJSON) string {
	several := func(source inspect.Source) bool { return len(source.Targets) > 1 }
	if s.Target == "" || !slices.ContainsFunc(r.of.sources, several) {
		return s.called.short
	}
	return s.called.short + " → " + clean(s.Target)
}

// marks says of each of the row's cells whether it is marked.
func (v *varied) marks(shown []*expr.Expr) []bool {
	names := []string{"status", "size", ""}
	for _, x := range shown {
		names = append(names, x.Source())
	}
	marks := make([]bool, len(names))
	for i, name := range names {
		marks[i] = name != "" && slices.Contains(v.Unlike, name)
	}
	return marks
}

// cells are those of the table: marked ones are yellow, and have a star for those who see no colour.
func (of *row) cells(record, name string, marks []bool, note string) []cell {
	cells := []cell{{record, ink.dim}, {text: name}}
	for i, text := range append([]string{of.status, of.size, of.took}, of.shown...) {
		c := cell{text: text}
		if marks != nil && marks[i] {
			c = cell{text + " *", ink.yellow}
		}
		cells = append(cells, c)
	}
	return append(cells, cell{note, ink.red})
}
