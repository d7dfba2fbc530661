package relay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/wire/port"
	"github.com/hooktape/hooktape/relay/wire/wiretest"
	"github.com/hooktape/hooktape/store"
)

func TestMain(m *testing.M) {
	wiretest.Main()
	goleak.VerifyTestMain(m)
}

// patienceOfTests bounds every wait; nothing depends on how long it is.
const patienceOfTests = 30 * time.Second

// app is the app behind the agent: a raw listener that answers each request with respond and keeps what came.
type app struct {
	t       *testing.T
	addr    string
	held    *port.Held
	respond func(n int, request string) (response string) // "" closes without an answer

	mu   sync.Mutex
	got  []string
	stop func()
}

func startApp(t *testing.T, respond func(int, string) string) *app {
	a := &app{t: t, respond: respond}
	held, err := port.Hold()
	if err != nil {
		t.Fatal(err)
	}
	a.held, a.addr = held, held.Addr
	a.up()
	t.Cleanup(func() { a.stop(); held.Release() })
	return a
}

func (a *app) listen(l net.Listener) {
	var serving sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			serving.Go(func() { a.serve(c) })
		}
	})
	a.stop = sync.OnceFunc(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		serving.Wait()
	})
}

// up listens, from the second time on where it did before.
func (a *app) up() {
	l, err := a.held.Listen()
	if err != nil {
		a.t.Fatal(err)
	}
	a.listen(l)
}

func (a *app) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		var raw strings.Builder
		req, err := http.ReadRequest(bufio.NewReader(io.TeeReader(oneByte{r}, &raw)))
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
		a.mu.Lock()
		a.got = append(a.got, raw.String())
		n := len(a.got)
		a.mu.Unlock()
		response := a.respond(n, raw.String())
		if response == "" {
			return
		}
		io.WriteString(c, response)
	}
}

// oneByte keeps a buffered reader on top of it from reading ahead.
type oneByte struct{ io.Reader }

func (o oneByte) Read(p []byte) (int, error) { return o.Reader.Read(p[:min(1, len(p))]) }

func (a *app) requests() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.got...)
}

func (a *app) url() *url.URL { return &url.URL{Scheme: "http", Host: a.addr} }

// rig is an agent over a store of its own, with a listener.
type rig struct {
	*Agent
	t      *testing.T
	addr   string
	path   string
	events <-chan Event
	end    func() // stops the agent and closes the store

	patience time.Duration // of senders
}

func start(t *testing.T, sources ...config.Source) *rig {
	return startOn(t, filepath.Join(t.TempDir(), "tape.db"), sources...)
}

func startOn(t *testing.T, path string, sources ...config.Source) *rig {
	return startWith(t, path, Options{}, sources...)
}

func startWith(t *testing.T, path string, o Options, sources ...config.Source) *rig {
	t.Helper()
	return startConfig(t, path, o, &config.Config{Sources: sources})
}

func startConfig(t *testing.T, path string, o Options, cfg *config.Config) *rig {
	t.Helper()
	s, err := store.Open(path, store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, addr: l.Addr().String(), path: path, patience: patienceOfTests}
	o.Store = s
	r.Agent = New(o, cfg)
	events, unwatch := r.Watch(1000)
	r.events = events
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- r.Run(ctx, l) }()
	r.end = sync.OnceFunc(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("Run: %v", err)
		}
		unwatch()
		if err := s.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	t.Cleanup(r.end)
	return r
}

// configured are the sources of the agent.
func (r *rig) configured() (sources []config.Source) {
	for _, s := range r.routes.Load().sources {
		sources = append(sources, s.Source)
	}
	return sources
}

// send sends bytes and reads one answer to a request of the method.
func (r *rig) send(request string) string {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(r.patience))
	if _, err := io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{strings.NewReader(request)}); err != nil { // in no copy of all of it
		r.t.Fatal(err)
	}
	var raw strings.Builder
	method, _, _ := strings.Cut(request, " ")
	res, err := http.ReadResponse(bufio.NewReader(io.TeeReader(oneByte{c}, &raw)), &http.Request{Method: method})
	if err != nil {
		r.t.Fatalf("read the answer: %v, got %q", err, raw.String())
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		r.t.Fatalf("read the answer: %v, got %q", err, raw.String())
	}
	return raw.String()
}

