package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/tunnel"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

const tokenOfTests = "token of alice"

// edgeConfig is that of an edge with a tunnel for alice, who may have copies of the sources.
func edgeConfig(patience time.Duration, sources ...config.Source) *config.Config {
	cfg := config.Default()
	cfg.Sources = sources
	alice := config.Tunnel{Name: "alice", Hashes: [][32]byte{store.HashToken(tokenOfTests)}, Respond: config.RespondTarget, Patience: patience}
	for _, s := range sources {
		alice.Sources = append(alice.Sources, s.Name)
	}
	cfg.Edge = &config.Edge{Domain: "edge.test", Tunnels: []config.Tunnel{alice}}
	return cfg
}

// startEdge runs an edge on a tape.
func startEdge(t *testing.T, path string, cfg *config.Config) *rig {
	t.Helper()
	return startEdgeWith(t, path, Options{}, cfg)
}

func startEdgeWith(t *testing.T, path string, o Options, cfg *config.Config) *rig {
	t.Helper()
	var r *rig
	with := func() *config.Config {
		copies, err := r.store.Copies()
		if err != nil {
			t.Error(err)
		}
		with, _ := cfg.WithTunnels(nil, copies)
		return with
	}
	o.Renew = func() error { r.Apply(with()); return nil }
	first, _ := cfg.WithTunnels(nil, nil)
	r = startConfig(t, path, o, first)
	if err := o.Renew(); err != nil {
		t.Fatal(err)
	}
	return r
}

// distant is the agent of a laptop, with its uplink.
type distant struct {
	*rig
	uplink *tunnel.Uplink
	news   chan tunnel.Change
	ran    chan error // of the uplink
	hangUp func()     // ends the uplink, not the agent
}

// startLaptop runs the agent of a laptop that gets what comes through an edge at addr.
func startLaptop(t *testing.T, addr, path string, sources ...config.Source) *distant {
	t.Helper()
	return startLaptopWith(t, addr, path, func(*tunnel.Uplink) {}, sources...)
}

func startLaptopWith(t *testing.T, addr, path string, set func(*tunnel.Uplink), sources ...config.Source) *distant {
	t.Helper()
	f := &distant{news: make(chan tunnel.Change, 1000), ran: make(chan error, 1)}
	f.uplink = tunnel.NewUplink(tunnel.Dialer{URL: &url.URL{Scheme: "http", Host: addr}, Token: tokenOfTests})
	f.uplink.Tell = func(c tunnel.Change) { f.news <- c }
	set(f.uplink)
	f.rig = startWith(t, path, Options{Uplink: f.uplink}, sources...)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { f.ran <- f.uplink.Run(ctx) }()
	f.hangUp = func() { cancel(); f.ran <- <-f.ran }
	t.Cleanup(f.hangUp)
	return f
}

// hears waits for news.
func (f *distant) hears(what string, is func(tunnel.Change) bool) tunnel.Change {
	f.t.Helper()
	timeout := time.After(patienceOfTests)
	for {
		select {
		case c := <-f.news:
			if is(c) {
				return c
			}
		case <-timeout:
			f.t.Fatalf("the laptop never heard that it is %s", what)
		}
	}
}

func up(c tunnel.Change) bool { return c.Up }

// cutLink ends the link of alice, as a network does.
func (r *rig) cutLink() {
	r.t.Helper()
	l := r.edge.at("alice")
	if l == nil {
		r.t.Fatal("no laptop")
	}
	l.link.Cut(errors.New("cut by a test"))
}

func (r *rig) attempts(id store.ID) []store.Attempt {
	r.t.Helper()
	if err := r.store.Sync(); err != nil {
		r.t.Fatal(err)
	}
	all, err := r.store.Attempts(id)
	if err != nil {
		r.t.Fatal(err)
	}
	return all
}

func (r *rig) records() (all []*store.Record) {
	r.t.Helper()
	if err := r.store.Sync(); err != nil {
		r.t.Fatal(err)
	}
	for rec, err := range r.store.Records(store.Query{}) {
		if err != nil {
			r.t.Fatal(err)
		}
		all = append(all, rec)
	}
	return all
}

func tapeIn(t *testing.T) string { return filepath.Join(t.TempDir(), "tape.db") }

