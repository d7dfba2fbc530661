package main

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/semaphore"

	"github.com/hooktape/hooktape/relay/expr"
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
	edit     editFlags
	vary     varyFlags
	judge    judgeFlags
	sender   senderFlags // who signs
	file     string
	wait     string
	timeout  string
	to       string
	yes      bool
	noRecord bool
	resign   bool
	all      bool // also what was meant for no target
	junit    string
	quiet    bool // what is good is not printed
	asJSON   bool
	reveal   bool
}

const replayHelp = `Sends recorded requests again, to the targets of their source or to the URL
given with --to, and prints how the responses differ from the recorded ones:
from the response to the last attempt at the same target (with --to, at any
target) that was not a replay or was accepted with --accept. Records are sent
one after another, in order of arrival, as fast as possible, unless --speed,
--rate, --concurrency or --order-by says otherwise.

The path of URL replaces the source's path, as a target's does; if URL has no
path, the recorded one stays. Flags select among the accepted records unless
--verdict names others: all of them from a session or a tape file, otherwise
the newest 50 unless --limit is given. Each send is recorded as an attempt of
its record. Records of a tape file are named by the ids that they had where
they were recorded. From a session or a tape file, the app's own calls are left
out unless --source names their source, and --resign signs only the requests
for which there is a secret. Records that the config meant for no target, as
with deliver = false in an ack, are left out too, since the app never answered
them: --undelivered sends them, and so does naming them.

--set, --add and --unset change parts of the requests, and --vary sends each in
several variations. All changes are checked against all records before anything
is sent. Everything else stays byte for byte.

--ignore, --ignore-text, --unordered and the file hooktape.ignore exclude what
may differ. With --compare none nothing is compared: every response must be a
2xx, or meet --expect. --compare URL also sends to URL what each target gets,
rewritten by the config as for that target: URL stands for the target's url,
and its path replaces the target's path at the beginning of a rewritten path.

The exit code is 0 if every response was as recorded and as expected, 1 if one
was not or had none to be compared with, 3 if the first target could not be
reached, a tape file is damaged or no record was selected, and 130 if it was
interrupted. Reports are written in any case; in a GitHub Actions job, the job
summary gets one.`

func newReplay(e *env) *cobra.Command {
	var f replayFlags
	c := &cobra.Command{
		Use:   "replay ID... | --session NAME | --file FILE | --where EXPR | ...",
		Short: "Send recorded requests again",
		Long:  replayHelp,
		Example: `  hooktape replay last
  hooktape replay 8Q2F4K 8Q2F5M --to http://localhost:3000
  hooktape replay --source iiko --since 1h --limit 0
  hooktape replay --session checkout --speed 10 --max-gap 1s
  hooktape replay --file checkout.warc.gz --to http://localhost:3000 --wait 30s --junit replay.xml
  hooktape replay last --set json.order.id=17 --expect 'response.status == 200'
  hooktape replay last --vary variations.hcl --show 'length(response.json.data)'`,
		RunE: func(c *cobra.Command, args []string) error {
			e.goesThroughTape()
			if f.session() && !c.Flags().Changed("limit") {
				f.chosen.limit = 0 // a session is sent whole
			}
			files, err := newReportFiles(e, f.junit)
			if err != nil {
				return err
			}
			err = f.run(c.Context(), e, args, files)
			if failed := files.unsent(err); failed != nil {
				err = errors.Join(err, failed)
			}
			return err
		},
	}
	f.add(c)
	return c
}

