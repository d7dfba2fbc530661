package replay

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/mask"
)

const (
	mostChanges = 100
	// longestValue is how much of a value a change shows, in characters; of longer
	// ones the part where they begin to differ.
	longestValue = 200
	// shownBefore is how much of what is the same is shown in front of that.
	shownBefore = 30
)

// place is where a change is, as it is shown, and how what is secret there is
// masked.
type place struct {
	where func() string
	mask  func(names mask.Names, value string) string
}

// words is a place that says all itself.
func words(where string) place {
	return place{func() string { return where }, func(_ mask.Names, value string) string { return value }}
}

// formField is a field of a form or query; name is as it was sent, decoded.
func formField(p path, name string) place {
	return place{
		func() string { return expr.FormatPath(p.names...) },
		func(names mask.Names, value string) string {
			before := url.QueryEscape(name) + "="
			query := names.Target("/?" + before + url.QueryEscape(value))
			if masked, err := url.QueryUnescape(strings.TrimPrefix(query, "/?"+before)); err == nil {
				return masked
			}
			return value
		},
	}
}

// jsonPlace is a value of JSON.
func jsonPlace(p path) place {
	return place{
		func() string { return expr.FormatPath(p.names...) },
		func(names mask.Names, value string) string { return maskedJSON(names, p.names[1:], value) },
	}
}

// maskedJSON masks a value that stands below these keys.
func maskedJSON(names mask.Names, keys []string, value string) string {
	var before strings.Builder
	for _, key := range keys {
		quoted, err := json.Marshal(key)
		if err != nil {
			panic(err) // text always marshals
		}
		before.WriteString("{" + string(quoted) + ":")
	}
	behind := strings.Repeat("}", len(keys))
	masked := names.Body("application/json", []byte(before.String()+value+behind))
	return string(masked[before.Len() : len(masked)-len(behind)])
}

// change adds one thing that differs.
func (c *comparison) change(at place, then, now *string) { c.changeAfter("", at, then, now) }

func (c *comparison) changeAfter(line string, at place, then, now *string) {
	if len(c.Changes) == mostChanges {
		c.More++
		return
	}
	if names, reveal := c.rules.masking(); !reveal {
		then, now = masked(names, at, then), masked(names, at, now)
	}
	then, now = shortened(then, now)
	c.Changes = append(c.Changes, Change{at.where(), then, now, line})
}

func masked(names mask.Names, at place, value *string) *string {
	if value == nil {
		return nil
	}
	return text(at.mask(names, *value))
}

// shortened are two values as they are shown: of long ones the part where they
// begin to differ.
func shortened(then, now *string) (*string, *string) {
	from := 0
	if then != nil && now != nil && (len(*then) > longestValue || len(*now) > longestValue) {
		from = max(0, sameStart(*then, *now)-shownBefore)
	}
	return shorten(then, from), shorten(now, from)
}

// sameStart is how many bytes two texts begin with that are the same.
func sameStart(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// shorten is a value from a byte on, as it is shown.
func shorten(value *string, from int) *string {
	if value == nil {
		return nil
	}
	s, cut := *value, ""
	for from > 0 && from < len(s) && !utf8.RuneStart(s[from]) {
		from--
	}
	if from > 0 {
		s, cut = s[min(from, len(s)):], "…"
	}
	if end := longestValue * utf8.UTFMax; len(s) > end { // before its characters are counted
		s = s[:end]
	}
	if utf8.RuneCountInString(s) > longestValue {
		s = string([]rune(s)[:longestValue]) + "…"
	}
	return text(cut + s)
}

// compact is JSON without the space around its parts.
func compact(raw []byte) string {
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return string(raw)
	}
	return b.String()
}
