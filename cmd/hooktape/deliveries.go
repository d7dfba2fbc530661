package main

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/store"
)

func newDeliveries(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "deliveries",
		Short: "List, retry and drop deliveries",
		Long: `A delivery is the job of bringing one record to one target. It is pending until
it is delivered, failed, expired, dropped or orphaned (its target is no longer
in the config).`,
		Args: cobra.ArbitraryArgs,
		RunE: parentOnly,
	}
	c.AddCommand(newDeliveriesList(e), newDeliveriesRetry(e), newDeliveriesDrop(e))
	return c
}

// deliveryFlags are the flags that choose deliveries.
type deliveryFlags struct {
	session, where        string
	since, until          string
	source, target, state string
	all                   bool
	asJSON                bool
}

func (f *deliveryFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.Var(filled{&f.session}, "session", "deliveries of this session's records")
	flags.Var(filled{&f.where}, "where", `deliveries of records that match this expression: 'json.order == 515'`)
	flags.Var(filled{&f.since}, "since", "deliveries of records from this time on: 1h, 2d, 2026-01-31, 2026-01-31T15:04:05Z")
	flags.Var(filled{&f.until}, "until", "deliveries of records before this time, written like --since")
	flags.Var(filled{&f.source}, "source", "deliveries of this source")
	flags.Var(filled{&f.target}, "target", "deliveries to this target")
	flags.Var(filled{&f.state}, "state", "deliveries in this state: "+stateNames())
	completed(c, "state", stateNames())
	jsonFlag(c, &f.asJSON)
}

func stateNames() string {
	names := make([]string, len(worstFirst))
	for i, state := range worstFirst {
		names[i] = string(state)
	}
	return strings.Join(names, ", ")
}

func (f *deliveryFlags) given() bool {
	return f.session != "" || f.where != "" || f.since != "" || f.until != "" || f.source != "" || f.target != "" || f.state != ""
}

func (f *deliveryFlags) query(records []string, now time.Time) (inspect.DeliveryQuery, error) {
	if f.state != "" && !slices.Contains(worstFirst, store.State(f.state)) {
		return inspect.DeliveryQuery{}, misused("states: "+stateNames(), "there is no state %q", f.state)
	}
	if f.session != "" && len(records) > 0 {
		return inspect.DeliveryQuery{}, misused("", "records and --session exclude each other")
	}
	since, err := moment("--since", f.since, now)
	if err != nil {
		return inspect.DeliveryQuery{}, err
	}
	until, err := moment("--until", f.until, now)
	return inspect.DeliveryQuery{
		Records: records, Session: f.session, Where: f.where, Since: since, Until: until,
		Source: f.source, Target: f.target, State: store.State(f.state),
	}, err
}

func newDeliveriesList(e *env) *cobra.Command {
	var (
		f     deliveryFlags
		limit int
	)
	c := &cobra.Command{
		Use:   "list [ID...]",
		Short: "List the newest deliveries, the newest last",
		RunE: func(c *cobra.Command, args []string) error {
			q, err := f.query(args, e.now())
			if err != nil {
				return err
			}
			if q.Limit = limit; limit < 0 {
				return misused("0 means all", "--limit %d is less than 0", limit)
			}
			t, err := e.openTape(c.Context(), toRead)
			if err != nil {
				return err
			}
			defer t.Close()
			q.Newest = limit > 0 && len(args) == 0
			chosen := t.Deliveries(c.Context(), q)
			if q.Newest {
				chosen = backward(chosen)
			}
			_, err = e.printDeliveries("list deliveries", chosen, f.asJSON)
			return err
		},
	}
	f.add(c)
	c.Flags().IntVarP(&limit, "limit", "n", defaultLimit, "at most this many, the newest; 0: all")
	return c
}

