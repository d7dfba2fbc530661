package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/hooktape/hooktape/store"
)

// hostile is text that takes over a terminal, in one way or another.
const hostile = "\x1b[2J\x07\r\b\x00\x7f\u009b31m\u202e\u200b\u2028\xff\xc2"

func TestCleanLeavesNothingThatATerminalObeys(t *testing.T) {
	for in, want := range map[string]string{
		"":                   "",
		"plain, Пётр, 注文, 🍕": "plain, Пётр, 注文, 🍕",
		"\x1b[31mred":        `\x1b[31mred`,
		"a\tb\nc\rd":         `a\x09b\x0ac\x0dd`,
		"\u009b31m":          `\u009b31m`,
		"evil\u202egpj":      `evil\u202egpj`,
		"cut \xc3":           `cut \xc3`,
		"\U000e0041":         `\ue0041`,
	} {
		if got := clean(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for name, got := range map[string]string{"clean": clean(hostile), "cleanLines": cleanLines(hostile), "cleanStream": cleanStream(hostile)} {
		if strings.ContainsFunc(got, harmful) || strings.ContainsRune(got, '\ufffd') {
			t.Errorf("%s lets through %q", name, got)
		}
	}
}

func TestCleanLinesKeepsLinesAndTabs(t *testing.T) {
	if got, want := cleanLines("a\tb\r\nc\x1b\nd"), "a\tb\nc\\x1b\nd"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestBytesForATerminalAreEscapedWhereverTheyAreCut(t *testing.T) {
	text := "Пётр\r\nnext\tcell\n" + hostile + "\nend\r"
	want := cleanStream(text)
	for name, r := range map[string]*bytes.Buffer{"at once": {}, "byte by byte": {}} {
		r.WriteString(text)
		var out bytes.Buffer
		reader := iotest.DataErrReader(r)
		if name == "byte by byte" {
			reader = iotest.OneByteReader(r)
		}
		changed, err := copySafely(&out, reader)
		if err != nil || !changed || out.String() != want {
			t.Errorf("%s: %q, want %q (%v %v)", name, out.String(), want, changed, err)
		}
	}
	var out bytes.Buffer
	if changed, err := copySafely(&out, strings.NewReader("fine\r\n\tПётр")); changed || err != nil || out.String() != "fine\r\n\tПётр" {
		t.Errorf("%q %v %v", out.String(), changed, err)
	}
}

func TestJSONIsTheSameButHarmless(t *testing.T) {
	in := "\x1b\u009b\u202e\U000e0041<&>Пётр"
	var out bytes.Buffer
	e := &env{stdout: &out}
	if err := e.printJSON(in); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsFunc(strings.TrimSuffix(out.String(), "\n"), harmful) {
		t.Errorf("harmful: %q", out.String())
	}
	var back string
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back != in {
		t.Errorf("%q, want %q (%v)", back, in, err)
	}
}

func TestALineAboutARecord(t *testing.T) {
	id := store.ID{15: 31}
	l := recordLine{Time: noon, ID: id, Method: "POST", Path: "/orders?n=1", Verdict: store.Accepted, Status: 200, Duration: 12345 * time.Microsecond, Size: 189}
	want := "12:00:00.123  POST   /orders?n=1                           200      12ms     189 B  00000Z\n"
	if got := ink(false).line(l, 0); got != want {
		t.Errorf("\n%q, want\n%q", got, want)
	}
	l.Verdict, l.Status, l.Method, l.Path = store.Malformed, 0, "", "/\x1b[2J"
	want = `12:00:00.123  -      /\x1b[2J                                -         -     189 B  00000Z  malformed` + "\n"
	if got := ink(false).line(l, 0); got != want {
		t.Errorf("\n%q, want\n%q", got, want)
	}
	if got := ink(true).line(l, 0); !strings.Contains(got, "\x1b[31m  -\x1b[0m") || strings.Contains(got, "\x1b[2J") {
		t.Errorf("colours: %q", got)
	}
}

func TestSizesAndDurations(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 30 << 20: "30.0 MiB", 5 << 40: "5.0 TiB", 1 << 60: "1048576.0 TiB"} {
		if got := size(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0.0ms", 1234 * time.Microsecond: "1.2ms", 456 * time.Millisecond: "456ms", 61 * time.Second: "1m1s",
	} {
		if got := milliseconds(d); got != want {
			t.Errorf("%d: %s, want %s", d, got, want)
		}
	}
}

func TestMoments(t *testing.T) {
	now := noon
	for text, want := range map[string]time.Time{
		"":                     {},
		"90m":                  now.Add(-90 * time.Minute),
		"2d":                   now.Add(-48 * time.Hour),
		"1d12h":                now.Add(-36 * time.Hour),
		"0.5d":                 now.Add(-12 * time.Hour),
		"2026-01-30":           time.Date(2026, 1, 30, 0, 0, 0, 0, time.Local),
		"2026-01-30 15:04":     time.Date(2026, 1, 30, 15, 4, 0, 0, time.Local),
		"2026-01-30T15:04:05Z": time.Date(2026, 1, 30, 15, 4, 5, 0, time.UTC),
	} {
		if got, err := moment("--since", text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %s, want %s (%v)", text, got, want, err)
		}
	}
	for _, text := range []string{"yesterday", "-1h", "-1d", "d", "NaNd", "1e9d", "5", "2026-13-01"} {
		if got, err := moment("--since", text, now); err == nil {
			t.Errorf("%q is taken: %s", text, got)
		}
	}
}

// A request path may have 60 KB: what follows it must still be found, and a line of http stays one line.
func TestWhatIsTooLongForATableIsCut(t *testing.T) {
	path := "/" + strings.Repeat("x", 1<<10)
	for columns, most := range map[int]int{0: mostLong + len("ID    GET"), 80: 80} {
		var b strings.Builder
		table := &table{out: &b, columns: columns, widths: make([]int, 3), long: 1}
		if err := errors.Join(table.add([]cell{{text: "ID"}, {text: path}, {text: "GET"}}), table.flush()); err != nil {
			t.Fatal(err)
		}
		cells := strings.Fields(b.String())
		if len(cells) != 3 || width(strings.TrimSpace(b.String())) > most || !strings.HasSuffix(cells[1], "…") || cells[2] != "GET" {
			t.Errorf("on %d columns: %q", columns, b.String())
		}
	}
	for columns, most := range map[int]int{0: 250, 80: 80 + len("\n"), 130: 130 + len("\n")} {
		if line := ink(false).line(recordLine{Time: noon, Method: "DELETE", Path: path}, columns); width(line) > most {
			t.Errorf("on %d columns a line has %d: %s", columns, width(line), line)
		}
	}
}

// 80 columns are what a terminal has unless somebody resizes it.
func TestATableLeavesOutWhatANarrowTerminalHasNoRoomFor(t *testing.T) {
	for columns, want := range map[int]string{
		0:  "TIME  PATH                  TOOK  SIZE\n12    /a-path-that-is-long  44ms  13 B\n",
		38: "TIME  PATH                  TOOK  SIZE\n12    /a-path-that-is-long  44ms  13 B\n",
		35: "TIME  PATH               TOOK  SIZE\n12    /a-path-that-is-…  44ms  13 B\n",
		30: "TIME  PATH                TOOK\n12    /a-path-that-is-l…  44ms\n",
		24: "TIME  PATH\n12    /a-path-that-is-l…\n",
		10: "TIME  PATH\n12    /a-path-that-is…\n",
	} {
		var b strings.Builder
		table := newTable(&b, false, "TIME", "PATH", "TOOK", "SIZE")
		table.columns, table.long, table.spare = columns, 1, []int{3, 2}
		err := table.add([]cell{{text: "12"}, {text: "/a-path-that-is-long"}, {text: "44ms"}, {text: "13 B"}})
		if err := errors.Join(err, table.flush()); err != nil || b.String() != want {
			t.Errorf("on %d columns, %v:\n%s\nwant\n%s", columns, err, b.String(), want)
		}
	}
}
