// Package relay is the agent: it receives requests, records each before it answers, and brings it to its targets.
//
// A request goes through the files of this package in this order:
//
//	wire.Server ──► receive.go   reads it onto the tape, commits, answers
//	                  │ match.go     host and path → source                    pure
//	                  │ limit.go     rate
//	                  │ memory.go    its turn, where memory is short
//	                  │ check.go     address, method, size → verdict           pure
//	                  │ verify.go    handshake, signature → verdict
//	                  │ key.go       the secret that a provider hands out
//	                  │ ties.go      outbound: the record that made the app call
//	                  │ body.go      schema → verdict
//	                  │ answer.go    verdict, acks → the bytes of the answer   pure
//	                  ├─► edge.go    it asks for a tunnel: laptop.go keeps it
//	                  ├─► rollup.go  too many refused: counted, not recorded
//	                  ├─► status.go  a sender asks what became of a record
//	                  ├─► repeat.go  a duplicate: the answer of the first is the answer
//	                  ├─► pass.go    respond = "target": the app's response is the answer, in the order of line.go
//	                  └─► target.go  everything else: deliveries, one worker a target
//	                        │ send.go     one attempt over wire.Client
//	                        │ through.go  through a tunnel: as it came
//	                        │ rewrite.go  what it sends in the place of what was recorded
//	                        │ follow.go   asks for what a response only promises
//	                        │ retry.go    what an attempt made of a delivery   pure
//	                        │ breaker.go  whether the target can be reached    pure
//	                        └ backlog.go  what may wait for it, and how long
//
// refuse.go records what never became a request, secure.go has the certificates that senders see, plain.go answers the CA
// that gives them, stop.go tells what a stop waits for, watch.go those who look on, metrics.go, tally.go and gauges.go those who
// count.
package relay

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/time/rate"

	"github.com/hooktape/hooktape/relay/acme"
	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/mask"
	"github.com/hooktape/hooktape/relay/tunnel"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// defaultGrace is how long exchanges and attempts under way may take to end when the agent is stopped.
const defaultGrace = 10 * time.Second

// idleConns is how many idle connections to a target are kept: as many as the server takes, since with respond = "target"
// each sender's connection has one behind it. With fewer they would be closed and dialed anew at every burst.
const idleConns = 1024

// Options are what an Agent needs of the outside world.
type Options struct {
	Store  *store.Store      // required; the agent neither opens nor closes it
	Log    hclog.Logger      // nil: nothing is logged
	Client *wire.Client      // sends to targets; nil: a wire.Client with its defaults
	Now    func() time.Time  // nil: time.Now
	Jitter func() float64    // in [0, 1), spreads retries; nil: math/rand/v2
	Keys   http.RoundTripper // reaches providers that hand out keys; nil: net/http's, to public addresses
	CA     http.RoundTripper // reaches the CA that gives certificates; nil: net/http's
	Grace  time.Duration     // for what is under way when the agent stops; zero: 10s

	// Tunnels says how soon a laptop that gives no sign of life is taken to have gone. Zero: the defaults.
	Tunnels tunnel.Timing
	// Uplink gives the streams of a tunnel that the agent has opened to an edge, or the channels of a port that an SSH
	// server forwards to it, as the package tunnel has them. Nil: none.
	Uplink net.Listener
	// UplinkConns is how many of them may be open at once; zero: as many as connections of the listeners.
	UplinkConns int
	// Plain gives connections over which the CA asks by HTTP who answers for a name. Nil: it can ask over TLS alone.
	Plain net.Listener
	// Renew applies the configuration again, with what is on the tape beside it: a laptop has asked for copies. Nil: they
	// come with the next Apply.
	Renew func() error
}

