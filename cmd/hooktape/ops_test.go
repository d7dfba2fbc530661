package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/relay/config"
)

// ops reads a file of testdata/ops.
func ops(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../testdata/ops", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// setting is what follows name in the only line that begins with it.
func setting(t *testing.T, text, name string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(name)+`(.+)$`).FindAllStringSubmatch(text, -1)
	if len(found) != 1 {
		t.Fatalf("%q is there %d times", name, len(found))
	}
	return found[0][1]
}

// parsed is the command that a line names, with its flags; it must be one that can be run.
func parsed(t *testing.T, line ...string) *cobra.Command {
	t.Helper()
	c, rest, err := newRoot(&env{}).Find(line)
	if err != nil || !c.Runnable() {
		t.Fatalf("%v: no such command: %v", line, err)
	}
	if err := c.ParseFlags(rest); err != nil {
		t.Fatalf("%v: %v", line, err)
	}
	if err := c.ValidateArgs(c.Flags().Args()); err != nil {
		t.Errorf("%v: %v", line, err)
	}
	return c
}

// grace is how long a command lets what is under way finish.
func grace(t *testing.T, c *cobra.Command) time.Duration {
	t.Helper()
	d, err := config.ParseDuration(c.Flag("grace").Value.String())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTheUnitStartsACommandThatThereIs(t *testing.T) {
	unit := ops(t, "hooktape.service")
	line := strings.Fields(setting(t, unit, "ExecStart="))
	c := parsed(t, line[1:]...)
	if folder := "/var/lib/" + setting(t, unit, "StateDirectory="); filepath.Dir(c.Flag("data").Value.String()) != folder {
		t.Errorf("the tape is not in %s", folder)
	}
	stop, err := time.ParseDuration(setting(t, unit, "TimeoutStopSec="))
	if err != nil || stop <= grace(t, c) {
		t.Errorf("systemd kills after %v, while the grace is %v (%v)", stop, grace(t, c), err)
	}
}

func TestSystemdTakesTheUnit(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		missing(t, "systemd-analyze is not installed")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	unit := strings.Replace(ops(t, "hooktape.service"), "/usr/local/bin/hooktape", self, 1) // one that is there
	path := filepath.Join(t.TempDir(), "hooktape.service")
	if err := os.WriteFile(path, []byte(unit), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", path).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestTheContainerStartsACommandThatThereIs(t *testing.T) {
	file := ops(t, "Containerfile")
	var line []string
	if err := json.Unmarshal([]byte(setting(t, file, "CMD ")), &line); err != nil {
		t.Fatal(err)
	}
	c := parsed(t, line...)
	flag := func(name string) string { return c.Flag(name).Value.String() }
	if got := setting(t, file, "ENV HOOKTAPE_DATA="); got != flag("data") {
		t.Errorf("commands look for the tape at %s, the agent has it at %s", got, flag("data"))
	}
	if folder := setting(t, file, "VOLUME "); filepath.Dir(flag("data")) != folder {
		t.Errorf("the tape is not in the volume %s", folder)
	}
	if got := setting(t, file, "EXPOSE "); ":"+strings.ReplaceAll(got, " ", " :") != flag("listen")+" "+flag("inspect") {
		t.Errorf("ports %s are exposed", got)
	}
	if uid := setting(t, file, "USER "); strings.HasPrefix(uid, "0") || strings.HasPrefix(uid, "root") {
		t.Errorf("it runs as %s", uid)
	}
	const dockerKills = 10 * time.Second // unless told otherwise
	if grace(t, c) >= dockerKills {
		t.Errorf("the grace is %v, docker kills after %v", grace(t, c), dockerKills)
	}
}

// Commands that the README has a reader type as another user or in a container exist, too.
func TestTheReadmesServiceCommandsAreThere(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		missing(t, "there is no README.md: %v", err)
	}
	found := 0
	for _, command := range fencedCommands(string(readme)) {
		for _, prefix := range []string{"sudo hooktape ", "docker exec hooktape /hooktape "} {
			if line, ok := strings.CutPrefix(command, prefix); ok {
				parsed(t, strings.Fields(line)...)
				found++
			}
		}
		for _, word := range strings.Fields(command) {
			if name, ok := strings.CutPrefix(word, "testdata/ops/"); ok {
				ops(t, name)
				found++
			}
		}
	}
	if found < 4 {
		t.Errorf("only %d were found", found)
	}
}
