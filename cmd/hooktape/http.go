package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/relay"
	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/mask"
)

// How the agent of a laptop differs from that of a server: its app may stop at a breakpoint for minutes, and when it is
// back everybody looks at the screen.
const (
	laptopTimeout  = 5 * time.Minute
	laptopRetryMin = time.Second
	laptopRetryMax = 10 * time.Second
	laptopReserve  = 8 << 20 // bytes: there may be many such tapes
	laptopTape     = 1 << 30 // bytes: months of a developer's webhooks, and no surprise on the disk
)

func newHTTP(e *env) *cobra.Command {
	var flags agentFlags
	var sender senderFlags
	var uplink uplinkFlags
	var forward forwardFlags
	c := &cobra.Command{
		Use:   "http [PORT|URL]",
		Short: "Record webhooks and forward them to your app",
		Long: `Receives on a port of this machine, records every request byte for byte, and
forwards it to the app on PORT or at URL. The app's response is the sender's
answer. While the app is down, requests are kept and the sender gets 200 after
five seconds; the app gets them all when it is back.

Records are kept for 30 days, as long as the tape takes no more than 1 GiB;
those that the app has not got yet are kept longer.

With --provider and --secret-file it checks who requests are from: those that
fail are recorded, refused, and shown with the reason.

With --edge, requests also arrive through an agent on a public host, which
keeps them while this machine is away; the public address is printed once a
test request to it has come through. With --ssh, they also arrive through a
port of any OpenSSH server that you can log in to; it keeps nothing, and its
sshd_config says whether the port is public (GatewayPorts).

Without an argument, requests go to a small built-in app that echoes them.`,
		Example: `  hooktape http                        an echo app, to look around
  hooktape http 3000                   the app on this machine's port 3000
  hooktape http http://10.0.0.5:8080/hooks
  hooktape http 3000 --provider github --secret-file github.secret
  hooktape http 3000 --edge https://hooks.example.com --token-file alice.token
  hooktape http 3000 --ssh me@hooks.example.com`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return misused("usage: "+c.UseLine(), "%s takes one port or URL, got %d", c.CommandPath(), len(args))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := flags.check(); err != nil {
				return err
			}
			if err := sender.check(); err != nil {
				return err
			}
			if err := uplink.check(); err != nil {
				return err
			}
			if err := forward.check(uplink.edge); err != nil {
				return err
			}
			return e.http(c.Context(), &flags, &sender, &uplink, &forward, args)
		},
	}
	flags.register(c, "error")
	sender.register(c)
	uplink.register(c)
	forward.register(c)
	return c
}

// http runs the agent of a laptop.
func (e *env) http(ctx context.Context, flags *agentFlags, sender *senderFlags, uplink *uplinkFlags, forward *forwardFlags, args []string) error {
	data, err := e.dataPath()
	if err != nil {
		return err
	}
	var target *url.URL
	if len(args) == 1 {
		if target, err = appURL(args[0]); err != nil {
			return err
		}
	}
	app := "the app"
	if target == nil {
		echo, err := startEcho()
		if err != nil {
			return cannot("", "start the echo app: %w", err)
		}
		defer echo.close()
		target, app = echo.url, "the built-in echo app"
	}
	cfg := laptopConfig(target)
	flags.over(cfg)
	if err := sender.over(&cfg.Sources[0]); err != nil {
		return err
	}
	if cfg.Uplink, err = uplink.uplink(e); err != nil {
		return err
	}
	s := &service{env: e, flags: flags, cfg: cfg, data: data, reserve: laptopReserve, moveOn: true}
	if s.forward, err = forward.forward(e, flags.publicURL); err != nil {
		return err
	}
	screen := &screen{e.stdout, e.inkFor(e.stdout)}
	s.tell = screen.uplink
	if s.forward != nil {
		s.tell = screen.forward(s.forward)
	}
	l := &laptop{
		service: s, screen: screen, app: app, target: target, known: sender.given(),
		recognition: recognition{command: strings.Join(append([]string{"hooktape http"}, args...), " ")},
	}
	s.greet, s.show = l.greet, l.show
	if err := s.serve(ctx); err != nil {
		return err
	}
	return ctx.Err()
}

// laptop is what a developer at the terminal is told.
type laptop struct {
	*service
	screen      *screen
	recognition recognition
	app         string   // what it is called
	target      *url.URL // of the app
	known       bool     // the user said who sends
}