// ask sends bytes, and gives the connection on which the answer comes.
func (r *rig) ask(request string) net.Conn {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(r.patience))
	if _, err := io.WriteString(c, request); err != nil {
		r.t.Fatal(err)
	}
	return c
}

// wait gives the next event of a kind.
func (r *rig) wait(kind EventKind) Event {
	r.t.Helper()
	timeout := time.After(patienceOfTests)
	for {
		select {
		case e := <-r.events:
			if e.Kind == kind {
				return e
			}
		case <-timeout:
			r.t.Fatalf("no event of kind %d", kind)
		}
	}
}

// until waits for a condition.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patienceOfTests)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to: %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

func (r *rig) last() *store.Record {
	r.t.Helper()
	if err := r.store.Sync(); err != nil {
		r.t.Fatal(err)
	}
	for rec, err := range r.store.Records(store.Query{Newest: true}) {
		if err != nil {
			r.t.Fatal(err)
		}
		return rec
	}
	r.t.Fatal("no record")
	return nil
}

func (r *rig) raw(raw store.Raw) string {
	r.t.Helper()
	f := r.store.Open(raw)
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(b)
}

func (r *rig) delivery(id store.ID) store.Delivery {
	r.t.Helper()
	if err := r.store.Sync(); err != nil {
		r.t.Fatal(err)
	}
	d, err := r.store.Deliveries(id)
	if err != nil || len(d) != 1 {
		r.t.Fatalf("deliveries: %v, %v", d, err)
	}
	return d[0]
}

func passing(a *app, patience time.Duration) config.Source {
	return config.Source{
		Name: "pass", Path: "/", Respond: config.RespondTarget, Patience: patience, MaxBody: 1 << 20,
		Targets: []config.Target{target1(a)},
	}
}

func acking(a *app) config.Source {
	return config.Source{Name: "ack", Path: "/", Respond: config.RespondAck, MaxBody: 1 << 20, Targets: []config.Target{target1(a)}}
}

func target1(a *app) config.Target {
	return config.Target{
		Name: "app", URL: a.url(), Timeout: patienceOfTests, Concurrency: 4,
		Retry: config.Retry{For: time.Hour, Min: time.Millisecond, Max: 10 * time.Millisecond},
	}
}

const (
	post = "POST /a//b?x=%20 HTTP/1.1\r\nhost: h\r\nX-Odd:   spaces \r\nContent-Length: 5\r\n\r\nhello"
	ok   = "HTTP/1.1 201 Made\r\nx-from: app\r\nContent-Length: 2\r\n\r\nok"
)

func always(response string) func(int, string) string {
	return func(int, string) string { return response }
}

func TestTheAppsResponseIsTheAnswerAndAllOfItIsOnTheTape(t *testing.T) {
	a := startApp(t, always(ok))
	r := start(t, passing(a, time.Minute))
	if got := r.send(post); got != ok {
		t.Errorf("the sender got %q", got)
	}
	r.wait(Answered)
	rec := r.last()
	if got := r.raw(rec.Raw); got != post {
		t.Errorf("recorded %q", got)
	}
	if want := strings.Replace(post, "host: h\r\n", "host: "+a.addr+"\r\n", 1); a.requests()[0] != want {
		t.Errorf("the app got %q, want %q", a.requests()[0], want)
	}
	attempts, err := r.store.Attempts(rec.ID)
	if err != nil || len(attempts) != 1 || r.raw(attempts[0].Response) != ok {
		t.Errorf("attempts: %+v, %v", attempts, err)
	}
	if rec.Answer == nil || rec.Answer.Status != 201 || rec.Answer.FromAttempt != 1 {
		t.Errorf("answer: %+v", rec.Answer)
	}
	if d := r.delivery(rec.ID); d.State != store.Delivered || d.Attempts != 1 {
		t.Errorf("delivery: %+v", d)
	}
}