func TestARequestComesThroughTheTunnelByteForByte(t *testing.T) {
	a := startApp(t, always(ok))
	edge := startEdge(t, tapeIn(t), edgeConfig(time.Minute))
	laptop := startLaptop(t, edge.addr, tapeIn(t), passing(a, time.Minute))
	laptop.hears("up", up)
	for _, tt := range []struct{ request, base, app string }{
		{"POST /t/alice/a//b?x=%20 HTTP/1.1\r\nhost: edge.test\r\nX-Odd:   spaces \r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
			"/t/alice", "POST /a//b?x=%20 HTTP/1.1\r\nhost: " + a.addr + "\r\nX-Odd:   spaces \r\nContent-Length: 5\r\n\r\nhello"},
		{"POST /a//b?x=%20 HTTP/1.1\r\nhost: Alice.Edge.test:443\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
			"", "POST /a//b?x=%20 HTTP/1.1\r\nhost: " + a.addr + "\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nX-T: 1\r\n\r\n"},
		{"GET /t/alice HTTP/1.1\r\nHost: anything\r\n\r\n", "/t/alice", "GET / HTTP/1.1\r\nHost: " + a.addr + "\r\n\r\n"},
	} {
		if got := edge.send(tt.request); got != ok {
			t.Errorf("the sender got %q", got)
		}
		at, here := edge.last(), laptop.last()
		if got := edge.raw(at.Raw); got != tt.request {
			t.Errorf("on the edge's tape is %q", got)
		}
		if got := laptop.raw(here.Raw); got != tt.request {
			t.Errorf("on the laptop's tape is %q", got)
		}
		if here.Via != "tunnel" || here.Edge != at.ID.String() || here.Base != tt.base || here.Remote != at.Remote || at.Via != "direct" {
			t.Errorf("the laptop knows %+v of the edge's %+v", here, at)
		}
		if got := a.requests(); got[len(got)-1] != tt.app {
			t.Errorf("the app got %q, not %q", got[len(got)-1], tt.app)
		}
		until(t, "the attempt is on the edge's tape", func() bool { return len(edge.attempts(at.ID)) > 0 }) // it is told first
		if attempts := edge.attempts(at.ID); len(attempts) != 1 || attempts[0].Head != tt.request[:at.HeadSize] {
			t.Errorf("attempts %+v", attempts)
		}
	}
}

func TestWhatComesWhileTheLaptopIsAwayWaitsAndComesInOrder(t *testing.T) {
	for name, ahead := range map[string]time.Duration{
		"": 0, "with a clock that is ahead of the laptop's": 90 * time.Hour, "with a clock that is behind it": -90 * time.Hour,
	} {
		t.Run("an edge "+name, func(t *testing.T) { testWaiting(t, ahead) })
	}
}

func testWaiting(t *testing.T, ahead time.Duration) {
	a := startApp(t, always(ok))
	cfg, _ := edgeConfig(time.Millisecond).WithTunnels(nil, nil)
	edge := startConfig(t, tapeIn(t), Options{Now: func() time.Time { return time.Now().Add(ahead) }}, cfg)
	const n = 20
	for i := range n {
		if got := edge.send(fmt.Sprintf("POST /t/alice/%d HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", i)); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Fatalf("the sender got %q", got)
		}
	}
	for _, rec := range edge.records() {
		if d := edge.delivery(rec.ID); d.State != store.Pending || d.Attempts != 0 || len(edge.attempts(rec.ID)) != 0 {
			t.Fatalf("with nobody there: %+v", d)
		}
	}
	laptop := startLaptop(t, edge.addr, tapeIn(t), passing(a, time.Minute))
	if c := laptop.hears("up", up); c.Welcome.Waiting != n || !c.First {
		t.Errorf("it was told %+v", c)
	}
	edge.untilStates(map[store.State]int{store.Delivered: n})
	for i, rec := range laptop.records() {
		if got := strings.Fields(a.requests()[i])[1]; got != fmt.Sprintf("/%d", i) {
			t.Errorf("request %d was for %s", i, got)
		}
		if rec.Edge != edge.records()[i].ID.String() {
			t.Errorf("record %d is %s at the edge", i, rec.Edge)
		}
		if d := edge.delivery(edge.records()[i].ID); d.Attempts != 1 {
			t.Errorf("%+v", d)
		}
	}
}

