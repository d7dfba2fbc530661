package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/mask"
	"github.com/hooktape/hooktape/relay/tunnel"
	"github.com/hooktape/hooktape/store"
)

// askAbove is how many waiting requests make us ask, on a terminal, what to do with them.
const askAbove = 100

// uplinkFlags say which edge makes http reachable.
type uplinkFlags struct {
	edge, tokenFile string
	sources         []string
	where           string
	backlog         string
	takeOver        bool
}

func (f *uplinkFlags) register(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.edge, "edge", "", "URL of an agent with an edge block, through which requests arrive")
	flags.StringVar(&f.tokenFile, "token-file", "", "file with the token that hooktape token new printed at the edge (HOOKTAPE_TOKEN)")
	flags.StringArrayVar(&f.sources, "source", nil, "also get copies of the requests to this source of the edge; repeatable")
	flags.Var(filled{&f.where}, "where", "get only copies that match this expression")
	flags.StringVar(&f.backlog, "backlog", "", "requests that waited at the edge: deliver, hold or drop them (default: deliver; above 100, a terminal asks)")
	flags.BoolVar(&f.takeOver, "take-over", false, "take the tunnel from another agent that has it")
	completed(c, "backlog", strings.Join(config.Backlogs, ", "))
}

// check finds what is wrong with the flags.
func (f *uplinkFlags) check() error {
	if f.edge == "" {
		for name, given := range map[string]bool{
			"token-file": f.tokenFile != "", "source": len(f.sources) > 0, "where": f.where != "", "backlog": f.backlog != "", "take-over": f.takeOver,
		} {
			if given {
				return misused("give the URL of the edge with --edge", "--%s needs the URL of an edge", name)
			}
		}
		return nil
	}
	if f.backlog != "" && !slices.Contains(config.Backlogs, f.backlog) {
		return misused("", "--backlog %q: it is %s", f.backlog, strings.Join(config.Backlogs, ", "))
	}
	for i, name := range f.sources {
		if slices.Contains(f.sources[:i], name) {
			return misused("", "--source %s is given twice", name)
		}
	}
	if f.where != "" && len(f.sources) == 0 {
		return misused("name it with --source", "--where filters the copies of a source of the edge, and no source is named")
	}
	if err := config.CheckWhere(f.where); f.where != "" && err != nil {
		return misused("", "--where: %w", err)
	}
	return nil
}

// uplink is what the flags say; nil: there is no edge.
func (f *uplinkFlags) uplink(e *env) (*config.Uplink, error) {
	if f.edge == "" {
		return nil, nil
	}
	const hint = "give it as in --edge https://hooks.example.com"
	at, err := url.Parse(f.edge)
	switch {
	case err != nil, at.Scheme != "https" && at.Scheme != "http" || at.Hostname() == "" || at.User != nil || at.RawQuery != "":
		return nil, misused(hint, "--edge %q is not the URL of an agent", mask.Names(nil).Target(f.edge))
	}
	token, given := e.lookup("HOOKTAPE_TOKEN")
	if f.tokenFile != "" {
		if token, err = secretIn(f.tokenFile, "--token-file"); err != nil {
			return nil, err
		}
	} else if !given || token == "" {
		return nil, misused("give it with --token-file FILE or HOOKTAPE_TOKEN; hooktape token new NAME makes it at the edge", "the edge requires a token")
	}
	up := &config.Uplink{Edge: at, Token: token, TakeOver: f.takeOver, Backlog: f.backlog}
	for _, name := range f.sources {
		up.Copies = append(up.Copies, store.Copy{Source: name, Where: f.where})
	}
	return up, nil
}

// newUplink makes the link that a configuration asks for; tell is told of its changes.
func (s *service) newUplink(cfg *config.Uplink, tell func(tunnel.Change)) *tunnel.Uplink {
	up := tunnel.NewUplink(tunnel.Dialer{URL: cfg.Edge, Token: cfg.Token})
	up.Hello.TakeOver, up.Hello.Version = cfg.TakeOver, programVersion().Version
	for _, c := range cfg.Copies {
		up.Hello.Copies = append(up.Hello.Copies, tunnel.Copy(c))
	}
	up.Choose = func(ctx context.Context, w tunnel.Welcome) (tunnel.Backlog, error) {
		if cfg.Backlog != "" {
			return tunnel.Backlog(cfg.Backlog), nil
		}
		if w.Waiting > askAbove && isTerminal(s.env.stdout) && s.env.canAsk() {
			return s.env.askBacklog(ctx, w.Waiting)
		}
		return tunnel.DeliverBacklog, nil
	}
	up.Tell = tell
	return up
}

