package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// ledger keeps, outside the agent, what the agent acknowledged.
type ledger struct {
	mu    sync.Mutex        // guards acked
	acked map[string][]byte // target → the whole request
	full  chan struct{}     // closed when enough is acknowledged to kill the agent
	want  int
}

func (l *ledger) enter(target string, request []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked[target] = request
	if len(l.acked) == l.want {
		close(l.full)
	}
}

// load starts many senders, and returns once so many more requests are acknowledged. The senders go on until the agent is
// gone.
func (l *ledger) load(t *testing.T, addr, path string, more int) (senders *sync.WaitGroup) {
	t.Helper()
	const many = 8
	l.want, l.full = len(l.acked)+more, make(chan struct{}) // nobody sends yet
	senders = new(sync.WaitGroup)
	for n := range many {
		senders.Go(func() { sendUntilItDies(addr, fmt.Sprintf("%s/%d", path, n), l) })
	}
	select {
	case <-l.full:
	case <-time.After(patienceOfTests):
		t.Fatal("the agent does not acknowledge")
	}
	return senders
}

// SIGKILL at any instant loses no acknowledged record and no pending delivery:
// what was acknowledged is on the tape byte for byte after a restart, and comes
// to the app.
func TestKillUnderLoadLosesNoAcknowledgedRecord(t *testing.T) {
	t.Parallel()
	const rounds, perRound = 3, 150
	app := startApp(t)
	u := newUser(t)
	config := u.writes("hooktape.hcl", strings.Replace(passingOn(app.addr), `respond = "target"`, `respond = "ack"`, 1))
	book := &ledger{acked: make(map[string][]byte)}
	for round := range rounds {
		agent := u.start("run", "--config", config)
		senders := book.load(t, agent.addr, fmt.Sprintf("/kill/%d", round), perRound)
		agent.kill()
		senders.Wait()
	}

	agent := u.start("run", "--config", config)
	records := u.list()
	onTape := make(map[string]listed, len(records))
	for _, r := range records {
		onTape[r.Path] = r
	}
	for target := range book.acked {
		if r, ok := onTape[target]; !ok || r.Verdict != "accepted" {
			t.Errorf("%s was acknowledged and is not on the tape: %+v", target, r)
		}
	}
	u.everyDeliveryEnds()
	received, _ := app.received()
	book.compare(t, "at the app", received)
	agent.stop(os.Interrupt)

	second := startApp(t)
	u.run("replay", "--verdict", "accepted", "--limit", "0", "--to", "http://"+second.addr)
	received, _ = second.received()
	for i, request := range received { // replay put its own target's Host there
		received[i] = asForwarded(request, "hooks.example.com")
	}
	book.compare(t, "replayed", received)
}

// sendUntilItDies sends small and large requests, one after the other, until
// the agent is gone.
func sendUntilItDies(addr, path string, book *ledger) {
	for i := 0; ; i++ {
		size := rand.IntN(2000)
		if i%10 == 9 {
			size = 200_000 // in pieces
		}
		target := fmt.Sprintf("%s/%d", path, i)
		request := bytes.Replace(requestOfSize(size), []byte(" /big "), []byte(" "+target+" "), 1)
		answers, err := exchange(addr, request, inOneWrite)
		if err != nil || len(answers) != 1 {
			return
		}
		if status := statusOf(answers[0]); status/100 != 2 {
			return
		}
		book.enter(target, request)
	}
}

func (l *ledger) compare(t *testing.T, where string, received [][]byte) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	got := make(map[string][]byte, len(received))
	for _, request := range received {
		got[strings.Fields(string(clip(request)))[1]] = request
	}
	for target, request := range l.acked {
		if !bytes.Equal(got[target], request) {
			t.Errorf("%s, acknowledged, is %s: %v", target, where, differ(got[target], request))
		}
	}
}

// everyDeliveryEnds waits until no delivery is pending.
func (u *user) everyDeliveryEnds() {
	u.t.Helper()
	var out []byte
	err := poll(func() bool {
		out, _ = u.try("deliveries", "list", "--json", "--state", "pending", "--limit", "0")
		return len(bytes.TrimSpace(out)) == 0
	})
	if err != nil {
		u.t.Fatalf("deliveries stay pending: %v\n%s", err, clip(out))
	}
}

// A request under way when the agent is asked to end is answered, and no new
// connection is accepted.
func TestAgentThatIsAskedToEndFinishesWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	u := newUser(t)
	agent := u.start("http", portOf(app.addr))
	app.hold()
	answers := make(chan [][]byte, 1)
	go func() {
		got, _ := exchange(agent.addr, mustRead(t, "../../testdata/http/get-with-body.http"), inOneWrite)
		answers <- got
	}()
	if _, err := app.await(1); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- agent.stop(os.Interrupt) }()
	err := poll(func() bool {
		conn, err := net.Dial("tcp", agent.addr)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	if err != nil {
		t.Error("it still takes connections")
	}
	app.letGo()
	if got := <-answers; len(got) != 1 || statusOf(got[0]) != http.StatusOK {
		t.Errorf("the request under way was answered %q", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("it ended: %v", err)
	}
	if _, err := os.Stat(filepath.Join(u.dir, "tape.db.sock")); err == nil {
		t.Error("it left its socket behind")
	}
}
