package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hooktape/hooktape/relay/acme/acmetest"
)

// TestMain makes this test binary stand in for the hooktape command: every
// test runs the real thing as a process of its own, with the race detector
// when the tests have it.
func TestMain(m *testing.M) {
	// A process with the race detector otherwise sleeps a second before it ends.
	os.Setenv("GORACE", strings.TrimSpace(os.Getenv("GORACE")+" atexit_sleep_ms=0"))
	acmetest.Main()
	testscript.Main(m, map[string]func(){"hooktape": main})
}

// TestScripts runs testdata/script: one script a behaviour, in the words a user
// types. Beside testscript's own commands they have
//
//	start hooktape http 3000   run an agent in the background until it receives; sets $URL, $ADDR, $INSPECT,
//	                           takes free ports unless told -own-ports; it prints into agent.out, agent.err
//	halt, interrupt, crash     end it: SIGTERM, SIGINT, SIGKILL; halt and interrupt want a good end, or this exit code
//	hangup                     send it SIGHUP
//	edge up                    a second agent, of edge/hooktape.hcl on edge/tape.db: sets $EDGE_URL, $EDGE_ADDR
//	edge down                  ends it
//	app up NAME                an app of raw sockets: sets $NAME, $NAME_URL, $NAME_PORT; each request it
//	                           receives is in NAME/1.http, NAME/2.http, ...
//	app down NAME              its port is closed; app up NAME opens the same one again
//	app answer NAME FILE...    it answers with these bytes, in turn, the last one for good
//	app hold NAME, app release NAME
//	app prompt|early|reset|hangup NAME    how it treats requests from now on
//	app got NAME N             wait until it received N requests in all; then it must not be more
//	send [-bytewise] [-hangup] [-times N] FILE...   over one raw socket; the answers' bytes are stdout
//	crlf FILE...               make line ends CR LF, as they are on the wire
//	generate FILE SIZE         a POST with a body of so many bytes
//	forwarded SENT GOT HOST [FROM TO]     GOT is SENT as promise 5 lets the target at HOST receive it,
//	                           path FROM replaced by TO
//	certificate CERT KEY [DAYS]   make a certificate for 127.0.0.1 that ends in so many days, and its key
//	await FILE PATTERN         wait until the file matches
//	until PATTERN COMMAND...   run the command until its stdout matches; ! until: until it doesn't
//	exitcode N COMMAND...      run the command, which must end with this code
//	smalldisk DIR SIZE         DIR becomes a disk of its own, with so many bytes; takes root
//
// Where the condition tunnel holds, start also runs a laptop, and the app is behind the tunnel between both.
func TestScripts(t *testing.T) {
	runScripts(t, "*", false)
}

// The systems of SYSTEMS.md work as well when the app is on a laptop. Metrika has no script: see reachedEachWay.
func TestScriptsOfSystemsWithTheAppBehindATunnel(t *testing.T) {
	runScripts(t, "system_*", true)
}

func runScripts(t *testing.T, names string, tunnel bool) {
	root, err := filepath.Abs("../../testdata")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, "script", names+".txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts %s: %v", names, err)
	}
	testscript.Run(t, testscript.Params{
		Files:               files,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("HOOKTAPE_UPDATE") != "",
		Setup:               func(e *testscript.Env) error { return setUpScript(e, root, tunnel) },
		Condition: func(name string) (bool, error) {
			if name == "tunnel" {
				return tunnel, nil
			}
			return scriptCondition(name)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"start":       cmdStart,
			"halt":        cmdEnd(syscall.SIGTERM),
			"hangup":      cmdHangup,
			"edge":        cmdEdge,
			"interrupt":   cmdEnd(syscall.SIGINT),
			"crash":       cmdEnd(syscall.SIGKILL),
			"app":         cmdApp,
			"send":        cmdSend,
			"crlf":        cmdCRLF,
			"generate":    cmdGenerate,
			"forwarded":   cmdForwarded,
			"certificate": cmdCertificate,
			"await":       cmdAwait,
			"until":       cmdUntil,
			"exitcode":    cmdExitCode,
			"smalldisk":   cmdSmallDisk,
		},
	})
}