func newDeliveriesRetry(e *env) *cobra.Command {
	return newDeliveriesChange(e, change{
		verb: "retry", short: "Make deliveries due now",
		long: `Makes deliveries due now. One that was given up starts over, with the target's
full time for retries. What was delivered is not sent again: use
hooktape replay for that. If no agent is running, the next one sends them.`,
		example: `  hooktape deliveries retry 8R4K2M
  hooktape deliveries retry --state failed --target app --since 2h`,
		did: "due now",
		do:  (*inspect.Client).RetryDeliveries,
	})
}

func newDeliveriesDrop(e *env) *cobra.Command {
	return newDeliveriesChange(e, change{
		verb: "drop", short: "Give up deliveries",
		long: "Gives up deliveries: they are marked dropped and not retried. The records stay.",
		example: `  hooktape deliveries drop 8R4K2M
  hooktape deliveries drop --state pending --where 'json.order == 515'`,
		did: "dropped",
		do:  (*inspect.Client).DropDeliveries,
	})
}

// change is a command that changes deliveries.
type change struct {
	verb, short, long, did string
	example                string
	do                     func(*inspect.Client, context.Context, inspect.DeliveryQuery) iter.Seq2[inspect.RecordDelivery, error]
}

func newDeliveriesChange(e *env, ch change) *cobra.Command {
	var f deliveryFlags
	c := &cobra.Command{
		Use:     ch.verb + " ID... | --where EXPR | --all",
		Short:   ch.short,
		Long:    ch.long,
		Example: ch.example,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 && !f.given() && !f.all {
				return misused("name records, choose with --state, --target, --since, --where and the like, or say --all", "which deliveries?")
			}
			q, err := f.query(args, e.now())
			if err != nil {
				return err
			}
			t, err := e.openTape(c.Context(), toWrite)
			if err != nil {
				return err
			}
			defer t.Close()
			n, err := e.printDeliveries(ch.verb+" deliveries", ch.do(t.Client, c.Context(), q), f.asJSON)
			if err == nil && n > 0 {
				fmt.Fprintf(e.stderr, "%s %s\n", count(n, "delivery", "deliveries"), ch.did)
			}
			return err
		},
	}
	f.add(c)
	c.Flags().BoolVar(&f.all, "all", false, "all deliveries for which this is possible")
	return c
}

func count(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + more
}

// printDeliveries prints deliveries and says how many there were.
func (e *env) printDeliveries(doing string, chosen iter.Seq2[inspect.RecordDelivery, error], asJSON bool) (n int, err error) {
	t := newTable(e.stdout, e.inkFor(e.stdout), "CREATED", "ID", "SOURCE", "TARGET", "STATE", "ATTEMPTS", "STATUS", "NEXT", "ERROR")
	t.right = []int{5, 6}
	t.long = 8
	t.spare = []int{6, 5, 2}
	l := listing[inspect.RecordDelivery]{t, e.deliveryCells, asJSON, func(err error) error { return apiError(doing, err) }, "no delivery matches"}
	return l.print(e, chosen)
}

func (e *env) deliveryCells(d inspect.RecordDelivery) []cell {
	state, problem := string(stateOfDelivery(&d.Delivery)), d.Error
	if problem == "" && d.Finding != "" {
		problem = "not " + d.Finding
	}
	return []cell{
		{text: d.Created.Local().Format(listTime), paint: ink.dim},
		{text: ending(d.Record)},
		{text: orDash(d.Source)},
		{text: orDash(d.Target)},
		{text: state, paint: paintState(state)},
		{text: strconv.Itoa(d.Attempts)},
		{text: strings.TrimSpace(statusText(d.Status)), paint: func(i ink, s string) string { return i.status(d.Status, s) }},
		{text: orDash(nextAttempt(&d.Delivery, e.now()))},
		{text: problem},
	}
}

// nextAttempt says when the next attempt will be made; "" when none will.
func nextAttempt(d *inspect.Delivery, now time.Time) string {
	switch {
	case d.Next.IsZero():
		return ""
	case d.Away:
		return "when it is back"
	}
	return until(d.Next.Sub(now))
}

// until says when something is to come.
func until(d time.Duration) string {
	if d <= 0 {
		return "now"
	}
	return "in " + d.Round(time.Second).String()
}
