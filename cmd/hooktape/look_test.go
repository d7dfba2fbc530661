package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/store"
)

// week is a tape of several records, the newest last.
func (d *deck) week() (ids []store.ID) {
	d.t.Helper()
	d.write(func(s *store.Store) {
		for i, rec := range []store.Record{
			{Source: "shop"},
			{Source: "shop"},
			{Verdict: store.NoSource, Reason: "no source takes /wp-login.php"},
			{Source: "a-rather-long-name"},
		} {
			rec.Time = noon.Add(time.Duration(i) * time.Minute)
			path := fmt.Sprintf("/orders/%d", i)
			var deliveries []store.Delivery
			if rec.Source == "shop" {
				deliveries = append(deliveries, store.Delivery{Source: "shop", Target: "app", State: store.Pending, Due: noon.Add(time.Hour), Created: noon})
			}
			id := put(d.t, s, rec, fmt.Sprintf("POST %s HTTP/1.1\nHost: x\n\n{\"n\":%d}", path, i), deliveries...)
			if i != 1 {
				giveAnswer(d.t, s, id, 200+i, "HTTP/1.1 200 OK\nContent-Length: 0\n\n")
			}
			ids = append(ids, id)
		}
	})
	return ids
}

func paths(t *testing.T, ndjson string) string {
	t.Helper()
	var got []string
	for line := range strings.Lines(ndjson) {
		var r inspect.Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%s: %s", line, err)
		}
		got = append(got, strings.TrimPrefix(r.Path, "/orders/"))
	}
	return strings.Join(got, " ")
}

func TestListShowsTheNewestLast(t *testing.T) {
	d := newDeck(t)
	ids := d.week()
	got := d.ok("list")
	for i, id := range ids {
		got = strings.ReplaceAll(got, ending(id), fmt.Sprintf("(id %d)", i))
	}
	golden(t, "list.txt", got)
}

func TestListChooses(t *testing.T) {
	d := newDeck(t)
	d.week()
	for args, want := range map[string]string{
		"":                                    "0 1 2 3",
		"--limit 2":                           "2 3",
		"-n 0":                                "0 1 2 3",
		"--source shop":                       "0 1",
		"--verdict no_source":                 "2",
		"--verdict no_source,accepted -n 3":   "1 2 3",
		"--where json.n>1":                    "2 3",
		"--since 2m":                          "3",
		"--until 2026-01-31T12:01:00Z":        "0",
		"--since 1h --until 4m --source shop": "0",
	} {
		if got := paths(t, d.ok(append([]string{"list", "--json"}, strings.Fields(args)...)...)); got != want {
			t.Errorf("list %s: %s, want %s", args, got, want)
		}
	}
	out := d.hooktape("list", "--source", "nobody")
	if out.code != exitDone || out.stdout != "" || !strings.Contains(out.stderr, "no record matches") {
		t.Errorf("%+v", out)
	}
}

func TestCommandsSayTheSameThroughAnAgent(t *testing.T) {
	d := newDeck(t)
	ids := d.week()
	if out := d.hooktape("session", "create", "qa", ids[0].String(), ids[1].String()); out.code != exitDone {
		t.Fatalf("%+v", out)
	}
	commands := [][]string{
		{"list"}, {"list", "--json"}, {"show", "last"}, {"show", ids[0].String(), "--json"}, {"show", ids[1].String(), "--raw"},
		{"session", "list", "--json"}, {"list", "--session", "qa"}, {"list", "--session", "nobody"}, {"deliveries", "list", "--session", "qa"},
		{"deliveries", "list"}, {"deliveries", "list", "--json"}, {"show", "QQQQ"}, {"list", "--where", "nothing"},
	}
	var stopped []outcome
	for _, args := range commands {
		stopped = append(stopped, d.hooktape(args...))
	}
	d.startAgent()
	for i, args := range commands {
		if got := d.hooktape(args...); got != stopped[i] {
			t.Errorf("%s: with an agent %+v, without %+v", args, got, stopped[i])
		}
	}
}

func TestATapeThatIsNotThere(t *testing.T) {
	d := newDeck(t)
	for _, args := range [][]string{{"list"}, {"show", "last"}, {"replay", "last"}, {"deliveries", "list"}, {"deliveries", "retry", "--all"}} {
		out := d.hooktape(args...)
		if out.code != exitCannot || !strings.Contains(out.stderr, "hooktape: open the tape: there is none at "+d.path) || !strings.Contains(out.stderr, "\nhint: ") {
			t.Errorf("%s: %+v", args, out)
		}
	}
	if _, err := os.Stat(d.path); err == nil {
		t.Error("looking for a tape has made one")
	}
}

