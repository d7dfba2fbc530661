package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/hooktape/hooktape/relay"
	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/relay/mask"
	"github.com/hooktape/hooktape/relay/tunnel"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// watching is how many events may wait until the terminal shows them.
const watching = 1024

// agentFlags are the flags that http and run share. They win over the configuration.
type agentFlags struct {
	listen, inspect, publicURL string
	logFormat, logLevel        string
	grace                      string
	session                    string

	chosen func(flag string) bool // whether a flag was given
}

func (f *agentFlags) register(c *cobra.Command, level string) {
	f.chosen = c.Flags().Changed
	c.Flags().StringVar(&f.listen, "listen", "", "host:port to receive on (default 127.0.0.1:7070)")
	c.Flags().StringVar(&f.inspect, "inspect", "", "host:port for health checks and metrics (default 127.0.0.1:7071)")
	c.Flags().StringVar(&f.publicURL, "public-url", "", "the URL that providers see")
	c.Flags().StringVar(&f.logFormat, "log-format", "text", "format of the log on stderr: text or json")
	c.Flags().StringVar(&f.logLevel, "log-level", level, "level of the log: debug, info, warn or error")
	c.Flags().StringVar(&f.session, "session", "", "session to capture to while it runs; an existing one is continued")
	completed(c, "log-format", "text, json")
	completed(c, "log-level", "debug, info, warn, error")
	c.Flags().StringVar(&f.grace, "grace", "10s", "time for requests under way to finish after a stop signal; a second signal ends at once")
}

// over overrides the configuration with the flags.
func (f *agentFlags) over(cfg *config.Config) {
	for flag, value := range map[*string]*string{&f.listen: &cfg.Listen, &f.inspect: &cfg.Inspect, &f.publicURL: &cfg.PublicURL} {
		if *flag != "" {
			*value = *flag
		}
	}
}

// check finds what is wrong with the flags.
func (f *agentFlags) check() error {
	for name, value := range map[string]string{"--listen": f.listen, "--inspect": f.inspect} {
		if _, _, err := net.SplitHostPort(value); value != "" && err != nil {
			return misused("give host and port, as in 127.0.0.1:7070", "%s %q: %w", name, value, err)
		}
	}
	if err := checkPublicURL(&f.publicURL); err != nil {
		return err
	}
	if f.logFormat != "text" && f.logFormat != "json" {
		return misused("", "--log-format %q: it is text or json", f.logFormat)
	}
	if hclog.LevelFromString(f.logLevel) == hclog.NoLevel {
		return misused("", "--log-level %q: it is debug, info, warn or error", f.logLevel)
	}
	if err := store.CheckSessionName(f.session); f.session != "" && err != nil {
		return misused("", "--session: %w", err)
	}
	if d, err := config.ParseDuration(f.grace); err != nil || d < 0 {
		return misused(`"10s" and "1m30s" are durations, "0s" waits for nothing`, "--grace %q is no duration", f.grace)
	}
	return nil
}

// checkPublicURL refuses a bad --public-url. "": not given.
func checkPublicURL(value *string) (err error) {
	if *value == "" {
		return nil
	}
	given := *value
	if *value, err = config.ParsePublicURL(given); err != nil {
		return misused("give it as in --public-url https://hooks.example.com", "--public-url %q %w", mask.Names(nil).Target(given), err)
	}
	return nil
}

// graceTime is the grace as relay takes it, where zero would mean a default.
func (f *agentFlags) graceTime() time.Duration {
	d, _ := config.ParseDuration(f.grace) // checked
	return max(d, 1)
}

// logger writes to stderr as the flags say.
func (f *agentFlags) logger(e *env) hclog.Logger {
	return f.loggerFrom(e, hclog.LevelFromString(f.logLevel))
}

func (f *agentFlags) loggerFrom(e *env, level hclog.Level) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{
		Name: "hooktape", Output: e.stderr, Level: level, JSONFormat: f.logFormat == "json", TimeFn: time.Now,
	})
}