func (l *laptop) greet(at addresses) error {
	if config.LeadsTo(at.receiving, l.target) {
		return misused("give the port that your app listens on", "%s is where hooktape itself receives", l.target)
	}
	public := l.recognition.command + " --ssh you@your-server (or --edge, which loses nothing while you are away)"
	switch {
	case l.cfg.Uplink != nil:
		public = "printed here once a test request has come through " + l.cfg.Uplink.Edge.Redacted()
	case l.forward != nil:
		public = "printed here once a test request has come through " + l.forward.Server.Host
	}
	out := l.env.stdout
	fmt.Fprintf(out, "receiving on http://%s\n", at.receiving)
	fmt.Fprintf(out, "inspect on http://%s\n", at.inspecting)
	fmt.Fprintf(out, "passing to %s at %s\n", l.app, l.target)
	fmt.Fprintf(out, "tape %s\n\n", l.env.home(l.data))
	fmt.Fprintf(out, "try it:           curl -d '{\"hello\":\"tape\"}' http://%s/webhook\n", at.receiving)
	fmt.Fprintf(out, "a public address: %s\n", public)
	fmt.Fprintf(out, "to look closer:   hooktape show last, hooktape replay last\n\n")
	return nil
}

// show tells what happens, until ctx ends.
func (l *laptop) show(ctx context.Context, events <-chan relay.Event) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case event := <-events:
			l.screen.show(event)
			if hint := l.recognition.of(l.tape, event); hint != "" && !l.known {
				l.screen.note("%s", hint)
			}
		}
	}
}

// laptopConfig is the configuration of http: one source that accepts everything, one target that answers.
func laptopConfig(target *url.URL) *config.Config {
	cfg := config.Default()
	cfg.Retain.MaxSize = laptopTape
	t := config.DefaultTarget("app", target)
	t.Timeout = laptopTimeout
	t.Concurrency = 1 // in the order in which they came
	t.Retry.Min, t.Retry.Max = laptopRetryMin, laptopRetryMax
	s := config.DefaultSource("http", "/")
	s.Respond = config.RespondTarget
	s.Targets = []config.Target{t}
	cfg.Sources = []config.Source{s}
	return cfg
}

// appURL reads what the user calls the app: a port, host:port or a URL.
func appURL(arg string) (*url.URL, error) {
	const hint = "give a port or a URL, as in 3000 or http://127.0.0.1:3000/hooks"
	text := arg
	if _, err := strconv.Atoi(arg); err == nil {
		text = "http://localhost:" + arg
	} else if !strings.Contains(arg, "://") {
		if !strings.Contains(arg, ":") {
			return nil, misused(hint, "%q is neither a port nor a URL", arg)
		}
		text = "http://" + arg
	}
	shown := mask.Names(nil).Target(text)
	u, err := url.Parse(text)
	switch {
	case err != nil && strings.Contains(text, "@"): // the error may quote a password
		return nil, misused(hint, "%q is no URL", shown)
	case err != nil:
		if whole, ok := errors.AsType[*url.Error](err); ok {
			err = whole.Err // without the text
		}
		return nil, misused(hint, "%q is no URL: %w", shown, err)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, misused(hint, "%q: an app is reached by http or https, not %s", shown, u.Scheme)
	case u.Hostname() == "" || u.User != nil || u.Fragment != "":
		return nil, misused(hint, "%q is not the address of an app", shown)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, misused(hint, "%q: ports go from 1 to 65535", shown)
		}
	}
	return u, nil
}

// screen shows a developer what happens.
type screen struct {
	io.Writer
	ink ink
}

func (s *screen) show(event relay.Event) {
	if event.Lost > 0 {
		s.note("%s not shown, hooktape list shows them", counted(event.Lost, "request"))
	}
	switch event.Kind {
	case relay.Answered:
		line := lineOfStored(event.Record, nil)
		line.Kept = event.TookOver
		fmt.Fprint(s, s.ink.line(line, terminalWidth(s.Writer)))
		if r := event.Record; r.Verdict.Refused() && r.Count == 0 && r.Reason != "" { // that is what the developer looks for
			s.note("%s: %s", ending(r.ID), clean(r.Reason))
		}
	case relay.Away:
		s.note("%s can't be reached since %s, requests are kept for it", event.Target, event.Since.Local().Format(time.TimeOnly))
	case relay.Back:
		s.note("%s is back after %s, %d of %s delivered", event.Target, event.Away.Round(time.Second),
			event.Delivered, counted(event.Kept, "kept request"))
	}
}

// note prints a line that is not about one request.
func (s *screen) note(format string, args ...any) {
	fmt.Fprintln(s, s.ink.yellow(fmt.Sprintf(format, args...)))
}
