package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/relay/mask"
	"github.com/hooktape/hooktape/store"
)

// ink colours text, or does not.
type ink bool

// inkFor says whether w shows colour: if it is a terminal, unless NO_COLOR is set
// (no-color.org).
func (e *env) inkFor(w io.Writer) ink {
	if off, _ := e.lookup("NO_COLOR"); off != "" || !isTerminal(w) {
		return false
	}
	kind, known := e.lookup("TERM")
	if runtime.GOOS == "windows" {
		_, modern := e.lookup("WT_SESSION") // the old console would print the codes
		return ink(modern || known)
	}
	return ink(kind != "dumb")
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// terminalWidth is how many columns w has; 0 when it is no terminal.
func terminalWidth(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			return width
		}
	}
	return 0
}

func (i ink) paint(code, text string) string {
	if !i || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (i ink) bold(text string) string   { return i.paint("1", text) }
func (i ink) dim(text string) string    { return i.paint("2", text) }
func (i ink) red(text string) string    { return i.paint("31", text) }
func (i ink) green(text string) string  { return i.paint("32", text) }
func (i ink) yellow(text string) string { return i.paint("33", text) }

// status colours text by the class of a status.
func (i ink) status(status int, text string) string {
	switch {
	case status >= 500 || status == 0:
		return i.red(text)
	case status >= 400:
		return i.yellow(text)
	case status >= 200 && status < 300:
		return i.green(text)
	}
	return text
}

// recordLine is what one line about a record shows.
type recordLine struct {
	Time         time.Time
	ID           store.ID
	Method, Path string // Path masked
	Verdict      store.Verdict
	Status       int // 0: not answered
	Duration     time.Duration
	Early        bool   // Duration does not include the commit
	Size         int64  // bytes of the body
	Kept         bool   // hooktape answered instead of the app, and delivers
	Count        int    // requests that a roll-up stands for; 0: it is about one
	Name         string // shown instead of the end of its id; "": neither is
}

func lineOf(r *inspect.Record) recordLine {
	l := recordLine{
		Time: r.Time.Time, ID: r.ID, Method: r.Method, Path: r.Path, Verdict: r.Verdict, Size: r.BodySize, Count: r.Count,
	}
	if r.Answer != nil {
		l.Status, l.Duration, l.Early = r.Answer.Status, r.Answer.Duration.Duration(), r.Answer.Early
	}
	return l
}

// lineOfStored is lineOf for a record as the agent has it, masking the secrets of these names.
func lineOfStored(r *store.Record, names mask.Names) recordLine {
	l := recordLine{
		Time: r.Time, ID: r.ID, Method: r.Method, Path: names.Target(r.Target), Verdict: r.Verdict, Size: r.BodySize, Count: r.Count,
	}
	if r.Answer != nil {
		l.Status, l.Duration, l.Early = r.Answer.Status, r.Answer.Duration, r.Answer.Early
	}
	return l
}

// line is the line that http and tail print for a record: time, method, path,
// status, time taken, size, and the end of its id. It ends with a newline. The
// path is cut to the columns of the terminal; 0: there is none.
func (i ink) line(l recordLine, columns int) string {
	const (
		theRest   = 54 // columns of all else but the remark
		leastPath = 12
	)
	pathWidth, longestPath := 36, 120
	if columns > 0 {
		longestPath = min(longestPath, max(leastPath, columns-theRest))
		pathWidth = min(pathWidth, longestPath)
	}
	var remark string
	name := l.Name
	if name == "" {
		name = i.dim(ending(l.ID))
	}
	switch {
	case l.Verdict.Refused(), l.Count > 0:
		remark = "  " + i.yellow(times(l.Verdict, l.Count))
	case l.Kept:
		remark = "  " + i.yellow("kept")
	}
	return fmt.Sprintf("%s  %s %s  %s  %s  %s  %s%s\n",
		i.dim(l.Time.Local().Format("15:04:05.000")),
		i.bold(pad(clean(orDash(l.Method)), 6)), pad(cut(clean(orDash(l.Path)), longestPath), pathWidth),
		i.status(l.Status, statusText(l.Status)),
		padLeft(l.took(), 8), padLeft(size(l.Size), 8),
		name, remark)
}

// times is the verdict of a record, with the number of requests if it is a roll-up.
func times(v store.Verdict, count int) string {
	if count == 0 {
		return string(v)
	}
	return fmt.Sprintf("%s ×%d", v, count)
}

func statusText(status int) string {
	if status == 0 {
		return "  -"
	}
	return strconv.Itoa(status)
}

// took is how long an answer took: a dash when there was none, a plus when a commit followed.
func (l *recordLine) took() string {
	switch {
	case l.Status == 0:
		return "-"
	case l.Early:
		return milliseconds(l.Duration) + "+"
	}
	return milliseconds(l.Duration)
}

// endingSize is how many letters of an id lists show.
const endingSize = 6

func ending(id store.ID) string {
	text := id.String()
	return text[len(text)-endingSize:]
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// milliseconds shows a duration to three digits or so.
func milliseconds(d time.Duration) string {
	ms := float64(d.Microseconds()) / 1000
	switch {
	case ms < 10:
		return strconv.FormatFloat(ms, 'f', 1, 64) + "ms"
	case ms < 10000:
		return strconv.FormatFloat(ms, 'f', 0, 64) + "ms"
	}
	return d.Round(100 * time.Millisecond).String()
}

// size shows a number of bytes.
func size(n int64) string {
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	value, unit := float64(n)/1024, 0
	for value >= 1024 && unit < len(sizeUnits)-1 {
		value, unit = value/1024, unit+1
	}
	return strconv.FormatFloat(value, 'f', 1, 64) + " " + sizeUnits[unit]
}

var sizeUnits = [...]string{"KiB", "MiB", "GiB", "TiB"}

// width counts the columns of cleaned text: its characters. Wide ones count as one,
// so columns may be out of line, but nothing worse.
func width(s string) int { return utf8.RuneCountInString(s) }

func pad(s string, columns int) string { return s + strings.Repeat(" ", max(0, columns-width(s))) }

func padLeft(s string, columns int) string {
	return strings.Repeat(" ", max(0, columns-width(s))) + s
}

// cut shortens s to the given columns, at least one.
func cut(s string, columns int) string {
	if width(s) <= columns {
		return s
	}
	return string([]rune(s)[:max(0, columns-1)]) + "…"
}

// clean makes text from strangers fit for a terminal on one line: whatever
// could move the cursor, colour, hide or reorder text is shown as an escape.
func clean(s string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case r < 0x80 && harmful(r):
			fmt.Fprintf(&b, `\x%02x`, r)
		case harmful(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

// cleanLines is clean for text of several lines, and keeps tabs too.
func cleanLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		cells := strings.Split(strings.TrimSuffix(line, "\r"), "\t")
		for j := range cells {
			cells[j] = clean(cells[j])
		}
		lines[i] = strings.Join(cells, "\t")
	}
	return strings.Join(lines, "\n")
}

func plain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// harmful says whether a character is a control: C0, DEL, C1 (of which 0x9b
// begins a sequence on some terminals), line and paragraph separators, and the
// format characters, among them those that turn the direction of text
// (trojansource.codes) and those without a width.
func harmful(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}