func TestATapeHeldWithoutASocketIsSaidToBe(t *testing.T) {
	d := newDeck(t)
	d.week()
	d.write(func(*store.Store) {
		for _, args := range [][]string{{"list"}, {"deliveries", "drop", "--all"}} {
			out := d.hooktape(args...)
			if out.code != exitCannot || !strings.Contains(out.stderr, d.path) || !strings.Contains(out.stderr, "--name") {
				t.Errorf("%s: %+v", args, out)
			}
		}
	})
}

func TestADamagedQuestionIsAMistakeOfUsage(t *testing.T) {
	d := newDeck(t)
	d.week()
	for args, part := range map[string]string{
		"list|--where|json.n >":           "json.n >",
		"list|--where|metod == \"GET\"":   "^^^^^",
		"list|--verdict|excepted":         "did you mean accepted?",
		"list|--verdict|good":             "accepted, handshake",
		"list|--since|yesterday":          "--since",
		"list|-n|-1":                      "--limit",
		"list|last":                       "takes no argument",
		"list|--limmit|3":                 "unknown flag: --limmit",
		"lst":                             "hooktape list?",
		"listen|3000":                     "hooktape http",
		"forward|--port|3000":             "hooktape http",
		"deliveries|retyr":                "hooktape deliveries retry?",
		"deliveries|retry":                "which deliveries?",
		"deliveries|list|--state|waiting": "pending",
		"replay":                          "which records?",
		"replay|last|--source|shop":       "exclude each other",
		"replay|last|--to|ftp://x":        "ftp",
		"completion|tcsh":                 "tcsh",
		"--data|a|--name|b|list":          "--name",
		"--config|none.hcl|list":          "none.hcl",
	} {
		out := d.hooktape(strings.Split(args, "|")...)
		if out.code != exitUsage || !strings.HasPrefix(out.stderr, "hooktape: ") || !strings.Contains(out.stderr, part) || out.stdout != "" {
			t.Errorf("%s: %+v", args, out)
		}
	}
}

func TestDeliveriesAreRetriedAndDropped(t *testing.T) {
	d := newDeck(t)
	ids := d.week()
	states := func() (got string) {
		for line := range strings.Lines(d.ok("deliveries", "list", "--json")) {
			var delivery inspect.RecordDelivery
			if err := json.Unmarshal([]byte(line), &delivery); err != nil {
				t.Fatal(err)
			}
			got += fmt.Sprintf("%s %v ", delivery.State, !delivery.Next.IsZero())
		}
		return got
	}
	out := d.hooktape("deliveries", "drop", ids[0].String())
	if out.code != exitDone || !strings.Contains(out.stdout, "dropped") || out.stderr != "1 delivery dropped\n" {
		t.Errorf("%+v", out)
	}
	if got := states(); got != "dropped false pending true " {
		t.Errorf("states %s", got)
	}
	out = d.hooktape("deliveries", "retry", "--target", "app")
	if out.code != exitDone || out.stderr != "2 deliveries due now\n" {
		t.Errorf("%+v", out)
	}
	if got := states(); got != "pending true pending true " {
		t.Errorf("states %s", got)
	}
	if out := d.hooktape("deliveries", "drop", "--state", "failed"); out.code != exitDone || out.stderr != "no delivery matches\n" {
		t.Errorf("%+v", out)
	}
	if out := d.hooktape("deliveries", "drop", "QQQQ"); out.code != exitNotSo {
		t.Errorf("%+v", out)
	}
}

func TestVersion(t *testing.T) {
	d := newDeck(t)
	if out := d.ok("version"); !strings.HasPrefix(out, "hooktape ") {
		t.Error(out)
	}
	var v versionInfo
	if err := json.Unmarshal([]byte(d.ok("version", "--json")), &v); err != nil || v.Go == "" {
		t.Errorf("%+v %v", v, err)
	}
}

// screenfull is what a command that keeps running has printed so far.
type screenfull struct {
	mu   sync.Mutex // guards both
	text bytes.Buffer
	more chan struct{} // closed and made anew by every write
}

func (s *screenfull) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.more)
	s.more = make(chan struct{})
	return s.text.Write(p)
}

