package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/replay"
	"github.com/hooktape/hooktape/store"
)

// diffFlags are the flags of diff.
type diffFlags struct {
	rules    ruleFlags
	response bool
	attempts []int
	asJSON   bool
	reveal   bool
}

func newDiff(e *env) *cobra.Command {
	var f diffFlags
	c := &cobra.Command{
		Use:   "diff A B",
		Short: "Show how two records differ",
		Long: `Compares two requests: method, path, query, header fields and body; JSON and
forms by value, other text line by line, anything else by size and hash.
--response compares the responses that they got from the app, the last of each;
if the app was not asked, the answers. Secrets are compared, but masked in the
output unless --reveal is given.

Clock times, connection headers and the length of the body are not compared.
--ignore excludes more.

The exit code is 0 if nothing differs, and 1 if something does.`,
		Example: `  hooktape diff last~1 last
  hooktape diff 8Q2F4K 8Q2F5M --ignore header.x-signature --ignore 'json.items[*].id'
  hooktape diff last last --attempt 1,2`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 2 {
				return nil
			}
			return misused("hooktape diff last~1 last", "%s takes the ids of two records, got %d", c.CommandPath(), len(args))
		},
		RunE: func(c *cobra.Command, args []string) error { return f.run(c.Context(), e, args) },
	}
	f.rules.add(c)
	c.Flags().BoolVar(&f.response, "response", false, "compare the responses instead of the requests")
	c.Flags().IntSliceVar(&f.attempts, "attempt", nil, "compare the responses to the attempts with this `number`; with two, as in 1,2, for A and B")
	jsonFlag(c, &f.asJSON)
	revealFlag(c, &f.reveal)
	return c
}

func (f *diffFlags) run(ctx context.Context, e *env, args []string) error {
	if len(f.attempts) > 2 {
		return misused("--attempt 1,2 is the first of A and the second of B", "--attempt takes one number or two, got %d", len(f.attempts))
	}
	t, err := e.openTape(ctx, toRead)
	if err != nil {
		return err
	}
	defer t.Close()
	names, err := t.Mask(ctx)
	if err != nil {
		return apiError("diff", err)
	}
	rules, err := f.rules.rules(names, f.reveal)
	if err != nil {
		return err
	}
	d := &twoRecords{flags: f, tape: t.Client, rules: rules}
	if err := d.compare(ctx, args); err != nil {
		return err
	}
	if err := d.print(e); err != nil {
		return err
	}
	if d.found.Any() {
		return notSo()
	}
	return nil
}

// twoRecords are the records to compare.
type twoRecords struct {
	flags   *diffFlags
	tape    *inspect.Client
	rules   *replay.Rules
	records [2]inspect.Record
	what    string // what to compare of them
	found   replay.Difference
}

func (d *twoRecords) compare(ctx context.Context, args []string) error {
	for i, name := range args {
		var err error
		if d.records[i], err = d.tape.Record(ctx, name, d.flags.reveal); err != nil {
			return apiError("diff", err)
		}
	}
	d.what = "request"
	if d.flags.response || d.flags.attempts != nil {
		d.what = "response"
		return d.responses(ctx)
	}
	return d.requests(ctx)
}

func (d *twoRecords) requests(ctx context.Context) error {
	var both [2]*replay.Request
	for i, rec := range d.records {
		var err error
		both[i], err = replay.Load(func() (io.ReadCloser, error) { return d.tape.Raw(ctx, rec.ID.String()) })
		if err != nil {
			return cannot("hooktape show "+ending(rec.ID)+" shows what was kept of it", "compare record %s: %w", rec.ID, err)
		}
	}
	found, err := replay.CompareRequests(both[0], both[1], d.rules)
	if err != nil {
		return cannot("", "compare: %w", err)
	}
	d.found = found
	return nil
}

func (d *twoRecords) responses(ctx context.Context) error {
	var both [2]*replay.Response
	for i, rec := range d.records {
		open, err := d.response(ctx, i)
		if err != nil {
			return err
		}
		if both[i], err = replay.ReadThen(open, rec.Method); err != nil {
			return apiError(fmt.Sprintf("compare record %s", rec.ID), err)
		}
	}
	d.found = replay.Compare(both[0], both[1], d.rules)
	return nil
}

// response opens the response of one of the two records.
func (d *twoRecords) response(ctx context.Context, which int) (open func() (io.ReadCloser, error), err error) {
	rec := &d.records[which]
	id := rec.ID.String()
	number := 0
	switch given := d.flags.attempts; {
	case len(given) > 0:
		number = given[min(which, len(given)-1)]
	default:
		if number, err = d.lastAnswered(ctx, id); err != nil {
			return nil, err
		}
	}
	switch {
	case number != 0:
		return func() (io.ReadCloser, error) { return d.tape.Response(ctx, id, number) }, nil
	case rec.Answer != nil:
		return func() (io.ReadCloser, error) { return d.tape.Answer(ctx, id) }, nil
	}
	return nil, &failure{exitNotSo, fmt.Errorf("record %s has no response", id), ""}
}

// lastAnswered is the number of the last attempt that got a response; 0: none.
func (d *twoRecords) lastAnswered(ctx context.Context, id string) (number int, err error) {
	attempts, err := d.tape.Attempts(ctx, id, false)
	if err != nil {
		return 0, apiError("diff", err)
	}
	for _, a := range attempts {
		if a.Status != 0 {
			number = a.Number
		}
	}
	return number, nil
}

// diffJSON is a comparison as JSON shows it.
type diffJSON struct {
	A       store.ID          `json:"a"`
	B       store.ID          `json:"b"`
	What    string            `json:"what"` // request or response
	Differs replay.Difference `json:"differs"`
}

func (d *twoRecords) print(e *env) error {
	if d.flags.asJSON {
		return e.printJSON(diffJSON{d.records[0].ID, d.records[1].ID, d.what, d.found})
	}
	i := e.inkFor(e.stdout)
	text := ""
	for _, rec := range d.records {
		text += fmt.Sprintf("%s  %s %s\n", i.dim(ending(rec.ID)), clean(rec.Method), clean(rec.Path))
		if rec.Truncated && d.what == "request" {
			text += "        only the beginning of it was kept\n"
		}
	}
	text += fmt.Sprintf("%s %s\n%s", d.what, difference(i, d.found), changes(i, "  ", d.found))
	_, err := io.WriteString(e.stdout, text)
	return err
}
