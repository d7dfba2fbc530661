package main

import (
	"context"
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
		Long: `Lists the newest records, the newest last, right above the prompt; with --json
in the same order. The id column is enough to name a record to other commands.

TOOK is the time from the first byte of the request to the last byte of the
answer. A plus sign means that it does not include the commit that the answer
waited for: that time is only on the tape if it was over 50 ms, and then there
is no plus sign; tail, logs and metrics always include it.`,
		Example: `  hooktape list --since 1h --verdict no_source,malformed
  hooktape list --where 'json.amount > 100 && header["X-Event"] == "paid"'`,
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
			e.noteDamaged(t.path)
			records := newestLast(c.Context(), t.Client, filter, chosen.limit, reveal)
			return e.listRecords(records, chosen.given(), asJSON)
		},
	}
	chosen.add(c)
	chosen.addLimit(c)
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
	query.Newest = true
	return backward(c.Records(ctx, query))
}

// backward yields what seq yields in reverse order, then its error.
func backward[T any](seq iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var all []T
		var failed error
		for v, err := range seq {
			if failed = err; err != nil {
				break
			}
			all = append(all, v)
		}
		for _, v := range slices.Backward(all) {
			if !yield(v, nil) {
				return
			}
		}
		if failed != nil {
			var none T
			yield(none, failed)
		}
	}
}

// listRecords prints records. If there are none, people are told why.
func (e *env) listRecords(records iter.Seq2[inspect.Record, error], filtered, asJSON bool) error {
	t := newTable(e.stdout, e.inkFor(e.stdout), "TIME", "ID", "SOURCE", "METHOD", "PATH", "STATUS", "TOOK", "SIZE", "STATE")
	t.right = []int{5, 6, 7}
	t.long = 4
	t.spare = []int{7, 6, 2}
	none := "the tape is empty"
	if filtered {
		none = "no record matches"
	}
	l := listing[inspect.Record]{t, listCells, asJSON, func(err error) error { return apiError("list records", err) }, none}
	_, err := l.print(e, records)
	return err
}

// listTime is how lists show a moment: local, to the second.
const listTime = "2006-01-02 15:04:05"

func listCells(r inspect.Record) []cell {
	l := lineOf(&r)
	state := stateOf(&r)
	return []cell{
		{text: l.Time.Local().Format(listTime), paint: ink.dim},
		{text: ending(l.ID)},
		{text: orDash(r.Source)},
		{text: orDash(l.Method)},
		{text: orDash(l.Path)},
		{text: strings.TrimSpace(statusText(l.Status)), paint: func(i ink, s string) string { return i.status(l.Status, s) }},
		{text: l.took()},
		{text: size(l.Size)},
		{text: state, paint: paintState(state)},
	}
}

// worstFirst orders the states of deliveries by how much they need attention.
var worstFirst = []store.State{store.Failed, store.Expired, store.Orphaned, store.Pending, store.Dropped, inspect.Unexpected, store.Delivered}

func stateOfDelivery(d *inspect.Delivery) store.State {
	if d.State == store.Delivered && d.Finding != "" {
		return inspect.Unexpected
	}
	return d.State
}

// stateOf says in one word what became of a record: its verdict unless that is
// accepted, otherwise the state of its delivery that needs attention most.
func stateOf(r *inspect.Record) string {
	if r.Verdict != store.Accepted {
		return times(r.Verdict, r.Count)
	}
	for _, state := range worstFirst {
		for _, d := range r.Deliveries {
			if stateOfDelivery(&d) == state {
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