func (f *replayFlags) add(c *cobra.Command) {
	f.chosen.add(c)
	f.chosen.addLimit(c)
	f.clock.add(c)
	f.edit.register(c)
	f.vary.add(c)
	f.judge.add(c)
	c.Flags().Var(filled{&f.file}, "file", "send the records of this tape FILE, without an agent")
	c.Flags().Var(filled{&f.to}, "to", "send to this URL instead of the source's targets")
	c.Flags().BoolVar(&f.yes, "yes", false, "send to a public address that the config does not name, without asking")
	c.Flags().BoolVar(&f.noRecord, "no-record", false, "do not record the attempts on the tape")
	c.Flags().BoolVar(&f.resign, "resign", false, "sign again, with the source's first secret, the current time and a fresh id")
	c.Flags().BoolVar(&f.all, "undelivered", false, "also send records that the config meant for no target")
	f.sender.registerSigning(c)
	c.Flags().StringVar(&f.wait, "wait", "", "wait at most this long for the app to come up: 30s")
	c.Flags().StringVar(&f.timeout, "timeout", "", "how long each response may take, to its last byte: 30s (default: the target's own timeout, or 5m with --to, for each wait, and 10m in all)")
	c.Flags().Var(filled{&f.junit}, "junit", "write a JUnit report for CI to this FILE, one test case per send")
	jsonFlag(c, &f.asJSON)
	revealFlag(c, &f.reveal)
	c.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "print only the sends that are not as they should be, and the summary")
}

// run replays, and tells of it in files.
func (f *replayFlags) run(ctx context.Context, e *env, args []string, files *reportFiles) error {
	r, err := f.replayer(e, args)
	if err != nil {
		return err
	}
	defer r.sender.Client.Close()
	t, err := r.openTape(ctx)
	if err != nil {
		return err
	}
	defer t.Close()
	r.tape, r.files = t.Client, files
	names, err := r.inFile(ctx, args)
	if err != nil {
		return err
	}
	return r.replay(ctx, names)
}

// session says whether all of a session or a tape file is to be sent.
func (f *replayFlags) session() bool { return f.chosen.session != "" || f.file != "" }

// check says what of the flags does not go together.
func (f *replayFlags) check(e *env, args []string) error {
	switch chosen := f.chosen.given(); {
	case len(args) == 0 && !chosen && f.file == "":
		return misused("hooktape replay last, or choose with --session, --file, --where, --source, --verdict, --since or --until", "which records?")
	case len(args) > 0 && chosen:
		return misused("give ids, or flags that choose", "ids and flags that choose exclude each other")
	case f.file != "" && f.chosen.session != "":
		return misused("give one of them", "--file and --session exclude each other")
	case f.file != "" && f.to == "" && e.config == "":
		return misused("say where to send with --to URL, or give a config file with targets with -c FILE", "--file has no targets")
	case f.sender.given() && !f.resign:
		return misused("add --resign", "--provider is for signing requests again, and --resign is not given")
	case f.quiet && f.vary.file != "":
		return misused("--vary prints a table of all requests", "--vary excludes --quiet")
	case f.noRecord && f.judge.accept:
		return misused("leave one of them out", "--accept puts responses on the tape, and --no-record does not")
	}
	return cmp.Or(f.sender.check(), f.mayAccept())
}

// replayer reads what replay was told.
func (f *replayFlags) replayer(e *env, args []string) (*replayer, error) {
	if err := f.check(e, args); err != nil {
		return nil, err
	}
	filter, err := f.chosen.filter(e.now())
	if err != nil {
		return nil, err
	}
	accepted := filter.Verdicts == nil
	whole := f.session() && f.chosen.limit == 0 // then what is left out can be counted
	if accepted && !whole {
		filter.Verdicts = []store.Verdict{store.Accepted}
	}
	options, err := f.clock.options()
	if err != nil {
		return nil, err
	}
	r := &replayer{
		env: e, flags: f, filter: filter, options: options, sender: replay.Sender{Client: new(wire.Client)},
		accepted: accepted, verdicts: make(map[store.Verdict]bool), many: len(args) != 1, named: len(args) > 0, all: int64(len(args)), began: e.now(), early: semaphore.NewWeighted(earlyBytes),
	}
	if r.wait, err = someTime("--wait", f.wait); err != nil {
		return nil, err
	}
	if r.timeout, err = someTime("--timeout", f.timeout); err != nil {
		return nil, err
	}
	if err := f.changes(r); err != nil {
		return nil, err
	}
	if r.judge, err = f.judge.judge(r.varied()); err != nil {
		return nil, err
	}
	r.targets = r.newAwaiting()
	if f.resign {
		if r.resign, err = r.resigning(); err != nil {
			return nil, err
		}
	}
	if f.to != "" {
		r.to, err = appURL(f.to)
	}
	return r, err
}

