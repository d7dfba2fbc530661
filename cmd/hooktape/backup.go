package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/store"
)

func newBackup(e *env) *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the tape, while the agent runs or not",
		Long: `Copies the whole tape to FILE, as it is at one moment: every record that was
acknowledged before is in it. FILE is a tape itself, for your eyes only (0600);
it gets its name when it is complete and on the disk.

It is a copy of the file: bytes of deleted records that compact has not erased
yet are in it too.`,
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
	c.Flags().BoolVar(&force, "force", false, "replace FILE if it is there")
	return c
}

func (e *env) backup(ctx context.Context, path string, force bool) error {
	t, err := e.openTape(ctx, toRead)
	if err != nil {
		return err
	}
	defer t.Close()
	switch there, err := os.Stat(path); {
	case err == nil && isTape(t.path, there):
		return misused("name another file", "%s is the tape itself", path)
	case err == nil && !force:
		return misused("--force replaces it", "%s is there already", path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return cannot("", "back up: %w", err)
	}
	from, err := t.Backup(ctx)
	if err != nil {
		return apiError("back up", err)
	}
	defer from.Close()
	n, err := writeWhole(path, from)
	if err != nil {
		return apiError("back up to "+path, err)
	}
	fmt.Fprintf(e.stdout, "%s: %s\n", path, size(n))
	return nil
}

func isTape(tape string, there fs.FileInfo) bool {
	info, err := os.Stat(tape)
	return err == nil && os.SameFile(info, there)
}

// writeWhole writes a tape to a file of a temporary name, makes sure that it is on the disk and can be read, and gives
// it its name.
func writeWhole(path string, from io.Reader) (n int64, err error) {
	temp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return 0, err
	}
	defer os.Remove(temp.Name())
	n, err = io.Copy(temp, from)
	if err := errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return n, err
	}
	copied, err := store.Open(temp.Name(), store.Options{ReadOnly: true})
	if err != nil {
		return n, err
	}
	if err := copied.Close(); err != nil {
		return n, err
	}
	return n, store.Rename(temp.Name(), path)
}
