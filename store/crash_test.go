package store_test

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/hooktape/hooktape/store"
)

// crashEnv tells this test binary that it is the process to be killed; its value is the path of the tape.
const crashEnv = "HOOKTAPE_TEST_CRASH"

// child appends without end, and prints what was acknowledged: "kept ID SHA" and "done ID", a line each. It is false in the
// process that tests.
func child() bool {
	path := os.Getenv(crashEnv)
	if path == "" {
		return false
	}
	s, err := store.Open(path, store.Options{})
	if err != nil {
		fmt.Println("failed", err)
		return true
	}
	if err := s.ResumeSession("crashes"); err != nil {
		fmt.Println("failed", err)
		return true
	}
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for i := uint64(0); ; i++ {
				appendAndTell(s, rand.Uint64(), n)
			}
		})
	}
	all.Wait()
	return true
}

func appendAndTell(s *store.Store, seed uint64, n int) {
	raw := body(seed, []int{100, 1000, 3000, 30_000, 66_000, 300_000}[seed%6])
	p := s.Spool()
	defer p.Discard()
	for part := raw; len(part) > 0; part = part[min(len(part), 9000):] {
		if _, err := p.Write(part[:min(len(part), 9000)]); err != nil {
			fmt.Println("failed", err)
			return
		}
	}
	if seed%11 == 0 {
		return // its record never comes
	}
	rec := fromIiko()
	if err := s.Append(&rec, p, []store.Delivery{to("app", fmt.Sprint(n), 0)}, nil).Wait(); err != nil {
		fmt.Println("failed", err)
		return
	}
	fmt.Printf("kept %s %x\n", rec.ID, sha256.Sum256(raw))
	if seed%2 == 0 {
		return
	}
	d := to("app", fmt.Sprint(n), 0)
	d.Source, d.State = "iiko", store.Delivered
	if err := s.Settle(rec.ID, store.Outcome{Deliveries: []store.Delivery{d}}).Wait(); err != nil {
		fmt.Println("failed", err)
		return
	}
	fmt.Println("done", rec.ID)
}

// ledger is what a killed process had acknowledged.
type ledger struct {
	kept map[string]string // sha by id
	done map[string]bool
}

// crash runs a child until it has acknowledged n things, kills it, and notes all that it had acknowledged by then.
func (l *ledger) crash(t *testing.T, path string, n int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), crashEnv+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	noError(t, err)
	noError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	for told := 0; lines.Scan(); told++ {
		if told == n {
			noError(t, cmd.Process.Kill())
		}
		switch f := strings.Fields(lines.Text()); f[0] {
		case "kept":
			l.kept[f[1]] = f[2]
		case "done":
			l.done[f[1]] = true
		default:
			t.Errorf("child: %s", lines.Text())
		}
	}
	noError(t, lines.Err())
	if err := cmd.Wait(); cmd.ProcessState.Success() || cmd.ProcessState.Exited() {
		t.Fatalf("child ended by itself: %v", err)
	}
}

func TestWhatWasAcknowledgedSurvivesAKill(t *testing.T) {
	rounds := 5
	if testing.Short() {
		rounds = 2
	}
	path := tape(t)
	l := &ledger{kept: map[string]string{}, done: map[string]bool{}}
	for round := range rounds {
		l.crash(t, path, rand.IntN(400))
		reader := openStore(t, path, store.Options{ReadOnly: true})
		l.check(t, reader)
		noError(t, reader.Close())

		swept := 0
		s := openStore(t, path, store.Options{Log: func(msg string, kv ...any) { swept++ }})
		l.check(t, s)
		if swept > 1 {
			t.Errorf("round %d: logged %d times", round, swept)
		}
		noError(t, s.Close())
	}
	t.Logf("%d records, %d delivered", len(l.kept), len(l.done))
}

func (l *ledger) check(t *testing.T, s *store.Store) {
	t.Helper()
	found, pending := 0, 0
	for rec, err := range s.Records(store.Query{}) {
		noError(t, err)
		raw := bytesOf(t, s, rec.Raw)
		sha, acknowledged := l.kept[rec.ID.String()]
		if acknowledged {
			found++
		}
		if got := fmt.Sprintf("%x", sha256.Sum256(raw)); acknowledged && got != sha {
			t.Fatalf("record %s came back with other bytes", rec.ID)
		}
		d := deliveryOf(t, s, rec.ID)
		if l.done[rec.ID.String()] && d.State != store.Delivered {
			t.Fatalf("delivery of %s is %s, but was done", rec.ID, d.State)
		}
		if d.State == store.Pending {
			pending++
		}
	}
	checkCrashed(t, s)
	if found != len(l.kept) {
		t.Fatalf("%d of %d acknowledged records are there", found, len(l.kept))
	}
	if n, _, err := s.Pending("iiko", "app"); err != nil || n != pending {
		t.Fatalf("%d pending, want %d, %v", n, pending, err)
	}
}

// checkCrashed makes sure that the session that captured all along has every record, and counts them right.
func checkCrashed(t *testing.T, s *store.Store) {
	t.Helper()
	n, bytes := int64(0), int64(0)
	for rec, err := range s.Records(store.Query{Session: "crashes", NoRaw: true}) {
		noError(t, err)
		n, bytes = n+1, bytes+rec.Raw.Size
	}
	session, err := s.Session("crashes")
	noError(t, err)
	if !session.Capturing() || session.Records != n || session.Bytes != bytes || n != s.Stats().Records {
		t.Fatalf("%+v, but it has %d records of %d bytes, of %d", session, n, bytes, s.Stats().Records)
	}
}
