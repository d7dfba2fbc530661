package main

import (
	"fmt"
	"io"

	"github.com/hooktape/hooktape/relay"
	"github.com/hooktape/hooktape/relay/provider"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// recognition finds out who sends requests to a laptop that does not check them, and says once per sender how to check.
type recognition struct {
	command string // the one running, with its arguments
	told    map[string]bool
}

// of is what to say about the request of an event; "" when there is nothing new.
func (r *recognition) of(tape *store.Store, event relay.Event) string {
	if event.Kind != relay.Answered || event.Record.HeadSize == 0 {
		return ""
	}
	head, err := readHead(tape, event.Record.ID)
	if err != nil { // this is only a hint; trouble with the tape is reported elsewhere
		return ""
	}
	p := provider.Recognise(head)
	if p == nil || r.told[p.Name] {
		return ""
	}
	if r.told == nil {
		r.told = map[string]bool{}
	}
	r.told[p.Name] = true
	return fmt.Sprintf("this looks like %s; to check who it is from: %s %s", p.Title, r.command, flagsFor(p))
}

// readHead reads the head of a record from the tape: events come without it.
func readHead(tape *store.Store, id store.ID) (*wire.RequestHead, error) {
	rec, err := tape.Get(id)
	if err != nil {
		return nil, err
	}
	raw := tape.Open(rec.Raw)
	defer raw.Close()
	head, err := io.ReadAll(io.LimitReader(raw, int64(rec.HeadSize)))
	if err != nil {
		return nil, err
	}
	return wire.ParseRequestHead(head)
}
