package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// launchTraced runs an agent behind strace. Use is what strace is to look at and to do.
func (u *user) launchTraced(use []string, args ...string) *agentProcess {
	u.t.Helper()
	line := append([]string{needsProgram(u.t, "strace"), "-f"}, use...)
	line = append(line, "--", "hooktape")
	line = append(line, args...)
	agent, err := launchAgent(u.dir, u.env, append(line, "--listen", "127.0.0.1:0", "--inspect", "127.0.0.1:0", "--data", u.tape)...)
	if err != nil {
		if out, _ := os.ReadFile(filepath.Join(u.dir, "agent.err")); strings.Contains(string(out), "ptrace") {
			missing(u.t, "strace may not trace here: %s", out)
		}
		u.t.Fatal(err)
	}
	return agent
}

// A disk that fails now and then, at any call: senders get 503 until it works again, which the agent finds out by
// itself; nothing that it acknowledged is lost, every delivery is made, and each outage is told once.
func TestADiskThatFailsLosesNothingThatWasAcknowledged(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]string{
		"writes fail":          "pwrite64:error=EIO",
		"writes write nothing": "pwrite64:retval=0", // what is left of one that was cut short
		"syncs fail":           "fdatasync:error=EIO",
		"the disk is full":     "pwrite64:error=ENOSPC",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := startApp(t)
			u := newUser(t)
			config := u.writes("hooktape.hcl", strings.Replace(passingOn(app.addr), `respond = "target"`, `respond = "ack"`, 1))
			first := 20 + rand.IntN(12) // call of each thread that fails, when the agent has started
			agent := u.launchTraced([]string{
				"-P", u.tape, "-o", os.DevNull, "-e", "trace=pwrite64,fdatasync",
				"-e", fmt.Sprintf("inject=%s:when=%d..%d", fault, first, first+2),
			}, "run", "--config", config)
			book := &ledger{acked: make(map[string][]byte)}
			u.sendThroughFaults(agent, book)
			endTraced(t, agent)
			if err := eachOutageIsToldOnce(agent.errs.String()); err != nil || agent.unwell() {
				t.Errorf("from call %d on: %v\n%s", first, err, agent.errs)
			}

			u.start("run", "--config", config)
			onTape := make(map[string]bool)
			for _, r := range u.list() {
				onTape[r.Path] = true
			}
			for target := range book.acked {
				if !onTape[target] {
					t.Errorf("from call %d on: %s was acknowledged and is not on the tape", first, target)
				}
			}
			u.everyDeliveryEnds()
			received, _ := app.received()
			book.compare(t, "at the app", received)
		})
	}
}

// A tape that may not become any larger, though the disk has room: senders get 503, that is told once, and requests of
// any size are taken again as soon as it may.
func TestATapeThatMayNotGrowTurnsAwayAllAndSaysSoOnce(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	agent := u.start("run", "--config", u.writes("hooktape.hcl", "source \"all\" {\n  path = \"/\"\n}\n"))
	limit := func(size uint64) {
		if err := unix.Prlimit(agent.process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: unix.RLIM_INFINITY}, nil); err != nil {
			t.Fatal(err)
		}
	}
	limit(20 << 20)
	large, small := requestOfSize(900_000), requestOfSize(0)
	for n := 0; u.acknowledged(agent.addr, large); n++ {
		if n == 20 {
			t.Fatal("more is on the tape than may be")
		}
	}
	for range 5 {
		if u.acknowledged(agent.addr, small) || u.acknowledged(agent.addr, large) {
			t.Error("one was taken that happened to find room")
		}
	}
	limit(unix.RLIM_INFINITY)
	if err := poll(func() bool { return u.acknowledged(agent.addr, large) }); err != nil {
		t.Error(err)
	}
	log := agent.errs.String()
	if err := eachOutageIsToldOnce(log); err != nil || strings.Count(log, outages[1][0]) != 1 || strings.Contains(log, outages[0][0]) {
		t.Errorf("%v\n%s", err, log)
	}
}

// outages are what the log says of their beginning and their end.
var outages = [][2]string{
	{"database could not commit", "database commits again"},
	{"disk is full, no more records are taken", "disk has room again"},
	{"can't record, answering 503", "recording again"},
}

// eachOutageIsToldOnce reads a log: as many outages begin as end, but for the last one.
func eachOutageIsToldOnce(log string) error {
	for _, said := range outages {
		begun, ended := strings.Count(log, said[0]), strings.Count(log, said[1])
		if ended > begun || begun > ended+1 {
			return fmt.Errorf("%q is said %d times, %q %d times", said[0], begun, said[1], ended)
		}
	}
	return nil
}

// sendThroughFaults sends until every request is acknowledged, and there was an outage.
func (u *user) sendThroughFaults(agent *agentProcess, book *ledger) {
	const senders, least = 4, 20
	hadOutage := func() bool { return strings.Contains(agent.errs.String(), outages[2][1]) }
	deadline := time.Now().Add(patienceOfTests)
	var wg sync.WaitGroup
	for n := range senders {
		wg.Go(func() {
			for i := 0; i < least || !hadOutage(); i++ {
				size := rand.IntN(2000)
				if i%10 == 9 {
					size = 200_000 // in pieces
				}
				target := fmt.Sprintf("/faults/%d/%d", n, i)
				request := bytes.Replace(requestOfSize(size), []byte(" /big "), []byte(" "+target+" "), 1)
				if err := poll(func() bool { return u.acknowledged(agent.addr, request) }); err != nil || time.Now().After(deadline) {
					u.t.Errorf("%s: no outage, or no end of it: %v\n%s", target, err, agent.errs)
					return
				}
				book.enter(target, request)
			}
		})
	}
	wg.Wait()
}

// acknowledged sends a request. One that is not acknowledged must be asked for again.
func (u *user) acknowledged(addr string, request []byte) bool {
	answers, err := exchange(addr, request, inOneWrite)
	if err != nil || len(answers) != 1 {
		u.t.Errorf("answered %q, %v", answers, err)
		return true
	}
	status := statusOf(answers[0])
	if status == http.StatusServiceUnavailable && bytes.Contains(answers[0], []byte("\r\nRetry-After: ")) {
		return false
	}
	if status != http.StatusOK {
		u.t.Errorf("answered %q", answers[0])
	}
	return true
}
