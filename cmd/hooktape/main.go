// Command hooktape is a tape recorder for webhooks: it receives them, records
// every request byte for byte before it answers, passes them on, and plays
// them back.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/hooktape/hooktape/replay"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks for an orderly end; a second one is not caught and ends at once.
	context.AfterFunc(ctx, stop)
	// When nobody reads a pipe, writing to it fails, and that must not end the process on the spot: there are reports to
	// write, and temporary files to remove.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole command: args are those after the program's name, the result is
// its exit code (DESIGN.md section 5). ctx ends when the user
// interrupts.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	e := &env{
		stdin: stdin, stdout: stdout, stderr: stderr,
		lookup: os.LookupEnv, getwd: os.Getwd, executable: os.Executable, now: time.Now, hangups: hangups,
		rarely: collectRarely,
	}
	return e.execute(ctx, args)
}

// hangups returns the SIGHUPs from now on, which tell services to read their configuration again. Commands that do not call
// it are ended by one.
func hangups() (signals <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 1) // one that waits says as much as many do
	signal.Notify(c, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}

// collectRarely makes garbage collection as rare as suits a command that goes through a tape, unless the user has set it.
// When much memory is in use, it is as frequent as ever.
func collectRarely() {
	const most = 512 << 20 // bytes: even where memory is scarce, as in CI, there is that much
	if os.Getenv("GOGC")+os.Getenv("GOMEMLIMIT") == "" {
		debug.SetGCPercent(replay.GCPercent)
		debug.SetMemoryLimit(most)
	}
}

// goesThroughTape is called by commands that handle record after record, and end after the last.
func (e *env) goesThroughTape() {
	if e.rarely != nil {
		e.rarely()
	}
}

// env is the outside world as a command sees it, and the flags that all
// commands share.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	lookup         func(string) (string, bool) // environment variables
	getwd          func() (string, error)
	executable     func() (string, error) // the path of this program
	now            func() time.Time
	hangups        func() (signals <-chan os.Signal, stop func())
	rarely         func() // makes garbage collection rarer; nil: nothing does

	data   string // --data, or HOOKTAPE_DATA
	name   string // --name
	config string // -c, --config

	started bool // a command has begun: a failure from now on is no mistake on the command line
}

// execute runs the command that args name.
func (e *env) execute(ctx context.Context, args []string) int {
	root := newRoot(e)
	root.SetArgs(args)
	return e.report(ctx, root.ExecuteContext(ctx))
}

// Exit codes, as DESIGN.md section 5 gives them.
const (
	exitDone        = 0
	exitNotSo       = 1   // the thing asked about is not so
	exitUsage       = 2   // usage or configuration
	exitCannot      = 3   // it could not be done
	exitInterrupted = 130 // 128 + SIGINT
	exitUnread      = 141 // 128 + SIGPIPE: nobody reads stdout any more
)

// failure is an error that knows its exit code and what the user can do about it.
type failure struct {
	code int
	err  error  // nil: all has been said, only the exit code is left
	hint string // "" when there is nothing to suggest
}

func (f *failure) Error() string {
	if f.err == nil {
		return fmt.Sprintf("exit %d", f.code)
	}
	return f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

// misused says that the command line or the configuration is wrong.
func misused(hint, format string, args ...any) error {
	return &failure{exitUsage, fmt.Errorf(format, args...), hint}
}

// cannot says that what was asked for could not be done.
func cannot(hint, format string, args ...any) error {
	return &failure{exitCannot, fmt.Errorf(format, args...), hint}
}

// notSo ends a command that has already printed why the answer is no.
func notSo() error { return &failure{code: exitNotSo} }

// report prints err in hooktape's voice and returns the exit code. An error without
// a code of its own counts as exitCannot; one caused by the user's interrupt is not
// reported.
func (e *env) report(ctx context.Context, err error) int {
	if err == nil {
		return exitDone
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	if e.unread(err) {
		return exitUnread
	}
	f, ok := errors.AsType[*failure](err)
	if !ok {
		f = &failure{code: exitCannot, err: err}
		if !e.started {
			f = &failure{exitUsage, err, "hooktape --help lists the commands"}
		}
	}
	if f.err != nil {
		fmt.Fprintf(e.stderr, "hooktape: %s\n", cleanLines(strings.TrimRight(err.Error(), "\n")))
	}
	if f.hint != "" {
		fmt.Fprintf(e.stderr, "hint: %s\n", cleanLines(f.hint))
	}
	return f.code
}

// unread says whether err means that nobody reads stdout any more, as with head: then nobody waits for a message either.
func (e *env) unread(err error) bool {
	at, failed := errors.AsType[*fs.PathError](err)
	out, isFile := e.stdout.(*os.File)
	return failed && isFile && at.Path == out.Name() && errors.Is(err, syscall.EPIPE)
}
