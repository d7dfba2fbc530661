package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/store"
)

func newCompact(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "compact",
		Short: "Make the tape's file small again, and erase what was deleted",
		Long: `Copies the tape into a fresh file, which then takes its place. Deleting makes
room in the file, but neither shrinks it nor erases the bytes: they stay in its
free pages until they are written over. In the fresh file they are not.

Nobody may use the tape meanwhile, so stop the agent first. As much room as the
records take is needed beside it. What the old file held may still be on the
disk itself: overwriting that is up to the file system and the device. Backups
that were made before hold what they held.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return e.compact(c) },
	}
}

func (e *env) compact(c *cobra.Command) error {
	path, err := e.dataPath()
	if err != nil {
		return err
	}
	client, err := inspect.Dial(c.Context(), path)
	if err == nil {
		client.Close()
		return cannot("stop it, compact, and start it again", "compact %s: its agent is running", path)
	}
	if !errors.Is(err, inspect.ErrNoAgent) {
		return cannot("", "compact: %w", err)
	}
	before, after, err := store.Compact(path, store.Options{Log: e.warn})
	if err != nil {
		return tapeError(path, err)
	}
	fmt.Fprintf(e.stdout, "%s: %s before, %s now\n", path, size(before), size(after))
	return nil
}
