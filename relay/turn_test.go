package relay

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/store"
)

// keyedApp is an app that answers requests for key=held when it is told to, and notes the order in which it got those of
// each key. Two of a key at once are an error.
type keyedApp struct {
	*app
	release chan bool
	letGo   func() // closes release

	mu    sync.Mutex // guards what follows
	under map[string]int
	taken map[string][]string
}

func startKeyed(t *testing.T) *keyedApp {
	k := &keyedApp{release: make(chan bool), under: map[string]int{}, taken: map[string][]string{}}
	k.app = startApp(t, func(_ int, request string) string {
		line, _, _ := strings.Cut(request, " HTTP")
		_, query, _ := strings.Cut(line, "key=")
		key, n, _ := strings.Cut(query, "&n=")
		k.mu.Lock()
		if k.under[key]++; k.under[key] > 1 {
			t.Errorf("two of key %s at once", key)
		}
		k.taken[key] = append(k.taken[key], n)
		k.mu.Unlock()
		if key == "held" {
			<-k.release
		}
		k.mu.Lock()
		k.under[key]--
		k.mu.Unlock()
		return ok
	})
	k.letGo = sync.OnceFunc(func() { close(k.release) })
	t.Cleanup(k.letGo)
	return k
}

func (k *keyedApp) order(key string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return strings.Join(k.taken[key], " ")
}

func ofKey(key string, n int) string {
	return fmt.Sprintf("POST /?key=%s&n=%d HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", key, n)
}

func byKey(t *testing.T) *expr.Expr {
	t.Helper()
	by, err := expr.Parse("query.key")
	if err != nil {
		t.Fatal(err)
	}
	return by
}

func inOrder(t *testing.T, a *keyedApp, patience time.Duration) config.Source {
	src := passing(a.app, patience)
	src.Targets[0].OrderBy = byKey(t)
	return src
}

const acked = "HTTP/1.1 200 OK\r\n"

func TestWhatIsPassedOnDoesNotOvertakeTheBacklogOfItsKeyInATunnel(t *testing.T) {
	a := startKeyed(t)
	src := config.DefaultSource("orders", "/")
	src.Respond, src.Patience = config.RespondTarget, time.Millisecond
	src.Targets = []config.Target{config.DefaultTarget("alice", a.url())}
	src.Targets[0].Tunnel, src.Targets[0].OrderBy = "alice", byKey(t)
	cfg := edgeConfig(time.Minute, src)
	edge := startEdge(t, tapeIn(t), cfg)
	for n := range 3 { // nobody is there
		if got := edge.send(ofKey("held", n)); !strings.HasPrefix(got, acked) {
			t.Fatalf("the sender got %q", got)
		}
	}
	patient := *cfg
	patient.Sources = slices.Clone(cfg.Sources)
	patient.Sources[0].Patience = time.Minute
	with, _ := patient.WithTunnels(nil, nil)
	edge.Apply(with)
	laptop := startLaptop(t, edge.addr, tapeIn(t), passing(a.app, time.Minute))
	laptop.hears("up", up)
	until(t, "the first is with the app", func() bool { return a.order("held") == "0" })
	if got := edge.send(ofKey("held", 3)); !strings.HasPrefix(got, acked) { // at once, and so long before patience is over
		t.Errorf("one whose key has a backlog got %q", got)
	}
	if got := edge.send(ofKey("other", 0)); got != ok {
		t.Errorf("one of another key got %q", got)
	}
	a.letGo()
	edge.untilStates(map[store.State]int{store.Delivered: 5})
	if got := a.order("held"); got != "0 1 2 3" {
		t.Errorf("the app got %s", got)
	}
	if got := edge.send(ofKey("held", 4)); got != ok {
		t.Errorf("when the backlog is gone the sender gets %q", got)
	}
}

// sendsInTurn sends requests of a key at once, each when the one before stands in line, and gives their answers.
func (r *rig) sendsInTurn(n int) (answers func() []string) {
	target := r.targetOf("pass", "app")
	all := make([]string, n)
	var sending sync.WaitGroup
	for i := range n {
		sending.Go(func() { all[i] = r.send(ofKey("held", i)) })
		until(r.t, "it stands in line", func() bool {
			target.turns.mu.Lock()
			defer target.turns.mu.Unlock()
			standing := 0
			for _, spots := range target.turns.who {
				for _, s := range spots {
					if s.settled {
						standing++
					}
				}
			}
			return standing == i+1
		})
	}
	return func() []string { sending.Wait(); return all }
}

