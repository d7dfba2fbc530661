package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// hasTapeOf gives the user a tape as an earlier hooktape left it.
func (u *user) hasTapeOf(format string) {
	u.t.Helper()
	unpacked, err := gzip.NewReader(bytes.NewReader(mustRead(u.t, "../../store/testdata/"+format+".db.gz")))
	if err != nil {
		u.t.Fatal(err)
	}
	b, err := io.ReadAll(unpacked)
	if err == nil {
		err = os.WriteFile(u.tape, b, 0o600)
	}
	if err != nil {
		u.t.Fatal(err)
	}
}

// A user who has a new hooktape is told what to do, and finds everything again.
func TestATapeOfAnEarlierHooktapeIsTakenOver(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	u := newUser(t)
	u.hasTapeOf("format-1")
	config := u.writes("hooktape.hcl", passingOn(app.addr)+"\nretain {\n  max_age = \"30000d\"\n}\n")
	if out := u.run("check", "--config", config); !bytes.Contains(out, []byte("it has format 1, which an earlier hooktape wrote")) {
		t.Errorf("check: %s", out)
	}
	_, err := u.try("list")
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != exitCannot || !strings.Contains(err.Error(), "hint: start hooktape") {
		t.Errorf("list: %v", err)
	}
	agent := u.start("run", "--config", config)
	if records := u.list(); len(records) != 6 {
		t.Errorf("%d records", len(records))
	}
	if err := agent.stop(os.Interrupt); err != nil {
		t.Error(err)
	}
	if n := strings.Count(agent.errs.String(), "tape was migrated to a newer format"); n != 1 {
		t.Errorf("it is told %d times: %s", n, agent.errs)
	}
	if _, err := os.Stat(u.tape + ".format-1"); err != nil {
		t.Error(err)
	}

	laptop := newUser(t)
	laptop.hasTapeOf("format-1")
	agent = laptop.start("http")
	if err := agent.stop(os.Interrupt); err != nil {
		t.Error(err)
	}
	if log := agent.errs.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "tape was migrated to a newer format") {
		t.Errorf("http tells: %s", log)
	}
}