func TestWhatTheAppRefusesIsTheSendersToRetry(t *testing.T) {
	a := startApp(t, always("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"))
	r := start(t, passing(a, time.Minute))
	if got := r.send(post); !strings.HasPrefix(got, "HTTP/1.1 503 No\r\n") {
		t.Errorf("the sender got %q", got)
	}
	r.wait(Answered)
	if d := r.delivery(r.last().ID); d.State != store.Failed || d.Status != 503 {
		t.Errorf("delivery: %+v", d)
	}
	if n := len(a.requests()); n != 1 {
		t.Errorf("the app got it %d times", n)
	}
}

func TestWhenPatienceIsOverHooktapeTakesOverAndDelivers(t *testing.T) {
	a := startApp(t, always(ok))
	a.stop()
	r := start(t, passing(a, 50*time.Millisecond))
	if got := r.send(post); !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") || !strings.HasSuffix(got, "\r\n\r\n") {
		t.Errorf("the sender got %q", got)
	}
	r.wait(Away)
	rec := r.last()
	if d := r.delivery(rec.ID); d.State != store.Pending {
		t.Errorf("delivery while the app is away: %+v", d)
	}
	if rec.Answer == nil || rec.Answer.Status != 200 {
		t.Errorf("answer: %+v", rec.Answer)
	}
	a.up()
	back := r.wait(Back)
	if back.Kept != 1 || back.Delivered != 1 {
		t.Errorf("back: %+v", back)
	}
	if d := r.delivery(rec.ID); d.State != store.Delivered {
		t.Errorf("delivery after it: %+v", d)
	}
	if n := len(a.requests()); n != 1 {
		t.Errorf("the app got it %d times", n)
	}
}

func TestAnAttemptUnderWayAtTheTakeOverCounts(t *testing.T) {
	release := make(chan bool)
	a := startApp(t, func(int, string) string { <-release; return ok })
	r := start(t, passing(a, 20*time.Millisecond))
	if got := r.send(post); !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") {
		t.Errorf("the sender got %q", got)
	}
	id := r.wait(Answered).Record.ID
	if d := r.delivery(id); d.State != store.Pending {
		t.Errorf("delivery: %+v", d)
	}
	close(release)
	until(t, "delivered", func() bool { return r.delivery(id).State == store.Delivered })
	if n := len(a.requests()); n != 1 {
		t.Errorf("the app got it %d times", n)
	}
}

func TestWithoutPatienceHooktapeNeverTakesOver(t *testing.T) {
	for _, c := range []struct {
		name    string
		respond func(hold chan bool) string
		away    bool
		timeout time.Duration
		want    string
	}{
		{"no answer", func(chan bool) string { return "" }, false, patienceOfTests, "HTTP/1.1 502 "},
		{"too slow", func(hold chan bool) string { <-hold; return "" }, false, 20 * time.Millisecond, "HTTP/1.1 504 "},
		{"away", nil, true, patienceOfTests, "HTTP/1.1 502 "},
	} {
		t.Run(c.name, func(t *testing.T) {
			hold := make(chan bool)
			a := startApp(t, func(int, string) string { return c.respond(hold) })
			defer close(hold)
			if c.away {
				a.stop()
			}
			src := passing(a, 0)
			src.Targets[0].Timeout = c.timeout
			r := start(t, src)
			if got := r.send(post); !strings.HasPrefix(got, c.want) {
				t.Errorf("the sender got %q", got)
			}
			r.wait(Answered)
			if d := r.delivery(r.last().ID); d.State != store.Failed || d.Error == "" {
				t.Errorf("delivery: %+v", d)
			}
		})
	}
}

func TestAckedRequestsAreDeliveredUntilTheTargetTakesThem(t *testing.T) {
	a := startApp(t, func(n int, _ string) string {
		switch n {
		case 1:
			return ""
		case 2:
			return "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"
		case 3:
			return "garbage\r\n\r\n"
		}
		return ok
	})
	r := start(t, acking(a))
	if got := r.send(post); !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") {
		t.Errorf("the sender got %q", got)
	}
	id := r.wait(Answered).Record.ID
	until(t, "delivered", func() bool { return r.delivery(id).State == store.Delivered })
	attempts, err := r.store.Attempts(id)
	if err != nil || len(attempts) != 4 {
		t.Fatalf("attempts: %+v, %v", attempts, err)
	}
	for i, want := range []int{0, 500, 0, 201} {
		if attempts[i].Status != want || (want == 0) != (attempts[i].Error != "") {
			t.Errorf("attempt %d: status %d, error %q", i+1, attempts[i].Status, attempts[i].Error)
		}
	}
}

