package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// agentProcess is a hooktape that runs as its own process, as a user runs it.
type agentProcess struct {
	addr    string // host:port it receives on
	url     string // of that
	inspect string // host:port of inspect, "" when it serves none
	out     *transcript
	errs    *transcript

	process *os.Process
	done    chan struct{} // closed when it has ended
	err     error         // how it ended; set before done is closed
}

// transcript keeps what a process printed, in memory and in a file, and says when
// more came.
type transcript struct {
	mu   sync.Mutex // guards what follows
	file *os.File
	text []byte
	more chan struct{} // closed and made anew by every write
}

func newTranscript(path string) (*transcript, error) {
	f, err := os.Create(path)
	return &transcript{file: f, more: make(chan struct{})}, err
}

func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	close(t.more)
	t.more = make(chan struct{})
	return t.file.Write(p)
}

func (t *transcript) read() (string, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text), t.more
}

func (t *transcript) String() string { s, _ := t.read(); return s }

var (
	receivingOn = regexp.MustCompile(`receiving on (https?://([^\s/]+))`)
	inspectOn   = regexp.MustCompile(`inspect on https?://([^\s/]+)`)
)

// startAgent runs a command line in dir and waits for the line that says where
// it receives. What it prints goes to agent.out and agent.err in dir too. It
// takes free ports, and the tape that HOOKTAPE_DATA names also where a config
// names another.
func startAgent(dir string, environ []string, line ...string) (*agentProcess, error) {
	line = append(line, "--listen", "127.0.0.1:0", "--inspect", "127.0.0.1:0")
	for _, v := range environ {
		if tape, ok := strings.CutPrefix(v, "HOOKTAPE_DATA="); ok {
			line = append(line, "--data", tape)
		}
	}
	return launchAgent(dir, environ, line...)
}

// launchAgent starts a command line as it is and waits like startAgent.
func launchAgent(dir string, environ []string, line ...string) (*agentProcess, error) {
	out, outErr := newTranscript(filepath.Join(dir, "agent.out"))
	errs, errsErr := newTranscript(filepath.Join(dir, "agent.err"))
	if err := errors.Join(outErr, errsErr); err != nil {
		return nil, err
	}
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, environ, out, errs
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	a := &agentProcess{out: out, errs: errs, process: cmd.Process, done: make(chan struct{})}
	go func() {
		a.err = cmd.Wait()
		out.file.Close()
		errs.file.Close()
		close(a.done)
	}()
	if err := a.awaitAddresses(slices.Contains(line, "--inspect")); err != nil {
		a.kill()
		return nil, err
	}
	return a, nil
}

// awaitAddresses waits for the first lines an agent prints.
func (a *agentProcess) awaitAddresses(withInspect bool) error {
	timeout := time.After(patienceOfTests)
	for {
		text, more := a.out.read()
		receiving, inspect := receivingOn.FindStringSubmatch(text), inspectOn.FindStringSubmatch(text)
		if inspect != nil {
			a.inspect = inspect[1]
		}
		if receiving != nil && (inspect != nil || !withInspect) {
			a.url, a.addr = receiving[1], receiving[2]
			return nil
		}
		select {
		case <-more:
		case <-a.done:
			return fmt.Errorf("it ended before it received: %w\n%s%s", a.err, a.out, a.errs)
		case <-timeout:
			return fmt.Errorf("it never said where it receives\n%s%s", a.out, a.errs)
		}
	}
}

// stop asks the process to end and waits; the error is how it ended, unless that was
// one of the two good ways: done or interrupted.
func (a *agentProcess) stop(sig os.Signal) error {
	if err := a.process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-a.done:
		if exit, ok := errors.AsType[*exec.ExitError](a.err); ok && exit.ExitCode() == exitInterrupted {
			return nil
		}
		return a.err
	case <-time.After(patienceOfTests):
		a.kill()
		return fmt.Errorf("it did not end after %v\n%s%s", sig, a.out, a.errs)
	}
}

