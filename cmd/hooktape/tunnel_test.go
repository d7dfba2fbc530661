package main

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/relay/wire/detour"
	"github.com/hooktape/hooktape/store"
)

func newDetour(t *testing.T) *detour.Detour {
	d, err := detour.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// link is an edge and a laptop, each a user of its own, with a detour between them.
type link struct {
	edge, laptop *user
	between      *detour.Detour
	edgeArgs     []string
	laptopArgs   []string
}

// newLink makes both; edgeConfig has a tunnel "alice", laptopConfig is what the laptop does with what comes.
func newLink(t *testing.T, edgeConfig, laptopConfig string) *link {
	l := &link{edge: newUser(t), laptop: newUser(t), between: newDetour(t)}
	l.edgeArgs = []string{"run", "--config", l.edge.writes("edge.hcl", edgeConfig)}
	l.startEdge()
	token := strings.TrimSpace(string(l.edge.run("token", "new", "alice")))
	l.laptop.writes("alice.token", token)
	l.laptopArgs = []string{"run", "--config", l.laptop.writes("laptop.hcl", laptopConfig+fmt.Sprintf(`
uplink {
  edge  = "http://%s"
  token = file("alice.token")
}
`, l.between.Addr))}
	return l
}

func (l *link) startEdge() {
	l.edge.start(l.edgeArgs...)
	l.between.Lead(l.edge.agent.addr)
}

func (l *link) startLaptop() { l.laptop.start(l.laptopArgs...) }

// awaitLog waits until an agent has logged a phrase.
func (u *user) awaitLog(phrase string) {
	u.t.Helper()
	u.await(u.agent.errs, regexp.MustCompile(regexp.QuoteMeta(phrase)))
}

// await waits until an agent has printed what matches.
func (u *user) await(t *transcript, pattern *regexp.Regexp) (match []string) {
	u.t.Helper()
	match, err := u.agent.await(t, pattern)
	if err != nil {
		u.t.Fatal(err)
	}
	return match
}

func (a *agentProcess) await(t *transcript, pattern *regexp.Regexp) (match []string, err error) {
	timeout := time.After(4 * patienceOfTests) // an order for a certificate that failed is made again after a minute
	for {
		text, more := t.read()
		if match := pattern.FindStringSubmatch(text); match != nil {
			return match, nil
		}
		select {
		case <-more:
		case <-a.done:
			return nil, fmt.Errorf("it ended before it said %v", pattern)
		case <-timeout:
			return nil, fmt.Errorf("it never said %v", pattern)
		}
	}
}

const allThroughAlice = `
edge {
  domain = "edge.example.com"
}
source "all" {
  path     = "/"
  respond  = "target"
  patience = "1m"
  target "alice" {
    tunnel = "alice"
  }
}
`

func TestEveryRequestComesThroughTheTunnelVerbatim(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	l := newLink(t, allThroughAlice, passingOn(app.addr))
	l.startLaptop()
	l.edge.awaitLog("tunnel is open")
	all := sendFiles(t, l.edge.agent.addr, requestFiles(t), inOneWrite)
	checkReceived(t, app, 0, all, "")
	l.edge.checkTapeFile(all)
	l.laptop.checkTapeFile(all)
}

// checkTapeFile is checkTape for an agent that is stopped, without a command for every record.
func (u *user) checkTapeFile(all []sent) {
	u.t.Helper()
	if err := u.agent.stop(syscall.SIGTERM); err != nil {
		u.t.Fatal(err)
	}
	tape, err := store.Open(u.tape, store.Options{ReadOnly: true})
	if err != nil {
		u.t.Fatal(err)
	}
	defer tape.Close()
	client := inspect.InProcess(&inspect.Server{Store: tape})
	defer client.Close()
	n := 0
	for r, err := range client.Records(u.t.Context(), inspect.Query{}) {
		if n++; err != nil || n > len(all) {
			u.t.Fatalf("record %d: %v", n, err)
		}
		s := all[n-1]
		for what, part := range map[string]struct {
			read func(context.Context, string) (io.ReadCloser, error)
			want []byte
		}{"request": {client.Raw, s.request}, "answer": {client.Answer, s.answer}} {
			stream, err := part.read(u.t.Context(), r.ID.String())
			if err != nil {
				u.t.Fatalf("%s: %v", s.name, err)
			}
			got, err := io.ReadAll(stream)
			if stream.Close(); err != nil {
				u.t.Fatalf("%s: %v", s.name, err)
			}
			sameBytes(u.t, s.name+": "+what, got, part.want)
		}
	}
	if n != len(all) {
		u.t.Errorf("%d records of %d requests", n, len(all))
	}
}

// inTurns is an edge that answers at once and brings the requests of a key to the laptop one after another.
const inTurns = `
edge {
  domain = "edge.example.com"
}
source "all" {
  path = "/"
  target "alice" {
    tunnel      = "alice"
    order_by    = json.key
    concurrency = 8
    retry {
      min = "10ms"
      max = "100ms"
    }
  }
}
`

// TestNothingAcknowledgedIsLostHoweverTheTunnelEnds sends numbered requests of a few keys while the link is cut, the
// laptop is killed, and the edge is killed, and looks at what the app got.
func TestNothingAcknowledgedIsLostHoweverTheTunnelEnds(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	l := newLink(t, inTurns, passingOn(app.addr))
	const keys, each = 4, 8
	sent := 0
	send := func(what string) {
		t.Helper()
		for range each {
			for key := range keys {
				body := fmt.Sprintf(`{"key":"k%d","n":%d}`, key, sent)
				request := fmt.Sprintf("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
				answers, err := exchange(l.edge.agent.addr, []byte(request), inOneWrite)
				if err != nil || len(answers) != 1 || statusOf(answers[0]) != 200 {
					t.Fatalf("%s: %q, %v", what, answers, err)
				}
			}
			sent++
		}
	}
	send("before the laptop has ever come")
	l.startLaptop()
	send("while it comes")
	for range 3 {
		l.between.Lead(l.edge.agent.addr)
		send("while the link flaps")
	}
	l.laptop.agent.kill()
	send("while the laptop is dead")
	l.startLaptop()
	send("while it is back")
	l.edge.agent.kill()
	l.startEdge()
	send("behind the death of the edge")
	l.edge.awaitLog("tunnel is open")
	l.edge.untilNonePending()

	received, err := app.await(keys * sent)
	if err != nil {
		t.Fatal(err)
	}
	last := make(map[string]int)
	for _, request := range received {
		var key string
		var n int
		body := string(request[cutHead(request):])
		if _, err := fmt.Sscanf(strings.NewReplacer(`"`, " ", ",", " ", "}", " ").Replace(body), "{ key : %s n :%d", &key, &n); err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		before, seen := last[key]
		if n != before && n != before+1 || !seen && n != 0 {
			t.Errorf("behind %d of %s came %d", before, key, n)
		}
		last[key] = n
	}
	for key := range keys {
		if name := fmt.Sprintf("k%d", key); last[name] != sent-1 {
			t.Errorf("the last of %s was %d, not %d", name, last[name], sent-1)
		}
	}
}

// untilNonePending waits until all deliveries have ended.
func (u *user) untilNonePending() {
	u.t.Helper()
	deadline := time.Now().Add(2 * patienceOfTests)
	for len(u.run("deliveries", "list", "--state", "pending", "--json")) > 0 {
		if time.Now().After(deadline) {
			u.t.Fatalf("deliveries are pending for ever:\n%s", u.run("deliveries", "list", "--state", "pending"))
		}
	}
}