func TestRequestsOfAKeyArePassedOnOneAtATimeInTheOrderTheyCame(t *testing.T) {
	a := startKeyed(t)
	r := start(t, inOrder(t, a, time.Minute))
	answers := r.sendsInTurn(5)
	if got := r.send(ofKey("other", 0)); got != ok {
		t.Errorf("one of another key got %q", got)
	}
	a.letGo()
	for i, got := range answers() {
		if got != ok {
			t.Errorf("sender %d got %q", i, got)
		}
	}
	if got := a.order("held"); got != "0 1 2 3 4" {
		t.Errorf("the app got %s", got)
	}
}

func TestThoseOfAKeyAreTakenOverInTheOrderTheyCame(t *testing.T) {
	a := startKeyed(t)
	a.letGo()
	a.stop()
	path := tapeIn(t)
	src := inOrder(t, a, time.Minute)
	r := startOn(t, path, src)
	answers := r.sendsInTurn(5)
	r.end() // which waits for nobody's patience
	for i, got := range answers() {
		if !strings.HasPrefix(got, acked) {
			t.Errorf("sender %d got %q", i, got)
		}
	}
	a.up()
	r = startOn(t, path, src)
	r.untilStates(map[store.State]int{store.Delivered: 5})
	if got := a.order("held"); got != "0 1 2 3 4" {
		t.Errorf("the app got %s", got)
	}
}

func TestWithoutPatienceWhatWouldOvertakeIsTurnedBack(t *testing.T) {
	a := startKeyed(t)
	path := tapeIn(t)
	s, err := store.Open(path, store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	request := ofKey("late", 0)
	rec := &store.Record{Source: "pass", Verdict: store.Accepted, Method: "POST", HeadSize: len(request), Raw: store.InlineRaw([]byte(request))}
	later := []store.Delivery{{Target: "app", Key: "late", Due: time.Now().Add(time.Minute)}}
	if err := s.Append(rec, nil, later, nil).Wait(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	src := inOrder(t, a, 0)
	src.Targets[0].Retry.Max = time.Hour
	r := startOn(t, path, src)
	if got := r.send(ofKey("late", 1)); !strings.HasPrefix(got, "HTTP/1.1 503 ") || !strings.Contains(got, "\r\nRetry-After: ") {
		t.Errorf("the sender got %q", got)
	}
	r.wait(Answered)
	if d := r.delivery(r.last().ID); d.State != store.Failed || d.Attempts != 0 || d.Error == "" {
		t.Errorf("%+v", d)
	}
	if got := r.send(ofKey("other", 0)); got != ok {
		t.Errorf("one of another key got %q", got)
	}
	if got := a.order("late"); got != "" {
		t.Errorf("the app got %s", got)
	}
}

// A target may be the one that answers for some requests, and get others behind an ack.
func TestADeliveryDoesNotOvertakeWhatIsBeingPassedOn(t *testing.T) {
	a, other := startKeyed(t), startApp(t, always(ok))
	src := inOrder(t, a, time.Minute)
	first := target1(other)
	first.Name, first.Primary = "first", true
	var err error
	if first.When, err = expr.Parse(`header.x-to == "first"`); err != nil {
		t.Fatal(err)
	}
	src.Targets = append(src.Targets, first)
	r := start(t, src)
	answers := r.sendsInTurn(1)
	until(t, "it is with the app", func() bool { return a.order("held") == "0" })
	for _, request := range []string{ofKey("held", 1), ofKey("other", 1)} {
		if got := r.send(strings.Replace(request, "Host: h", "Host: h\r\nX-To: first", 1)); got != ok {
			t.Fatalf("the sender got %q", got)
		}
	}
	until(t, "that of another key is delivered", func() bool { return a.order("other") == "1" })
	a.letGo()
	until(t, "the other one, too", func() bool { return a.order("held") == "0 1" })
	if got := answers(); got[0] != ok {
		t.Errorf("the first sender got %q", got)
	}
}
