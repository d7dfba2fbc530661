package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/store"
)

func newRecheck(e *env) *cobra.Command {
	var (
		chosen      filterFlags
		dry, asJSON bool
	)
	c := &cobra.Command{
		Use:   "recheck ID... | --where EXPR",
		Short: "Check refused records again, and deliver those that pass",
		Long: `Checks refused records again with the current config, and delivers those that
pass: a wrong secret, a missing source or too short a list of addresses loses
nothing. This goes through the running agent. A request's age is counted at its
arrival, so none is too old now.

A record that its sender has sent again since, and that was accepted then, is
not delivered twice if the source has a dedupe block.

Flags select among records refused by a check of their source and those without
a source, unless --verdict names others. The exit code is 1 if none of them
passes.`,
		Example: `  hooktape recheck --source github --since 1d
  hooktape recheck --where 'verdict == "invalid_signature"' --dry-run`,
		RunE: func(c *cobra.Command, args []string) error {
			if (len(args) > 0) == chosen.given() {
				return misused("name records, or choose them with --where and the like", "which records?")
			}
			filter, err := chosen.filter(e.now())
			if err != nil {
				return err
			}
			t, err := e.openTape(c.Context(), toRead)
			if err != nil {
				return err
			}
			defer t.Close()
			if t.store != nil {
				return cannot("start it with hooktape run --config FILE", "recheck: no agent is running, and only an agent knows the secrets")
			}
			return e.recheck(c.Context(), t.Client, args, filter, dry, asJSON)
		},
	}
	chosen.add(c)
	c.Flags().BoolVar(&dry, "dry-run", false, "say what would pass, and change nothing")
	jsonFlag(c, &asJSON)
	return c
}

// recheck prints the result for each record, then a summary.
func (e *env) recheck(ctx context.Context, c *inspect.Client, names []string, f inspect.Filter, dry, asJSON bool) error {
	t := newTable(e.stdout, e.inkFor(e.stdout), "ID", "WAS", "IS NOW", "DELIVERIES", "REASON")
	t.right = []int{3}
	t.long = 4
	now := map[store.Verdict]int{}
	n, deliveries, failed := 0, 0, 0
	for r, err := range c.Recheck(ctx, names, f, dry) {
		if err != nil {
			return apiError("recheck", err)
		}
		n++
		deliveries += r.Deliveries
		if r.Error != "" {
			failed++
		} else {
			now[r.Verdict]++
		}
		if asJSON {
			err = e.printJSON(r)
		} else {
			err = t.add(rejudgedCells(r))
		}
		if err != nil {
			return err
		}
	}
	if n == 0 {
		fmt.Fprintln(e.stderr, "no refused record matches")
		return nil
	}
	if !asJSON {
		if err := t.flush(); err != nil {
			return err
		}
	}
	fmt.Fprintln(e.stderr, recheckSum(n, deliveries, failed, now, dry))
	if now[store.Accepted]+now[store.Duplicate] == 0 {
		return notSo()
	}
	return nil
}

func rejudgedCells(r inspect.Rejudged) []cell {
	verdict := cell{text: string(r.Verdict), paint: ink.green}
	if r.Verdict.Refused() {
		verdict.paint = ink.yellow
	}
	return []cell{
		{text: ending(r.Record)}, {text: string(r.Was)}, verdict,
		{text: strconv.Itoa(r.Deliveries)}, {text: cmp.Or(r.Error, r.Reason)},
	}
}

// recheckSum sums up the results: "3 records judged again: 2 accepted, 1 invalid_signature; 2 deliveries made".
func recheckSum(n, deliveries, failed int, now map[store.Verdict]int, dry bool) string {
	var parts []string
	for _, v := range verdicts {
		if now[v] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", now[v], v))
		}
	}
	if failed > 0 {
		parts = append(parts, fmt.Sprintf("%d could not be", failed))
	}
	made := count(deliveries, "delivery", "deliveries") + " made"
	if dry {
		made = "nothing was changed"
	}
	return fmt.Sprintf("%s judged again: %s; %s", counted(n, "record"), strings.Join(parts, ", "), made)
}