// stage is what a script has running.
type stage struct {
	agent  *agentProcess
	edge   *agentProcess
	apps   map[string]*rawApp
	tunnel *tunneled // before the app; nil: it is beside the agent
}

type scriptKey struct{}

func stageOf(ts *testscript.TestScript) *stage { return ts.Value(scriptKey{}).(*stage) }

func setUpScript(e *testscript.Env, root string, tunnel bool) error {
	on := &stage{apps: make(map[string]*rawApp)}
	if tunnel {
		var err error
		if on.tunnel, err = newTunneled(filepath.Join(e.WorkDir, ".tunnel")); err != nil {
			return err
		}
		e.Defer(func() {
			if err := on.tunnel.close(); err != nil {
				e.T().Log(err)
			}
		})
	}
	e.Values[scriptKey{}] = on
	e.Setenv("TESTDATA", root)
	e.Setenv("HOOKTAPE_DATA", filepath.Join(e.WorkDir, "tape.db"))
	e.Setenv("XDG_STATE_HOME", filepath.Join(e.WorkDir, ".state"))
	e.Setenv("XDG_RUNTIME_DIR", filepath.Join(e.WorkDir, ".runtime"))
	e.Setenv("TZ", "UTC")
	e.Setenv("GORACE", os.Getenv("GORACE"))
	e.Defer(func() {
		if on.agent != nil {
			on.agent.kill()
			e.T().Log(fmt.Sprintf("the agent ran to the end; its log:\n%s", on.agent.errs))
		}
		if on.edge != nil {
			on.edge.kill()
			e.T().Log(fmt.Sprintf("the log of the edge:\n%s", on.edge.errs))
		}
		for _, app := range on.apps {
			app.end()
		}
	})
	return nil
}

func scriptCondition(name string) (bool, error) {
	switch name {
	case "root":
		return os.Geteuid() == 0, nil
	}
	return false, fmt.Errorf("unknown condition %q", name)
}

func cmdStart(ts *testscript.TestScript, neg bool, args []string) {
	ownPorts := len(args) > 0 && args[0] == "-own-ports"
	if ownPorts {
		args = args[1:]
	}
	if neg || len(args) < 2 || args[0] != "hooktape" {
		ts.Fatalf("usage: start [-own-ports] hooktape ARGS...")
	}
	on := stageOf(ts)
	if on.agent != nil {
		ts.Fatalf("an agent runs already")
	}
	launch := startAgent
	if ownPorts {
		launch = launchAgent
	}
	if on.tunnel != nil {
		launch = on.tunnel.start
	}
	agent, err := launch(ts.MkAbs("."), scriptEnviron(ts), args...)
	ts.Check(err)
	on.agent = agent
	ts.Setenv("ADDR", agent.addr)
	ts.Setenv("URL", agent.url)
	ts.Setenv("INSPECT", "http://"+agent.inspect)
	ts.Setenv("INSPECT_ADDR", agent.inspect)
}

// scriptEnviron gathers what the script's environment says now; testscript
// hands it out one variable at a time.
func scriptEnviron(ts *testscript.TestScript) []string {
	environ := os.Environ()
	for _, name := range []string{"HOOKTAPE_DATA", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "HOME", "TMPDIR", "TZ", "NO_COLOR",
		"APP_URL", "API_URL", "SECOND_URL", "PUBLIC_URL", "SECRET", "PATH", "GITHUB_STEP_SUMMARY"} {
		environ = append(environ, name+"="+ts.Getenv(name))
	}
	return environ
}

func cmdEnd(sig syscall.Signal) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		on := stageOf(ts)
		if neg || len(args) > 1 || on.agent == nil {
			ts.Fatalf("no agent runs, or too many arguments")
		}
		agent := on.agent
		on.agent = nil
		if len(args) == 1 {
			agent.stop(sig)
			if exit, ok := errors.AsType[*exec.ExitError](agent.err); !ok || strconv.Itoa(exit.ExitCode()) != args[0] || agent.unwell() {
				ts.Fatalf("the agent ended: %v\n%s", agent.err, agent.errs)
			}
			return
		}
		if sig == syscall.SIGKILL {
			agent.kill()
			return
		}
		if err := agent.stop(sig); err != nil || agent.unwell() {
			ts.Fatalf("the agent ended: %v\n%s", err, agent.errs)
		}
	}
}

