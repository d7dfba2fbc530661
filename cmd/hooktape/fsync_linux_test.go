package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Under strace, between the write of a record into the database and the 2xx to
// its sender lies a sync of the database that came after the write.
func TestEverySuccessIsAnsweredAfterItsRecordIsSynced(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	trace := filepath.Join(u.dir, "trace.txt")
	// Without a target: the attempts of deliveries have the marks too, and may be written before an answer that is slow.
	config := u.writes("hooktape.hcl", "source \"all\" {\n  path = \"/\"\n}\n")
	agent := u.launchTraced([]string{
		"-y", "-s", "262144", "-o", trace, "-e", "trace=pwrite64,write,writev,sendto,sendmsg,fdatasync,fsync",
	}, "run", "--config", config)
	marks := sendMarked(t, agent.addr)
	endTraced(t, agent)
	for _, mark := range marks {
		if err := syncedBeforeAnswer(trace, u.tape, mark); err != nil {
			t.Error(err)
		}
	}
}

// endTraced asks the agent behind strace to end; strace ends with it.
func endTraced(t *testing.T, strace *agentProcess) {
	t.Helper()
	pid := strace.process.Pid
	children := string(mustRead(t, fmt.Sprintf("/proc/%d/task/%d/children", pid, pid)))
	var agent int
	if _, err := fmt.Sscan(children, &agent); err != nil {
		t.Fatalf("the children of strace: %q: %v", children, err)
	}
	if err := syscall.Kill(agent, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-strace.done:
	case <-time.After(patienceOfTests):
		syscall.Kill(agent, syscall.SIGKILL)
		t.Fatal("the agent behind strace does not end")
	}
}

// sendMarked sends requests of one line, of one piece, and of several, one after
// the other; each carries a mark that can be found in a trace.
func sendMarked(t *testing.T, addr string) []string {
	t.Helper()
	var marks []string
	for i, size := range []int{0, 100, 1000, 60_000, 200_000, 10} {
		mark := fmt.Sprintf("marked-%d-for-the-trace", i)
		request := fmt.Sprintf("POST /%s HTTP/1.1\r\nHost: hooks.example.com\r\nContent-Length: %d\r\n\r\n%s", mark, size, strings.Repeat("x", size))
		answers, err := exchange(addr, []byte(request), inOneWrite)
		if err != nil || len(answers) != 1 || statusOf(answers[0])/100 != 2 {
			t.Fatalf("%s: %q %v", mark, answers, err)
		}
		marks = append(marks, mark)
	}
	return marks
}

var (
	syncStarted  = regexp.MustCompile(`^(\d+)\s+(?:fdatasync|fsync)\(\d+<([^>]*)>`)
	syncDone     = regexp.MustCompile(`^(\d+)\s+(?:(?:fdatasync|fsync)\(.*|<\.\.\. (?:fdatasync|fsync) resumed>.*)\)\s+= 0`)
	answered     = regexp.MustCompile(`^\d+\s+(?:write|writev|sendto|sendmsg)\(\d+<(?:socket|TCP)[^>]*>.*"HTTP/1\.[01] 2\d\d`)
	writeStarted = regexp.MustCompile(`^(\d+)\s+pwrite64\(\d+<([^>]*)>`)
)

// syncedBeforeAnswer walks a trace to the write that holds the mark, which the
// requests before it in the trace are done with, and on to the first 2xx.
func syncedBeforeAnswer(trace, tape, mark string) error {
	f, err := os.Open(trace)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	written, syncs := false, 0
	under := make(map[string]bool) // threads in a sync that started after the write
	for lines.Scan() {
		line := lines.Text()
		if m := writeStarted.FindStringSubmatch(line); m != nil && m[2] == tape && strings.Contains(line, mark) {
			written, syncs = true, 0
			clear(under)
		}
		if !written {
			continue
		}
		if m := syncStarted.FindStringSubmatch(line); m != nil && m[2] == tape {
			under[m[1]] = true
		}
		if m := syncDone.FindStringSubmatch(line); m != nil && under[m[1]] {
			delete(under, m[1])
			syncs++
		}
		if answered.MatchString(line) {
			// Twice: bbolt syncs the pages, and then the meta page that makes them count.
			if syncs < 2 {
				return fmt.Errorf("%s: %d syncs of the database between its write and its 2xx", mark, syncs)
			}
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return fmt.Errorf("%s: written into the database: %t, and then never answered", mark, written)
}
