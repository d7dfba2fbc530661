package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/inspect"
)

func newToken(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "token",
		Short: "Create, list and revoke the tokens that open tunnels",
		Long: `An agent with an edge block in its config is the public end of tunnels. Whoever
has a token can open the tunnel of that name with hooktape http --edge, and
gets the requests to NAME.DOMAIN and DOMAIN/t/NAME. The tape keeps only a hash
of each token.`,
		Args: cobra.ArbitraryArgs,
		RunE: parentOnly,
	}
	c.AddCommand(newTokenNew(e), newTokenList(e), newTokenRevoke(e))
	return c
}

func newTokenNew(e *env) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "new NAME",
		Short: "Create the token of a tunnel",
		Long: `Creates a token and prints it; it is not shown again. A running edge accepts it
at once. --json also prints its hash, in case you prefer to keep that in the
config: tunnel "NAME" { token_hash = "..." }.`,
		Example: `  hooktape token new alice > alice.token`,
		Args:    oneTunnel,
		RunE: func(c *cobra.Command, args []string) error {
			return e.newToken(c.Context(), args[0], asJSON)
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

// oneTunnel takes the name of a tunnel.
func oneTunnel(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return misused("usage: "+c.UseLine(), "%s takes one name of a tunnel, got %d", c.CommandPath(), len(args))
	}
	return nil
}

func (e *env) newToken(ctx context.Context, name string, asJSON bool) error {
	if err := config.CheckName(name); err != nil {
		return misused("", "token %q: %w", name, err)
	}
	t, err := e.openSources(ctx, toMake)
	if err != nil {
		return err
	}
	defer t.Close()
	token, err := t.NewToken(ctx, name)
	if err != nil {
		return tokenError("make token", err)
	}
	if asJSON {
		return e.printJSON(token)
	}
	fmt.Fprintln(e.stdout, token.Token)
	fmt.Fprintln(e.stderr, "the token is not shown again; its laptop gives it with --token-file or HOOKTAPE_TOKEN")
	return nil
}

func newTokenList(e *env) *cobra.Command {
	return newListing("List tokens, except those of the config, and which laptops are connected", e.openTape, e.listTokens)
}

func (e *env) listTokens(ctx context.Context, t *tape, asJSON bool) error {
	table := newTable(e.stdout, e.inkFor(e.stdout), "NAME", "CREATED", "LAPTOP", "WAITING", "HASH")
	table.right = []int{3}
	l := listing[inspect.Token]{table, tokenCells, asJSON, func(err error) error { return tokenError("list tokens", err) }, "no token was made yet"}
	_, err := l.print(e, t.Tokens(ctx))
	return err
}

func tokenCells(token inspect.Token) []cell {
	there, waiting := describeLaptop(token.Laptop)
	return []cell{
		{text: token.Name}, {text: token.Created.Local().Format(time.DateTime)}, {text: there}, {text: waiting}, {text: token.Hash},
	}
}

// describeLaptop says whether the laptop of a token is there, and how much waits for it. Only a running agent knows.
func describeLaptop(l *inspect.Laptop) (there, waiting string) {
	switch {
	case l == nil:
		return "-", "-"
	case l.Up:
		there = "from " + l.Remote
	case l.Seen.IsZero():
		there = "not yet"
	default:
		there = "away since " + l.Seen.Local().Format(time.DateTime)
	}
	return there, strconv.Itoa(l.Waiting)
}

func newTokenRevoke(e *env) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "revoke NAME",
		Short: "Revoke a token; the tunnel that it opened is cut at once",
		Args:  oneTunnel,
		RunE: func(c *cobra.Command, args []string) error {
			t, err := e.openTape(c.Context(), toWrite)
			if err != nil {
				return err
			}
			defer t.Close()
			token, err := t.RevokeToken(c.Context(), args[0])
			switch {
			case err != nil:
				return tokenError("revoke token", err)
			case asJSON:
				return e.printJSON(token)
			}
			fmt.Fprintf(e.stderr, "token %s revoked\n", token.Name)
			return nil
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

// tokenError gives a refusal of the control API its exit code and hint.
func tokenError(doing string, err error) error {
	failed := apiError(doing, err)
	if f, ok := failed.(*failure); ok && f.code == exitNotSo {
		f.hint = "hooktape token list shows the tokens; remove one of the config from the config"
	}
	return failed
}
