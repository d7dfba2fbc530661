package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/store"
)

func newSalvage(e *env) *cobra.Command {
	var to string
	c := &cobra.Command{
		Use:   "salvage FILE",
		Short: "Copy what can still be read from a damaged tape",
		Long: `Copies every record that can still be read from a damaged tape, with its
attempts and deliveries, to a new one. FILE is only read. Every value has a
checksum: what is copied is what was recorded. Intact pages are found even if
the pages that lead to them are damaged; this may bring back deleted records
that are not overwritten yet.

The new tape is a tape like any other: read it with --data, replay from it, or
start an agent on it to make its pending deliveries.`,
		Example: `  hooktape salvage hooktape.db.damaged-20260304T050607Z
  hooktape list --data hooktape.db.damaged-20260304T050607Z.salvaged`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return misused("usage: "+c.UseLine(), "%s takes the name of one file", c.CommandPath())
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if to == "" {
				to = args[0] + ".salvaged"
			}
			return e.salvage(args[0], to)
		},
	}
	c.Flags().StringVar(&to, "to", "", "the new tape (default FILE.salvaged)")
	return c
}

func (e *env) salvage(from, to string) error {
	if err := unused(from); err != nil {
		return err
	}
	done, err := store.Salvage(from, to, store.Options{})
	if errors.Is(err, os.ErrExist) {
		return misused("name another one with --to", "salvage: %s is there already", to)
	}
	if err != nil {
		return cannot("", "salvage: %w", err)
	}
	fmt.Fprintf(e.stdout, "%s: %s, %s, %s, %d of them pending\n", to, counted(done.Records, "record"),
		counted(done.Attempts, "attempt"), count(done.Deliveries, "delivery", "deliveries"), done.Pending)
	if done.Incomplete > 0 {
		fmt.Fprintf(e.stdout, "%s without some of the bytes\n", counted(done.Incomplete, "record"))
	}
	if done.Lost > 0 {
		fmt.Fprintf(e.stdout, "%s could not be read\n", count(done.Lost, "page or value", "pages or values"))
	}
	return nil
}

// unused makes sure that there is a tape, damaged or not, and that nobody has it open.
func unused(path string) error {
	s, err := store.Open(path, store.Options{ReadOnly: true})
	if err == nil {
		return s.Close()
	}
	if _, locked := errors.AsType[*store.LockedError](err); locked {
		return cannot("the agent need not stop: make a copy with hooktape backup FILE, and check that", "%w", err)
	}
	if errors.Is(err, store.ErrNoTape) || errors.Is(err, fs.ErrNotExist) {
		return tapeError(path, err)
	}
	return nil
}

// checkData reads every page and value of a tape.
func (e *env) checkData(path string) error {
	if err := unused(path); err != nil {
		return err
	}
	report, err := store.Verify(path)
	if err != nil {
		return tapeError(path, err)
	}
	for _, damage := range report.Damage {
		fmt.Fprintf(e.stdout, "%s\n", clean(damage.Error()))
	}
	if report.Damaged > 0 {
		fmt.Fprintf(e.stdout, "%s: damaged in %s, %s can be read, some perhaps in part\n", path, count(report.Damaged, "place", "places"),
			counted(int(report.Records), "record"))
		return &failure{code: exitNotSo, hint: "hooktape salvage copies what can be read"}
	}
	fmt.Fprintf(e.stdout, "%s: %s, %d of %s free, all right\n", path, counted(int(report.Records), "record"),
		report.Free, counted(int(report.Pages), "page"))
	return nil
}

// noteDamaged reports tapes that were set aside, so that nobody needs to read the log to know.
func (e *env) noteDamaged(path string) {
	aside, err := store.SetAside(path)
	if err != nil {
		return // only a note
	}
	for _, name := range aside {
		if _, err := os.Stat(name + ".salvaged"); err == nil {
			continue
		}
		fmt.Fprintf(e.stderr, "a damaged tape was set aside, hooktape salvage %s copies what can be read\n", clean(name))
	}
}
