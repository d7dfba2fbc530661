package main

import (
	"context"
	"fmt"
	"iter"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/store"
)

func newSubscribe(e *env) *cobra.Command {
	return newSubscription(e, subscription{
		verb: "subscribe", short: "Make the subscriptions of a source at its provider",
		long: `Makes the subscriptions of a source at its provider, as defined by its
subscribe blocks in the config: at once, without waiting until a failed one is
due. The agent does so by itself when it starts and when the public URL
changes.

The calls and their responses are on the tape; hooktape source list shows the
state. The exit code is 1 if a call failed.`,
		do: (*inspect.Client).Subscribe,
	})
}

func newUnsubscribe(e *env) *cobra.Command {
	return newSubscription(e, subscription{
		verb: "unsubscribe", short: "Cancel the subscriptions of a source",
		long: `Cancels the subscriptions of a source at its provider. They stay cancelled,
across restarts too, until hooktape subscribe makes them again. Those of a
block that is no longer in the config can't be cancelled: they are forgotten.
The exit code is 1 if a call failed; it is retried.`,
		do: (*inspect.Client).Unsubscribe,
	})
}

// subscription is a command that changes the subscriptions of a source.
type subscription struct {
	verb, short, long string
	do                func(*inspect.Client, context.Context, string) iter.Seq2[store.Registration, error]
}

func newSubscription(e *env, s subscription) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   s.verb + " SOURCE",
		Short: s.short,
		Long:  s.long,
		Args:  oneName,
		RunE: func(c *cobra.Command, args []string) error {
			t, err := e.openSources(c.Context(), toMake)
			if err != nil {
				return err
			}
			defer t.Close()
			return e.subscribe(s.verb, s.do(t.Client, c.Context(), args[0]), asJSON)
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

func (e *env) subscribe(verb string, registrations iter.Seq2[store.Registration, error], asJSON bool) error {
	t := newTable(e.stdout, e.inkFor(e.stdout), registrationTitles...)
	t.long = len(registrationTitles) - 1
	failed := false
	for r, err := range registrations {
		if err != nil {
			return sourceError(verb, err)
		}
		failed = failed || r.State == store.Unregistered || r.State == store.Waiting
		if asJSON {
			err = e.printJSON(r)
		} else {
			err = t.add(registrationCells(r))
		}
		if err != nil {
			return err
		}
	}
	if !asJSON {
		if err := t.flush(); err != nil {
			return err
		}
	}
	if failed {
		return notSo()
	}
	return nil
}

var registrationTitles = []string{"SUBSCRIPTION", "STATE", "LAST CALL", "STATUS", "URL", "ERROR"}

func registrationCells(r store.Registration) []cell {
	status, called := "-", "-"
	if !r.Time.IsZero() {
		called = r.Time.Local().Format(listTime)
	}
	if r.Status != 0 {
		status = strconv.Itoa(r.Status)
	}
	return []cell{
		{text: r.Label()},
		{text: string(r.State), paint: paintRegistration(r.State)},
		{text: called, paint: ink.dim},
		{text: status},
		{text: orDash(r.URL)},
		{text: r.Error},
	}
}

func paintRegistration(state store.RegistrationState) func(ink, string) string {
	switch state {
	case store.Subscribed:
		return ink.green
	case store.Unregistered:
		return ink.red
	}
	return ink.yellow
}

// printRegistrations shows the subscriptions of sources below their list.
func (e *env) printRegistrations(sources []inspect.ListedSource) error {
	titles := append([]string{"SOURCE"}, registrationTitles...)
	t := newTable(e.stdout, e.inkFor(e.stdout), titles...)
	t.long = len(titles) - 1
	none := true
	for _, s := range sources {
		for _, r := range s.Subscriptions {
			none = false
			if err := t.add(append([]cell{{text: s.Name}}, registrationCells(r)...)); err != nil {
				return err
			}
		}
	}
	if none {
		return nil
	}
	fmt.Fprintln(e.stdout)
	return t.flush()
}
