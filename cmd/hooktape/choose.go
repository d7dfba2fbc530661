package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/store"
)

// filterFlags are the flags that choose records, the same in every command that has them.
type filterFlags struct {
	where, source string
	session       string
	verdicts      []string
	since, until  string
	limit         int
}

// defaultLimit is how many records a command takes unless told otherwise.
const defaultLimit = 50

func (f *filterFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.Var(filled{&f.where}, "where", `records that match this expression: 'method == "POST" && json.amount > 10'`)
	flags.Var(filled{&f.source}, "source", "records of this source")
	flags.Var(filled{&f.session}, "session", "records of this session")
	flags.StringSliceVar(&f.verdicts, "verdict", nil, "records with one of these verdicts: accepted, no_source, ...")
	flags.Var(filled{&f.since}, "since", "records from this time on: 1h, 2d, 2026-01-31, 2026-01-31T15:04:05Z")
	flags.Var(filled{&f.until}, "until", "records before this time, written like --since")
	completed(c, "verdict", verdictNames())
}

// filled is a text that is not empty. A variable that a script forgot to set would choose everything, send to a target that
// was not meant, or leave out what a response is judged by.
type filled struct{ text *string }

var errEmpty = errors.New("it is empty")

// emptyHint says how it comes to that.
const emptyHint = "perhaps a shell variable in the command is empty"

// Set implements pflag.Value.
func (f filled) Set(text string) error {
	if text == "" {
		return errEmpty
	}
	*f.text = text
	return nil
}

func (f filled) String() string { return *f.text }

// Type implements pflag.Value.
func (filled) Type() string { return "string" }

// completed lets the shell complete a flag's value.
func completed(c *cobra.Command, flag, values string) {
	// It fails only for a flag that does not exist.
	_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(strings.Split(values, ", "), cobra.ShellCompDirectiveNoFileComp))
}

func (f *filterFlags) addLimit(c *cobra.Command) {
	c.Flags().IntVarP(&f.limit, "limit", "n", defaultLimit, "at most this many, the newest; 0: all")
}

// given says whether any flag chooses.
func (f *filterFlags) given() bool {
	return f.where != "" || f.source != "" || f.session != "" || f.verdicts != nil || f.since != "" || f.until != ""
}

// filter reads the flags.
func (f *filterFlags) filter(now time.Time) (inspect.Filter, error) {
	since, err := moment("--since", f.since, now)
	if err != nil {
		return inspect.Filter{}, err
	}
	until, err := moment("--until", f.until, now)
	if err != nil {
		return inspect.Filter{}, err
	}
	if f.limit < 0 {
		return inspect.Filter{}, misused("0 means all", "--limit %d is less than 0", f.limit)
	}
	if f.verdicts != nil && len(f.verdicts) == 0 {
		return inspect.Filter{}, misused(emptyHint, "--verdict is empty")
	}
	chosen := inspect.Filter{Where: f.where, Source: f.source, Session: f.session, Since: since, Until: until}
	for _, name := range f.verdicts {
		verdict := store.Verdict(strings.TrimSpace(name))
		if !slices.Contains(verdicts, verdict) {
			hint := "verdicts: " + verdictNames()
			if near := expr.Nearest(string(verdict), strings.Split(verdictNames(), ", ")); near != "" {
				hint = "did you mean " + near + "?"
			}
			return chosen, misused(hint, "there is no verdict %q", name)
		}
		chosen.Verdicts = append(chosen.Verdicts, verdict)
	}
	return chosen, nil
}

var verdicts = []store.Verdict{
	store.Accepted, store.Handshake, store.Duplicate, store.Unauthorized, store.InvalidSignature, store.Unverified,
	store.AddressNotAllowed, store.InvalidBody, store.MethodNotAllowed, store.TooLarge, store.RateLimited,
	store.Unavailable, store.Disabled, store.NoSource, store.Malformed, store.Incomplete,
}

func verdictNames() string {
	names := make([]string, len(verdicts))
	for i, v := range verdicts {
		names[i] = string(v)
	}
	return strings.Join(names, ", ")
}

// momentLayouts are the ways to write a moment, in local time where they name no zone.
var momentLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly}

// moment reads a time, or a duration before now. "" is the zero time.
func moment(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := duration(text); err == nil {
		return now.Add(-ago), nil
	}
	for _, layout := range momentLayouts {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, misused("write 90m, 2d, 2026-01-31 or 2026-01-31T15:04:05Z", "%s %q is neither a duration nor a time", flag, text)
}

var errDuration = errors.New("not a duration from 0 up")

// duration is time.ParseDuration with days: "2d", "1d12h".
func duration(text string) (time.Duration, error) {
	const day, mostDays = 24 * time.Hour, 100000 // more would overflow
	var days time.Duration
	if before, rest, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.ParseFloat(before, 64)
		if err != nil || !(n >= 0 && n <= mostDays) {
			return 0, errDuration
		}
		if days = time.Duration(n * float64(day)); rest == "" {
			return days, nil
		}
		text = rest
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, errDuration
	}
	return days + d, nil
}

// someTime is the duration given to a flag; 0: none was.
func someTime(flag, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := config.ParseDuration(text)
	switch {
	case err != nil:
		return 0, misused("30s and 2m are durations", "%s %q is no duration", flag, text)
	case d <= 0:
		return 0, misused("30s and 2m are durations", "%s %q is not more than 0", flag, text)
	}
	return d, nil
}

func jsonFlag(c *cobra.Command, asJSON *bool) {
	c.Flags().BoolVar(asJSON, "json", false, "print one JSON object per line")
}

func revealFlag(c *cobra.Command, reveal *bool) {
	c.Flags().BoolVar(reveal, "reveal", false, "show secrets instead of masking them")
}

// printJSON prints v on one line. Control characters of every kind are
// escaped, so that the line does no harm on a terminal and is the same JSON.
func (e *env) printJSON(v any) error {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return err
	}
	_, err := e.stdout.Write(escapeJSON(b.Bytes()))
	return err
}

// escapeJSON escapes the harmful characters that encoding/json does not. They only
// occur in strings.
func escapeJSON(text []byte) []byte {
	if !bytes.ContainsFunc(text[:len(text)-1], harmful) {
		return text
	}
	out := make([]byte, 0, len(text)+16)
	for i, r := range string(text) {
		switch {
		case !harmful(r) || i == len(text)-1: // the last is the line's end
			out = utf8.AppendRune(out, r)
		case r > 0xffff:
			high, low := (r-0x10000)>>10+0xd800, (r-0x10000)&0x3ff+0xdc00
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}
