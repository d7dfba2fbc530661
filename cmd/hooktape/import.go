package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/inspect"
)

func newImport(e *env) *cobra.Command {
	m := &importing{env: e, doing: "import"}
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Import the records of a tape file",
		Long: `Imports the records of a tape file, with their answers and attempts, as a
session: named by --session, else after the file. It reads WARC, compressed or
not, and HAR, from hooktape export and from other tools: their request and
response pairs become records, and replays are compared with the response. FILE
- is stdin.

Each record gets a new id and keeps its time; show prints its former id.
Nothing is delivered. Damaged parts of the file are reported with their place,
everything else is imported, and the exit code is 3.`,
		Example: `  hooktape import checkout.warc.gz
  hooktape import browser.har --session shop`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return misused("usage: "+c.UseLine(), "%s takes the name of one file", c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			e.goesThroughTape()
			return m.run(c.Context(), args[0])
		},
	}
	flags := c.Flags()
	flags.StringVar(&m.session, "session", "", "name of the session (default: the file's name)")
	flags.StringVar(&m.largest, "max-record", "", "the largest record to accept, such as 2GiB (default: 1GiB, and 64MiB of memory for one in HAR)")
	flags.BoolVar(&m.force, "force", false, "forget an existing session of this name first; its records stay")
	jsonFlag(c, &m.asJSON)
	return c
}

// importing is one call of import.
type importing struct {
	*env
	doing         string // "import"
	session       string
	force, asJSON bool
	largest       string // size of a record; "": the default for tape files
}

func (m *importing) run(ctx context.Context, path string) error {
	file, all, err := m.open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	t, err := m.openTape(ctx, toMake)
	if err != nil {
		return err
	}
	defer t.Close()
	done, err := m.read(ctx, t, path, file, all)
	if err != nil {
		return err
	}
	if err := m.print(done); err != nil {
		return err
	}
	if done.Damaged > 0 {
		return &failure{code: exitCannot, hint: m.hint(done)}
	}
	return nil
}

// hint says of a damaged file what was done with it.
func (m *importing) hint(done inspect.Imported) string {
	if done.Large > 0 {
		return "the rest of it was imported; --max-record SIZE takes larger records"
	}
	return "the rest of it was imported"
}

// read imports a file of all bytes onto the tape, and reports what is damaged.
func (m *importing) read(ctx context.Context, t *tape, path string, file io.Reader, all int64) (inspect.Imported, error) {
	largest, err := recordSize(m.largest)
	if err != nil {
		return inspect.Imported{}, err
	}
	progress := m.progress()
	read := &meter{Reader: file, tell: func(n int64) {
		progress.show(n, all, func() string { return size(n) })
	}}
	done, err := t.Import(ctx, read, inspect.ImportQuery{Session: m.session, Otherwise: sessionOfFile(path), Force: m.force, Largest: largest})
	progress.hide()
	if err != nil {
		return done, m.refused(path, err)
	}
	for _, damage := range done.Damage {
		fmt.Fprintf(m.stderr, "hooktape: damaged: %s\n", cleanLines(damage))
	}
	if more := done.Damaged - len(done.Damage); more > 0 {
		fmt.Fprintf(m.stderr, "hooktape: and %d more\n", more)
	}
	if done.Records == 0 {
		return done, cannot("", "%s %s: nothing in it can be imported", m.doing, path)
	}
	return done, nil
}

// recordSize reads --max-record; 0: it is not given.
func recordSize(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := config.ParseSize(text)
	switch {
	case err != nil:
		return 0, misused("", "--max-record %q: %w", text, err)
	case n <= 0:
		return 0, misused("", "--max-record %q takes nothing", text)
	}
	return n, nil
}

// open opens the file, and returns its size; 0 if that is not known.
func (m *importing) open(path string) (file io.ReadCloser, all int64, err error) {
	if path == "-" {
		return io.NopCloser(m.stdin), 0, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, cannot("hooktape export writes tape files", "%s: %w", m.doing, err)
	}
	switch info, err := f.Stat(); {
	case err != nil:
		f.Close()
		return nil, 0, cannot("", "%s: %w", m.doing, err)
	case info.IsDir():
		f.Close()
		return nil, 0, misused("name a file in it", "%s is a folder", path)
	default:
		return f, info.Size(), nil
	}
}

// meter reports how much was read.
type meter struct {
	io.Reader
	n    int64
	tell func(n int64)
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	m.n += int64(n)
	m.tell(m.n)
	return n, err
}

// refused says what to do when nothing was imported.
func (m *importing) refused(path string, err error) error {
	hint := "--force forgets the session that has the name; its records stay"
	if m.session == "" {
		hint = "--session NAME gives it another name, --force forgets the session that has it"
	}
	return sessionError(m.doing+" "+path, hint, err)
}

func (m *importing) print(done inspect.Imported) error {
	if m.asJSON {
		return m.printJSON(done)
	}
	text := fmt.Sprintf("session %s: %s, %s", clean(done.Session), counted(done.Records, "record"), size(done.Bytes))
	if done.Masked {
		text += ", masked"
	}
	if done.Alone > 0 {
		text += fmt.Sprintf("; %s without a request skipped", counted(done.Alone, "response"))
	}
	if done.Other > 0 {
		text += fmt.Sprintf("; %s skipped: %s", counted(done.Other, "other WARC record"), kinds(done.Kinds))
	}
	_, err := fmt.Fprintln(m.stdout, text)
	return err
}

// kinds says how many there are of each kind, the most frequent first.
func kinds(all map[string]int) string {
	names := slices.SortedFunc(maps.Keys(all), func(a, b string) int { return cmp.Or(cmp.Compare(all[b], all[a]), cmp.Compare(a, b)) })
	for i, name := range names {
		names[i] = fmt.Sprintf("%d %s", all[name], clean(name))
	}
	return strings.Join(names, ", ")
}
