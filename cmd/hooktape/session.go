package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/store"
)

func newSession(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "session",
		Short: "Start, stop, create, list and delete sessions",
		Long: `A session is a named set of records: those that came between start and stop,
inbound and outbound, or those selected afterwards with create. Several
sessions can capture at once, and a record can be in several. The records of a
session stay on the tape, with their answers and attempts, whatever their age.

To leave room for new records, all sessions together may keep half of the
tape's max_size: beyond that they stop capturing, and create is refused.`,
		Example: `  hooktape session start checkout
  hooktape session stop
  hooktape session create friday --since 2026-01-30 --until 2026-01-31 --source iiko
  hooktape list --session checkout`,
		Args: cobra.ArbitraryArgs,
		RunE: parentOnly,
	}
	c.AddCommand(newSessionStart(e), newSessionStop(e), newSessionCreate(e), newSessionList(e), newSessionDelete(e))
	return c
}

func newSessionStart(e *env) *cobra.Command {
	var (
		q      inspect.SessionChange
		asJSON bool
	)
	c := &cobra.Command{
		Use:   "start NAME",
		Short: "Capture every record from now on",
		Long: `Captures every record from now on, until session stop, also across restarts of
the agent; imported records are left out. With --force, an existing session of
this name is forgotten first, but its records stay; with --continue it is
continued.`,
		Args: oneSession,
		RunE: func(c *cobra.Command, args []string) error {
			if q.Force && q.Continue {
				return misused("", "--force and --continue exclude each other")
			}
			t, err := e.openTape(c.Context(), toMake)
			if err != nil {
				return err
			}
			defer t.Close()
			s, err := t.StartSession(c.Context(), args[0], q)
			if err != nil {
				return sessionError("start session", "--continue goes on with it, --force begins anew", err)
			}
			if asJSON {
				return e.printJSON(s)
			}
			fmt.Fprintln(e.stderr, startedSession(&s.Session, t.store == nil))
			return nil
		},
	}
	c.Flags().BoolVar(&q.Force, "force", false, "replace an existing session of this name")
	c.Flags().BoolVar(&q.Continue, "continue", false, "continue an existing session of this name")
	jsonFlag(c, &asJSON)
	return c
}

// startedSession says what a session does now.
func startedSession(s *inspect.Session, agent bool) string {
	text := "session " + s.Name + " captures" + behind(s.Records)
	if !agent {
		text += " when an agent runs: none does"
	}
	return text
}

func newSessionStop(e *env) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "stop [NAME]",
		Short: "Stop capturing a session",
		Long:  "Stops capturing a session. NAME can be left out if only one is capturing.",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return oneSession(c, args)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			t, err := e.openTape(c.Context(), toWrite)
			if err != nil {
				return err
			}
			defer t.Close()
			name := ""
			if len(args) == 1 {
				name = args[0]
			} else if name, err = onlyCapturing(c.Context(), t.Client); err != nil {
				return err
			}
			s, err := t.StopSession(c.Context(), name)
			if err != nil {
				return apiError("stop session", err)
			}
			return e.tellSession(s, asJSON)
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

// onlyCapturing is the capturing session, if there is exactly one.
func onlyCapturing(ctx context.Context, c *inspect.Client) (string, error) {
	var names []string
	for s, err := range c.Sessions(ctx) {
		if err != nil {
			return "", apiError("stop session", err)
		}
		if s.Capturing {
			names = append(names, s.Name)
		}
	}
	switch len(names) {
	case 0:
		return "", &failure{exitNotSo, errors.New("stop session: none is capturing"), "hooktape session list shows the sessions"}
	case 1:
		return names[0], nil
	}
	return "", misused("name one of them", "stop session: several are capturing: %s", strings.Join(names, ", "))
}

// tellSession says what a session contains.
func (e *env) tellSession(s inspect.ChangedSession, asJSON bool) error {
	if asJSON {
		return e.printJSON(s)
	}
	fmt.Fprintf(e.stderr, "session %s: %s, %s\n", s.Name, counted(int(s.Records), "record"), size(s.Bytes))
	return nil
}

func newSessionCreate(e *env) *cobra.Command {
	var (
		chosen filterFlags
		q      inspect.SessionChange
		asJSON bool
	)
	c := &cobra.Command{
		Use:   "create NAME ID... | --since TIME | --where EXPR | ...",
		Short: "Create a session from records on the tape",
		Long: `Creates a session from records on the tape: the named ones, or those that match
all given flags. With --force it replaces a session of this name, whose records
stay on the tape.`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return oneSession(c, args)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			q.Records = args[1:]
			if (len(q.Records) > 0) == chosen.given() {
				return misused("name records, or choose them with --since, --where and the like", "which records?")
			}
			filter, err := chosen.filter(e.now())
			if err != nil {
				return err
			}
			t, err := e.openTape(c.Context(), toWrite)
			if err != nil {
				return err
			}
			defer t.Close()
			s, err := t.CreateSession(c.Context(), args[0], filter, q)
			if err != nil {
				return sessionError("create session", "--force puts the new one in its place", err)
			}
			return e.tellSession(s, asJSON)
		},
	}
	chosen.add(c)
	c.Flags().BoolVar(&q.Force, "force", false, "replace an existing session of this name")
	jsonFlag(c, &asJSON)
	return c
}

// oneSession takes the name of a session.
func oneSession(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return misused("usage: "+c.UseLine(), "%s takes one name of a session, got %d", c.CommandPath(), len(args))
	}
	return nil
}