func TestARequestWhoseAnswerIsLostComesAgainAndTheAppSeesItOnce(t *testing.T) {
	working, release := make(chan bool, 1), make(chan bool)
	a := startApp(t, func(int, string) string { working <- true; <-release; return ok })
	edge := startEdge(t, tapeIn(t), edgeConfig(time.Minute))
	laptop := startLaptop(t, edge.addr, tapeIn(t), passing(a, time.Minute))
	laptop.hears("up", up)
	answer := make(chan string, 1)
	go func() { answer <- edge.send(post2("/t/alice")) }()
	<-working
	edge.cutLink()
	laptop.hears("lost", func(c tunnel.Change) bool { return !c.Up && c.Err != nil && c.URL == "" })
	if c := laptop.hears("up", up); c.First {
		t.Errorf("it was told %+v", c)
	}
	close(release)
	if got := <-answer; got != ok {
		t.Errorf("the sender got %q", got)
	}
	if n := len(a.requests()); n != 1 {
		t.Errorf("the app got it %d times", n)
	}
	edges := laptop.records()
	if len(edges) != 2 || edges[0].Edge != edges[1].Edge || edges[1].Verdict != store.Duplicate {
		t.Errorf("the laptop recorded %+v", edges)
	}
	if n := len(edge.records()); n != 1 {
		t.Errorf("the edge has %d records", n)
	}
}

// post2 is a request for a path.
func post2(path string) string {
	return "POST " + path + " HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 5\r\n\r\nhello"
}

// TestALaptopThatSleptGetsAllInOrder has many deliveries wait for a laptop whose link breaks while it gets them.
// HOOKTAPE_LARGE=1 makes it 10,000.
func TestALaptopThatSleptGetsAllInOrder(t *testing.T) {
	n := 1000
	if os.Getenv("HOOKTAPE_LARGE") != "" {
		n = 10_000
	}
	path := tapeIn(t)
	s, err := store.Open(path, store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	var last *store.Commit
	for i := range n {
		request := fmt.Sprintf("POST /t/alice/%d HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", i)
		rec := &store.Record{
			Source: "alice", Verdict: store.Accepted, Method: "POST", Target: fmt.Sprintf("/t/alice/%d", i), Host: "h", HeadSize: len(request),
			Raw: store.InlineRaw([]byte(request)),
		}
		last = s.Append(rec, nil, []store.Delivery{{Target: "alice"}}, nil)
	}
	if err := errors.Join(last.Wait(), s.Close()); err != nil {
		t.Fatal(err)
	}
	a := startApp(t, always(ok))
	edge := startEdge(t, path, edgeConfig(time.Minute))
	laptop := startLaptop(t, edge.addr, tapeIn(t), passing(a, time.Minute))
	if c := laptop.hears("up", up); c.Welcome.Waiting != n {
		t.Errorf("it was told %+v", c)
	}
	until(t, "a part of them", func() bool { return len(a.requests()) > n/10 })
	edge.cutLink()
	deadline := time.Now().Add(5 * patienceOfTests)
	for edge.targetOf("alice", "alice").pending() > 0 && time.Now().Before(deadline) {
		<-time.After(10 * time.Millisecond)
	}
	got := a.requests()
	if len(got) != n {
		t.Fatalf("the app got %d of %d", len(got), n)
	}
	for i, request := range got {
		if want := fmt.Sprintf("POST /%d HTTP/1.1\r\n", i); !strings.HasPrefix(request, want) {
			t.Fatalf("request %d is %q", i, request)
		}
	}
}

// fillLink takes all places of the link of alice, until release is called.
func (r *rig) fillLink() (release func()) {
	r.t.Helper()
	preface, err := new(tunnel.Preface).Bytes()
	if err != nil {
		r.t.Fatal(err)
	}
	var link *tunnel.Link
	until(r.t, "the laptop takes requests", func() bool {
		l := r.edge.at("alice")
		if l != nil {
			link = l.link
		}
		return l != nil
	})
	var streams []net.Conn
	release = sync.OnceFunc(func() {
		for _, s := range streams {
			_ = s.Close()
		}
	})
	r.t.Cleanup(release)
	for range 2 * tunnel.MaxKept {
		s, err := link.Open(r.t.Context())
		if err != nil {
			r.t.Fatal(err)
		}
		streams = append(streams, s)
		if _, err := s.Write(preface); err != nil {
			r.t.Fatal(err)
		}
	}
	return release
}

func TestATunnelThatIsFullKeepsWhatComes(t *testing.T) {
	a := startApp(t, always(ok))
	sources := []config.Source{config.DefaultSource("patient", "/patient"), config.DefaultSource("hasty", "/hasty")}
	for i := range sources {
		s := &sources[i]
		s.Respond, s.Patience = config.RespondTarget, time.Millisecond
		s.Targets = []config.Target{config.DefaultTarget("alice", a.url())}
		s.Targets[0].Tunnel = "alice"
	}
	sources[1].Patience, sources[1].Targets[0].Timeout = 0, 50*time.Millisecond
	var log syncBuilder
	edge := startEdgeWith(t, tapeIn(t), Options{Log: hclog.New(&hclog.LoggerOptions{Output: &log})}, edgeConfig(time.Minute, sources...))
	laptop := startLaptop(t, edge.addr, tapeIn(t), passing(a, time.Minute))
	laptop.hears("up", up)
	release := edge.fillLink()
	if got := edge.send(post2("/hasty")); !strings.HasPrefix(got, "HTTP/1.1 503 ") || !strings.Contains(got, "Retry-After: 10\r\n") {
		t.Errorf("who is not to be answered by the edge got %q", got)
	}
	if got := edge.send(post2("/patient")); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("the sender got %q", got)
	}
	id := edge.last().ID
	if d := edge.delivery(id); d.State != store.Pending || d.Attempts != 0 {
		t.Errorf("delivery %+v", d)
	}
	if n := strings.Count(log.String(), "tunnel has as many requests under way as it takes, further ones wait here (logged once): tunnel=alice"); n != 1 {
		t.Errorf("told %d times: %s", n, log.String())
	}
	release()
	edge.untilStates(map[store.State]int{store.Delivered: 1, store.Failed: 1})
	if n := len(edge.attempts(id)); n != 1 {
		t.Errorf("%d attempts", n)
	}
}