func (s *screenfull) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// await waits until the text contains a part so many times.
func (s *screenfull) await(t *testing.T, part string, times int) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		s.mu.Lock()
		n, more := strings.Count(s.text.String(), part), s.more
		s.mu.Unlock()
		if n >= times {
			return
		}
		select {
		case <-more:
		case <-limit:
			t.Fatalf("%q does not come %d times in\n%s", part, times, s)
		}
	}
}

// follow runs tail until the test ends it with the function it returns, which
// gives the exit code.
func (d *deck) follow(args ...string) (stdout, stderr *screenfull, end func() int) {
	ctx, cancel := context.WithCancel(context.Background())
	stdout, stderr = &screenfull{more: make(chan struct{})}, &screenfull{more: make(chan struct{})}
	code := make(chan int, 1)
	go func() { code <- d.execute(ctx, stdout, stderr, append([]string{"tail"}, args...)...) }()
	end = sync.OnceValue(func() int { cancel(); return <-code })
	d.t.Cleanup(func() { end() })
	return stdout, stderr, end
}

// come records a request through a running agent.
func (d *deck) come(agent *fakeAgent, path string) {
	d.t.Helper()
	id := put(d.t, agent.store, store.Record{Source: "shop"}, "GET "+path+" HTTP/1.1\nHost: x\n\n")
	giveAnswer(d.t, agent.store, id, 200, "HTTP/1.1 200 OK\nContent-Length: 0\n\n")
	agent.events <- inspect.Event{Record: id}
}

func TestTailGoesOnOverRestartsAndPrintsEachRecordOnce(t *testing.T) {
	d := newDeck(t)
	d.week()
	stdout, stderr, end := d.follow("-n", "2")
	stdout.await(t, "/orders/", 2)
	stderr.await(t, "no agent is running, waiting for one", 1)

	d.write(func(s *store.Store) { // the tail does not hold the tape
		put(t, s, store.Record{}, "GET /meanwhile HTTP/1.1\nHost: x\n\n")
	})
	agent := d.startAgent()
	stdout.await(t, "/meanwhile", 1)
	d.come(agent, "/first")
	stdout.await(t, "/first", 1)
	put(t, agent.store, store.Record{}, "GET /untold HTTP/1.1\nHost: x\n\n") // killed before it could tell
	agent.stop()
	stderr.await(t, "the agent has stopped", 1)
	stdout.await(t, "/untold", 1)

	agent = d.startAgent()
	d.come(agent, "/second")
	stdout.await(t, "/second", 1)
	if code := end(); code != exitInterrupted {
		t.Errorf("exit %d", code)
	}
	var got []string
	for line := range strings.Lines(stdout.String()) {
		got = append(got, strings.Fields(line)[2])
	}
	if want := "/orders/2 /orders/3 /meanwhile /first /untold /second"; strings.Join(got, " ") != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if errs := stderr.String(); strings.Count(errs, "\n") > 4 {
		t.Errorf("says too much:\n%s", errs)
	}
}

func TestTailWaitsForATapeAndGivesAllOfIt(t *testing.T) {
	d := newDeck(t)
	stdout, stderr, end := d.follow("-n", "0", "--json", "--source", "shop")
	stderr.await(t, "there is no tape at "+d.path, 1)
	d.week()
	d.startAgent()
	stdout.await(t, `"path":"/orders/`, 2)
	if code := end(); code != exitInterrupted {
		t.Errorf("exit %d", code)
	}
	if got := paths(t, stdout.String()); got != "0 1" {
		t.Errorf("got %s", got)
	}
}

func TestTailRefusesAWrongExpressionAtOnce(t *testing.T) {
	d := newDeck(t)
	d.week()
	for name, agent := range map[string]bool{"stopped": false, "running": true} {
		if agent {
			d.startAgent()
		}
		out := d.hooktape("tail", "--where", "metod == 1")
		if out.code != exitUsage || !strings.Contains(out.stderr, "metod") {
			t.Errorf("%s: %+v", name, out)
		}
	}
}

func TestARunningAgentCanBeReachedByEveryNameOfItsTape(t *testing.T) {
	d := newDeck(t)
	d.week()
	d.startAgent()
	t.Chdir(filepath.Dir(d.path))
	if got := paths(t, d.ok("--data", "tape.db", "list", "--json")); got != "0 1 2 3" {
		t.Errorf("got %s", got)
	}
}