// sessionError is apiError for when the name may be taken: taken says what to do then.
func sessionError(doing, taken string, err error) error {
	if problem, ok := errors.AsType[*inspect.Problem](err); ok && problem.Kind == inspect.Taken {
		return misused(taken, "%s: %w", doing, err)
	}
	return apiError(doing, err)
}

func newSessionList(e *env) *cobra.Command {
	return newListing("List sessions, and how much of the tape they keep", e.openTape, e.listSessions)
}

func (e *env) listSessions(ctx context.Context, t *tape, asJSON bool) error {
	table := newTable(e.stdout, e.inkFor(e.stdout), "NAME", "CAPTURING", "RECORDS", "BYTES", "FIRST", "LAST")
	table.right = []int{2, 3}
	l := listing[inspect.Session]{table, sessionCells, asJSON, func(err error) error { return apiError("list sessions", err) }, "there is no session"}
	if n, err := l.print(e, t.Sessions(ctx)); n == 0 || err != nil || asJSON {
		return err
	}
	room, err := t.Room(ctx)
	if err != nil {
		return apiError("list sessions", err)
	}
	if room.Limit > 0 {
		fmt.Fprintf(e.stderr, "their records take %s of the %s that they may\n", size(room.Bytes), size(room.Limit))
	}
	return nil
}

func sessionCells(s inspect.Session) []cell {
	capturing := cell{text: "-"}
	switch {
	case s.Capturing:
		capturing = cell{"since " + s.Started.Local().Format(listTime), ink.green}
	case s.Full:
		capturing = cell{"full", ink.yellow}
	}
	return []cell{
		{text: s.Name}, capturing, {text: strconv.FormatInt(s.Records, 10)}, {text: size(s.Bytes)},
		{text: momentOf(s.First), paint: ink.dim}, {text: momentOf(s.Last), paint: ink.dim},
	}
}

// momentOf shows a time; a dash when there is none.
func momentOf(t inspect.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(listTime)
}

func newSessionDelete(e *env) *cobra.Command {
	var (
		q           inspect.SessionChange
		yes, asJSON bool
	)
	c := &cobra.Command{
		Use:   "delete NAME",
		Short: "Forget a session; its records stay unless --records is given",
		Long: `Forgets a session. Its records stay on the tape, as long as any others do. With
--records, those that are in no other session are deleted too, as by
hooktape delete.`,
		Args: oneSession,
		RunE: func(c *cobra.Command, args []string) error {
			if q.Take {
				if err := e.askToDelete("session "+clean(args[0])+" with its records", yes); err != nil {
					return err
				}
			}
			t, err := e.openTape(c.Context(), toWrite)
			if err != nil {
				return err
			}
			defer t.Close()
			s, err := t.DeleteSession(c.Context(), args[0], q)
			if err != nil {
				return apiError("delete session", err)
			}
			if asJSON {
				return e.printJSON(s)
			}
			return e.tellDeleted(s)
		},
	}
	c.Flags().BoolVar(&q.Take, "records", false, "also delete its records that are in no other session")
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	jsonFlag(c, &asJSON)
	return c
}

// tellDeleted says what became of a session and its records.
func (e *env) tellDeleted(s inspect.ChangedSession) error {
	if s.Deleted == nil {
		fmt.Fprintf(e.stderr, "session %s deleted, its records stay\n", s.Name)
		return nil
	}
	fmt.Fprintf(e.stderr, "session %s deleted, %s with it, %s", s.Name, counted(s.Deleted.Records, "record"), size(s.Deleted.Bytes))
	if other := int(s.Records) - s.Deleted.Records; other > 0 {
		fmt.Fprintf(e.stderr, "; %s in another session", count(other, "is", "are"))
	}
	fmt.Fprintln(e.stderr)
	if s.Deleted.Damaged != "" {
		fmt.Fprintf(e.stderr, "hooktape: not deleted: %s\n", cleanLines(s.Deleted.Damaged))
		return &failure{code: exitCannot, hint: "hooktape salvage copies what can be read"}
	}
	return nil
}

// capture makes the session that the flags name capture until stop, and reports all that do.
func (s *service) capture(log hclog.Logger) (stop func(), err error) {
	name := s.flags.session
	if name != "" {
		if err := s.tape.ResumeSession(name); err != nil {
			return nil, cannot("hooktape session list shows the sessions", "--session: %w", err)
		}
	}
	all, err := s.tape.Sessions()
	if err != nil {
		log.Warn("some sessions can't be read", "error", err)
	}
	for _, one := range all {
		if one.Capturing() {
			fmt.Fprintf(s.env.stdout, "capturing session %s%s\n", one.Name, behind(one.Records))
		}
	}
	return func() {
		if name == "" {
			return
		}
		err := s.tape.StopSession(name)
		switch {
		case err == nil:
			if one, err := s.tape.Session(name); err == nil {
				fmt.Fprintf(s.env.stdout, "session %s: %s, %s\n", name, counted(int(one.Records), "record"), size(one.Bytes))
			}
		case !errors.Is(err, store.ErrNotCapturing) && !errors.Is(err, store.ErrNotFound): // else somebody was faster
			log.Error("session could not be stopped and goes on at the next start", "session", name, "error", err)
		}
	}, nil
}

// behind says after how many records a session goes on.
func behind(records int64) string {
	if records == 0 {
		return ""
	}
	return ", after " + counted(int(records), "record")
}