// Agent records what its listeners receive and delivers it. It owns every goroutine it starts and has ended them all
// when Run returns. Its methods may be called from any goroutine.
type Agent struct {
	store  *store.Store
	log    hclog.Logger
	client *wire.Client
	now    func() time.Time
	jitter func() float64
	grace  time.Duration

	routes  atomic.Pointer[routes] // what requests are matched against
	cfg     atomic.Pointer[config.Config]
	server  *wire.Server
	inner   *wire.Server // of what comes through the uplink, where no TLS is spoken any more
	uplink  net.Listener // nil: there is none
	asked   *wire.Server // of what comes over plain HTTP where TLS is spoken
	plain   net.Listener // for it; nil: there is none
	edge    edge
	tunnels tunnel.Timing
	renew   func() error // nil: nothing is done
	watch   hub
	outage  outage
	telling telling
	orphans orphans
	rollups *rollups
	line    line
	ties    ties
	memory  atomic.Pointer[budget] // of requests under way
	sending sync.WaitGroup         // workers, and those who wait for attempts
	hands   hands                  // make attempts

	exchanges atomic.Int64 // requests that have no answer yet

	certificate atomic.Pointer[tls.Certificate] // of files, that senders see; nil: there are none
	keeper      *acme.Keeper                    // of certificates that a CA gives
	mask        atomic.Pointer[mask.Names]      // what logs and reasons hide beside the defaults
	metrics     *metrics
	complaints  complaints

	subscriber *subscriber
	keys       *fetcher      // of providers
	newKeys    chan struct{} // one place: there may be a key to ask for
	explaining *rate.Limiter // how often it is asked why a signature is wrong

	failures sync.Map      // what was warned of, so that it is only once
	stopping chan struct{} // closed when the agent begins to stop

	ctx  context.Context // of attempts: ends when the grace is over
	stop context.CancelFunc

	// mu guards what follows. It is held while a configuration is applied, never during I/O.
	mu       sync.Mutex
	targets  map[targetKey]*target
	limiters map[string]*limiter   // by source, so that a reload gives nobody a fresh start
	left     map[targetKey]*target // not in the configuration any more: their last attempts may be under way
	running  context.Context       // of workers; nil until Run and after it
}

// New makes an agent for a configuration that config.Load has found right. It does nothing until Run.
func New(o Options, cfg *config.Config) *Agent {
	a := &Agent{
		store: o.Store, log: o.Log, client: o.Client, now: o.Now, jitter: o.Jitter, grace: o.Grace, uplink: o.Uplink, plain: o.Plain,
		renew: o.Renew, tunnels: o.Tunnels,
		targets: make(map[targetKey]*target), left: make(map[targetKey]*target), stopping: make(chan struct{}),
		explaining: rate.NewLimiter(explainRate, explainBurst),
		subscriber: newSubscriber(),
		newKeys:    make(chan struct{}, 1),
		outage:     outage{begun: make(chan struct{}, 1)},
		orphans:    orphans{wake: make(chan struct{}, 1)}, rollups: newRollups(),
	}
	if a.log == nil {
		a.log = hclog.NewNullLogger()
	}
	if a.client == nil {
		a.client = &wire.Client{MaxIdle: idleConns}
	}
	if a.now == nil {
		a.now = time.Now
	}
	if a.jitter == nil {
		a.jitter = rand.Float64
	}
	if a.grace == 0 {
		a.grace = defaultGrace
	}
	a.keys = newFetcher(o.Keys, a.now)
	a.ctx, a.stop = context.WithCancel(context.Background())
	a.metrics = newMetrics(a)
	a.watch.metrics = a.metrics
	a.store.Observe(a.metrics.observer(a.now))
	a.keeper = acme.New(acme.Options{Now: a.now, Jitter: a.jitter, CA: o.CA, HTTP: o.Plain != nil, Tell: a.certified})
	a.server, a.inner, a.asked = a.newServer(cfg), a.newServer(cfg), a.newServer(cfg)
	a.server.TLS, a.server.Aside = a.tls(cfg), a.keeper.Aside
	a.asked.Serve = a.serveAsked
	if o.UplinkConns > 0 {
		a.inner.Limits.Conns = min(o.UplinkConns, cmp.Or(cfg.Limits.Connections, o.UplinkConns))
	}
	a.Apply(cfg)
	return a
}

