package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/store"
)

func newList(e *env) *cobra.Command {
	var (
		chosen         filterFlags
		asJSON, reveal bool
	)
	c := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the newest records",
		Long: `List the newest records, the newest last, right above the prompt; with --json
in the same order. The id column is enough to name a record to other commands.`,
		Example: `  hooktape list --since 1h --verdict no_source,malformed
  hooktape list --where 'json.amount > 100 && headers["X-Event"] == "paid"'`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			filter, err := chosen.filter(e.now())
			if err != nil {
				return err
			}
			t, err := e.openTape(c.Context(), toRead)
			if err != nil {
				return err
			}
			defer t.Close()
			records := newestLast(c.Context(), t.Client, filter, chosen.limit, reveal)
			if asJSON {
				return e.listJSON(records)
			}
			return e.listTable(records, chosen.given())
		},
	}
	chosen.add(c.Flags())
	chosen.addLimit(c.Flags())
	jsonFlag(c, &asJSON)
	revealFlag(c, &reveal)
	return c
}

// newestLast gives the newest records that the filter chooses, at most limit
// of them (0: all), in the order of their arrival.
func newestLast(ctx context.Context, c *inspect.Client, f inspect.Filter, limit int, reveal bool) iter.Seq2[inspect.Record, error] {
	query := inspect.Query{Filter: f, Limit: limit, Reveal: reveal}
	if limit == 0 {
		return c.Records(ctx, query)
	}
	return func(yield func(inspect.Record, error) bool) {
		query.Newest = true
		var newest []inspect.Record
		for r, err := range c.Records(ctx, query) {
			if err != nil {
				yield(r, err)
				return
			}
			newest = append(newest, r)
		}
		for _, r := range slices.Backward(newest) {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (e *env) listJSON(records iter.Seq2[inspect.Record, error]) error {
	for r, err := range records {
		if err != nil {
			return apiError("list records", err)
		}
		if err := e.printJSON(r); err != nil {
			return err
		}
	}
	return nil
}

func (e *env) listTable(records iter.Seq2[inspect.Record, error], filtered bool) error {
	t := newTable(e.stdout, e.inkFor(e.stdout), "TIME", "ID", "SOURCE", "METHOD", "PATH", "STATUS", "TOOK", "SIZE", "STATE")
	t.right = []int{5, 6, 7}
	t.long = 4
	none := true
	for r, err := range records {
		if err != nil {
			return apiError("list records", err)
		}
		none = false
		if err := t.add(listCells(&r)); err != nil {
			return err
		}
	}
	if none {
		what := "the tape is empty"
		if filtered {
			what = "no record is like that"
		}
		fmt.Fprintln(e.stderr, what)
		return nil
	}
	return t.flush()
}

// listTime is how lists show a moment: local, to the second.
const listTime = "2006-01-02 15:04:05"

func listCells(r *inspect.Record) []cell {
	l := lineOf(r)
	state := stateOf(r)
	return []cell{
		{text: l.Time.Local().Format(listTime), paint: ink.dim},
		{text: ending(l.ID)},
		{text: orDash(r.Source)},
		{text: orDash(l.Method)},
		{text: orDash(l.Path)},
		{text: strings.TrimSpace(statusText(l.Status)), paint: func(i ink, s string) string { return i.status(l.Status, s) }},
		{text: took(l.Duration, l.Status)},
		{text: size(l.Size)},
		{text: state, paint: paintState(state)},
	}
}

// worstFirst orders the states of deliveries by how much they want attention.
var worstFirst = []store.State{store.Failed, store.Expired, store.Orphaned, store.Pending, store.Dropped, store.Delivered}

// stateOf says in a word how far a record is: its verdict when that is not
// accepted, else its deliveries, the one that wants attention most.
func stateOf(r *inspect.Record) string {
	if r.Verdict != store.Accepted {
		return string(r.Verdict)
	}
	for _, state := range worstFirst {
		for _, d := range r.Deliveries {
			if d.State == state {
				return string(state)
			}
		}
	}
	if r.Answer == nil {
		return "unanswered"
	}
	return "answered"
}

func paintState(state string) func(ink, string) string {
	switch store.State(state) {
	case store.Delivered, "answered", store.State(store.Accepted):
		return ink.green
	case store.Failed, store.Expired, store.Orphaned:
		return ink.red
	}
	return ink.yellow
}

// cell is one field of a table's row.
type cell struct {
	text  string                   // as it came from strangers
	paint func(ink, string) string // nil: plain
}

// table prints rows in columns that are as wide as what stands in them. It
// holds some rows back to know how wide that is.
type table struct {
	out     io.Writer
	ink     ink
	columns int   // of the terminal; 0: none, nothing is cut
	right   []int // columns that end flush
	long    int   // the column that is cut to fit the terminal
	widths  []int
	rows    [][]cell
}

const (
	tableRows   = 500 // held back at most
	longestCell = 60  // wider cells stick out of their column
	leastLong   = 16  // columns that the long cell keeps on a narrow terminal
)

func newTable(out io.Writer, i ink, titles ...string) *table {
	t := &table{out: out, ink: i, columns: terminalWidth(out), long: -1, widths: make([]int, len(titles))}
	row := make([]cell, len(titles))
	for n, title := range titles {
		row[n] = cell{title, ink.dim}
	}
	t.rows = append(t.rows, row)
	return t
}

func (t *table) add(row []cell) error {
	t.rows = append(t.rows, row)
	if len(t.rows) < tableRows {
		return nil
	}
	return t.flush()
}

// flush prints what is held back.
func (t *table) flush() error {
	for _, row := range t.rows {
		for n := range row {
			row[n].text = clean(row[n].text)
			t.widths[n] = max(t.widths[n], min(width(row[n].text), longestCell))
		}
	}
	t.fit()
	var b strings.Builder
	for _, row := range t.rows {
		t.print(&b, row)
	}
	t.rows = t.rows[:0]
	_, err := io.WriteString(t.out, b.String())
	return err
}

// fit makes the long column narrower until a row fits the terminal.
func (t *table) fit() {
	if t.columns == 0 || t.long < 0 {
		return
	}
	whole := 2 * (len(t.widths) - 1)
	for _, w := range t.widths {
		whole += w
	}
	t.widths[t.long] = max(min(leastLong, t.widths[t.long]), t.widths[t.long]-max(0, whole-t.columns))
}

func (t *table) print(b *strings.Builder, row []cell) {
	for len(row) > 0 && row[len(row)-1].text == "" {
		row = row[:len(row)-1] // no spaces at the end of a line
	}
	for n, c := range row {
		text, w := c.text, t.widths[n]
		if t.columns > 0 && n == t.long {
			text = cut(text, w)
		}
		painted := text
		if c.paint != nil {
			painted = c.paint(t.ink, text)
		}
		space := strings.Repeat(" ", max(0, w-width(text)))
		switch {
		case slices.Contains(t.right, n):
			painted = space + painted
		case n < len(row)-1:
			painted += space
		}
		if n > 0 {
			b.WriteString("  ")
		}
		b.WriteString(painted)
	}
	b.WriteByte('\n')
}
