package main

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"net/url"
	"sync/atomic"
	"time"

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
	clock    clockFlags
	to       string
	yes      bool
	noRecord bool
	resign   bool
	junit    string
	asJSON   bool
	reveal   bool
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

The exit code is 0 when every response was that of then, 1 when not, and 3 when
the first target could not be reached.`,
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
	f.clock.add(c)
	c.Flags().StringVar(&f.to, "to", "", "send to this URL instead of the source's targets")
	c.Flags().BoolVar(&f.yes, "yes", false, "send to a public address that the configuration does not name")
	c.Flags().BoolVar(&f.noRecord, "no-record", false, "do not put the attempts on the tape")
	c.Flags().BoolVar(&f.resign, "resign", false, "sign anew, with the first secret of the source, the time of now and a fresh id")
	c.Flags().StringVar(&f.junit, "junit", "", "write a report for CI into this FILE, a test case for each send")
	jsonFlag(c, &f.asJSON)
	revealFlag(c, &f.reveal)
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
	options, err := f.clock.options()
	if err != nil {
		return nil, err
	}
	r := &replayer{many: len(args) != 1, began: e.now(), env: e, flags: f, filter: filter, options: options, sender: replay.Sender{Client: new(wire.Client)}}
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
	env     *env
	flags   *replayFlags
	filter  inspect.Filter
	options replay.Options
	to      *url.URL // nil: the sources' own targets
	tape    *inspect.Client
	sender  replay.Sender
	names   mask.Names // what is masked beside the defaults
	rules   *replay.Rules
	many    bool // more than one record may be sent
	began   time.Time

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
	r.rules = &replay.Rules{Names: r.names, Reveal: r.flags.reveal}
	playing, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if r.report, err = newReporter(r, stop); err != nil {
		return err
	}
	err = replay.Run(playing, r.shots(playing, args), r.options)
	if failed := r.report.close(); failed != nil {
		err = failed
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err := cmp.Or(err, r.report.finish(ctx.Err() != nil, err)); err != nil {
		return err
	}
	return r.sum()
}

// shownURL is a URL as it is shown.
func (r *replayer) shownURL(u string) string {
	if r.flags.reveal {
		return u
	}
	return r.names.Target(u)
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
	chosen := inspect.PlayQuery{Filter: r.filter, Names: names, Newest: r.flags.chosen.limit, OrderBy: r.flags.clock.orderBy, Reveal: r.flags.reveal}
	return func(yield func(replay.Shot, error) bool) {
		r.found = 0
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

// sum is the exit code of a replay that came to its end.
func (r *replayer) sum() error {
	s := &r.report.summary
	if r.found == 0 {
		fmt.Fprintln(r.env.stderr, "no record is like that, nothing was sent")
		return nil
	}
	if gone := r.report.gone; gone > 0 {
		fmt.Fprintf(r.env.stderr, "%s not on the tape: their records were deleted meanwhile\n", count(gone, "attempt is", "attempts are"))
	}
	if limit := r.flags.chosen.limit; limit > 0 && r.found == limit && r.flags.chosen.given() {
		fmt.Fprintf(r.env.stderr, "these were the newest %d; --limit 0 sends all\n", limit)
	}
	switch {
	case s.Sent() == 0:
		return cannot("", "replay: nothing could be sent")
	case s.Bad() > 0:
		return notSo()
	}
	return nil
}