func TestWhatWasOnAKeptStreamBeforeTheTunnelWasFullIsAnAttempt(t *testing.T) {
	full := fmt.Errorf("%w: %w", tunnel.ErrFull, context.DeadlineExceeded)
	tests := map[string]struct {
		err    error
		absent bool
	}{
		"no place from the first":         {&wire.SendError{Phase: wire.PhaseDial, Err: full}, true},
		"lost on a stream, and then none": {&wire.SendError{Phase: wire.PhaseWait, Err: errors.Join(io.EOF, full)}, false},
		"nobody there":                    {&wire.SendError{Phase: wire.PhaseDial, Err: errAbsent}, true},
		"lost with its link":              {&wire.SendError{Phase: wire.PhaseWait, Err: tunnel.ErrLost}, false},
		"lost, and the next link was too": {&wire.SendError{Phase: wire.PhaseWrite, Err: errors.Join(tunnel.ErrLost, tunnel.ErrLost)}, false},
		"lost, and nobody there any more": {&wire.SendError{Phase: wire.PhaseWait, Err: errors.Join(io.EOF, errAbsent)}, false},
	}
	for name, tt := range tests {
		s := sent{attempt: &store.Attempt{}}
		if s.fail(tt.err, time.Now()); s.absent != tt.absent || (s.outcome().Attempt == nil) != tt.absent {
			t.Errorf("%s: no attempt was made: %t", name, s.absent)
		}
	}
}

func TestALaptopWhoseLinkHasEndedIsNotThere(t *testing.T) {
	a := startApp(t, always(ok))
	edge := startEdge(t, tapeIn(t), edgeConfig(time.Minute))
	laptop := startLaptop(t, edge.addr, tapeIn(t), passing(a, time.Minute))
	laptop.hears("up", up)
	until(t, "the laptop takes requests", func() bool { return edge.edge.at("alice") != nil })
	l := edge.edge.at("alice")
	laptop.hangUp()
	<-l.link.Done()
	edge.edge.mu.Lock()
	edge.edge.laptops["alice"] = l // as before it has parted
	edge.edge.mu.Unlock()
	if edge.edge.at("alice") != nil {
		t.Error("requests are sent to it")
	}
	edge.edge.exit(l, time.Now())
}