// unwell says whether the log shows what a healthy agent never prints.
func (a *agentProcess) unwell() bool {
	log := a.errs.String()
	return strings.Contains(log, "DATA RACE") || strings.Contains(log, "panic")
}

// kill ends the process as a power cut would.
func (a *agentProcess) kill() {
	a.process.Kill()
	<-a.done
}

// user is somebody at a terminal: a working directory, an environment, a tape.
type user struct {
	t      testing.TB
	agent  *agentProcess // the one started last
	dir    string
	env    []string
	tape   string
	tunnel *tunneled // before the apps; nil: they are beside the agent
}

func newUser(t testing.TB) *user {
	dir := t.TempDir()
	tape := filepath.Join(dir, "tape.db")
	return &user{t: t, dir: dir, tape: tape, env: cleanEnviron(dir, tape)}
}

// cleanEnviron is what commands under test see of the world.
func cleanEnviron(dir, tape string) []string {
	return append(os.Environ(),
		"HOOKTAPE_DATA="+tape,
		"HOME="+dir,
		"XDG_STATE_HOME="+filepath.Join(dir, "state"),
		"XDG_RUNTIME_DIR="+filepath.Join(dir, "runtime"),
		"NO_COLOR=1", "GITHUB_STEP_SUMMARY=",
	)
}

// appsBehindTunnel puts the apps of all agents started from now on behind a tunnel.
func (u *user) appsBehindTunnel() {
	u.t.Helper()
	var err error
	if u.tunnel, err = newTunneled(u.t.TempDir()); err != nil {
		u.t.Fatal(err)
	}
	u.t.Cleanup(func() {
		if err := u.tunnel.close(); err != nil {
			u.t.Error(err)
		}
	})
}

// start runs an agent until the test ends or it is stopped before.
func (u *user) start(args ...string) *agentProcess {
	u.t.Helper()
	start := startAgent
	if u.tunnel != nil {
		start = u.tunnel.start
	}
	a, err := start(u.dir, u.env, append([]string{"hooktape"}, args...)...)
	if err != nil {
		u.t.Fatalf("hooktape %v: %v", args, err)
	}
	u.agent = a
	u.t.Cleanup(func() {
		a.stop(syscall.SIGTERM)
		if a.unwell() {
			u.t.Error("the agent had a data race, or panicked")
		}
		if u.t.Failed() {
			u.t.Logf("the agent printed:\n%s%s", a.out, a.errs)
		}
	})
	return a
}

// run runs a command to its end and returns what it printed to stdout.
func (u *user) run(args ...string) []byte {
	u.t.Helper()
	out, err := u.try(args...)
	if err != nil {
		u.t.Fatalf("hooktape %v: %v", args, err)
	}
	return out
}

// look is try in this process, for commands that only look: starting a process with the race detector costs more than they
// do.
func (u *user) look(args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patienceOfTests)
	defer cancel()
	var out, errs bytes.Buffer
	e := &env{
		stdin: strings.NewReader(""), stdout: &out, stderr: &errs, lookup: u.lookup, executable: os.Executable, now: time.Now,
		getwd: func() (string, error) { return u.dir, nil },
	}
	if code := e.execute(ctx, args); code != exitDone {
		return out.Bytes(), fmt.Errorf("exit %d\n%s%s", code, clip(out.Bytes()), errs.Bytes())
	}
	return out.Bytes(), nil
}

// looks is run for such commands.
func (u *user) looks(args ...string) []byte {
	u.t.Helper()
	out, err := u.look(args...)
	if err != nil {
		u.t.Fatalf("hooktape %v: %v", args, err)
	}
	return out
}

// lookup is a variable of the environment that commands see.
func (u *user) lookup(name string) (string, bool) {
	for _, variable := range slices.Backward(u.env) { // the last one holds
		if value, ok := strings.CutPrefix(variable, name+"="); ok {
			return value, true
		}
	}
	return "", false
}

func (u *user) try(args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patienceOfTests)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, "hooktape", args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = u.dir, u.env, &out, &errs
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("%w\n%s%s", err, clip(out.Bytes()), errs.Bytes())
	}
	return out.Bytes(), nil
}
