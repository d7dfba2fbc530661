package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"time"

	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/store"
)

func newTail(e *env) *cobra.Command {
	var (
		chosen         filterFlags
		asJSON, reveal bool
		last           int
	)
	c := &cobra.Command{
		Use:   "tail",
		Short: "Print records as they arrive",
		Long: `Prints the newest records, then each new one when it is answered, until you
interrupt it. If no agent is running, it waits for one, and does not keep the
tape open meanwhile.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			filter, err := chosen.filter(e.now())
			if err != nil {
				return err
			}
			if last < 0 {
				return misused("", "--last %d is less than 0", last)
			}
			path, err := e.dataPath()
			if err != nil {
				return err
			}
			i := e.inkFor(e.stdout)
			f := &follower{env: e, path: path, query: inspect.TailQuery{Filter: filter, Last: last, Reveal: reveal},
				seen: map[store.ID]bool{}}
			f.print = func(r *inspect.Record) error {
				_, err := fmt.Fprint(e.stdout, i.line(lineOf(r), terminalWidth(e.stdout)))
				return err
			}
			if asJSON {
				f.print = func(r *inspect.Record) error { return e.printJSON(r) }
			}
			return f.run(c.Context())
		},
	}
	chosen.add(c)
	c.Flags().IntVarP(&last, "last", "n", 10, "start with this many of the newest")
	jsonFlag(c, &asJSON)
	revealFlag(c, &reveal)
	return c
}

// follower prints records as they come, each one once, even as agents stop and
// start again.
type follower struct {
	env   *env
	path  string
	query inspect.TailQuery // After is nil until something was printed, or the tape turned out to be empty
	print func(*inspect.Record) error

	seen  map[store.ID]bool // printed, though after query.After, which follows later
	alone bool              // since there was an agent, the tape's contents have been printed
	said  string            // the last thing said on stderr, so that it is said once
}

// agentPause is how often a tail looks whether an agent runs again.
const agentPause = 300 * time.Millisecond

// run follows until ctx ends, or something is wrong that waiting does not fix.
func (f *follower) run(ctx context.Context) error {
	for {
		client, err := inspect.Dial(ctx, f.path)
		switch {
		case err == nil:
			err = f.follow(ctx, client)
			client.Close()
		case errors.Is(err, inspect.ErrNoAgent):
			err = f.wait(ctx)
		case ctx.Err() == nil:
			return tapeError(f.path, err)
		}
		if err != nil || ctx.Err() != nil {
			return errors.Join(ctx.Err(), err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(agentPause):
		}
	}
}

// follow prints what an agent sends, until it stops.
func (f *follower) follow(ctx context.Context, client *inspect.Client) error {
	f.said, f.alone = "", false
	for line, err := range client.Tail(ctx, f.query) {
		if _, refused := errors.AsType[*inspect.Problem](err); refused {
			return apiError("follow the tape", err)
		}
		if err != nil {
			break // the agent has stopped, or ctx has ended: run finds out
		}
		if err := f.take(line); err != nil {
			return err
		}
	}
	if ctx.Err() == nil {
		f.say("the agent has stopped, waiting for it to start again")
	}
	return nil
}

// take prints a record that was not printed yet, and moves the cursor.
func (f *follower) take(line inspect.TailLine) error {
	if line.Cursor != nil {
		f.query.After = line.Cursor
		maps.DeleteFunc(f.seen, func(id store.ID, _ bool) bool { return id.Compare(*line.Cursor) <= 0 })
	}
	if line.Record == nil || f.seen[line.Record.ID] {
		return nil
	}
	f.seen[line.Record.ID] = true
	return f.print(line.Record)
}

// wait is what a tail does while no agent runs: it prints what is new on the tape,
// and closes the tape at once, so that an agent can start.
func (f *follower) wait(ctx context.Context) error {
	if f.alone {
		return nil
	}
	t, err := f.env.openTapeAt(ctx, f.path, toRead)
	if _, locked := errors.AsType[*store.LockedError](err); locked {
		if f.said == "" {
			f.say(err.Error() + ", waiting for its agent")
		}
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		f.query.After = new(store.ID) // all that comes is new
		f.say("no agent is running and there is no tape at " + f.path + " yet, waiting for one")
		return nil
	}
	if err != nil {
		return tapeError(f.path, err)
	}
	defer t.Close()
	if t.store == nil {
		return nil // an agent has started meanwhile
	}
	if err := f.catchUp(ctx, t.Client); err != nil {
		return apiError("follow the tape", err)
	}
	f.alone = true
	if f.said == "" {
		f.say("no agent is running, waiting for one")
	}
	return nil
}

// catchUp prints what is new on a tape without an agent: at first the newest
// records, later those after the cursor. What has no answer will not get one.
func (f *follower) catchUp(ctx context.Context, c *inspect.Client) error {
	newest, err := newestID(ctx, c)
	if err != nil {
		return err
	}
	records := c.Records(ctx, inspect.Query{Filter: f.query.Filter, After: f.after(), Reveal: f.query.Reveal})
	switch {
	case f.query.After != nil:
	case f.query.Last == 0:
		records = func(func(inspect.Record, error) bool) {}
	default:
		records = newestLast(ctx, c, f.query.Filter, f.query.Last, f.query.Reveal)
	}
	for r, err := range records {
		if err != nil {
			return err
		}
		if err := f.take(inspect.TailLine{Record: &r}); err != nil {
			return err
		}
	}
	return f.take(inspect.TailLine{Cursor: &newest})
}

func (f *follower) after() store.ID {
	if f.query.After == nil {
		return store.ID{}
	}
	return *f.query.After
}

// newestID is the id of the last record on the tape, whether it is chosen or not.
func newestID(ctx context.Context, c *inspect.Client) (id store.ID, err error) {
	for r, err := range c.Records(ctx, inspect.Query{Newest: true, Limit: 1}) {
		return r.ID, err
	}
	return id, nil
}

// say tells the user what is going on, once.
func (f *follower) say(what string) {
	if what != f.said {
		fmt.Fprintln(f.env.stderr, clean(what))
	}
	f.said = what
}
