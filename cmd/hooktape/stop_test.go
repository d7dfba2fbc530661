package main

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// SIGTERM under load: what was acknowledged is on the tape and comes to the app, none of it twice, over two restarts.
func TestStopUnderLoadLosesNothingAndSendsNothingTwice(t *testing.T) {
	t.Parallel()
	const rounds, perRound = 3, 100
	app := startApp(t)
	u := newUser(t)
	config := u.writes("hooktape.hcl", strings.Replace(passingOn(app.addr), `respond = "target"`, `respond = "ack"`, 1))
	book := &ledger{acked: make(map[string][]byte)}
	for round := range rounds {
		agent := u.start("run", "--config", config, "--grace", "50s") // what is cut off would be sent again
		senders := book.load(t, agent.addr, fmt.Sprintf("/stop/%d", round), perRound)
		if err := agent.stop(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		senders.Wait()
	}
	u.start("run", "--config", config)
	u.everyDeliveryEnds()
	received, _ := app.received()
	book.compare(t, "at the app", received)
	seen := make(map[string]bool)
	for _, request := range received {
		target := strings.Fields(string(clip(request)))[1]
		if seen[target] {
			t.Errorf("%s came twice", target)
		}
		seen[target] = true
	}
}

// What is under way when the grace is over stays pending, and is delivered by the next agent.
func TestWhatDoesNotFinishWithinTheGraceStaysPending(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	u := newUser(t)
	config := u.writes("hooktape.hcl", strings.Replace(passingOn(app.addr), `respond = "target"`, `respond = "ack"`, 1))
	agent := u.start("run", "--config", config, "--grace", "50ms")
	app.hold()
	if _, err := exchange(agent.addr, mustRead(t, "../../testdata/http/form-body.http"), inOneWrite); err != nil {
		t.Fatal(err)
	}
	if _, err := app.await(1); err != nil {
		t.Fatal(err)
	}
	if err := agent.stop(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"waiting for what is under way.*requests=0 attempts=1 at-most=50ms", "deliveries are left pending for the next start: pending=1 "} {
		if !regexp.MustCompile(line).MatchString(agent.errs.String()) {
			t.Errorf("the log does not say %q:\n%s", line, agent.errs)
		}
	}
	if out := u.run("deliveries", "list", "--json"); !bytes.Contains(out, []byte(`"state":"pending"`)) {
		t.Errorf("after the stop: %s", out)
	}
	app.letGo()
	u.start("run", "--config", config)
	u.everyDeliveryEnds()
	if received, _ := app.received(); len(received) != 2 {
		t.Errorf("the app got it %d times", len(received))
	}
}

// Whose request is with the app when the grace is over hears that hooktape delivers it, and need not send it again. A
// machine that stands still for a second keeps it from that, but not each time.
func TestSendersAreAnsweredWhenTheGraceIsOver(t *testing.T) {
	t.Parallel()
	for range 5 {
		if bytes.HasPrefix(answerOfAStop(t), []byte("HTTP/1.1 200 ")) {
			return
		}
	}
	t.Error("senders got no answer")
}

// answerOfAStop is what a sender gets whose app gives no answer, when the agent stops. Its delivery stays pending.
func answerOfAStop(t *testing.T) []byte {
	app := startApp(t)
	app.hold()
	defer app.letGo()
	u := newUser(t)
	agent := u.start("run", "--config", u.writes("hooktape.hcl", passingOn(app.addr)), "--grace", "50ms")
	answered := make(chan []byte, 1)
	go func() {
		answers, _ := exchange(agent.addr, mustRead(t, "../../testdata/http/form-body.http"), inOneWrite)
		answered <- bytes.Join(answers, nil)
	}()
	if _, err := app.await(1); err != nil {
		t.Fatal(err)
	}
	if err := agent.stop(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if out := u.run("deliveries", "list", "--json"); !bytes.Contains(out, []byte(`"state":"pending"`)) {
		t.Errorf("after the stop: %s", out)
	}
	return <-answered
}

// startStopping starts an agent, has a request come that the app does not answer, and tells the agent to stop. What it
// gives is closed when the sender has an answer, or none is to come.
func (u *user) startStopping(app *rawApp) (agent *agentProcess, answered <-chan struct{}) {
	u.t.Helper()
	agent = u.start("http", portOf(app.addr), "--grace", "1h")
	app.hold()
	got := make(chan struct{})
	go func() {
		exchange(agent.addr, mustRead(u.t, "../../testdata/http/form-body.http"), inOneWrite)
		close(got)
	}()
	if _, err := app.await(1); err != nil {
		u.t.Fatal(err)
	}
	if err := agent.process.Signal(syscall.SIGTERM); err != nil {
		u.t.Fatal(err)
	}
	err := poll(func() bool { // the signal is taken when nothing new is
		_, err := exchange(agent.addr, nil, inOneWrite)
		return err != nil
	})
	if err != nil {
		u.t.Fatal("it goes on receiving")
	}
	return agent, got
}

// Who looks in while the agent stops sees what it waits for.
func TestAnAgentThatStopsCanBeLookedAtToTheEnd(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	u := newUser(t)
	agent, answered := u.startStopping(app)
	ready, err := exchange(agent.inspect, []byte("GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"), inOneWrite)
	if err != nil || !bytes.Contains(ready[0], []byte(" 503 ")) || !bytes.Contains(ready[0], []byte("stopping")) {
		t.Errorf("readiness: %q %v", ready, err)
	}
	if out, err := u.try("list", "--json"); err != nil || bytes.Count(out, []byte("\n")) != 1 {
		t.Errorf("list: %s %v", out, err)
	}
	app.letGo()
	<-answered
	if err := agent.stop(syscall.Signal(0)); err != nil {
		t.Error(err)
	}
}

func TestASecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	u := newUser(t)
	agent, answered := u.startStopping(app)
	if err := agent.process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-agent.done:
	case <-time.After(patienceOfTests):
		t.Fatal("it does not end")
	}
	if exit, ok := errors.AsType[*exec.ExitError](agent.err); !ok || exit.ExitCode() != -1 {
		t.Errorf("it ended: %v", agent.err)
	}
	<-answered
}