// tapeLogger is for what happens to the tape: it was migrated, set aside, or the disk is full. It is the only way that the
// user of http learns of it, whose log shows only errors unless told otherwise.
func (f *agentFlags) tapeLogger(e *env) hclog.Logger {
	if f.chosen("log-level") {
		return f.logger(e)
	}
	return f.loggerFrom(e, min(hclog.LevelFromString(f.logLevel), hclog.Warn))
}

// serverReserve is how much of the disk an agent holds back: enough for hundreds of thousands of outcomes.
const serverReserve = 64 << 20

// service is one life of an agent with all that belongs to it:
//
//	listen, acme ► relay.Agent ──────► targets, and a CA
//	tunnel.Uplink ─►│  (http --ssh: tunnel.Forward)
//	                │  ▲    └─events─► show (http: the terminal)
//	                ▼  │ Apply
//	              store │ setup ◄── config.Watch (run)
//	                ▲   │   ▲ sources made at run time
//	                │ inspect.Server ◄── PATH.sock, the commands
//	inspect ──────► inspect.Health, with the metrics
//
// Each box is an actor: it runs until the context ends or, if it stands below the agent, until the agent has ended. serve
// waits for all of them.
type service struct {
	env     *env
	flags   *agentFlags
	cfg     *config.Config
	data    string
	tape    *store.Store                                                   // open while serve runs
	reserve int64                                                          // bytes of the disk to hold back for when it is full
	moveOn  bool                                                           // a default port that is taken, and that nobody asked for, is skipped
	greet   func(at addresses) error                                       // called once everything listens
	show    func(ctx context.Context, events <-chan relay.Event) error     // nil: nobody watches
	reload  func(ctx context.Context, log hclog.Logger, take *setup) error // nil: the configuration stays
	forward *tunnel.Forward                                                // the port of an SSH server; nil: there is none
	tell    func(tunnel.Change)                                            // of the uplink or the forward; nil: it is logged
}

// serve opens everything, runs until ctx ends, and closes everything.
func (s *service) serve(ctx context.Context) error {
	log := s.flags.logger(s.env)
	aboutTape := s.flags.tapeLogger(s.env)
	tape, err := store.Open(s.data, store.Options{
		Log: func(msg string, args ...any) { aboutTape.Warn(msg, args...) }, Retention: store.Retention(s.cfg.Retain),
		Reserve: s.reserve, SetAside: true,
	})
	if err != nil {
		return startError(s.data, err)
	}
	defer tape.Close()
	s.tape = tape
	doors, err := s.openDoors()
	if err != nil {
		return err
	}
	defer doors.close()
	if err := s.greet(doors.addresses()); err != nil {
		return err
	}
	stopCapture, err := s.capture(log)
	if err != nil {
		return err
	}
	defer stopCapture()
	setup := &setup{tape: tape, log: log, cfg: s.cfg, base: s.cfg.Scheme() + "://" + doors.receiving.Addr().String()}
	options := relay.Options{Store: tape, Log: log, Grace: s.flags.graceTime(), Plain: doors.plain, Renew: setup.Apply}
	way := s.way(setup, log)
	if way != nil {
		options.Uplink, options.UplinkConns = way.listener, way.conns
	}
	agent := relay.New(options, setup.merged())
	setup.agent = agent
	if err := setup.Apply(); err != nil {
		return cannot("", "write to %s: %w", s.data, err)
	}
	if inspectTLS(s.cfg) {
		doors.inspecting = tls.NewListener(doors.inspecting, agent.TLS())
	}
	return s.act(ctx, log, setup, doors, way)
}