func TestATeamGetsCopiesOfOneSource(t *testing.T) {
	main, a := startApp(t, always(ok)), startApp(t, always(ok))
	src := config.DefaultSource("stripe", "/stripe")
	src.Respond, src.Patience = config.RespondTarget, time.Minute
	never, err := expr.Parse(`header.x-main == "yes"`)
	if err != nil {
		t.Fatal(err)
	}
	target := config.DefaultTarget("main", main.url())
	target.When = never
	src.Targets = []config.Target{target}
	edge := startEdge(t, tapeIn(t), edgeConfig(time.Minute, src))
	want := func(u *tunnel.Uplink) {
		u.Hello.Copies = []tunnel.Copy{{Source: "stripe", Where: `header.x-for == "alice"`}}
	}
	laptop := startLaptopWith(t, edge.addr, tapeIn(t), want, passing(a, time.Minute))
	laptop.hears("up", up)
	send := func(fields string) string {
		return edge.send("POST /stripe/x HTTP/1.1\r\nHost: h\r\n" + fields + "Content-Length: 0\r\n\r\n")
	}
	if got := send("X-Main: yes\r\nX-For: alice\r\n"); got != ok {
		t.Errorf("the sender got %q", got)
	}
	until(t, "a copy for alice", func() bool { return len(a.requests()) == 1 && len(main.requests()) == 1 })
	if got := strings.Fields(a.requests()[0])[1]; got != "/stripe/x" {
		t.Errorf("her app got %q", got)
	}
	if got := send("X-For: bob\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("what nobody wants got %q", got)
	}
	laptop.hangUp()
	until(t, "she has gone", func() bool { return edge.edge.at("alice") == nil })
	if got := send("X-For: alice\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("a copy that nobody answers got %q", got)
	}
	if d := edge.delivery(edge.last().ID); d.State != store.Pending || d.Target != "alice" {
		t.Errorf("while she is away: %+v", d)
	}
}

func TestACopyThatALaptopMayNotHaveIsRefused(t *testing.T) {
	a := startApp(t, always(ok))
	edge := startEdge(t, tapeIn(t), edgeConfig(time.Minute))
	want := func(u *tunnel.Uplink) { u.Hello.Copies = []tunnel.Copy{{Source: "stripe"}} }
	laptop := startLaptopWith(t, edge.addr, tapeIn(t), want, passing(a, time.Minute))
	err := <-laptop.ran
	laptop.ran <- err
	if refused, ok := errors.AsType[*tunnel.RefusedError](err); !ok || refused.Refusal != tunnel.NoCopy {
		t.Errorf("got %v", err)
	}
}

func TestASourceThatIsAskedForTwiceComesOnce(t *testing.T) {
	cfg, _ := edgeConfig(time.Minute, config.DefaultSource("stripe", "/stripe")).WithTunnels(nil, nil)
	live := tunnel.Copy{Source: "stripe", Where: "json.livemode"}
	if copies, err := copiesFor(cfg, "alice", []tunnel.Copy{live, live}); len(copies) != 1 || err != nil {
		t.Errorf("got %+v, %v", copies, err)
	}
	if copies, err := copiesFor(cfg, "alice", []tunnel.Copy{live, {Source: "stripe"}}); err == nil {
		t.Errorf("two different ones: %+v", copies)
	}
}

func TestALaptopThatIsRefusedChangesNothing(t *testing.T) {
	a := startApp(t, always(ok))
	edge := startEdge(t, tapeIn(t), edgeConfig(time.Minute, config.DefaultSource("stripe", "/stripe")))
	first := startLaptop(t, edge.addr, tapeIn(t), passing(a, time.Minute))
	first.hears("up", up)
	want := func(u *tunnel.Uplink) { u.Hello.Copies = []tunnel.Copy{{Source: "stripe"}} }
	second := startLaptopWith(t, edge.addr, tapeIn(t), want, passing(a, time.Minute))
	err := <-second.ran
	second.ran <- err
	if refused, ok := errors.AsType[*tunnel.RefusedError](err); !ok || refused.Refusal != tunnel.Taken {
		t.Fatalf("the second got %v", err)
	}
	copies, err := edge.store.Copies()
	if err != nil || len(copies["alice"]) != 0 {
		t.Errorf("the first gets copies it did not ask for: %v, %v", copies, err)
	}
	if _, its := edge.edge.probedBy("alice", first.uplink.Hello.Probe); !its {
		t.Error("what the first asks for at its own URL is not known any more")
	}
	if _, its := edge.edge.probedBy("alice", second.uplink.Hello.Probe); its {
		t.Error("what the second asks for is")
	}
}

