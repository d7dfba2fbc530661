package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/store"
)

func newBackup(e *env) *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the tape, with the agent running or not",
		Long: `Copies the whole tape to FILE, as it is at one moment: it contains every record
acknowledged before that. FILE is a tape itself, readable only by you (0600);
it gets its name once it is complete and on disk.

It is a copy of the file: the bytes of deleted records that hooktape compact
has not erased are in it too.`,
		Example: `  hooktape backup /backup/hooktape.db
  hooktape list --data /backup/hooktape.db`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return misused("usage: "+c.UseLine(), "%s takes the name of one file", c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return e.backup(c.Context(), args[0], force) },
	}
	c.Flags().BoolVar(&force, "force", false, "replace FILE if it exists")
	return c
}

func (e *env) backup(ctx context.Context, path string, force bool) error {
	t, err := e.openTape(ctx, toRead)
	if err != nil {
		return err
	}
	defer t.Close()
	file := newFile{doing: "back up", path: path, force: force}
	if err := file.check(t.path); err != nil {
		return err
	}
	from, err := t.Backup(ctx)
	if err != nil {
		return apiError("back up", err)
	}
	defer from.Close()
	var n int64
	err = file.write(func(temp *os.File) error {
		if n, err = copyTape(temp, from); err != nil {
			return apiError("back up to "+path, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "%s: %s\n", path, size(n))
	return nil
}

// copyTape copies a tape to a file, and makes sure that the copy can be read.
func copyTape(to *os.File, from io.Reader) (n int64, err error) {
	if n, err = io.Copy(to, from); err != nil {
		return n, err
	}
	copied, err := store.Open(to.Name(), store.Options{ReadOnly: true})
	if err != nil {
		return n, err
	}
	return n, copied.Close()
}
