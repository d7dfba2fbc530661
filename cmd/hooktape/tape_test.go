package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Pages show local time; golden ones must not depend on where the test runs.
func init() { time.Local = time.UTC }

// noon is the time of the first record of a test's tape; commands run five
// minutes later.
var noon = time.Date(2026, 1, 31, 12, 0, 0, 123456789, time.UTC)

// deck is a tape that commands are run on, in this process.
type deck struct {
	t      *testing.T
	path   string
	getenv map[string]string
}

func newDeck(t *testing.T) *deck {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tape.db")
	return &deck{t, path, map[string]string{"HOOKTAPE_DATA": path}}
}

// outcome is what a command printed and how it ended.
type outcome struct {
	stdout, stderr string
	code           int
}

func (d *deck) hooktape(args ...string) outcome {
	d.t.Helper()
	var stdout, stderr bytes.Buffer
	code := d.execute(d.t.Context(), &stdout, &stderr, args...)
	return outcome{stdout.String(), stderr.String(), code}
}

func (d *deck) execute(ctx context.Context, stdout, stderr io.Writer, args ...string) int {
	e := &env{
		stdin: strings.NewReader(""), stdout: stdout, stderr: stderr,
		lookup: func(key string) (string, bool) { v, ok := d.getenv[key]; return v, ok },
		getwd:  func() (string, error) { return filepath.Dir(d.path), nil },
		now:    func() time.Time { return noon.Add(5 * time.Minute) },
	}
	return e.execute(ctx, args)
}

// ok is hooktape for a command that must succeed.
func (d *deck) ok(args ...string) string {
	d.t.Helper()
	out := d.hooktape(args...)
	if out.code != exitDone {
		d.t.Fatalf("hooktape %s: exit %d\n%s%s", strings.Join(args, " "), out.code, out.stdout, out.stderr)
	}
	return out.stdout
}

// write opens the tape to fill it.
func (d *deck) write(fill func(s *store.Store)) {
	d.t.Helper()
	s, err := store.Open(d.path, store.Options{NoSync: true, Now: func() time.Time { return noon }})
	if err != nil {
		d.t.Fatal(err)
	}
	fill(s)
	if err := s.Close(); err != nil {
		d.t.Fatal(err)
	}
}

// lines makes bytes of text whose head is written with \n line ends. A body
// that has no length in the head gets one.
func lines(text string) (raw string, head int) {
	before, behind, found := strings.Cut(text, "\n\n")
	if !found {
		return text, 0
	}
	if lower := strings.ToLower(before); behind != "" && !strings.Contains(lower, "content-length") && !strings.Contains(lower, "chunked") {
		before += fmt.Sprintf("\nContent-Length: %d", len(behind))
	}
	start := strings.ReplaceAll(before, "\n", "\r\n") + "\r\n\r\n"
	return start + behind, len(start)
}

func spooled(t *testing.T, s *store.Store, text string) *store.Spool {
	t.Helper()
	spool := s.Spool()
	if _, err := io.WriteString(spool, text); err != nil {
		t.Fatal(err)
	}
	return spool
}

// put records a request; rec's facts beside.
func put(t *testing.T, s *store.Store, rec store.Record, text string, deliveries ...store.Delivery) store.ID {
	t.Helper()
	raw, head := lines(text)
	if m, err := wire.ParseRequestHead([]byte(raw)); err == nil {
		rec.Method, rec.Target, rec.Proto, rec.Host = m.Method, m.Target, m.Proto, m.Host()
		body, _, _ := wire.DecodeBody(m.Framing, []byte(raw[head:]))
		rec.HeadSize, rec.BodySize = head, int64(len(body))
	}
	if rec.Verdict == "" {
		rec.Verdict = store.Accepted
	}
	if rec.Time.IsZero() {
		rec.Time = noon
	}
	rec.Via, rec.Remote = "direct", "192.0.2.7:40000"
	for _, name := range rec.Session {
		if err := s.CreateSession(name, true); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Append(&rec, spooled(t, s, raw), deliveries, nil).Wait(); err != nil {
		t.Fatal(err)
	}
	return rec.ID
}

// giveAnswer settles a record with an answer.
func giveAnswer(t *testing.T, s *store.Store, id store.ID, status int, text string) {
	t.Helper()
	raw, _ := lines(text)
	answer := &store.Answer{Status: status, Time: noon, Duration: 12345 * time.Microsecond}
	if err := s.Settle(id, store.Outcome{Answer: answer, AnswerRaw: spooled(t, s, raw)}).Wait(); err != nil {
		t.Fatal(err)
	}
}

// tried adds an attempt with the response, or with an error.
func tried(t *testing.T, s *store.Store, id store.ID, a store.Attempt, response string) {
	t.Helper()
	raw, head := lines(response)
	a.Time, a.Duration = noon, 1500*time.Microsecond
	o := store.Outcome{Attempt: &a}
	if response != "" {
		a.HeadSize, o.Response = head, spooled(t, s, raw)
	}
	if err := s.Settle(id, o).Wait(); err != nil {
		t.Fatal(err)
	}
}

// fakeAgent is an agent that serves the control API and nothing else.
type fakeAgent struct {
	store  *store.Store
	events chan inspect.Event
	stop   func()
}

func (f *fakeAgent) Watch(int) (<-chan inspect.Event, func()) { return f.events, func() {} }
func (f *fakeAgent) Wake(string, string)                      {}
func (*fakeAgent) Told(context.Context)                       {}

func (f *fakeAgent) Laptop(string) *inspect.Laptop { return nil }
func (f *fakeAgent) Through(context.Context, store.ID, string, string) (net.Conn, error) {
	return nil, errors.New("no tunnels")
}
func (f *fakeAgent) Away(string, string) bool { return false }
func (f *fakeAgent) Recheck(id store.ID, _ bool) (inspect.Rejudged, error) {
	return inspect.Rejudged{Record: id}, nil
}

// startAgent opens the tape and serves the control API on its socket, as an agent does.
func (d *deck) startAgent() *fakeAgent {
	d.t.Helper()
	s, err := store.Open(d.path, store.Options{NoSync: true})
	if err != nil {
		d.t.Fatal(err)
	}
	l, err := inspect.Listen(d.path)
	if err != nil {
		d.t.Fatal(err)
	}
	f := &fakeAgent{store: s, events: make(chan inspect.Event)}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- (&inspect.Server{Store: s, Agent: f, Started: noon.Add(-time.Hour)}).Serve(ctx, l) }()
	f.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-served; err != nil {
			d.t.Error(err)
		}
		if err := s.Close(); err != nil {
			d.t.Error(err)
		}
	})
	d.t.Cleanup(f.stop)
	return f
}

// golden compares text with a file of testdata/golden.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("..", "..", "testdata", "golden", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; go test -update writes it anew. Got:\n%s", name, got)
	}
}