// askBacklog asks the person at the terminal what to do with waiting requests.
func (e *env) askBacklog(ctx context.Context, waiting int) (tunnel.Backlog, error) {
	for in := bufio.NewReader(e.stdin); ; {
		fmt.Fprintf(e.stdout, "%s waited at the edge: deliver, hold or drop them? [deliver] ", counted(waiting, "request"))
		typed := make(chan string, 1)
		go func() { // a read from the terminal can't be interrupted: it ends with the program at the latest
			line, _ := in.ReadString('\n') // at the end of input, the answer is the default
			typed <- strings.ToLower(strings.TrimSpace(line))
		}()
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case line := <-typed:
			if choice, ok := backlogNamed(line); ok {
				return choice, nil
			}
		}
	}
}

// backlogNamed is the choice whose name begins with line; for an empty line, the first.
func backlogNamed(line string) (tunnel.Backlog, bool) {
	i := slices.IndexFunc(config.Backlogs, func(choice string) bool { return strings.HasPrefix(choice, line) })
	if i < 0 {
		return "", false
	}
	return tunnel.Backlog(config.Backlogs[i]), true
}

// uplinkError gives a refusal of the edge its exit code and hint.
func uplinkError(at *url.URL, err error) error {
	const doing = "tunnel through %s: %w"
	mismatch, isMismatch := errors.AsType[*tunnel.MismatchError](err)
	refused, isRefused := errors.AsType[*tunnel.RefusedError](err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, tunnel.ErrPlain):
		return misused("", doing, at, err)
	case errors.Is(err, tunnel.ErrToken):
		return cannot("hooktape token new NAME makes one at the edge; hooktape token list shows which there are", doing, at, err)
	case errors.Is(err, tunnel.ErrNoEdge):
		return cannot(`the agent there needs edge { domain = "hooks.example.com" } in its config`, doing, at, err)
	case isMismatch:
		return cannot("upgrade hooktape on "+mismatch.Upgrade(), doing, at, err)
	case isRefused && refused.Refusal == tunnel.Taken:
		return cannot("--take-over takes it from there", doing, at, err)
	case isRefused:
		return cannot("sources in this tunnel's block, in the config of the edge, lists what it may get copies of", doing, at, err)
	}
	return cannot("", doing, at, err)
}

// logUplink tells an operator of changes of the link.
func logUplink(log hclog.Logger, at *url.URL) func(tunnel.Change) {
	return func(c tunnel.Change) {
		switch {
		case c.URL != "":
			log.Info("requests come through the edge", "url", c.URL)
		case c.Unheard:
			log.Warn("no test request to a public url has arrived, still trying", "error", c.Err)
		case c.Up && c.First:
			log.Info("link to the edge is open", "edge", at.Redacted(), "tunnel", c.Welcome.Name, "waiting", c.Welcome.Waiting)
		case c.Up:
			log.Info("link to the edge is back", "edge", at.Redacted(), "away", c.Away.String(), "waiting", c.Welcome.Waiting)
		case c.First:
			log.Warn("no link to the edge yet, will try again", "edge", at.Redacted(), "error", c.Err)
		default:
			log.Warn("link to the edge is lost, will try again", "edge", at.Redacted(), "error", c.Err)
		}
	}
}

// uplink tells a developer of changes of the link.
func (s *screen) uplink(c tunnel.Change) {
	switch {
	case c.URL != "":
		fmt.Fprintln(s, s.ink.green("public address "+c.URL))
	case c.Unheard:
		s.note("no public address yet, still trying: %s", clean(c.Err.Error()))
	case c.Up && c.First && c.Welcome.Waiting == 0:
	case c.Up && c.First:
		s.note("%s waited at the edge", counted(c.Welcome.Waiting, "request"))
	case c.Up:
		s.note("the edge is back after %s, %s waited there", c.Away.Round(time.Second), counted(c.Welcome.Waiting, "request"))
	case c.First:
		s.note("no link to the edge yet, still trying: %s", clean(c.Err.Error()))
	default:
		s.note("the link to the edge has been down since %s, requests wait there: %s", time.Now().Format(time.TimeOnly), clean(c.Err.Error()))
	}
}

// publicly makes the URL that was found the base for sources and subscriptions.
func publicly(setup *setup, log hclog.Logger, tell func(tunnel.Change)) func(tunnel.Change) {
	var mu sync.Mutex // guards last, and is held while the configuration is applied: the newest must win
	last := ""
	return func(c tunnel.Change) {
		mu.Lock()
		defer mu.Unlock()
		if c.URL != "" && c.URL == last {
			return // told before
		}
		if c.URL != "" {
			last = c.URL
			if err := setup.reachedAt(c.URL); err != nil {
				log.Error("part of the config could not be applied to the new public url", "error", err)
			}
		}
		tell(c)
	}
}
