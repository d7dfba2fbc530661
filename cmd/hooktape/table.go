package main

import (
	"io"
	"slices"
	"strings"
)

// cell is one cell of a table's row.
type cell struct {
	text  string                   // as it came from strangers
	paint func(ink, string) string // nil: plain
}

// table prints rows in columns as wide as their contents. It holds some rows back
// to know how wide that is.
type table struct {
	out     io.Writer
	ink     ink
	columns int   // of the terminal; 0: there is none
	right   []int // columns that end flush
	long    int   // the column that is cut so that a row fits the terminal
	spare   []int // columns that a narrow terminal leaves out, in this order; show has what they say
	widths  []int // of columns; of one that is left out: noRoom
	rows    [][]cell
}

const (
	tableRows   = 500 // held back at most
	longestCell = 60  // wider cells stick out of their column
	leastLong   = 16  // columns that the long cell keeps on a narrow terminal
	mostLong    = 200 // columns of it where there is no terminal, and something stands behind it
	noRoom      = -1  // the width of a column that the terminal has no room for
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
			if t.widths[n] == noRoom {
				continue
			}
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

// fit leaves out columns that the terminal has no room for, and narrows the long one until a row fits.
func (t *table) fit() {
	if t.columns == 0 || t.long < 0 {
		return
	}
	long := t.widths[t.long]
	least := min(leastLong, long)
	for _, n := range t.spare {
		if t.whole()-long+least <= t.columns {
			break
		}
		t.widths[n] = noRoom
	}
	t.widths[t.long] = max(least, long-max(0, t.whole()-t.columns))
}

// whole is how many columns of the terminal a row takes.
func (t *table) whole() int {
	sum := -2
	for _, w := range t.widths {
		if w != noRoom {
			sum += w + 2
		}
	}
	return sum
}

func (t *table) print(b *strings.Builder, row []cell) {
	for last := len(row) - 1; last >= 0 && (row[last].text == "" || t.widths[last] == noRoom); last-- {
		row = row[:last] // no spaces at the end of a line
	}
	for n, c := range row {
		text, w := c.text, t.widths[n]
		if w == noRoom {
			continue
		}
		switch {
		case n != t.long:
		case t.columns > 0:
			text = cut(text, w)
		case n < len(row)-1:
			text = cut(text, mostLong)
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
