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
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// launchTraced runs an agent under strace. Use says what strace is to watch and to do.
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
	for name, of := range map[string]struct {
		fault string
		grows bool // it happens where the file is made larger only
	}{
		"writes fail":              {"pwrite64:error=EIO", false},
		"writes write nothing":     {"pwrite64:retval=0", false}, // what is left of one that was cut short
		"syncs fail":               {"fdatasync:error=EIO", false},
		"the disk is full":         {"pwrite64:error=ENOSPC", false},
		"growing fails":            {"ftruncate:error=EIO", true},
		"the disk can't grow it":   {"ftruncate:error=ENOSPC", true},
		"syncs of its growth fail": {"fsync:error=EIO", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := startApp(t)
			u := newUser(t)
			config := u.writes("hooktape.hcl", strings.Replace(passingOn(app.addr), `respond = "target"`, `respond = "ack"`, 1))
			book := &ledger{acked: make(map[string][]byte)}
			first := 20 + rand.IntN(12) // call of each thread that fails, when the agent has started
			large := 10                 // one request in so many has pieces
			if of.grows {
				first, large = 1, 2
				u.fillUp(config, book)
			}
			agent := u.launchTraced([]string{
				"-P", u.tape, "-o", os.DevNull, "-e", "trace=pwrite64,fdatasync,fsync,ftruncate",
				"-e", fmt.Sprintf("inject=%s:when=%d..%d", of.fault, first, first+2),
			}, "run", "--config", config)
			u.sendThroughFaults(agent, book, large)
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

// fillUp records until the tape's file is about to grow.
func (u *user) fillUp(config string, book *ledger) {
	agent := u.start("run", "--config", config)
	for n := range 16 {
		target := fmt.Sprintf("/before/%d", n)
		request := bytes.Replace(requestOfSize(990_000), []byte(" /big "), []byte(" "+target+" "), 1)
		if !u.acknowledged(agent.addr, request) {
			u.t.Fatalf("%s was not taken", target)
		}
		book.enter(target, request)
	}
	if err := agent.stop(syscall.SIGTERM); err != nil {
		u.t.Fatal(err)
	}
}

// The tape may not grow although the disk has room; or only the beginning of its file may be written, so that writes are
// cut short in the middle of a page. Senders get 503, that is told once, and requests of any size are accepted again as
// soon as that is possible. What was acknowledged is there.
func TestATapeThatMayNotGrowTurnsAwayAllAndSaysSoOnce(t *testing.T) {
	t.Parallel()
	for name, most := range map[string]uint64{"no larger": 20 << 20, "cut short": 5<<20 + 1234} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newUser(t)
			agent := u.start("run", "--config", u.writes("hooktape.hcl", "source \"all\" {\n  path = \"/\"\n}\n"))
			limit := func(size uint64) {
				if err := unix.Prlimit(agent.process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: unix.RLIM_INFINITY}, nil); err != nil {
					t.Fatal(err)
				}
			}
			limit(most)
			large, small := requestOfSize(900_000), requestOfSize(0)
			taken := 0
			for ; u.acknowledged(agent.addr, large); taken++ {
				if taken == 20 {
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
			if err := agent.stop(syscall.SIGTERM); err != nil {
				t.Error(err)
			}
			if out := string(u.run("check", "--data", u.tape)); !strings.Contains(out, fmt.Sprintf(" %d records,", taken+1)) {
				t.Errorf("%d were taken: %s", taken+1, out)
			}
		})
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

// sendThroughFaults sends until every request is acknowledged and there was an outage. One in so many requests is large.
func (u *user) sendThroughFaults(agent *agentProcess, book *ledger, large int) {
	const senders, least = 4, 20
	hadOutage := func() bool { // that senders had no part in, perhaps: what was to be written is tried again
		log := agent.errs.String()
		return strings.Contains(log, outages[0][1]) || strings.Contains(log, outages[2][1])
	}
	deadline := time.Now().Add(patienceOfTests)
	var wg sync.WaitGroup
	for n := range senders {
		wg.Go(func() {
			for i := 0; i < least || !hadOutage(); i++ {
				size := rand.IntN(2000)
				if i%large == large-1 {
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