// changes reads what is changed of each request.
func (f *replayFlags) changes(r *replayer) error {
	edits, err := f.edit.edits()
	if err != nil {
		return err
	}
	if r.shown, err = f.vary.shown(); err != nil {
		return err
	}
	r.variations, err = f.vary.variations(r.env, edits)
	return err
}

// openTape opens the tape whose records are sent: the agent's, or that of a tape file.
func (r *replayer) openTape(ctx context.Context) (*tape, error) {
	if r.flags.file == "" {
		how := toWrite
		if r.flags.noRecord {
			how = toRead
		}
		t, err := r.env.openTape(ctx, how)
		if err == nil {
			if err = r.env.furnish(t); err != nil {
				err = errors.Join(err, t.Close())
			}
		}
		return t, err
	}
	t, of, err := r.env.openTapeFile(ctx, "replay", r.flags.file)
	if err != nil {
		return nil, err
	}
	r.filter.Session, r.damaged, r.tooLarge = of.Session, of.Damaged > 0, of.Large > 0
	if !r.named {
		r.all = int64(of.Records)
	}
	return t, nil
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
	judge   *judge
	many    bool // more than one record may be sent
	named   bool // records are named, and not chosen by flags
	began   time.Time

	accepted bool // of those that flags choose, only what was accepted is sent

	variations []variation  // in which each request is sent; one without a name where nothing is varied
	shown      []*expr.Expr // of each variation

	resign  resigning // nil: nothing is signed again
	wait    time.Duration
	timeout time.Duration // of each response; 0: the target's own
	targets *awaiting
	damaged bool // of a tape file not all could be read

	tooLarge bool // some of that only because it is larger than what is taken

	sources []inspect.Source

	unresolved error // why the name of a target leads nowhere, so that nothing is sent; nil: they all lead somewhere

	found int // records, so far
	left  leftOut

	verdicts map[store.Verdict]bool // of what was left out as not accepted

	passed  atomic.Int64        // records that were left out, in all loops
	all     int64               // records that are to be sent, as far as that is known; else 0
	reached atomic.Bool         // a target was
	early   *semaphore.Weighted // for the bytes of bodies that are made before they are sent

	unsigned atomic.Int64 // requests that nobody signs, so that they are sent as they were recorded

	reachedBeside atomic.Bool // what it is compared with was
	files         *reportFiles
	report        *reporter
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
	r.judge.shows(r.names, r.flags.reveal)
	if err := r.checkEdits(ctx, args); err != nil {
		return err
	}
	if err := r.lookAtSession(ctx); err != nil {
		return apiError("replay", err)
	}
	playing, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	r.report = newReporter(r, stop)
	if err = r.unresolved; err == nil {
		err = replay.Run(playing, r.shots(playing, args), r.options)
	}
	if failed := r.report.close(); failed != nil {
		err = failed
	}
	interrupted := ctx.Err() != nil // from here on it comes too late: the reports and the exit code say the same
	if interrupted {
		err = ctx.Err()
	}
	ended := cmp.Or(err, r.sum())
	if failed := r.report.finish(interrupted, ended); cmp.Or(err, failed) != nil {
		return cmp.Or(err, failed)
	}
	r.notes()
	return cmp.Or(r.rewriteFile(ctx), ended)
}

// shownURL is a URL as it is shown.
func (r *replayer) shownURL(u string) string {
	if r.flags.reveal {
		return u
	}
	return r.names.Target(u)
}
