package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/store"
)

const (
	soakConfigFile = "hooktape.hcl"
	soakTapeFile   = "tape.db"
)

// soak runs agents one after the other on the same tape, under load, and ends
// each at a random instant:
//
//	soakSender ×16 ──► soakChild (hooktape run) ──► soakTarget app, second
//	     │                 ▲ killed, stopped,             │ fail, hang, are down
//	     │                 │ reloaded                     │
//	     └────────────► soakLedger ◄──────────────────────┘
//	                       ▲
//	                  soakVerifier ◄── the tape, when no agent runs
type soak struct {
	program string // the one to run
	dir     string // for its files
	rng     *rand.Rand
	longest time.Duration // that an agent lives
	rounds  int           // agents that are ended; 0: until the time is over
	ledger  *soakLedger
	gate    *soakGate

	verifier *soakVerifier
	targets  []*soakTarget
}

func newSoak(program, dir string, seed uint64) *soak {
	ledger := newSoakLedger()
	return &soak{
		program: program, dir: dir, rng: rand.New(rand.NewPCG(seed, 0)), longest: 8 * time.Second, ledger: ledger,
		gate: newSoakGate(), verifier: &soakVerifier{soakLedger: ledger},
	}
}

// errFound ends a soak that has findings.
var errFound = errors.New("something is not as it should be")

// run soaks until ctx ends, the rounds are over or something was found. Its
// error is nil then, too: the ledger has the findings. stop ends it at once.
func (s *soak) run(stop context.Context, d time.Duration) error {
	for number := range soakTargets {
		t, err := startSoakTarget(number, s.ledger)
		if err != nil {
			return err
		}
		defer t.close()
		s.targets = append(s.targets, t)
	}
	end := time.Now().Add(d)
	for {
		err := s.tape(stop, end)
		if errors.Is(err, errFound) {
			return nil
		}
		if err != nil || !time.Now().Before(end) || s.rounds > 0 {
			return err
		}
		s.ledger.newTape()
		if err := os.Remove(filepath.Join(s.dir, soakTapeFile)); err != nil {
			return err
		}
	}
}

// tape fills one tape, and checks it.
func (s *soak) tape(stop context.Context, end time.Time) error {
	s.ledger.add(func(c *soakCount) *int64 { return &c.Tapes })
	s.verifier.seen = store.ID{}
	working, cancel := context.WithDeadline(stop, end)
	defer cancel()
	var traffic sync.WaitGroup
	defer traffic.Wait()
	s.startTraffic(working, &traffic)
	defer s.gate.close()
	for round := 0; working.Err() == nil && !s.ledger.large() && (s.rounds == 0 || round < s.rounds); round++ {
		if err := s.round(working); err != nil {
			cancel()
			return err
		}
	}
	cancel()
	s.gate.close()
	traffic.Wait()
	return s.drain(stop)
}

// startTraffic starts the senders, and the targets' failures.
func (s *soak) startTraffic(ctx context.Context, running *sync.WaitGroup) {
	noise := make([]byte, 2*soakBig)
	for i := range noise {
		noise[i] = byte(s.rng.Uint32())
	}
	for n := range soakSenders {
		sender := &soakSender{number: n, rng: s.rand(), ledger: s.ledger, gate: s.gate, noise: noise}
		running.Go(func() { sender.run(ctx) })
	}
	for _, t := range s.targets {
		rng := s.rand()
		running.Go(func() {
			if err := t.misbehave(ctx, rng); err != nil {
				s.ledger.note("soak", -1, "%v", err)
			}
		})
	}
}

func (s *soak) rand() *rand.Rand { return rand.New(rand.NewPCG(s.rng.Uint64(), s.rng.Uint64())) }

// round is the life of one agent, from its start to its end at a random
// instant, and a look at the tape that it leaves.
func (s *soak) round(ctx context.Context) error {
	if err := s.configure(s.rng.IntN(4) > 0); err != nil {
		return err
	}
	child, err := startSoakChild(s.program, s.dir)
	if err != nil {
		return err
	}
	s.live(ctx, child)
	s.gate.close()
	s.end(ctx, child)
	for _, t := range s.targets {
		t.quiet(ctx)
	}
	return s.judge(s.verifier.acknowledged)
}

