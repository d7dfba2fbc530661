package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hooktape/hooktape/store"
)

// terminal is one in which a command runs: what it prints is in agent.out, what is written to it is typed.
type terminal struct {
	*os.File
	agent *agentProcess
}

// atTerminal runs a command in a terminal until the test ends.
func (u *user) atTerminal(args ...string) *terminal {
	u.t.Helper()
	at, line := openTerminal(u.t)
	out, err := newTranscript(filepath.Join(u.dir, "terminal.out"))
	if err != nil {
		u.t.Fatal(err)
	}
	errs, err := newTranscript(filepath.Join(u.dir, "terminal.err"))
	if err != nil {
		u.t.Fatal(err)
	}
	cmd := exec.Command("hooktape", args...)
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = u.dir, u.env, line, line, errs
	if err := cmd.Start(); err != nil {
		u.t.Fatal(err)
	}
	_ = line.Close() // the command has it
	a := &agentProcess{out: out, errs: errs, process: cmd.Process, done: make(chan struct{})}
	go func() {
		_, _ = io.Copy(out, at) // until the command ends
		a.err = cmd.Wait()
		_, _ = out.file.Close(), errs.file.Close()
		close(a.done)
	}()
	u.agent = a
	u.t.Cleanup(func() {
		if err := a.stop(syscall.SIGTERM); err != nil || a.unwell() {
			u.t.Errorf("it ended: %v\n%s%s", err, out, errs)
		}
		_ = at.Close()
	})
	return &terminal{at, a}
}

// openTerminal makes a terminal: what is typed and shown there, and what a command has of it.
func openTerminal(t testing.TB) (at, line *os.File) {
	t.Helper()
	at, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		missing(t, "no terminal can be made: %v", err)
	}
	if err := unix.IoctlSetPointerInt(int(at.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(at.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if line, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		missing(t, "no terminal can be opened: %v", err)
	}
	return at, line
}

func TestAQuietReplayDrawsNoBar(t *testing.T) {
	d := newDeck(t)
	app := newAnswering(t, status(200, "ok"))
	d.clocked(app.URL, 0)
	for _, quiet := range []bool{false, true} {
		at, line := openTerminal(t)
		code := d.execute(t.Context(), io.Discard, line, "replay", "--where", "true", "--to", app.URL, fmt.Sprintf("--quiet=%t", quiet))
		_ = line.Close()
		shown, _ := io.ReadAll(at) // it ends with an error when nobody has the other side
		_ = at.Close()
		if bar := bytes.Contains(shown, []byte("\x1b[K")); code != exitDone || bar == quiet {
			t.Errorf("--quiet=%t: exit %d, %q", quiet, code, shown)
		}
	}
}

// Above 100 requests a person at a terminal says what becomes of them. Each of the answers has a tunnel.
func TestATerminalIsAskedAboutALargeBacklog(t *testing.T) {
	t.Parallel()
	const waiting = 101
	answers := []struct {
		name  string
		typed []string    // a line for each time it is asked
		comes bool        // what has waited
		state store.State // of it then
	}{
		{"deliver", []string{""}, true, store.Delivered},
		{"hold", []string{"neither", "Hold "}, false, store.Pending},
		{"drop", []string{"dr"}, false, store.Dropped},
	}
	var tunnels, targets strings.Builder
	for _, a := range answers {
		own := store.Token{Hash: store.HashToken(a.name)}
		fmt.Fprintf(&tunnels, "tunnel %q {\n token_hash = %q\n }\n", a.name, own.HashText())
		fmt.Fprintf(&targets, "target %q {\n tunnel = %q\n }\n", a.name, a.name)
	}
	edge := newUser(t)
	edge.start("run", "--config", edge.writes("edge.hcl", "edge {\n domain = \"127.0.0.1\"\n"+tunnels.String()+"}\nsource \"all\" {\n path = \"/all\"\n"+targets.String()+"}\n"))
	var all []byte
	for n := range waiting {
		all = fmt.Appendf(all, "POST /all/%d HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", n)
	}
	if got, err := exchange(edge.agent.addr, all, inOneWrite); err != nil || len(got) != waiting {
		t.Fatalf("%d answers, %v", len(got), err)
	}
	apps := make(map[string]*rawApp)
	for _, a := range answers {
		app, u := startApp(t), newUser(t)
		apps[a.name] = app
		u.env = append(u.env, "HOOKTAPE_TOKEN="+a.name)
		at := u.atTerminal("http", app.addr, "--listen", "127.0.0.1:0", "--inspect", "127.0.0.1:0", "--edge", edge.agent.url)
		const question = `101 requests waited at the edge: deliver, hold or drop them\? \[deliver\] `
		for i, line := range a.typed {
			u.await(at.agent.out, regexp.MustCompile(fmt.Sprintf(`(?s)(%s.*){%d}`, question, i+1)))
			if _, err := io.WriteString(at, line+"\n"); err != nil {
				t.Fatal(err)
			}
		}
		u.await(at.agent.out, regexp.MustCompile(`(?m)^101 requests waited at the edge\r?$`))
	}
	late := []byte("POST /all/late HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
	if _, err := exchange(edge.agent.addr, late, inOneWrite); err != nil {
		t.Fatal(err)
	}
	for _, a := range answers {
		want := []string{"/all/late"}
		if a.comes {
			want = nil
			for n := range waiting {
				want = append(want, fmt.Sprintf("/all/%d", n))
			}
			want = append(want, "/all/late")
		}
		got, err := apps[a.name].await(len(want))
		if err != nil || len(got) != len(want) {
			t.Fatalf("%s: the app got %d requests: %v", a.name, len(got), err)
		}
		for i, request := range got {
			if path := strings.Fields(string(request))[1]; path != want[i] {
				t.Fatalf("%s: request %d was for %s", a.name, i, path)
			}
		}
		edge.countsDeliveries(a.name, a.state, waiting, a.comes)
	}
}

// countsDeliveries waits until so many deliveries to a target are in a state; where the late one is delivered like those
// before it, one more.
func (u *user) countsDeliveries(target string, state store.State, n int, andLate bool) {
	u.t.Helper()
	if andLate {
		n++
	}
	var out []byte
	if err := poll(func() bool {
		out = u.run("deliveries", "list", "--state", string(state), "--limit", "0", "--json")
		return bytes.Count(out, fmt.Appendf(nil, `"target":%q`, target)) == n
	}); err != nil {
		u.t.Errorf("%s: not %d are %s:\n%s", target, n, state, clip(out))
	}
}