func (a *Agent) newServer(cfg *config.Config) *wire.Server {
	return &wire.Server{
		Serve: a.serve, Refuse: a.refuse, Now: a.now, Panicked: a.panicked, AcceptFailed: a.deaf,
		Room:   a.headRoom,
		Limits: wire.Limits{Conns: cfg.Limits.Connections, Head: int(cfg.Limits.Head)},
	}
}

// Apply makes cfg the configuration for every request that comes from now on. Requests under way finish on the old one.
// Targets that cfg still has keep their workers and what these know; workers of the others end, and what waits for them
// becomes orphaned until a configuration has them again.
func (a *Agent) Apply(cfg *config.Config) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if b := a.memory.Load(); b == nil || b.size != cfg.Limits.Memory {
		a.memory.Store(newBudget(cfg.Limits.Memory))
	}
	a.mask.Store(&cfg.Mask)
	a.cfg.Store(cfg)
	a.edge.apply(cfg.Edge)
	kept := make(map[targetKey]*target)
	limiters := make(map[string]*limiter)
	var sources []*source
	for _, cs := range cfg.Sources {
		if cs.Template {
			continue
		}
		s := a.newSource(cs, cfg.PublicURL, kept)
		limiters[cs.Name] = s.limiter
		sources = append(sources, s)
	}
	for key, t := range a.targets {
		if kept[key] == nil {
			t.leave()
			a.left[key] = t
		}
	}
	a.targets, a.limiters = kept, limiters
	a.present(cfg)
	a.metrics.follow(cfg)
	a.routes.Store(newRoutes(sources, cfg.TrustedProxies))
	for _, t := range kept {
		if a.running != nil {
			t.start(a.running)
		}
		t.rouse()
	}
	a.orphans.rouse()
	a.subscriber.rouse()
	select {
	case a.newKeys <- struct{}{}:
	default:
	}
}

// newSource makes a configured source ready to take requests, and has its targets in kept. Callers hold mu.
func (a *Agent) newSource(cs config.Source, publicURL string, kept map[targetKey]*target) *source {
	s := &source{
		Source: cs, limiter: limiterFor(cs.Rate, a.limiters[cs.Name]), key: a.keyFor(&cs),
		setting: cs.Setting.Prepared(), publicURL: cmp.Or(cs.PublicURL, publicURL),
	}
	s.setting.Fetch, s.setting.Path = a.keys.get, cs.Path
	aimed := func(name string, to *aim) *target {
		t := a.target(targetKey{cs.Name, name})
		t.aim.Store(to)
		t.gone.Store(false)
		kept[t.key] = t
		return t
	}
	for _, ct := range cs.Targets {
		to := newAim(cs, ct)
		if ct.Follow != nil {
			to.follower = aimed(ct.Name+followSuffix, newFollower(cs, ct))
		}
		s.targets = append(s.targets, aimed(ct.Name, to))
	}
	return s
}

// target is that of a key, with what it knows from before, or a new one. Callers hold mu.
func (a *Agent) target(key targetKey) *target {
	if t := a.targets[key]; t != nil {
		return t
	}
	if t := a.left[key]; t != nil {
		delete(a.left, key)
		return t
	}
	return newTarget(a, key)
}