// live lets an agent live for as long as it may, reloading its configuration now and
// then.
func (s *soak) live(ctx context.Context, child *soakChild) {
	over := time.NewTimer(upTo(s.rng, s.longest))
	defer over.Stop()
	slow := time.NewTimer(soakPatience)
	defer slow.Stop()
	reload := time.NewTimer(0) // due once it receives: an agent would not start with a wrong config
	reload.Stop()
	defer reload.Stop()
	for {
		select {
		case addr := <-child.receiving:
			slow.Stop()
			s.gate.open(addr)
			reload.Reset(upTo(s.rng, 2*time.Second))
		case <-slow.C:
			s.ledger.note("not started", -1, "the agent did not say within %v where it receives", soakPatience)
			return
		case <-reload.C:
			if err := s.reload(); err != nil {
				s.ledger.note("soak", -1, "change the config: %v", err)
			}
			reload.Reset(upTo(s.rng, 2*time.Second))
		case <-child.done:
			s.ledger.note("ended", -1, "the agent ended by itself: %v", child.err)
			return
		case <-over.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// end ends an agent: most are killed, some are asked to end.
func (s *soak) end(ctx context.Context, child *soakChild) {
	if s.rng.IntN(5) > 0 || ctx.Err() != nil {
		s.ledger.add(func(c *soakCount) *int64 { return &c.Kills })
		child.kill()
		return
	}
	s.ledger.add(func(c *soakCount) *int64 { return &c.Stops })
	if err := child.stop(ctx); err != nil && ctx.Err() == nil {
		s.ledger.note("ended", -1, "the agent was asked to end: %v", err)
	}
}

// judge looks at the tape while no agent runs, and at the log.
func (s *soak) judge(look func() error) error {
	tape := filepath.Join(s.dir, soakTapeFile)
	if _, err := os.Stat(tape); err == nil { // an agent killed early may not have made one
		if err := s.verifier.open(tape, look); err != nil {
			s.ledger.note("damaged", -1, "%v", err)
		}
	} else if count, _ := s.ledger.sum(); count.Acknowledged > 0 {
		s.ledger.note("lost", -1, "the tape is gone: %v", err)
	}
	log, err := os.ReadFile(filepath.Join(s.dir, "agent.log"))
	if err != nil {
		return err
	}
	if line := unwell(log); line != "" {
		s.ledger.note("unwell", -1, "the agent logged %q", line)
	}
	if _, findings := s.ledger.sum(); len(findings) > 0 {
		return errFound
	}
	return nil
}

// drain runs a last agent, with healthy targets, until nothing is pending, and then
// checks everything.
func (s *soak) drain(ctx context.Context) error {
	if err := s.configure(true); err != nil {
		return err
	}
	child, err := startSoakChild(s.program, s.dir)
	if err != nil {
		return err
	}
	err = s.awaitDeliveries(ctx, child)
	if ended := child.stop(ctx); err == nil && ctx.Err() == nil && ended != nil {
		s.ledger.note("ended", -1, "the last agent was asked to end: %v", ended)
	}
	if err != nil {
		return err
	}
	if err := s.judge(s.verifier.everything); err != nil {
		return err
	}
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	s.ledger.count.Deliveries += s.verifier.deliveries
	s.ledger.count.Failed += s.verifier.failed
	return nil
}

// awaitDeliveries waits until no delivery is open. It waits for as long as
// there are fewer and fewer of them.
func (s *soak) awaitDeliveries(ctx context.Context, child *soakChild) error {
	least := -1
	for progress := time.Now(); ; {
		open, err := s.open(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil && open == 0:
			return nil
		case err == nil && (least < 0 || open < least):
			least, progress = open, time.Now()
		case time.Since(progress) > soakPatience:
			s.ledger.note("undelivered", -1, "%d deliveries stay pending (%v)", open, err)
			return nil
		}
		select {
		case <-child.done:
			s.ledger.note("ended", -1, "the last agent ended by itself: %v", child.err)
			return nil
		default:
			pause(ctx, 100*time.Millisecond)
		}
	}
}

// open counts the deliveries that wait, including those of a target that was out of
// the configuration for a while.
func (s *soak) open(ctx context.Context) (n int, err error) {
	api, err := inspect.Dial(ctx, filepath.Join(s.dir, soakTapeFile))
	if err != nil {
		return 0, err
	}
	defer api.Close()
	for _, state := range []store.State{store.Pending, store.Orphaned} {
		for _, err := range api.Deliveries(ctx, inspect.DeliveryQuery{State: state}) {
			if err != nil {
				return 0, err
			}
			n++
		}
	}
	return n, nil
}

// reload changes the config file under a running agent, sometimes to a wrong one.
func (s *soak) reload() error {
	s.ledger.add(func(c *soakCount) *int64 { return &c.Reloads })
	if s.rng.IntN(5) == 0 {
		return s.writeConfig("source \"ack\" {\n  path = nowhere\n}\n")
	}
	return s.configure(s.rng.IntN(4) > 0)
}

// configure writes a right config file, with or without the second target.
func (s *soak) configure(second bool) error {
	text := fmt.Sprintf(`listen  = "127.0.0.1:0"
inspect = "127.0.0.1:0"

limits {
  max_body = %q
}

source "ack" {
  path    = "/ack"
  methods = ["POST"]
  ack {
    body = id
  }
%s%s}

source "pass" {
  path     = "/pass"
  respond  = "target"
  patience = "300ms"
  ack {
    body = id
  }
%s}
`, fmt.Sprintf("%dMiB", soakMaxBody>>20), s.target(soakApp, soakAck, "    order_by    = query.key\n"),
		map[bool]string{true: s.target(soakSecond, soakAck, "")}[second], s.target(soakApp, soakPass, ""))
	return s.writeConfig(text)
}

func (s *soak) target(number int, source, order string) string {
	return fmt.Sprintf(`  target %q {
    url         = "http://%s/%s"
    host        = "original"
    timeout     = "2s"
    concurrency = %d
%s    retry {
      for = "24h"
      min = "20ms"
      max = "500ms"
    }
  }
`, soakTargets[number], s.targets[number].addr, source, 1+s.rng.IntN(16), order)
}

// writeConfig puts the file in its place in one step, as editors do.
func (s *soak) writeConfig(text string) error {
	path := filepath.Join(s.dir, soakConfigFile)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// upTo is a random time below d.
func upTo(rng *rand.Rand, d time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(d))) }