func TestPendingDeliveriesAreTakenUpAtStart(t *testing.T) {
	a := startApp(t, always(ok))
	a.stop()
	path := filepath.Join(t.TempDir(), "tape.db")
	first := startOn(t, path, acking(a))
	for range 3 {
		first.send(post)
	}
	first.end()
	a.up()
	second := startOn(t, path, acking(a))
	until(t, "all delivered", func() bool { return len(a.requests()) == 3 })
	for rec, err := range second.store.Records(store.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		until(t, "delivered", func() bool { return second.delivery(rec.ID).State == store.Delivered })
	}
}

func TestARequestThatCantBeRecordedIsNeitherAcknowledgedNorForwarded(t *testing.T) {
	a := startApp(t, always(ok))
	for name, src := range map[string]config.Source{"ack": acking(a), "target": passing(a, time.Minute)} {
		t.Run(name, func(t *testing.T) {
			s, err := store.Open(filepath.Join(t.TempDir(), "tape.db"), store.Options{NoSync: true})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil { // every write fails from now on
				t.Fatal(err)
			}
			agent := New(Options{Store: s}, &config.Config{})
			agent.Apply(&config.Config{Sources: []config.Source{src}})
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ran := make(chan error, 1)
			go func() { ran <- agent.Run(ctx, l) }()
			r := &rig{t: t, addr: l.Addr().String(), patience: patienceOfTests}
			got := r.send(post)
			if !strings.HasPrefix(got, "HTTP/1.1 503 ") || !strings.Contains(got, "\r\nRetry-After: ") {
				t.Errorf("the sender got %q", got)
			}
			if agent.Ready() == nil {
				t.Error("the agent says it is ready")
			}
			cancel()
			if err := <-ran; err != nil {
				t.Error(err)
			}
			if n := len(a.requests()); n != 0 {
				t.Errorf("the app got %d requests", n)
			}
		})
	}
}

