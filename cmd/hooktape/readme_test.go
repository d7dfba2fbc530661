package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// fencedCommands are the commands of a Markdown file that a reader would type:
// the lines of its sh blocks, and those behind a prompt in its console blocks.
// A backslash at the end of a line goes on in the next.
func fencedCommands(markdown string) []string {
	var commands []string
	language, open := "", false
	unfinished := ""
	for line := range strings.Lines(markdown) {
		line = strings.TrimRight(line, "\r\n")
		if after, ok := strings.CutPrefix(line, "```"); ok {
			open = !open
			language = after
			continue
		}
		if !open {
			continue
		}
		switch language {
		case "console":
			command, ok := strings.CutPrefix(line, "$ ")
			if !ok && unfinished == "" {
				continue
			}
			if ok {
				line = command
			}
		case "sh", "bash":
		default:
			continue
		}
		if rest, ok := strings.CutSuffix(line, `\`); ok {
			unfinished += rest
			continue
		}
		if line = strings.TrimSpace(unfinished + line); line != "" && !strings.HasPrefix(line, "#") {
			commands = append(commands, line)
		}
		unfinished = ""
	}
	return commands
}

func TestFencedCommandsAreFound(t *testing.T) {
	got := fencedCommands("```sh\na b  # c\n# d\ne \\\n  f\n```\n```hcl\ng\n```\n```console\n$ h\ni\n```\n")
	if want := "a b  # c|e   f|h"; strings.Join(got, "|") != want {
		t.Errorf("got %q", got)
	}
}

// Every command of the README works, typed in the order of the page. An agent
// that one of them starts runs until the next one, or the page's end; the ports
// of the page become free ones.
func TestReadmeCommandsWork(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		missing(t, "there is no README.md: %v", err)
	}
	commands := fencedCommands(string(readme))
	if len(commands) == 0 {
		t.Fatal("README.md has no fenced commands")
	}
	r := &reader{user: newUser(t), app: startApp(t)}
	example, err := os.ReadFile("../../config.example.hcl")
	if err == nil {
		r.writes("config.example.hcl", string(example))
	}
	for _, command := range commands {
		t.Run(command, func(t *testing.T) { r.types(t, command) })
	}
}

// reader is a user who types what the README says.
type reader struct {
	*user
	app *rawApp
}

func (r *reader) types(t *testing.T, command string) {
	command = strings.ReplaceAll(command, "go run ./cmd/hooktape", "hooktape")
	command, _, _ = strings.Cut(command, "  #")
	words := strings.Fields(command)
	switch {
	case slices.Contains([]string{"git", "go", "CGO_ENABLED=0", "cd", ".ci/run", "docker", "sudo"}, words[0]):
		t.Skip("NOT TESTED HERE: the tests themselves, what fetches and builds, and what changes the machine")
	case words[0] == "hooktape" && len(words) > 1 && (words[1] == "http" || words[1] == "run"):
		r.startsAgent(words[1:])
	default:
		r.runsToItsEnd(t, command)
	}
}

func (r *reader) startsAgent(args []string) {
	if r.agent != nil {
		r.agent.stop(syscall.SIGINT)
	}
	for i := range args {
		args[i] = r.placed(args[i])
	}
	r.start(args...)
}

func (r *reader) runsToItsEnd(t *testing.T, command string) {
	ctx, cancel := context.WithTimeout(t.Context(), patienceOfTests)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-ec", r.placed(command))
	cmd.Dir, cmd.Env = r.dir, r.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", command, err, out)
	}
}

// placed replaces the page's ports with those of this test.
func (r *reader) placed(text string) string {
	if text == "3000" {
		return portOf(r.app.addr)
	}
	pairs := []string{"127.0.0.1:3000", r.app.addr, "localhost:3000", r.app.addr}
	if r.agent != nil {
		pairs = append(pairs,
			"127.0.0.1:7070", r.agent.addr, "localhost:7070", r.agent.addr,
			"127.0.0.1:7071", r.agent.inspect, "localhost:7071", r.agent.inspect)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// config.example.hcl belongs to the README's path: it must be there and pass check.
func TestExampleConfigPassesCheck(t *testing.T) {
	t.Parallel()
	path, err := filepath.Abs("../../config.example.hcl")
	if err != nil {
		t.Fatal(err)
	}
	u := newUser(t)
	u.run("check", "--config", path)
}
