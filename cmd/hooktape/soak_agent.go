package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"time"
)

// soakPatience bounds each wait for the agent or a target to do something.
const soakPatience = 30 * time.Second

// soakChild is an agent that runs as a process of its own.
type soakChild struct {
	process   *os.Process
	receiving chan string   // gets the address once it receives
	done      chan struct{} // closed when it has ended
	err       error         // how it ended; read it after done
}

// startSoakChild runs the program with a config file in dir. What it logs is
// added to agent.log there.
func startSoakChild(program, dir string) (*soakChild, error) {
	log, err := os.OpenFile(dir+"/agent.log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	c := &soakChild{receiving: make(chan string, 1), done: make(chan struct{})}
	cmd := exec.Command(program, "run", "--config", soakConfigFile, "--data", soakTapeFile)
	cmd.Args[0] = "hooktape"
	cmd.Dir, cmd.Stderr = dir, log
	cmd.Stdout = &soakGreeting{receiving: c.receiving}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the agent: %w", err), log.Close())
	}
	c.process = cmd.Process
	go func() {
		c.err = errors.Join(cmd.Wait(), log.Close())
		close(c.done)
	}()
	return c, nil
}

// soakGreeting finds the address in what an agent prints first.
type soakGreeting struct {
	mu        sync.Mutex // guards what follows
	text      []byte
	receiving chan<- string // nil: it was found
}

var soakReceiving = regexp.MustCompile(`receiving on http://(\S+)\n`)

func (g *soakGreeting) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.receiving == nil {
		return len(p), nil
	}
	g.text = append(g.text, p...)
	if found := soakReceiving.FindSubmatch(g.text); found != nil {
		g.receiving <- string(found[1])
		g.receiving = nil
	}
	return len(p), nil
}

// kill ends it as a power cut would, and waits.
func (c *soakChild) kill() {
	_ = c.process.Kill()
	<-c.done
}

// stop asks it to end, and waits. An error says that it did not end well.
func (c *soakChild) stop(ctx context.Context) error {
	if err := c.process.Signal(syscall.SIGTERM); err != nil { // Windows has no such signal
		c.kill()
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, soakPatience)
	defer cancel()
	select {
	case <-c.done:
	case <-ctx.Done():
		c.kill()
		return fmt.Errorf("it did not end within %v of being asked to", soakPatience)
	}
	if exit, ok := errors.AsType[*exec.ExitError](c.err); ok && (exit.ExitCode() == exitInterrupted || exit.ExitCode() < 0) {
		return nil // -1: the signal itself ended it, before it caught signals
	}
	return c.err
}

// unwell gives the line of an agent's log that no healthy one has; "": none.
func unwell(log []byte) string {
	for line := range bytes.Lines(log) {
		for _, mark := range []string{"panic", "DATA RACE", "fatal error", "concurrent map"} {
			if bytes.Contains(line, []byte(mark)) {
				return string(bytes.TrimSpace(line))
			}
		}
	}
	return ""
}