func TestRefusedRequestsLeaveATrace(t *testing.T) {
	a := startApp(t, always(ok))
	src := acking(a)
	src.Path, src.Methods, src.MaxBody = "/in", []string{"POST"}, 100_000
	r := start(t, src)
	big := strings.Repeat("x", 200_000)
	for _, c := range []struct {
		name, request string
		status        int
		verdict       store.Verdict
		body          int // bytes behind the head that are kept; -1: whatever came
		truncated     bool
	}{
		{"no source", "POST /out HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi", 404, store.NoSource, 2, false},
		{"method", "GET /in HTTP/1.1\r\nHost: h\r\n\r\n", 405, store.MethodNotAllowed, 0, false},
		{"too large by length", "POST /in HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n" + big, 413, store.TooLarge, refusedKeep, true},
		{"too large in chunks", "POST /in HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n30d40\r\n" + big + "\r\n0\r\n\r\n", 413, store.TooLarge, refusedKeep, true},
		{"bad chunk", "POST /in HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, store.Malformed, -1, false},
		{"not HTTP", "hello there\r\n\r\n", 400, store.Malformed, 0, false},
	} {
		got := r.send(c.request)
		if !strings.HasPrefix(got, fmt.Sprintf("HTTP/1.1 %d ", c.status)) {
			t.Errorf("%s: answer %q", c.name, got)
		}
		r.wait(Answered)
		rec := r.last()
		if rec.Verdict != c.verdict || rec.Reason == "" || rec.Truncated != c.truncated {
			t.Errorf("%s: verdict %s (%s), truncated %v", c.name, rec.Verdict, rec.Reason, rec.Truncated)
		}
		raw := r.raw(rec.Raw)
		head, _, _ := strings.Cut(c.request, "\r\n\r\n")
		if c.body >= 0 && len(raw) != len(head)+4+c.body || !strings.HasPrefix(c.request, raw) {
			t.Errorf("%s: %d bytes on the tape, want the head and %d more", c.name, len(raw), c.body)
		}
		if rec.Answer == nil || r.raw(rec.Answer.Raw) != got {
			t.Errorf("%s: the answer on the tape is not the one that was given", c.name)
		}
	}
	if n := len(a.requests()); n != 0 {
		t.Errorf("the app got %d requests", n)
	}
}

func TestABodyThatIsCutShortIsIncompleteAndNotDelivered(t *testing.T) {
	a := startApp(t, always(ok))
	r := start(t, acking(a))
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	const half = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf"
	io.WriteString(c, half)
	c.(*net.TCPConn).CloseWrite()
	defer c.Close()
	r.wait(Answered)
	rec := r.last()
	if rec.Verdict != store.Incomplete || r.raw(rec.Raw) != half {
		t.Errorf("verdict %s, recorded %q", rec.Verdict, r.raw(rec.Raw))
	}
	if d, err := r.store.Deliveries(rec.ID); err != nil || len(d) != 0 {
		t.Errorf("deliveries %v, %v", d, err)
	}
}

func TestAReloadKeepsWhatIsUnderWay(t *testing.T) {
	hold, held := make(chan bool), make(chan bool, 1)
	a := startApp(t, func(int, string) string { held <- true; <-hold; return ok })
	r := start(t, passing(a, time.Minute))
	answer := make(chan string, 1)
	go func() { answer <- r.send(post) }()
	<-held
	r.Apply(&config.Config{Sources: []config.Source{{Name: "other", Path: "/other", Respond: config.RespondAck, MaxBody: 1 << 20}}})
	if got := r.send(post); !strings.HasPrefix(got, "HTTP/1.1 404 ") {
		t.Errorf("after the reload the old path answers %q", got)
	}
	if got := r.send("POST /other HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("after the reload the new path answers %q", got)
	}
	close(hold)
	if got := <-answer; got != ok {
		t.Errorf("the request under way was answered %q", got)
	}
}

func TestAListenerThatFailsEndsRunWithItsError(t *testing.T) {
	s, err := store.Open(filepath.Join(t.TempDir(), "tape.db"), store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	broken := errors.New("broken")
	err = New(Options{Store: s}, &config.Config{}).Run(t.Context(), failing{broken})
	if !errors.Is(err, broken) {
		t.Errorf("Run: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Accept() (net.Conn, error) { return nil, f.err }
func (f failing) Close() error              { return nil }
func (f failing) Addr() net.Addr            { return &net.TCPAddr{} }

// Who ends the connection in the midst of a request may have got the answer or not: the tape claims neither.
func TestTheAnswerToWhoHasLeftIsDoubted(t *testing.T) {
	const inHead, inBody = "POST /a HTTP/1.1\r\nHost: h\r\nX-", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf"
	reset := func(c *net.TCPConn) error { return errors.Join(c.SetLinger(0), c.Close()) }
	for name, c := range map[string]struct {
		begin string
		leave func(*net.TCPConn) error
	}{
		"closed in the head":             {inHead, (*net.TCPConn).Close},
		"closed in the body":             {inBody, (*net.TCPConn).Close},
		"closed for sending in the head": {inHead, (*net.TCPConn).CloseWrite},
		"closed for sending in the body": {inBody, (*net.TCPConn).CloseWrite},
		"reset in the body":              {inBody, reset},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, acking(startApp(t, always(ok))))
			conn, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, c.begin); err != nil {
				t.Fatal(err)
			}
			if c.begin == inBody { // a reset takes with it what was not read yet
				until(t, "the head is read", func() bool { return r.exchanges.Load() > 0 })
			}
			if err := c.leave(conn.(*net.TCPConn)); err != nil {
				t.Fatal(err)
			}
			r.wait(Answered)
			rec := r.last()
			if rec.Verdict != store.Incomplete || rec.Answer == nil || rec.Answer.Status != 400 || rec.Answer.Error == "" {
				t.Errorf("%+v, answer %+v", rec, rec.Answer)
			}
		})
	}
}
