package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/mask"
	"github.com/hooktape/hooktape/store"
)

// Miss says that a request was not recorded, and what was that is the most like it.
type Miss struct {
	Method     string `json:"method"`
	Path       string `json:"path"` // with its query, secrets masked
	Recordings int    `json:"recordings"`
	Nearest    []Near `json:"nearest"` // the best first, at most three; never nil
}

// Near is a recording that is like a request that was not recorded.
type Near struct {
	ID      string     `json:"id"`
	Time    time.Time  `json:"time"`
	Method  string     `json:"method"`
	Path    string     `json:"path"`
	Differs Difference `json:"differs"` // in the parts that are matched: then it was so, now it is not
}

// nearestTold is how many recordings a Miss names.
const nearestTold = 3

// Error says it in several lines.
func (m *Miss) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "no recording answers %s %s\n", m.Method, m.Path)
	if len(m.Nearest) == 0 {
		b.WriteString("the tape has no recording that answers\n")
		return b.String()
	}
	fmt.Fprintf(&b, "the nearest of %d:\n", m.Recordings)
	for _, near := range m.Nearest {
		fmt.Fprintf(&b, "  %s  %s %s\n", near.ID, near.Method, near.Path)
		b.WriteString(near.Differs.words("    "))
	}
	return b.String()
}

// words say what differs, a line each.
func (d Difference) words(indent string) string {
	var b strings.Builder
	for _, c := range d.Changes {
		fmt.Fprintf(&b, "%s%s: recorded %s, now %s\n", indent, c.Where, sayValue(c.Then), sayValue(c.Now))
	}
	if d.More > 0 {
		fmt.Fprintf(&b, "%sand %d more\n", indent, d.More)
	}
	return b.String()
}

func sayValue(value *string) string {
	switch {
	case value == nil:
		return "nothing"
	case *value == "":
		return `""`
	case strings.Contains(*value, "\n"):
		return fmt.Sprintf("%q", *value)
	}
	return *value
}

// wording is a miss as its sender wants it: JSON where that is asked for, else text.
func (m *Miss) wording(accept string) (contentType string, body []byte) {
	if strings.Contains(accept, "application/json") {
		var b bytes.Buffer
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(false)
		if encoder.Encode(struct {
			Error string `json:"error"`
			*Miss
		}{"no recording answers this request", m}) == nil {
			return "application/json", b.Bytes()
		}
	}
	return "text/plain; charset=utf-8", []byte(m.Error())
}

// miss describes a request that was not recorded. The error is the *Miss, unless the tape can't be read.
func (m *Mock) miss(r *Request, print []uint64) error {
	names, reveal := m.o.Rules.masking()
	m.mu.Lock()
	miss := &Miss{Method: r.Head.Method, Path: shownTarget(names, reveal, r.Head.Target), Recordings: len(m.ids), Nearest: []Near{}}
	nearest := m.index.nearest(print, lineOf(r), nearestTold)
	ids := make([]store.ID, len(nearest))
	for i, t := range nearest {
		ids[i] = m.ids[t.recordings[0]]
	}
	m.mu.Unlock()
	for i, t := range nearest {
		recording, err := m.tape.recording(ids[i])
		if err != nil {
			return err
		}
		then, err := Load(recording.Request.Open)
		if err != nil {
			return err
		}
		near := Near{ID: recording.ID, Time: recording.Time.Time, Method: recording.Method, Path: shownTarget(names, reveal, recording.Target)}
		if near.Differs, err = m.index.differs(then, r, t.print, print); err != nil {
			return err
		}
		miss.Nearest = append(miss.Nearest, near)
	}
	return miss
}

func shownTarget(names mask.Names, reveal bool, target string) string {
	if reveal {
		return target
	}
	return names.Target(target)
}

// differs says in which of the matched parts two requests differ. a and b are their prints.
func (m *Matching) differs(then, now *Request, a, b []uint64) (Difference, error) {
	found, err := CompareRequests(then, now, m.rules)
	if err != nil {
		return Difference{}, err
	}
	c := &comparison{m.within(found), m.rules}
	before, after := saying{Request: then}, saying{Request: now}
	for i, names := range m.parts {
		told := slices.ContainsFunc(c.Changes, func(one Change) bool { return covers(names, one.Where) })
		if a[i] == b[i] || told {
			continue
		}
		if err := errors.Join(before.look(m.rules), after.look(m.rules)); err != nil {
			return Difference{}, err
		}
		c.part(names, &before, &after)
	}
	return c.Difference, nil
}

// part adds a matched part of which the comparison of the whole requests says nothing: a field that it passes over, or a
// value in a body that it tells as a whole, as when one of them is JSON and the other is a form.
func (c *comparison) part(names []string, then, now *saying) {
	switch names[0] {
	case "header":
		c.Headers = append(c.Headers, names[1])
		value := func(of *saying) *string { return joined(c.shownFields(names[1], of.Head.Fields.Values(names[1]))) }
		c.change(words(expr.FormatPath(names...)), value(then), value(now))
	case "json":
		c.unlike(jsonPlace(path{names: names}), then.value(names[1:]), now.value(names[1:]))
	case "form":
		c.forms(then.form(), now.form(), func(at place, then, now *string) {
			if covers(names, at.where()) {
				c.unlike(at, then, now)
			}
		})
	case "body": // the same bytes, which were a form and now don't say so, or the other way round
		c.part([]string{"header", "content-type"}, then, now)
	}
}

// value is a value of the body; nil where there is none.
func (s *saying) value(names []string) *string {
	if s.tree == nil {
		return nil
	}
	n, ok := s.tree.find(names)
	if !ok {
		return nil
	}
	return text(compact(s.tree.raw(n)))
}

// within is a difference in those parts alone that are matched.
func (m *Matching) within(d Difference) Difference {
	d.Changes = slices.DeleteFunc(d.Changes, func(c Change) bool { return !m.covers(c.Where) })
	d.Line = slices.DeleteFunc(d.Line, func(part string) bool { return !m.touches(part) })
	d.Headers = slices.DeleteFunc(d.Headers, func(name string) bool { return !m.covers(expr.FormatPath("header", name)) })
	d.Body = d.Body && (m.touches("body") || m.touches("json") || m.touches("form"))
	return d
}

// touches says whether a part, or something in it, is matched.
func (m *Matching) touches(part string) bool {
	return slices.ContainsFunc(m.parts, func(names []string) bool { return names[0] == part })
}

// missOf is the Miss that an error is; nil when it is another one.
func missOf(err error) *Miss {
	miss, _ := errors.AsType[*Miss](err)
	return miss
}
