package main

import (
	"context"
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fencedBlock is the first block of a language in a Markdown file.
func fencedBlock(t *testing.T, markdown, language string) string {
	t.Helper()
	_, block, ok := strings.Cut(markdown, "\n```"+language+"\n")
	block, _, closed := strings.Cut(block, "\n```")
	if !ok || !closed {
		t.Fatalf("there is no block of %s", language)
	}
	return block
}

// jobSteps are the scripts of a job's steps, in the part of YAML in which they are written: "run: command", or "run: |"
// and below it the lines of the script, further in.
func jobSteps(job string) (scripts []string) {
	indent := func(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }
	script, within := "", -1 // the indent of what run: belongs to
	for line := range strings.Lines(job + "\n") {
		if within >= 0 && (indent(line) > within || strings.TrimSpace(line) == "") {
			script += strings.TrimPrefix(line, strings.Repeat(" ", within+2))
			continue
		}
		if within >= 0 {
			scripts, script, within = append(scripts, script), "", -1
		}
		switch before, command, ok := strings.Cut(line, "run: "); {
		case !ok || strings.Trim(before, " -") != "":
		case strings.TrimSpace(command) == "|":
			within = len(before)
		default:
			scripts = append(scripts, command)
		}
	}
	if within >= 0 {
		scripts = append(scripts, script)
	}
	return scripts
}

// githubJob runs the steps of the README's job as GitHub does: each by a bash that ends at the first error, all in one
// folder, and with the files that GitHub names.
type githubJob struct {
	t   *testing.T
	dir string
	env []string
	app *rawApp
}

// run returns the output of the first step that fails, or of all.
func (j *githubJob) run(steps []string) (output string, err error) {
	for _, step := range steps {
		file := filepath.Join(j.t.TempDir(), "step.sh")
		step = strings.ReplaceAll(step, "127.0.0.1:3000", j.app.addr)
		if err := os.WriteFile(file, []byte(step), 0o600); err != nil {
			j.t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(j.t.Context(), patienceOfTests)
		defer cancel()
		cmd := exec.CommandContext(ctx, "bash", "-e", file)
		cmd.Dir, cmd.Env = j.dir, j.env
		out, err := cmd.CombinedOutput()
		if output += string(out); err != nil {
			return output, err
		}
	}
	return output, nil
}

// The README's job for GitHub works as written: it passes, and once the app has changed it fails and says why.
func TestReadmeJobForGitHubWorks(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		missing(t, "bash is not there: %v", err)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	steps := jobSteps(fencedBlock(t, string(readme), "yaml"))
	if len(steps) != 2 {
		t.Fatalf("the job has the steps %q", steps)
	}
	u, app := newUser(t), startApp(t)
	u.start("http", portOf(app.addr), "--session", "checkout")
	if _, err := exchange(u.agent.addr, []byte("POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"), inOneWrite); err != nil {
		t.Fatal(err)
	}
	u.run("export", "--session", "checkout", "--mask", "-o", "checkout.warc.gz")

	// Instead of go run of a published version, the tested command runs, and the app is up already.
	bin := t.TempDir()
	u.writes("start-app", "#!/bin/sh\nexit 0\n")
	shim := "#!/bin/sh\n[ \"$1 $2\" = 'run github.com/hooktape/hooktape/cmd/hooktape@latest' ] || exit 99\nshift 2\nexec hooktape \"$@\"\n"
	if err := os.WriteFile(filepath.Join(bin, "go"), []byte(shim), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(u.dir, "start-app"), 0o700); err != nil {
		t.Fatal(err)
	}
	summary := filepath.Join(t.TempDir(), "summary.md")
	j := &githubJob{t: t, dir: u.dir, app: app, env: append(u.env, "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "GITHUB_STEP_SUMMARY="+summary)}
	if out, err := j.run(steps); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	app.answer([]byte("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"))
	out, err := j.run(steps)
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != exitNotSo || !strings.Contains(out, "status  200 → 500") {
		t.Errorf("%v\n%s", err, out)
	}
	report, err := os.ReadFile(filepath.Join(u.dir, "replay.xml"))
	if err != nil || xml.Unmarshal(report, new(struct{})) != nil || !strings.Contains(string(report), `failures="1"`) {
		t.Errorf("%s %v", report, err)
	}
	text, err := os.ReadFile(summary)
	if err != nil || !strings.Contains(string(text), "### ✅") || !strings.Contains(string(text), "### ❌") {
		t.Errorf("%s %v", text, err)
	}
}