// act runs the actors until all of them have ended.
func (s *service) act(ctx context.Context, log hclog.Logger, setup *setup, doors *doors, way *way) error {
	agent := setup.agent
	api := &inspect.Server{
		Store: s.tape, Tapes: tapeFiles{s.tape}, Agent: watched{agent}, Signer: agent, Rewriter: agent, Verifier: watched{agent}, Setup: setup,
		Subscriber: agent, Started: s.env.now(), Version: programVersion().Version,
	}
	g, ctx := errgroup.WithContext(ctx)
	looking, stopLooking := context.WithCancel(context.WithoutCancel(ctx)) // ends only when the agent has finished what was under way
	defer stopLooking()
	if s.show != nil {
		events, stop := agent.Watch(watching)
		defer stop()
		g.Go(func() error { return s.show(ctx, events) })
	}
	if s.reload != nil {
		g.Go(func() error { return s.reload(ctx, log, setup) })
	}
	if way != nil {
		g.Go(func() error { return way.run(looking) })
	}
	g.Go(func() error { return api.Serve(looking, doors.control) })
	g.Go(func() error { return inspect.ServeHealth(looking, doors.inspecting, agent.Ready, agent.Metrics()) })
	g.Go(func() error {
		defer stopLooking()
		return agent.Run(ctx, doors.receiving)
	})
	return g.Wait()
}

// way is how requests get here from a host that others can reach.
type way struct {
	listener net.Listener
	run      func(context.Context) error
	conns    int // connections at once; 0: as many as for other listeners
}

// way is the way through an edge or an SSH server; nil: there is none.
func (s *service) way(setup *setup, log hclog.Logger) *way {
	if f := s.forward; f != nil {
		f.Tell = publicly(setup, log, s.tell)
		return &way{listener: f, run: func(ctx context.Context) error { return forwardError(&f.Server, f.Run(ctx)) }, conns: tunnel.ChannelsMost}
	}
	cfg := s.cfg.Uplink
	if cfg == nil {
		return nil
	}
	tell := s.tell
	if tell == nil {
		tell = logUplink(log, cfg.Edge)
	}
	up := s.newUplink(cfg, publicly(setup, log, tell))
	return &way{listener: up, run: func(ctx context.Context) error { return uplinkError(cfg.Edge, up.Run(ctx)) }}
}

// startError says what to do about a tape that an agent can't start on.
func startError(path string, err error) error {
	for _, cause := range []error{fs.ErrPermission, fs.ErrNotExist, syscall.EROFS, syscall.ENOTDIR, syscall.EISDIR} {
		if errors.Is(err, cause) {
			return cannot("choose a place that you may write to with --data PATH", "open the tape: %w", err)
		}
	}
	return tapeError(path, err)
}

// watched lets the control API watch an agent.
type watched struct{ *relay.Agent }

// Verify implements inspect.Verifier.
func (w watched) Verify(source string, head *wire.RequestHead, body []byte, at time.Time, sawTLS bool) (inspect.Verified, error) {
	found, err := w.Agent.Verify(source, head, body, at, sawTLS)
	if err != nil {
		return inspect.Verified{}, err
	}
	return findingOf(found.Provider, found.Failure), nil
}

// Watch passes on the events about records; all others are for terminals.
func (w watched) Watch(buffer int) (<-chan inspect.Event, func()) {
	events, stop := w.Agent.Watch(buffer)
	out := make(chan inspect.Event)
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case e := <-events:
				if e.Kind != relay.Answered {
					continue
				}
				select {
				case out <- inspect.Event{Record: e.Record.ID, Lost: e.Lost}:
				case <-done:
					return
				}
			}
		}
	}()
	return out, func() { close(done); <-ended; stop() }
}

// Recheck passes on the result of judging a record again.
func (w watched) Recheck(id store.ID, dry bool) (inspect.Rejudged, error) {
	done, err := w.Agent.Recheck(id, dry)
	return inspect.Rejudged{
		Record: done.Record, Was: done.Was, Verdict: done.Verdict, Reason: done.Reason, Deliveries: done.Deliveries,
	}, err
}

// Laptop passes on what is known about the far end of a tunnel.
func (w watched) Laptop(tunnel string) *inspect.Laptop {
	l, ok := w.Agent.Laptop(tunnel)
	if !ok {
		return nil
	}
	return &inspect.Laptop{Up: l.Up, Remote: l.Remote, Seen: inspect.Time{Time: l.Seen}, Waiting: l.Waiting}
}

// home shortens a path for people.
func (e *env) home(path string) string {
	if home, ok := e.lookup("HOME"); ok && len(home) > 1 && len(path) > len(home) && path[:len(home)+1] == home+"/" {
		return "~" + path[len(home):]
	}
	return path
}

// counted is a number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