func cmdEdge(ts *testscript.TestScript, neg bool, args []string) {
	on := stageOf(ts)
	if !neg && slices.Equal(args, []string{"down"}) && on.edge != nil {
		ts.Check(on.edge.stop(syscall.SIGTERM))
		on.edge = nil
		return
	}
	if neg || !slices.Equal(args, []string{"up"}) || on.edge != nil {
		ts.Fatalf("usage: edge up|down")
	}
	dir := ts.MkAbs("edge")
	environ := append(scriptEnviron(ts), "HOOKTAPE_DATA="+filepath.Join(dir, "tape.db"))
	edge, err := startAgent(dir, environ, "hooktape", "run", "--config", "hooktape.hcl")
	ts.Check(err)
	on.edge = edge
	ts.Setenv("EDGE_URL", edge.url)
	ts.Setenv("EDGE_ADDR", edge.addr)
}

func cmdHangup(ts *testscript.TestScript, neg bool, args []string) {
	agent := stageOf(ts).agent
	if neg || len(args) > 0 || agent == nil {
		ts.Fatalf("no agent runs, or too many arguments")
	}
	ts.Check(agent.process.Signal(syscall.SIGHUP))
}

func cmdApp(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: app up|down|answer|hold|release|prompt|early|reset|hangup|got NAME ...")
	}
	verb, name := args[0], args[1]
	if verb == "up" {
		appUp(ts, name)
		return
	}
	app := appNamed(ts, name)
	switch verb {
	case "down":
		app.down()
	case "answer":
		var answers [][]byte
		for _, file := range args[2:] {
			answers = append(answers, []byte(ts.ReadFile(file)))
		}
		app.answer(answers...)
	case "hold":
		app.hold()
	case "release":
		app.letGo()
	case "got":
		n, err := strconv.Atoi(args[2])
		ts.Check(err)
		requests, err := app.await(n)
		ts.Check(err)
		if len(requests) > n {
			ts.Fatalf("%s received %d requests, not %d", name, len(requests), n)
		}
	default:
		app.behave(manner(verb))
	}
}

func appNamed(ts *testscript.TestScript, name string) *rawApp {
	app := stageOf(ts).apps[name]
	if app == nil {
		ts.Fatalf("no app %s: app up %s makes one", name, name)
	}
	return app
}

func appUp(ts *testscript.TestScript, name string) {
	on := stageOf(ts)
	if app := on.apps[name]; app != nil {
		ts.Check(app.up())
		return
	}
	dir := ts.MkAbs(name)
	ts.Check(os.MkdirAll(dir, 0o777))
	app := newRawApp()
	app.seen = func(n int, request []byte) {
		// A file that can't be written is one the script will miss.
		_ = os.WriteFile(filepath.Join(dir, strconv.Itoa(n)+".http"), request, 0o666)
	}
	ts.Check(app.up())
	on.apps[name] = app
	_, port, _ := net.SplitHostPort(app.addr)
	env := strings.ToUpper(name)
	ts.Setenv(env, app.addr)
	ts.Setenv(env+"_URL", "http://"+app.addr)
	ts.Setenv(env+"_PORT", port)
}

func cmdSend(ts *testscript.TestScript, neg bool, args []string) {
	write, times := inOneWrite, 1
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		switch args[0] {
		case "-bytewise":
			write = byteByByte
		case "-hangup":
			write = andHangUp
		case "-times":
			n, err := strconv.Atoi(args[1])
			ts.Check(err)
			times = n
			args = args[1:]
		default:
			ts.Fatalf("send has no flag %s", args[0])
		}
		args = args[1:]
	}
	var sent []byte
	for range times {
		for _, file := range args {
			sent = append(sent, ts.ReadFile(file)...)
		}
	}
	answers, err := exchange(ts.Getenv("ADDR"), sent, write)
	if neg != (err != nil) {
		ts.Fatalf("send %v: %v", args, err)
	}
	ts.Stdout().Write(bytes.Join(answers, nil))
}