func TestALinkThatHasNotSaidWhoItIsEndsToo(t *testing.T) {
	for name, act := range map[string]func(*rig){
		"its token is revoked": func(edge *rig) { edge.Apply(&config.Config{Edge: &config.Edge{Domain: "edge.test"}}) },
		"there is no edge":     func(edge *rig) { edge.Apply(&config.Config{}) },
		"the edge stops":       func(edge *rig) { edge.end() },
	} {
		t.Run(name, func(t *testing.T) {
			edge := startEdge(t, tapeIn(t), edgeConfig(time.Minute))
			dialer := tunnel.Dialer{URL: &url.URL{Scheme: "http", Host: edge.addr}, Token: tokenOfTests}
			link, err := dialer.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer link.Close()
			began := time.Now()
			act(edge)
			<-link.Done() // at the latest when the edge does not wait for its Hello any longer
			if took := time.Since(began); took > patienceOfTests*2/3 {
				t.Errorf("it ended after %s", took)
			}
		})
	}
}

func TestATunnelIsOnlyForThoseWhoMayHaveItStill(t *testing.T) {
	alice := &laptop{name: "alice", hash: store.HashToken(tokenOfTests)}
	e := &edge{}
	if _, err := e.replace(nil, alice); !errors.Is(err, errRevoked) {
		t.Errorf("without an edge: %v", err)
	}
	e.apply(edgeConfig(time.Minute).Edge)
	if was, err := e.replace(nil, alice); was != nil || err != nil || e.laptops["alice"] != alice {
		t.Errorf("got %v, %v", was, err)
	}
	e.close()
	if _, err := e.replace(alice, alice); !errors.Is(err, errStopping) {
		t.Errorf("when it has stopped: %v", err)
	}
	edge := start(t)
	if _, err := edge.welcome(alice, tunnel.Hello{Copies: []tunnel.Copy{{Source: "stripe"}}}); !errors.Is(err, errRevoked) {
		t.Errorf("when its configuration has no edge any more: %v", err)
	}
}

func TestALaptopThatIsReplacedLeavesTheCopiesOfItsSuccessor(t *testing.T) {
	edge := startEdge(t, tapeIn(t), edgeConfig(time.Minute))
	first := &laptop{name: "alice", hash: store.HashToken(tokenOfTests)}
	second := &laptop{name: "alice", hash: first.hash}
	wanted := []store.Copy{{Source: "stripe"}}
	for _, step := range []struct {
		laptop *laptop
		before *laptop
	}{{first, nil}, {second, first}} {
		if _, err := edge.edge.replace(step.before, step.laptop); err != nil {
			t.Fatal(err)
		}
	}
	if err := edge.copyTo(second, wanted); err != nil {
		t.Fatal(err)
	}
	if err := edge.copyTo(first, nil); !errors.Is(err, errReplaced) {
		t.Errorf("the first got %v", err)
	}
	if copies, err := edge.store.Copies(); err != nil || !slices.Equal(copies["alice"], wanted) {
		t.Errorf("copies %v, %v", copies, err)
	}
}

func TestTunnelsNeedTLSBeyondThisMachine(t *testing.T) {
	e := new(edge)
	e.apply(edgeConfig(time.Minute).Edge)
	r := &http.Request{Header: http.Header{
		"Sec-Websocket-Protocol": {"hooktape.1"}, "Authorization": {"Bearer " + tokenOfTests},
	}}
	for _, tt := range []struct {
		from sender
		no   *notAdmitted // but for what is said
	}{
		{sender{remote: "127.0.0.1:4000"}, nil},
		{sender{remote: "[::1]:4000"}, nil},
		{sender{remote: "192.0.2.1:4000"}, &notAdmitted{kind: forPlain, status: http.StatusForbidden, tell: true}},
		{sender{remote: "[2001:db8::1]:4000"}, &notAdmitted{kind: forPlain, status: http.StatusForbidden, tell: true}},
		{sender{remote: "192.0.2.1:4000", tls: true}, nil}, // also where a trusted proxy says so
	} {
		_, no := e.admit(r, tt.from, time.Now())
		if no != nil {
			no.reason = ""
		}
		if !reflect.DeepEqual(no, tt.no) {
			t.Errorf("%+v: %+v, not %+v", tt.from, no, tt.no)
		}
	}
}

