package main

import (
	"bufio"
	"context"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/store"
)

func newDelete(e *env) *cobra.Command {
	var (
		chosen      filterFlags
		yes, asJSON bool
	)
	c := &cobra.Command{
		Use:   "delete ID... | --where EXPR",
		Short: "Delete records",
		Long: `Deletes the named records, or those that match all given flags, with everything
that belongs to them: bodies, answers, attempts and deliveries. Pending
deliveries will never be made. It shows the records (only the first 50, or all
with --json) and asks, unless --yes is given.

The records are gone for every command at once. Their bytes stay in free pages
of the file until these are overwritten; hooktape compact erases them. Earlier
backups and exports keep theirs.`,
		Example: `  hooktape delete 8R4K2M
  hooktape delete --where 'json.customer.email == "jo@example.com"'
  hooktape delete --until 30d --verdict no_source --yes`,
		RunE: func(c *cobra.Command, args []string) error {
			if (len(args) > 0) == chosen.given() {
				return misused("name records, or choose them with --where and the like", "which records?")
			}
			filter, err := chosen.filter(e.now())
			if err != nil {
				return err
			}
			d := deletion{env: e, asJSON: asJSON, yes: yes}
			return d.run(c.Context(), args, filter)
		},
	}
	chosen.add(c)
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	jsonFlag(c, &asJSON)
	return c
}

// deletion is one call of delete.
type deletion struct {
	*env
	asJSON, yes bool
}

func (d *deletion) run(ctx context.Context, names []string, filter inspect.Filter) error {
	t, err := d.openTape(ctx, toWrite)
	if err != nil {
		return err
	}
	defer t.Close()
	ids, err := d.show(chosenRecords(ctx, t.Client, names, filter))
	if err != nil || len(ids) == 0 {
		return err
	}
	if err := d.ask(len(ids)); err != nil {
		return err
	}
	var all inspect.Deleted
	for some := range slices.Chunk(ids, deleteBatch) {
		done, err := t.Delete(ctx, some)
		if err != nil {
			return apiError("delete records", err)
		}
		all.Records, all.Bytes, all.Pending = all.Records+done.Records, all.Bytes+done.Bytes, all.Pending+done.Pending
		if done.Damaged != "" {
			fmt.Fprintf(d.stderr, "hooktape: not deleted: %s\n", cleanLines(done.Damaged))
			all.Damaged = done.Damaged
		}
	}
	fmt.Fprintf(d.stderr, "%s deleted, %s", counted(all.Records, "record"), size(all.Bytes))
	if all.Pending > 0 {
		fmt.Fprintf(d.stderr, "; %s will never be made", count(all.Pending, "pending delivery", "pending deliveries"))
	}
	fmt.Fprintln(d.stderr)
	if all.Damaged != "" {
		return &failure{code: exitCannot, hint: "hooktape salvage copies what can be read"}
	}
	return nil
}

// deleteBatch is how many records one question to the agent names.
const deleteBatch = 1024

// chosenRecords gives the records by their names, or else by the filter.
func chosenRecords(ctx context.Context, c *inspect.Client, names []string, f inspect.Filter) iter.Seq2[inspect.Record, error] {
	if len(names) == 0 {
		return c.Records(ctx, inspect.Query{Filter: f})
	}
	return func(yield func(inspect.Record, error) bool) {
		for _, name := range names {
			if r, err := c.Record(ctx, name, false); !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// show prints the records to be deleted, for people no more than list does, and gathers the ids of all.
func (d *deletion) show(records iter.Seq2[inspect.Record, error]) (ids []store.ID, err error) {
	seen := map[store.ID]bool{}
	each := func(yield func(inspect.Record, error) bool) {
		for r, err := range records {
			if err == nil && seen[r.ID] {
				continue
			}
			if err == nil {
				seen[r.ID] = true
				ids = append(ids, r.ID)
			}
			if err == nil && len(ids) > defaultLimit && !d.asJSON {
				continue
			}
			if !yield(r, err) {
				return
			}
		}
	}
	err = d.listRecords(each, true, d.asJSON)
	if more := len(ids) - defaultLimit; more > 0 && !d.asJSON {
		fmt.Fprintf(d.stderr, "and %s\n", count(more, "more record", "more records"))
	}
	return ids, err
}

func (d *deletion) ask(n int) error { return d.askToDelete(counted(n, "record"), d.yes) }

// askToDelete asks the user whether something may be deleted, unless --yes says so. Only a yes counts.
func (e *env) askToDelete(what string, yes bool) error {
	if yes {
		return nil
	}
	sure, asked := e.confirm("delete " + what + " for good?")
	if !asked {
		return misused("--yes deletes without asking", "nothing deleted: there is no terminal to ask for confirmation")
	}
	if !sure {
		fmt.Fprintln(e.stderr, "nothing deleted")
		return notSo()
	}
	return nil
}

// canAsk says whether somebody is there to answer: stdin is a terminal.
func (e *env) canAsk() bool {
	in, ok := e.stdin.(*os.File)
	return ok && isTerminal(in)
}

// confirm asks the user something on the terminal; asked is false if there is none. Only a yes counts.
func (e *env) confirm(question string) (yes, asked bool) {
	if !e.canAsk() {
		return false, false
	}
	fmt.Fprintf(e.stderr, "%s [y/N] ", question)
	answer, _ := bufio.NewReader(e.stdin).ReadString('\n') // at the end of input the answer is no
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes", true
}