func cmdCRLF(ts *testscript.TestScript, neg bool, args []string) {
	for _, file := range args {
		text := strings.ReplaceAll(ts.ReadFile(file), "\n", "\r\n")
		ts.Check(os.WriteFile(ts.MkAbs(file), []byte(text), 0o666))
	}
}

func cmdGenerate(ts *testscript.TestScript, neg bool, args []string) {
	size, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), requestOfSize(size), 0o666))
}

// requestOfSize is a POST with a body of size bytes in which no two stretches
// of a piece's length are alike.
func requestOfSize(size int) []byte {
	body := make([]byte, 0, size+16)
	for i := 0; len(body) < size; i++ {
		body = strconv.AppendInt(body, int64(i), 36)
		body = append(body, byte(i), '\n')
	}
	head := fmt.Sprintf("POST /big HTTP/1.1\r\nHost: hooks.example.com\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n", size)
	return append([]byte(head), body[:size]...)
}

func cmdForwarded(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 && len(args) != 5 {
		ts.Fatalf("usage: forwarded SENT GOT HOST [FROM TO]")
	}
	want := asForwarded([]byte(ts.ReadFile(args[0])), args[2])
	if len(args) == 5 {
		want = withPath(want, args[3], args[4])
	}
	if err := differ([]byte(ts.ReadFile(args[1])), want); neg != (err != nil) {
		ts.Fatalf("%s is not %s as forwarded: %v", args[1], args[0], err)
	}
}

func cmdAwait(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await FILE PATTERN")
	}
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	ts.Check(awaitFile(ts.MkAbs(args[0]), pattern))
}

// pollEvery is how often a condition is looked at that nobody announces: a
// file another process writes, what a command prints.
const pollEvery = 10 * time.Millisecond

func awaitFile(path string, pattern *regexp.Regexp) error {
	var last []byte
	err := poll(func() bool {
		b, err := os.ReadFile(path)
		last = b
		return err == nil && pattern.Match(b)
	})
	if err != nil {
		return fmt.Errorf("%s never matched %s: %w\n%s", path, pattern, err, last)
	}
	return nil
}

// poll asks until the answer is yes, or patience is over.
func poll(yes func() bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), patienceOfTests)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for !yes() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func cmdUntil(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: [!] until PATTERN COMMAND...")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	var out, errs []byte
	err = poll(func() bool {
		out, errs, _ = scriptCommand(ts, args[1:])
		return pattern.Match(out) != neg
	})
	ts.Stdout().Write(out)
	ts.Stderr().Write(errs)
	if err != nil {
		ts.Fatalf("%v: its output never agreed with %s: %v", args[1:], pattern, err)
	}
}

func cmdExitCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exitcode N COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	out, errs, code := scriptCommand(ts, args[1:])
	ts.Stdout().Write(out)
	ts.Stderr().Write(errs)
	if code != want {
		ts.Fatalf("%v ended with exit code %d, not %d", args[1:], code, want)
	}
}

// scriptCommand runs a command as exec does, bounded; code is -1 when it did not
// end by itself.
func scriptCommand(ts *testscript.TestScript, line []string) (stdout, stderr []byte, code int) {
	ctx, cancel := context.WithTimeout(context.Background(), patienceOfTests)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = ts.MkAbs("."), scriptEnviron(ts), &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		ts.Fatalf("%v: %v", line, err)
	}
	return out.Bytes(), errs.Bytes(), cmd.ProcessState.ExitCode()
}

// needsProgram skips a test loudly when a program it runs is missing; where
// everything must run, .ci/run has installed it and missing is a failure.
func needsProgram(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, "%s is not installed", name)
	}
	return path
}

func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("HOOKTAPE_ALL_TESTS") == "1" {
		t.Fatalf("HOOKTAPE_ALL_TESTS=1: "+format, args...)
	}
	t.Skipf("NOT TESTED HERE: %s (%s/%s)", fmt.Sprintf(format, args...), runtime.GOOS, runtime.GOARCH)
}
