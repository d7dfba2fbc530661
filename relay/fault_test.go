package relay

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/hashicorp/go-hclog"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/tunnel"
	"github.com/hooktape/hooktape/relay/wire/detour"
)

// What can happen to a tunnel between whole agents, beside these: that its laptop is away, that an answer is lost, and that
// the clocks differ is in edge_test.go, that agents are killed in cmd/hooktape, what a broken end can send in tunnel.

// network is what lies between an edge and a laptop.
func network(t *testing.T, edge *rig) *detour.Detour {
	d, err := detour.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	d.Lead(edge.addr)
	return d
}

func lost(c tunnel.Change) bool { return !c.Up && c.Err != nil && !c.Unheard }

func TestAHalfOpenLinkIsFoundOutByBothEndsAndCostsNothing(t *testing.T) {
	a := startKeyed(t)
	soon := tunnel.Timing{Ping: 20 * time.Millisecond, Silence: time.Second}
	edge := startEdgeWith(t, tapeIn(t), Options{Tunnels: soon}, edgeConfig(time.Minute))
	between := network(t, edge)
	laptop := startLaptopWith(t, between.Addr, tapeIn(t), func(u *tunnel.Uplink) { u.Dialer.Timing = soon }, passing(a.app, time.Minute))
	laptop.hears("up", up)
	answer := make(chan string, 1)
	go func() { answer <- edge.send(strings.Replace(ofKey("held", 0), " /", " /t/alice/", 1)) }()
	until(t, "the request is with the app", func() bool { return a.order("held") == "0" })
	between.Mute()
	laptop.hears("lost", lost)
	until(t, "the edge has noticed", func() bool { return edge.edge.at("alice") == nil })
	between.Lead(edge.addr)
	laptop.hears("up again", up)
	a.letGo()
	if got := <-answer; got != ok {
		t.Errorf("the sender got %q", got)
	}
	if got := a.order("held"); got != "0" {
		t.Errorf("the app got %s", got)
	}
	for _, rec := range laptop.records() {
		if rec.Edge != edge.last().ID.String() {
			t.Errorf("the laptop knows it as %s, the edge as %s", rec.Edge, edge.last().ID)
		}
	}
}

func TestALinkThatFlapsLosesNothingAndKeepsTheOrder(t *testing.T) {
	a := startKeyed(t)
	src := config.DefaultSource("orders", "/")
	src.Respond, src.Patience = config.RespondTarget, time.Minute
	src.Targets = []config.Target{config.DefaultTarget("alice", a.url())}
	src.Targets[0].Tunnel, src.Targets[0].OrderBy = "alice", byKey(t)
	edge := startEdge(t, tapeIn(t), edgeConfig(time.Minute, src))
	between := network(t, edge)
	laptop := startLaptop(t, between.Addr, tapeIn(t), passing(a.app, time.Minute))
	laptop.hears("up", up)
	const each, flaps = 40, 3
	var numbers []string
	for n := range each {
		numbers = append(numbers, strconv.Itoa(n))
	}
	var answered atomic.Int32
	var sending sync.WaitGroup
	for _, key := range []string{"a", "b"} {
		sending.Go(func() {
			for n := range each {
				if got := edge.send(ofKey(key, n)); got != ok {
					t.Errorf("the sender of %s got %q", key, got)
				}
				answered.Add(1)
			}
		})
	}
	for i := range int32(flaps) {
		until(t, "more are answered", func() bool { return answered.Load() > i*each/2 })
		between.Lead(edge.addr)
	}
	sending.Wait()
	want := strings.Join(numbers, " ")
	for _, key := range []string{"a", "b"} {
		if got := a.order(key); got != want {
			t.Errorf("of %s the app got %s", key, got)
		}
	}
}

func TestAPeerThatSendsNonsenseIsCutOffAndNamedInTheLog(t *testing.T) {
	var log bytes.Buffer
	edge := startEdgeWith(t, tapeIn(t), Options{Log: hclog.New(&hclog.LoggerOptions{Output: &log})}, edgeConfig(time.Minute))
	dialer := websocket.Dialer{Subprotocols: []string{"hooktape.1"}, HandshakeTimeout: patienceOfTests}
	ws, answer, err := dialer.DialContext(t.Context(), "ws://"+edge.addr+tunnel.Path, http.Header{"Authorization": {"Bearer " + tokenOfTests}})
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	defer ws.Close()
	if err := ws.WriteMessage(websocket.BinaryMessage, []byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	_ = ws.SetReadDeadline(time.Now().Add(patienceOfTests))
	for err == nil {
		_, _, err = ws.ReadMessage()
	}
	until(t, "the edge has done with it", func() bool {
		edge.edge.mu.Lock()
		defer edge.edge.mu.Unlock()
		return len(edge.edge.links) == 0
	})
	edge.end()
	if text := log.String(); !strings.Contains(text, "tunnel was cut off: tunnel=alice remote="+ws.LocalAddr().String()) {
		t.Errorf("the log says %s", text)
	}
}
