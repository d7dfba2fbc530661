package main

import (
	"context"
	"fmt"
	"iter"
	"net/url"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/relay/mask"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/replay"
	"github.com/hooktape/hooktape/store"
)

// replayFlags are what replay is told.
type replayFlags struct {
	chosen   filterFlags
	to       string
	yes      bool
	noRecord bool
	resign   bool
	asJSON   bool
}

func newReplay(e *env) *cobra.Command {
	var f replayFlags
	c := &cobra.Command{
		Use:   "replay ID... | --where EXPR | --source NAME | ...",
		Short: "Send recorded requests again",
		Long: `Send the recorded bytes again, to the targets of their source or to URL, and
print what came back beside what came back then. The records are sent one
behind the other, in the order in which they came.

The path of URL takes the place of the source's path, as a target's does; when
URL has no path the recorded one stays. Flags choose among the accepted records
unless --verdict names others. Each send is put on the tape as an attempt of
its record.

The exit code is 0 when every response was a 2xx or had the status of then, 1
when not, and 3 when the first target could not be reached.`,
		Example: `  hooktape replay last
  hooktape replay 8Q2F4K 8Q2F5M --to http://localhost:3000
  hooktape replay --source iiko --since 1h --limit 0`,
		RunE: func(c *cobra.Command, args []string) error {
			r, err := f.replayer(e, c.Context(), args)
			if err != nil {
				return err
			}
			how := toWrite
			if f.noRecord {
				how = toRead
			}
			t, err := e.openTape(c.Context(), how)
			if err != nil {
				return err
			}
			defer t.Close()
			defer r.sender.Client.Close()
			r.tape = t.Client
			return r.replay(c.Context(), args)
		},
	}
	f.chosen.add(c)
	f.chosen.addLimit(c)
	c.Flags().StringVar(&f.to, "to", "", "send to this URL instead of the source's targets")
	c.Flags().BoolVar(&f.yes, "yes", false, "send to a public address that the configuration does not name")
	c.Flags().BoolVar(&f.noRecord, "no-record", false, "do not put the attempts on the tape")
	c.Flags().BoolVar(&f.resign, "resign", false, "sign anew, with the first secret of the source, the time of now and a fresh id")
	jsonFlag(c, &f.asJSON)
	return c
}

// replayer checks what replay was told.
func (f *replayFlags) replayer(e *env, ctx context.Context, args []string) (*replayer, error) {
	switch chosen := f.chosen.given(); {
	case len(args) == 0 && !chosen:
		return nil, misused("hooktape replay last, or choose with --where, --source, --verdict, --since or --until", "which records?")
	case len(args) > 0 && chosen:
		return nil, misused("give ids, or flags that choose", "ids and --where, --source, --verdict, --since and --until exclude each other")
	}
	filter, err := f.chosen.filter(e.now())
	if err != nil {
		return nil, err
	}
	if filter.Verdicts == nil {
		filter.Verdicts = []store.Verdict{store.Accepted}
	}
	if filter.Until.IsZero() {
		filter.Until = e.now() // a replay through our own agent makes new records: they are not replayed
	}
	r := &replayer{env: e, flags: f, filter: filter, sender: replay.Sender{Client: new(wire.Client), Now: e.now}}
	if f.to == "" {
		return r, nil
	}
	if r.to, err = appURL(f.to); err != nil {
		return nil, err
	}
	return r, nil
}

// replayer replays records.
type replayer struct {
	env    *env
	flags  *replayFlags
	filter inspect.Filter
	to     *url.URL // nil: the sources' own targets
	tape   *inspect.Client
	sender replay.Sender
	names  mask.Names // what is masked beside the defaults

	sources []inspect.Source
	found   int         // records, so far
	reached atomic.Bool // a target was
	report  *reporter
}

func (r *replayer) replay(ctx context.Context, args []string) error {
	var err error
	if r.names, err = r.tape.Mask(ctx); err != nil {
		return apiError("replay", err)
	}
	if r.sources, err = r.tape.Sources(ctx); err != nil {
		return apiError("replay", err)
	}
	if err := r.mayGo(ctx); err != nil {
		return err
	}
	playing, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	r.report = newReporter(r, stop)
	err = replay.Run(playing, r.shots(playing, args), replay.Options{})
	if failed := r.report.close(); failed != nil {
		return failed
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	return r.sum()
}

// mayGo makes sure that a replay does not go to strangers by a slip of the
// pen: captured webhooks hold people's data.
func (r *replayer) mayGo(ctx context.Context) error {
	if r.to == nil || r.flags.yes || r.configured() || !public(ctx, r.to.Hostname()) {
		return nil
	}
	return misused("add --yes if that is what you want", "%s is a public address that the configuration does not name", r.to.Host)
}

// configured says whether a source has a target on the host that we send to.
func (r *replayer) configured() bool {
	for _, source := range r.sources {
		for _, target := range source.Targets {
			if u, err := url.Parse(target.URL); err == nil && u.Scheme == r.to.Scheme && u.Host == r.to.Host {
				return true
			}
		}
	}
	return false
}

// shots are the records, each with every target that it goes to.
func (r *replayer) shots(ctx context.Context, names []string) iter.Seq2[replay.Shot, error] {
	chosen := inspect.PlayQuery{Filter: r.filter, Names: names, Newest: r.flags.chosen.limit}
	return func(yield func(replay.Shot, error) bool) {
		for rec, err := range r.tape.Playable(ctx, chosen) {
			if err != nil {
				yield(nil, apiError("replay", err))
				return
			}
			r.found++
			aims, err := r.aims(&rec)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, a := range aims {
				if !yield(&shot{of: r, rec: &rec, aim: a}, nil) {
					return
				}
			}
		}
	}
}

// sum ends a replay: what became of it all, and the exit code.
func (r *replayer) sum() error {
	t := r.report.tally
	if r.found == 0 {
		fmt.Fprintln(r.env.stderr, "no record is like that, nothing was sent")
		return nil
	}
	if !r.flags.asJSON && r.found > 1 {
		fmt.Fprintf(r.env.stderr, "%d sent, %d answered as then, %d not sent\n", t.sent, t.same, t.unsent)
	}
	if t.gone > 0 {
		fmt.Fprintf(r.env.stderr, "%s not on the tape: their records were deleted meanwhile\n", count(t.gone, "attempt is", "attempts are"))
	}
	if limit := r.flags.chosen.limit; limit > 0 && r.found == limit && r.flags.chosen.given() {
		fmt.Fprintf(r.env.stderr, "these were the newest %d; --limit 0 sends all\n", limit)
	}
	switch {
	case t.sent+t.bad == 0:
		return cannot("", "replay: nothing could be sent")
	case t.bad+t.unsent > 0:
		return notSo()
	}
	return nil
}
