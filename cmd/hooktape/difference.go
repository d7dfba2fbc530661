package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/relay/mask"
	"github.com/hooktape/hooktape/replay"
)

// ruleFlags say what to ignore in a comparison, in every command that makes one.
type ruleFlags struct {
	ignore, text, unordered []string
	file                    string
}

func (f *ruleFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.StringArrayVar(&f.ignore, "ignore", nil, "do not compare this PATH: header.etag, json.meta.*, json.items[*].id, body; repeatable")
	flags.StringArrayVar(&f.text, "ignore-text", nil, "do not compare what this regular expression matches in bodies and header fields: '[0-9-]+T[0-9:.]+Z'; repeatable")
	flags.StringArrayVar(&f.unordered, "unordered", nil, "ignore the order of the array at this PATH: json.items; repeatable")
	flags.StringVar(&f.file, "ignore-file", "", "file of what not to compare, one rule per line: PATH, unordered PATH or text REGEXP (default: "+replay.IgnoreFile+" in the working directory, if it exists)")
}

// rules reads the flags and the file.
func (f *ruleFlags) rules(names mask.Names, reveal bool) (*replay.Rules, error) {
	rules := &replay.Rules{Names: names, Reveal: reveal}
	const hint = "a path is written as in expressions: header.x-request-id, json.items[*].id"
	for _, path := range f.ignore {
		if err := rules.Ignore(path); err != nil {
			return nil, misused(hint, "--ignore %w", err)
		}
	}
	for _, pattern := range f.text {
		if err := rules.IgnoreText(pattern); err != nil {
			return nil, misused("dates are '[0-9-]+T[0-9:.]+Z', as in package regexp of Go", "--ignore-text: %w", err)
		}
	}
	for _, path := range f.unordered {
		if err := rules.Unordered(path); err != nil {
			return nil, misused(hint, "--unordered %w", err)
		}
	}
	err := rules.ReadFile(cmp.Or(f.file, replay.IgnoreFile))
	_, unread := errors.AsType[*fs.PathError](err)
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist) && f.file == "":
		return rules, nil
	case unread:
		return nil, misused("", "%w", err)
	}
	return nil, misused(hint, "%w", err)
}

// difference says in one line how two messages differ.
func difference(i ink, d replay.Difference) string {
	if !d.Any() {
		return i.green("same")
	}
	parts := d.Line
	if d.Status {
		parts = append(parts, "status")
	}
	if len(d.Headers) > 0 {
		parts = append(parts, "headers ("+clean(strings.Join(d.Headers, ", "))+")")
	}
	if d.Body {
		parts = append(parts, "body")
	}
	return i.yellow("differs: " + strings.Join(parts, ", "))
}

// shortChange is how many columns a change on one line may have.
const shortChange = 100

// changes shows what differs: short changes one a line; of the others, what was
// there before, and below it what is there now.
func changes(i ink, indent string, d replay.Difference) string {
	var b strings.Builder
	for _, c := range d.Changes {
		then, now := shownValue(c.Then), shownValue(c.Now)
		line := fmt.Sprintf("%s%s  ", indent, clean(c.Where))
		if !strings.Contains(then+now, "\n") && width(line+then+now) <= shortChange {
			fmt.Fprintf(&b, "%s%s → %s\n", line, i.red(then), i.green(now))
			continue
		}
		fmt.Fprintf(&b, "%s%s\n", indent, clean(c.Where))
		if c.After != "" {
			fmt.Fprintf(&b, "%s    %s\n", indent, i.dim(clean(c.After)))
		}
		for _, side := range []struct {
			sign  string
			value *string
			paint func(string) string
		}{{"-", c.Then, i.red}, {"+", c.Now, i.green}} {
			if side.value == nil {
				continue
			}
			for line := range strings.SplitSeq(shownValue(side.value), "\n") {
				fmt.Fprintf(&b, "%s  %s\n", indent, side.paint(side.sign+" "+line))
			}
		}
	}
	if d.More > 0 {
		fmt.Fprintf(&b, "%sand %d more\n", indent, d.More)
	}
	return b.String()
}

// shownValue is one side of a change, fit for a terminal.
func shownValue(value *string) string {
	switch {
	case value == nil:
		return "nothing"
	case *value == "":
		return `""`
	}
	return cleanLines(*value)
}
