package expr

import (
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAPathIsReadAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := append([]string{"json"}, rapid.SliceOfN(rapid.OneOf(rapid.StringN(1, 9, -1), rapid.StringMatching(`[a-z$%{"\\.\[\]*0-9-]{1,6}`)), 0, 4).Draw(t, "names")...)
		for i, name := range names {
			names[i] = strings.Map(func(r rune) rune { // HCL normalizes what it reads
				if r > 0x7e {
					return 'x'
				}
				return r
			}, name)
		}
		text := FormatPath(names...)
		if got, err := ParsePath(text); err != nil || !slices.Equal(got, names) {
			t.Fatalf("%q is %s, and that is %q (%v)", names, text, got, err)
		}
	})
}

func TestPathsReadAsPeopleWriteThem(t *testing.T) {
	for want, names := range map[string][]string{
		"json.order.items[2].price": {"json", "order", "items", "2", "price"},
		`json["a b"].c`:             {"json", "a b", "c"},
		`json["01"]`:                {"json", "01"},
		"header.x-request-id":       {"header", "x-request-id"},
		"status":                    {"status"},
		"json[\"\uFFFD$${\"]":       {"json", "\xff\xff${"},
	} {
		if got := FormatPath(names...); got != want {
			t.Errorf("%q: %s, want %s", names, got, want)
		}
	}
}

func TestPatternsHaveStars(t *testing.T) {
	for src, want := range map[string][]string{
		"json.items[*].id":     {"json", "items", "*", "id"},
		"json.meta.*":          {"json", "meta", "*"},
		"json.*.time":          {"json", "*", "time"},
		"header.x-trace-*":     {"header", "x-trace-*"},
		`header["x-*"]`:        {"header", "x-*"},
		`json["a.*[b"].*_at.c`: {"json", "a.*[b", "*_at", "c"},
		"json.a[0].b":          {"json", "a", "0", "b"},
		"body":                 {"body"},
	} {
		if got, err := ParsePattern(src); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q (%v), want %q", src, got, err, want)
		}
	}
	for _, src := range []string{"", "*", "*.a", "json..a", "json.", "jsn.*", "json.a b*", "json[*", `json.a"*`, "json.items[*]]"} {
		if got, err := ParsePattern(src); err == nil {
			t.Errorf("%q is a pattern: %q", src, got)
		}
	}
}

// Names come from strangers: as tokens of HCL, of which each brace is one, a name takes a hundred times its size.
func TestALongNameTakesNoMoreMemoryThanAFewOfIt(t *testing.T) {
	name := strings.Repeat("(", 1<<20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	FormatPath("form", name)
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 16*uint64(len(name)) {
		t.Errorf("a name of %d bytes took %d", len(name), took)
	}
}