// Run receives on the listeners and delivers, until ctx ends or a listener fails. Then it accepts nothing new, gives
// what is under way the grace to finish, and leaves the rest pending in the store. It closes the listeners.
// It may be called once.
func (a *Agent) Run(ctx context.Context, listeners ...net.Listener) error {
	working, stopWorkers := context.WithCancel(ctx)
	defer stopWorkers()
	a.startWorkers(working)
	serving, ended := a.serveOn(listeners)
	var cause error
	select {
	case <-ctx.Done():
	case cause = <-ended:
		serving--
	}

	a.mu.Lock()
	a.running = nil
	a.mu.Unlock()
	stopWorkers()
	close(a.stopping)
	began := a.now()
	a.tellStopping()
	defer time.AfterFunc(a.grace, a.stop).Stop()
	last, cancel := context.WithTimeout(context.Background(), a.grace+lastAnswers)
	defer cancel()
	a.shutDown(last)
	for ; serving > 0; serving-- {
		if err := <-ended; cause == nil && !errors.Is(err, wire.ErrServerClosed) {
			cause = err
		}
	}
	a.sending.Wait()
	a.hands.dismiss()
	a.edge.close()
	a.writeRollups()
	a.stop()
	a.client.Close()
	a.tellStopped(began)
	return cause
}

// startWorkers starts what goes on beside requests, until ctx ends. a.sending waits for it.
func (a *Agent) startWorkers(ctx context.Context) {
	a.mu.Lock()
	a.running = ctx
	for _, t := range a.targets {
		t.start(ctx)
	}
	a.mu.Unlock()
	workers := []func(context.Context){a.seeToOrphans, a.keepSubscribed, a.keepKeys, a.rollUp, a.seeToOutages}
	if a.server.TLS != nil {
		a.keeper.Restore()
		workers = append(workers, a.keeper.Keep)
	}
	for _, work := range workers {
		a.sending.Go(func() { work(ctx) })
	}
}

// serveOn has the servers take what comes in on the listeners. ended gets the error of each, of which there are serving.
func (a *Agent) serveOn(listeners []net.Listener) (serving int, ended <-chan error) {
	errs := make(chan error, len(listeners)+2)
	run := func(s *wire.Server, l net.Listener) {
		if l != nil {
			serving++
			go func() { errs <- s.Run(l) }()
		}
	}
	for _, l := range listeners {
		run(a.server, l)
	}
	run(a.inner, a.uplink)
	run(a.asked, a.plain)
	return serving, errs
}

// lastAnswers is how much longer senders have for their answers when the grace is over and no attempt goes on: hooktape
// takes over, and says so. It takes a commit; docker kills two seconds behind the grace of the container file.
const lastAnswers = time.Second

// shutDown ends the servers. What they cut off when ctx ends is on the tape.
func (a *Agent) shutDown(ctx context.Context) {
	var all sync.WaitGroup
	for _, s := range []*wire.Server{a.server, a.inner, a.asked} {
		all.Go(func() { _ = s.Shutdown(ctx) })
	}
	all.Wait()
}

// panicked is told of a panic in the handling of one request. The connection is closed, the agent goes on.
func (a *Agent) panicked(v any, stack []byte) {
	a.log.Error("handling a request panicked, please report this", "panic", v, "stack", string(stack))
}

// errPanicked is the error of what a panic has ended.
var errPanicked = errors.New("a fault of hooktape: its log has more")

// survive is deferred by whoever works for one request beside its connection. A panic ends that work alone, and then is
// called.
func (a *Agent) survive(then func()) {
	if v := recover(); v != nil {
		a.panicked(v, debug.Stack())
		then()
	}
}

// deaf is told that no connection could be accepted. Accepting goes on.
func (a *Agent) deaf(err error) {
	a.complain("can't accept connections, will try again", targetKey{}, err)
}

// Ready says why the agent can't take requests just now; nil when it can.
func (a *Agent) Ready() error {
	select {
	case <-a.stopping:
		return errors.New("the agent is stopping")
	default:
	}
	why := a.outage.cause()
	if why == nil {
		return nil
	}
	for _, known := range []error{store.ErrDiskFull, store.ErrFull, store.ErrGone} {
		if errors.Is(why, known) {
			return fmt.Errorf("records can't be written: %w", known)
		}
	}
	return errors.New("records can't be written, the log says why")
}