func TestATunnelHasOneLaptop(t *testing.T) {
	a, b := startApp(t, always(ok)), startApp(t, always(ok))
	edge := startEdge(t, tapeIn(t), edgeConfig(time.Minute))
	first := startLaptop(t, edge.addr, tapeIn(t), passing(a, time.Minute))
	first.hears("up", up)
	second := startLaptop(t, edge.addr, tapeIn(t), passing(b, time.Minute))
	err := <-second.ran
	second.ran <- err
	if refused, ok := errors.AsType[*tunnel.RefusedError](err); !ok || refused.Refusal != tunnel.Taken {
		t.Fatalf("another instance got %v", err)
	}
	again := startLaptopWith(t, edge.addr, tapeIn(t), func(u *tunnel.Uplink) { u.Hello.Instance = first.uplink.Hello.Instance }, passing(b, time.Minute))
	again.hears("up", up)
	again.hangUp()
	first.hears("up again", up)
	third := startLaptopWith(t, edge.addr, tapeIn(t), func(u *tunnel.Uplink) { u.Hello.TakeOver = true }, passing(b, time.Minute))
	third.hears("up", up)
	if err := <-first.ran; err == nil {
		t.Error("the first has not heard that it was taken over")
	} else if first.ran <- err; !errors.As(err, new(*tunnel.RefusedError)) {
		t.Errorf("the first heard %v", err)
	}
	if got := edge.send(post2("/t/alice")); got != ok || len(b.requests()) != 1 {
		t.Errorf("the sender got %q, the third %q", got, b.requests())
	}
}

func TestOfTwoThatTookATunnelOverTheLaterHasIt(t *testing.T) {
	a, b := startApp(t, always(ok)), startApp(t, always(ok))
	edge := startEdge(t, tapeIn(t), edgeConfig(time.Minute))
	takes := func(u *tunnel.Uplink) { u.Hello.TakeOver = true }
	first := startLaptopWith(t, edge.addr, tapeIn(t), takes, passing(a, time.Minute))
	first.hears("up", up)
	second := startLaptopWith(t, edge.addr, tapeIn(t), takes, passing(b, time.Minute))
	second.hears("up", up)
	select {
	case err := <-first.ran:
		if first.ran <- err; !errors.As(err, new(*tunnel.RefusedError)) {
			t.Errorf("the first heard %v", err)
		}
	case <-time.After(patienceOfTests):
		t.Fatal("the first never heard that it was taken over")
	}
	until(t, "the second has it", func() bool {
		l := edge.edge.at("alice")
		return l != nil && l.instance == second.uplink.Hello.Instance
	})
}

func TestNobodyIsAdmittedWhereTheEdgeHasJustLeftTheConfiguration(t *testing.T) {
	if name, _, ok := new(edge).owner(tokenOfTests); ok {
		t.Errorf("the token opens %q", name)
	}
}

func TestARevokedTokenEndsItsTunnelAndIsRefused(t *testing.T) {
	a := startApp(t, always(ok))
	cfg := edgeConfig(time.Minute)
	edge := startEdge(t, tapeIn(t), cfg)
	laptop := startLaptop(t, edge.addr, tapeIn(t), passing(a, time.Minute))
	laptop.hears("up", up)
	without := *cfg
	without.Edge = &config.Edge{Domain: cfg.Edge.Domain}
	edge.Apply(&without)
	err := <-laptop.ran
	laptop.ran <- err
	if !errors.Is(err, tunnel.ErrToken) {
		t.Errorf("it heard %v", err)
	}
}

func TestWrongTokensTellNothingAndAreBounded(t *testing.T) {
	cfg, _ := edgeConfig(time.Minute).WithTunnels(nil, nil)
	now := time.Now()
	edge := startConfig(t, tapeIn(t), Options{Now: func() time.Time { return now }}, cfg)
	ask := func(token string) string {
		return edge.send("GET " + tunnel.Path + " HTTP/1.1\r\nHost: edge.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: hooktape.1\r\nAuthorization: Bearer " + token + "\r\n\r\n")
	}
	got := ask("wrong")
	if !strings.HasPrefix(got, "HTTP/1.1 401 ") || strings.Contains(got, "alice") || !strings.HasSuffix(got, "\r\n\r\nhooktape: wrong token\n") {
		t.Errorf("got %q", got)
	}
	for range guessBurst + 20 {
		got = ask("wrong")
	}
	if !strings.HasPrefix(got, "HTTP/1.1 429 ") {
		t.Errorf("after many: %q", got)
	}
	if got := ask(tokenOfTests); !strings.HasPrefix(got, "HTTP/1.1 429 ") {
		t.Errorf("the right one behind them: %q", got)
	}
	if n := len(edge.records()); n != 0 {
		t.Errorf("%d records", n)
	}
}

