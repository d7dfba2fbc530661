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
		Short: "Shrink the tape's file, and erase deleted records",
		Long: `Copies the tape to a fresh file, which then replaces it. Deleting records frees
space in the file, but neither shrinks it nor erases their bytes: these stay in
free pages until they are overwritten. The fresh file does not have them.

No agent or command may use the tape meanwhile, so stop the agent first. This
needs as much free disk space as the records take. The bytes of the old file
may remain on the disk: overwriting them is up to the file system and the
device. Earlier backups keep what they contain.`,
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
