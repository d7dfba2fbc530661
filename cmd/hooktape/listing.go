package main

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/spf13/cobra"
)

// newListing makes the list command of a parent: it opens the tape, and prints what print finds there.
func newListing(short string, open func(context.Context, access) (*tape, error), print func(context.Context, *tape, bool) error) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   short,
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			t, err := open(c.Context(), toRead)
			if err != nil {
				return err
			}
			defer t.Close()
			return print(c.Context(), t, asJSON)
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

// listing says how a command prints what it lists: a row of a table for each or, with asJSON, an object a line.
type listing[T any] struct {
	*table
	row    func(T) []cell
	asJSON bool
	failed func(error) error // turns an error of the agent into one of the command
	none   string            // what people are told when there is nothing
}

// print prints all there is, and returns how many. What came before an error is printed too.
func (l listing[T]) print(e *env, all iter.Seq2[T, error]) (n int, err error) {
	for v, err := range all {
		switch {
		case err != nil && (l.asJSON || n == 0):
			return n, l.failed(err)
		case err != nil:
			return n, errors.Join(l.flush(), l.failed(err))
		case l.asJSON:
			err = e.printJSON(v)
		default:
			err = l.add(l.row(v))
		}
		if err != nil {
			return n, err
		}
		n++
	}
	switch {
	case l.asJSON:
	case n == 0:
		fmt.Fprintln(e.stderr, l.none)
	default:
		err = l.flush()
	}
	return n, err
}