func TestTheLaptopSaysWhatBecomesOfWhatWaited(t *testing.T) {
	for choice, want := range map[tunnel.Backlog]map[store.State]int{
		tunnel.DeliverBacklog: {store.Delivered: 4},
		tunnel.HoldBacklog:    {store.Delivered: 1, store.Pending: 3},
		tunnel.DropBacklog:    {store.Delivered: 1, store.Dropped: 3},
	} {
		t.Run(string(choice), func(t *testing.T) {
			a := startApp(t, always(ok))
			edge := startEdge(t, tapeIn(t), edgeConfig(time.Millisecond))
			for range 3 {
				edge.send(post2("/t/alice/old"))
			}
			choose := func(u *tunnel.Uplink) {
				u.Choose = func(context.Context, tunnel.Welcome) (tunnel.Backlog, error) { return choice, nil }
			}
			laptop := startLaptopWith(t, edge.addr, tapeIn(t), choose, passing(a, time.Minute))
			laptop.hears("up", up)
			edge.send(post2("/t/alice/new"))
			edge.untilStates(want)
			edge.cutLink() // what was chosen at first holds
			laptop.hears("up again", up)
			edge.untilStates(want)
			if !slices.ContainsFunc(a.requests(), func(r string) bool { return strings.HasPrefix(r, "POST /new ") }) {
				t.Error("what came since did not come through")
			}
		})
	}
}

func TestThePublicURLIsToldWhenARequestHasComeRound(t *testing.T) {
	a := startApp(t, always(ok))
	cfg := edgeConfig(time.Minute)
	cfg.Edge.Domain = "127.0.0.1"
	edge := startEdge(t, tapeIn(t), cfg)
	laptop := startLaptop(t, edge.addr, tapeIn(t), passing(a, time.Minute))
	got := laptop.hears("reached", func(c tunnel.Change) bool { return c.URL != "" || c.Unheard })
	if got.URL != "http://"+edge.addr+"/t/alice" {
		t.Errorf("told %+v", got)
	}
	if e, l, n := len(edge.records()), len(laptop.records()), len(a.requests()); e+l+n != 0 {
		t.Errorf("it is %d records of the edge, %d of the laptop, %d requests to the app", e, l, n)
	}
	edge.send("GET /t/alice" + tunnel.ProbePath + "guess HTTP/1.1\r\nHost: h\r\n\r\n")
	if n := len(edge.records()); n != 1 {
		t.Errorf("what a stranger asks for makes %d records", n)
	}
}

// An app that keeps count of what it has done knows a request again by its id. A laptop makes a record of its own for each time
// that one comes.
func TestARequestThatComesAgainThroughTheTunnelHasTheSameIDForTheApp(t *testing.T) {
	a := startApp(t, func(n int, _ string) string {
		if n == 1 {
			return "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
		}
		return ok
	})
	src := config.DefaultSource("orders", "/")
	to := target1(a)
	to.Name, to.Tunnel = "alice", "alice"
	src.Targets = []config.Target{to}
	edge := startEdge(t, tapeIn(t), edgeConfig(time.Minute, src))
	naming := passing(a, time.Minute)
	naming.Targets[0].IDHeader = "X-Id"
	laptop := startLaptop(t, edge.addr, tapeIn(t), naming)
	laptop.hears("up", up)
	edge.send(post)
	until(t, "the app has it", func() bool { return len(a.requests()) == 2 })
	id := edge.last().ID
	for _, got := range a.requests() {
		if !strings.Contains(got, "\r\nX-Id: "+id.String()+"\r\n") {
			t.Errorf("of %s the app got %q", id, got)
		}
	}
	made := laptop.records()
	if len(made) != 2 {
		t.Fatalf("the laptop has %d records", len(made))
	}
	if found, err := laptop.store.Find(id.String()); err != nil || found != made[1].ID {
		t.Errorf("by it the laptop finds %s: %v", found, err)
	}
}
