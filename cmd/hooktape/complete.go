package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/relay/inspect"
)

// named returns the names on a tape that a shell should offer. If that fails, nothing is offered: nobody reads errors
// while pressing TAB.
type named func(context.Context, *tape) []cobra.Completion

// complete lets shells complete the names of what is on the tape, and file names only where a file is wanted.
func (e *env) complete(root *cobra.Command) {
	arguments := map[string]named{
		"show": recordNames, "diff": recordNames, "verify": recordNames, "replay": recordNames,
		"recheck": recordNames, "delete": recordNames, "export": recordNames,
		"session start": sessionNames, "session stop": sessionNames, "session delete": sessionNames,
		"source enable": sourceNames, "source disable": sourceNames, "source delete": sourceNames,
		"deliveries list": recordNames, "deliveries retry": recordNames, "deliveries drop": recordNames,
		"subscribe": sourceNames, "unsubscribe": sourceNames,
		"token revoke": tokenNames,
	}
	files := []string{"backup", "import", "mock", "salvage", "verify"}
	flags := map[string]named{"session": sessionNames, "source": sourceNames}
	for _, c := range below(root) {
		_, path, _ := strings.Cut(c.CommandPath(), " ")
		if names, known := arguments[path]; known {
			c.ValidArgsFunction = e.offer(names, slices.Contains(files, path))
		} else if c.ValidArgsFunction == nil && !slices.Contains(files, path) {
			c.ValidArgsFunction = cobra.NoFileCompletions
		}
		for flag, names := range flags {
			if c.Flags().Lookup(flag) != nil {
				_ = c.RegisterFlagCompletionFunc(flag, e.offer(names, false)) // fails only for a flag that does not exist
			}
		}
	}
}

// below are all commands below c, except those that generate scripts for shells.
func below(c *cobra.Command) (all []*cobra.Command) {
	for _, sub := range c.Commands() {
		if sub.Name() != "completion" {
			all = append(append(all, sub), below(sub)...)
		}
	}
	return all
}

func (e *env) offer(names named, files bool) cobra.CompletionFunc {
	directive := cobra.ShellCompDirectiveNoFileComp
	if files {
		directive = cobra.ShellCompDirectiveDefault
	}
	return func(c *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		t, err := e.openTape(c.Context(), toRead)
		if err != nil {
			return nil, directive
		}
		defer t.Close()
		return names(c.Context(), t), directive | cobra.ShellCompDirectiveKeepOrder
	}
}

// recordNames are the newest records, the newest first.
func recordNames(ctx context.Context, t *tape) []cobra.Completion {
	const offered = 20 // a screen of them
	names := []cobra.Completion{"last"}
	for r, err := range t.Records(ctx, inspect.Query{Newest: true, Limit: offered}) {
		if err != nil {
			break
		}
		names = append(names, cobra.CompletionWithDesc(ending(r.ID), cut(clean(r.Method+" "+r.Path), longestCell)))
	}
	return names
}

func sessionNames(ctx context.Context, t *tape) (names []cobra.Completion) {
	for s, err := range t.Sessions(ctx) {
		if err == nil {
			names = append(names, s.Name)
		}
	}
	return names
}

func sourceNames(ctx context.Context, t *tape) (names []cobra.Completion) {
	for s, err := range t.ListSources(ctx) {
		if err == nil {
			names = append(names, s.Name)
		}
	}
	return names
}

func tokenNames(ctx context.Context, t *tape) (names []cobra.Completion) {
	for token, err := range t.Tokens(ctx) {
		if err == nil {
			names = append(names, token.Name)
		}
	}
	return names
}
