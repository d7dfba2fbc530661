package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hooktape/hooktape/relay/expr"
)

// newRoot is the tree of all commands. Each has a file of its own.
func newRoot(e *env) *cobra.Command {
	root := &cobra.Command{
		Use:   "hooktape",
		Short: "A tape recorder for webhooks",
		Long: `hooktape receives webhooks, records every request byte for byte before it
answers, forwards it to your app, and replays it when you need to debug.

Exit codes: 0 done, 1 a check failed, a replay differed or what was named is
not there, 2 wrong usage or configuration, 3 could not be done, 130
interrupted.`,
		Example: `  hooktape http 3000              record, and forward everything to the app on port 3000
  hooktape list                   the newest requests
  hooktape show last              the last request, exact to the byte
  hooktape replay last            send it again

A test for CI, from captured requests:
  hooktape http 3000 --session checkout
  hooktape export --session checkout --mask -o checkout.warc.gz
  hooktape replay --file checkout.warc.gz --to http://localhost:3000 --wait 30s`,
		Args:          cobra.ArbitraryArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          parentOnly,
	}
	root.SetIn(e.stdin)
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	root.SetFlagErrorFunc(flagError)

	f := root.PersistentFlags()
	f.StringVar(&e.data, "data", "", "path of the tape, a database file (HOOKTAPE_DATA)")
	f.StringVar(&e.name, "name", "", "use the tape NAME.db in the state directory (default: the working directory's)")
	f.StringVarP(&e.config, "config", "c", "", "config file; its data key names the tape")
	root.PersistentPreRunE = e.begin

	addGroup(root, "Receive", newHTTP(e), newRun(e), newCheck(e))
	addGroup(root, "Inspect", newList(e), newShow(e), newTail(e), newDiff(e), newVerify(e))
	addGroup(root, "Deliver", newDeliveries(e), newRecheck(e))
	addGroup(root, "Replay and test", newReplay(e), newTrigger(e), newMock(e), newSession(e), newExport(e), newImport(e))
	addGroup(root, "Sources and tunnels", newSource(e), newSubscribe(e), newUnsubscribe(e), newToken(e))
	addGroup(root, "Maintain the tape", newDelete(e), newBackup(e), newCompact(e), newSalvage(e), newSoakCommand(e))
	addGroup(root, "More", newVersion(e))
	root.SetHelpCommandGroupID("More")
	root.SetCompletionCommandGroupID("More")
	root.InitDefaultCompletionCmd()
	root.SetUsageFunc(wrappedUsage(root.UsageFunc(), terminalWidth(e.stdout)))
	e.complete(root)
	for _, c := range root.Commands() {
		switch c.Name() {
		case "http": // what other tools call it
			c.SuggestFor = append(c.SuggestFor, "listen", "forward", "serve", "start")
		case "check":
			c.SuggestFor = append(c.SuggestFor, "doctor", "validate")
		case "completion":
			c.Args, c.RunE = cobra.ArbitraryArgs, parentOnly
		}
	}
	return root
}

// begin is what happens before each command.
func (e *env) begin(c *cobra.Command, args []string) error {
	e.started = true
	if completing := c.Name() == cobra.ShellCompRequestCmd; !completing && slices.Contains(args, "") {
		return misused(emptyHint, "an argument is empty")
	}
	return nil
}

// wrappedUsage is the usage of a command with the lines of its flags wrapped; width 0: not at all. A usage template could do
// that too, but would pull all of text/template, and every exported method it might call, into the program.
func wrappedUsage(usual func(*cobra.Command) error, width int) func(*cobra.Command) error {
	return func(c *cobra.Command) error {
		out := c.OutOrStderr()
		var text strings.Builder
		c.SetOut(&text)
		err := usual(c)
		c.SetOut(out)
		usage := text.String()
		for _, flags := range []*pflag.FlagSet{c.LocalFlags(), c.InheritedFlags()} {
			usage = strings.Replace(usage, flags.FlagUsages(), flags.FlagUsagesWrapped(width), 1)
		}
		_, werr := io.WriteString(out, usage)
		return errors.Join(err, werr)
	}
}

// addGroup adds commands that the help shows together, under a title.
func addGroup(root *cobra.Command, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: title, Title: title + ":"})
	for _, c := range commands {
		c.GroupID = title
	}
	root.AddCommand(commands...)
}

// unknownCommand says which commands of parent may have been meant.
func unknownCommand(parent *cobra.Command, name string) error {
	path := parent.CommandPath()
	hint := path + " --help lists the commands"
	parent.SuggestionsMinimumDistance = 2 // letters
	switch near := parent.SuggestionsFor(name); {
	case len(near) > 0:
		hint = fmt.Sprintf("did you mean %s %s?", path, strings.Join(near, ", or "+path+" "))
	case slices.Contains([]string{"stats", "status", "metrics"}, name): // no command has these names
		hint = "curl http://127.0.0.1:7071/metrics gives the figures of an agent, hooktape deliveries list what waits"
	}
	return misused(hint, "unknown command %q", name)
}

// parentOnly is what a command does that only exists for its subcommands.
func parentOnly(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return unknownCommand(c, args[0])
	}
	return c.Help()
}

// flagError gives a wrong flag its exit code and a hint. If the command is unknown
// too, that is the greater mistake, and is named instead.
func flagError(c *cobra.Command, err error) error {
	if !c.HasParent() {
		for _, arg := range c.Flags().Args() {
			return unknownCommand(c, arg)
		}
	}
	hint := c.CommandPath() + " --help lists the flags"
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		if near := expr.Nearest(unknown.GetSpecifiedName(), flagNames(c)); near != "" {
			hint = "did you mean --" + near + "?"
		}
	}
	wrong, ok := errors.AsType[*pflag.InvalidValueError](err)
	switch {
	case ok && errors.Is(err, errEmpty):
		return misused(emptyHint, "--%s is empty", wrong.GetFlag().Name)
	case ok && errors.Is(err, strconv.ErrSyntax):
		what := "no whole number"
		if wrong.GetFlag().Value.Type() == "bool" {
			what = "neither true nor false"
		}
		return misused(hint, "--%s %q is %s", wrong.GetFlag().Name, wrong.GetValue(), what)
	}
	return misused(hint, "%w", err)
}

// flagNames are the flags that a command takes.
func flagNames(c *cobra.Command) (names []string) {
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return names
}

// noArguments refuses arguments and names the first.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return misused("usage: "+c.UseLine(), "%s takes no argument, got %q", c.CommandPath(), args[0])
}
