package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hooktape/hooktape/relay/inspect"
)

// family shows the records that belong together with one as a tree: calls that an inbound record made the app make stand
// below it. Each has its time since the first, its answer, and how long that took.
func (s *shower) family(ctx context.Context, asJSON bool) error {
	t := newTable(s.env.stdout, s.env.inkFor(s.env.stdout), "AT", "ID", "SOURCE", "REQUEST", "STATUS", "TOOK", "STATE")
	t.right = []int{0, 4, 5}
	t.long = 3
	var first time.Time
	members := 0
	for m, err := range s.client.Family(ctx, s.name, s.reveal) {
		switch {
		case err != nil:
			return apiError("show", err)
		case asJSON:
			if err := s.env.printJSON(m); err != nil {
				return err
			}
			continue
		}
		if members++; members == 1 {
			first = m.Time.Time
		}
		if err := t.add(familyCells(&m, first)); err != nil {
			return err
		}
	}
	if asJSON {
		return nil
	}
	if err := t.flush(); err != nil {
		return err
	}
	if members == 1 {
		fmt.Fprintln(s.env.stderr, "no other record on the tape is linked to it")
	}
	return nil
}

func familyCells(m *inspect.Traced, first time.Time) []cell {
	l := lineOf(&m.Record)
	state := stateOf(&m.Record)
	about := state
	if m.RepeatOf != nil {
		about += fmt.Sprintf(", same as %s except for ids and times", ending(*m.RepeatOf))
	}
	if m.CauseBy == "time" {
		about += ", linked by time only"
	}
	since := "+" + milliseconds(m.Time.Sub(first))
	return []cell{
		{text: since, paint: ink.dim},
		{text: ending(l.ID)},
		{text: orDash(m.Source)},
		{text: strings.Repeat("  ", m.Depth) + strings.TrimSpace(l.Method+" "+l.Path)},
		{text: strings.TrimSpace(statusText(l.Status)), paint: func(i ink, s string) string { return i.status(l.Status, s) }},
		{text: l.took()},
		{text: about, paint: paintState(state)},
	}
}
