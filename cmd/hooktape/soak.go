package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// soakFlags are what a user says about a soak.
type soakFlags struct {
	length string
	seed   uint64
	dir    string
	asJSON bool
}

func newSoakCommand(e *env) *cobra.Command {
	var f soakFlags
	c := &cobra.Command{
		Use:   "soak [--for 10m] [--dir DIR]",
		Short: "Test hooktape under load and faults on this machine",
		Long: `Runs agents of this program on loopback and on a tape of their own, sends them
traffic of all kinds, kills and restarts them at random instants, reloads their
config, and makes their targets fail in every way. What was acknowledged, and
what targets received, is logged outside the agents and compared with the tape
at the end. Your own tapes and agents are not touched.

It takes at most about 1 GiB of disk. If all is well, everything is deleted; if
not, the evidence is kept, and the exit code is 1.`,
		Example: `  hooktape soak --for 10m
  hooktape soak --for 8h --dir /var/lib/hooktape     on the disk that the tape will be on`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if !c.Flags().Changed("seed") {
				f.seed = rand.Uint64()
			}
			return e.soak(c.Context(), &f)
		},
	}
	c.Flags().StringVar(&f.length, "for", "10m", "how long to send traffic; the check comes after that")
	c.Flags().Uint64Var(&f.seed, "seed", 0, "seed of the traffic and the faults (default: a different one each time)")
	c.Flags().StringVar(&f.dir, "dir", "", "an existing folder to work in (default: the one for temporary files)")
	jsonFlag(c, &f.asJSON)
	return c
}

// soakJSON is the verdict of a soak.
type soakJSON struct {
	Well       bool          `json:"well"`
	Seed       uint64        `json:"seed"`
	DurationMS int64         `json:"duration_ms"`
	Evidence   string        `json:"evidence,omitempty"` // the folder that is kept
	Count      soakCount     `json:"count"`
	Findings   []soakFinding `json:"findings"`
}

// keep writes the verdict beside the evidence.
func (v *soakJSON) keep(dir string) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "verdict.json"), append(text, '\n'), 0o600)
}

func (e *env) soak(ctx context.Context, f *soakFlags) error {
	length, err := duration(f.length)
	if err != nil || length <= 0 {
		return misused("give a time as in 30s, 10m or 1d", "--for %q is no length of time", f.length)
	}
	program, err := e.executable()
	if err != nil {
		return cannot("", "find this program: %w", err)
	}
	dir, err := os.MkdirTemp(f.dir, "hooktape-soak-")
	if err != nil {
		return cannot("name a folder that you may write to with --dir", "make a folder to work in: %w", err)
	}
	s := newSoak(program, dir, f.seed)
	began := time.Now()
	hide := e.showSoak(s, length)
	err = s.run(ctx, length)
	hide()
	count, findings := s.ledger.sum()
	verdict := soakJSON{
		Well: len(findings) == 0, Seed: f.seed, DurationMS: time.Since(began).Milliseconds(), Count: count, Findings: findings,
	}
	if verdict.Well {
		err = errors.Join(err, os.RemoveAll(dir))
	} else {
		verdict.Evidence = dir
		err = errors.Join(err, verdict.keep(dir))
	}
	if err != nil {
		return err
	}
	return e.tellSoak(f, length, verdict)
}

// showSoak shows on a terminal how far it is, until hide is called.
func (e *env) showSoak(s *soak, length time.Duration) (hide func()) {
	if !isTerminal(e.stderr) {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	began := time.Now()
	go func() {
		defer close(ended)
		for pause(ctx, time.Second) {
			count, _ := s.ledger.sum()
			fmt.Fprintf(e.stderr, "\r\x1b[K%s of %s: %d requests acknowledged, %d kills, %d faults of targets",
				time.Since(began).Round(time.Second), length, count.Acknowledged, count.Kills, count.Faults)
		}
		fmt.Fprint(e.stderr, "\r\x1b[K")
	}()
	return func() { cancel(); <-ended }
}

// tellSoak prints the verdict.
func (e *env) tellSoak(f *soakFlags, length time.Duration, v soakJSON) error {
	var err error
	if f.asJSON {
		err = e.printJSON(v)
	} else {
		_, err = fmt.Fprint(e.stdout, soakText(length, v, e.inkFor(e.stdout)))
	}
	if err == nil && !v.Well {
		err = notSo()
	}
	return err
}

func soakText(length time.Duration, v soakJSON, i ink) string {
	var b strings.Builder
	outcome := i.green("all is well")
	if !v.Well {
		outcome = i.red(counted(len(v.Findings), "finding"))
	}
	c := v.Count
	fmt.Fprintf(&b, "soak of %s, seed %d: %s\n", length, v.Seed, outcome)
	fmt.Fprintf(&b, "  %d requests sent, %d acknowledged, %d refused, %d turned away\n", c.Sent, c.Acknowledged, c.Refused, c.TurnedAway)
	fmt.Fprintf(&b, "  %d kills, %d stops, %d reloads, %d faults of targets\n", c.Kills, c.Stops, c.Reloads, c.Faults)
	if v.Well {
		fmt.Fprintf(&b, "  each acknowledged request is on the tape byte for byte; %d deliveries ended, %d of them refused by their target for good\n",
			c.Deliveries, c.Failed)
		return b.String()
	}
	for _, f := range v.Findings {
		fmt.Fprintf(&b, "  %s %s %s\n", i.bold(f.What), clean(f.Request), clean(f.Detail))
	}
	fmt.Fprintf(&b, "the evidence is kept in %s: the tape, the config, the log of the agents and this verdict\n", v.Evidence)
	return b.String()
}
