package relay

import (
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/store"
)

func TestATargetThatSawTheRequestIsNotAskedAgainWhileTheSenderWaits(t *testing.T) {
	for name, response := range map[string]string{"it hangs up": "", "it answers garbage": "garbage\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			a := startApp(t, always(response))
			src := passing(a, time.Minute)
			src.Targets[0].Retry = config.Retry{For: 24 * time.Hour, Min: time.Hour, Max: time.Hour}
			r := start(t, src)
			if got := r.send(post); !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") {
				t.Errorf("the sender got %q", got)
			}
			rec := r.wait(Answered).Record
			if d := r.delivery(rec.ID); d.State != store.Pending || d.Due.Sub(rec.Time) < time.Minute {
				t.Errorf("delivery: %+v", d)
			}
			if n := len(a.requests()); n != 1 {
				t.Errorf("the target got it %d times", n)
			}
		})
	}
}

// Whoever waits for the answer, an attempt is an attempt.
func TestAttemptsAreCountedFromTheFirst(t *testing.T) {
	a := startApp(t, always(ok))
	a.stop()
	r := start(t, passing(a, time.Minute))
	sender := r.ask(strings.Replace(post, "host: h", "host: h\r\nConnection: close", 1))
	until(t, "the app is missed", func() bool {
		all := r.records()
		return len(all) == 1 && len(r.attempts(all[0].ID)) > 1
	})
	a.up()
	if got, err := io.ReadAll(sender); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 201 ") {
		t.Fatalf("the sender got %q, %v", got, err)
	}
	id := r.wait(Answered).Record.ID
	if d, all := r.delivery(id), r.attempts(id); d.State != store.Delivered || d.Attempts != len(all) {
		t.Errorf("%+v of %d attempts", d, len(all))
	}
}

func TestAttemptsBeforeTheTakeOverCount(t *testing.T) {
	a := startApp(t, always(ok))
	a.stop()
	r := start(t, passing(a, 100*time.Millisecond))
	r.send(post)
	r.wait(Away)
	id := r.last().ID
	until(t, "all attempts are counted", func() bool {
		d, all := r.delivery(id), r.attempts(id)
		return len(all) > 0 && d.Attempts == len(all) && d.Error == all[len(all)-1].Error
	})
	a.up()
	r.untilStates(map[store.State]int{store.Delivered: 1})
	if d, all := r.delivery(id), r.attempts(id); d.Attempts != len(all) {
		t.Errorf("%+v of %d attempts", d, len(all))
	}
}

func TestADroppedDeliveryStaysDroppedWhateverTheAttemptUnderWayComesTo(t *testing.T) {
	hold, held := make(chan bool), make(chan bool, 1)
	a := startApp(t, func(int, string) string {
		held <- true
		<-hold
		return "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"
	})
	r := start(t, acking(a))
	r.send(post)
	id := r.wait(Answered).Record.ID
	<-held
	d := r.delivery(id)
	d.State = store.Dropped
	if err := r.store.Settle(id, store.Outcome{Deliveries: []store.Delivery{d}}).Wait(); err != nil {
		t.Fatal(err)
	}
	close(hold)
	until(t, "the attempt is on the tape", func() bool {
		attempts, err := r.store.Attempts(id)
		return err == nil && len(attempts) == 1
	})
	if d := r.delivery(id); d.State != store.Dropped {
		t.Errorf("delivery: %+v", d)
	}
}

func TestDotSegmentsAreRefusedWhereThePathIsRewritten(t *testing.T) {
	a := startApp(t, always(ok))
	rewriting := passing(a, time.Minute)
	rewriting.Path, rewriting.Targets[0].URL = "/in", &url.URL{Scheme: "http", Host: a.addr, Path: "/out"}
	for path, want := range map[string]string{
		"/in/../secret": "400", "/in/%2e%2e/secret": "400", "/in/a.b": "201", "/in/%20": "201",
	} {
		r := start(t, rewriting)
		got := r.send(strings.Replace(post, "/a//b?x=%20", path, 1))
		if status := strings.Fields(got)[1]; status != want {
			t.Errorf("%s: %s, want %s", path, status, want)
		}
		if verdict := r.wait(Answered).Record.Verdict; verdict.Refused() != (want == "400") {
			t.Errorf("%s: %s", path, verdict)
		}
		r.end()
	}
	if n := len(a.requests()); n != 2 {
		t.Errorf("the app got %d requests", n)
	}
}

func TestTheAnswerComesFromATargetThatWantsTheRequest(t *testing.T) {
	first, second := startApp(t, always(ok)), startApp(t, always("HTTP/1.1 202 Second\r\nContent-Length: 0\r\n\r\n"))
	src := passing(first, time.Minute)
	only, err := expr.Parse(`method == "DELETE"`)
	if err != nil {
		t.Fatal(err)
	}
	src.Targets[0].When = only
	other := target1(second)
	other.Name = "second"
	src.Targets = append(src.Targets, other)
	r := start(t, src)
	if got := r.send(post); !strings.HasPrefix(got, "HTTP/1.1 202 ") {
		t.Errorf("the sender got %q", got)
	}
	if n := len(first.requests()); n != 0 {
		t.Errorf("a target got %d requests that it does not want", n)
	}
}

func TestAnAckThatIsTooLongIsAFailedExpression(t *testing.T) {
	a := startApp(t, always(ok))
	path := filepath.Join(t.TempDir(), "hooktape.hcl")
	text := "source \"ack\" {\n path = \"/\"\n ack {\n body = body\n }\n target \"app\" {\n url = \"" + a.url().String() + "\"\n }\n}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path, os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, cfg.Sources...)
	big := strings.Repeat("x", ackMax+1)
	got := r.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 262145\r\n\r\n" + big)
	if !strings.HasPrefix(got, "HTTP/1.1 200 ") || strings.Contains(got, "xxx") {
		t.Errorf("the sender got %.80q", got)
	}
	if err := r.Ready(); err != nil {
		t.Errorf("Ready: %v", err)
	}
}

// Who says that it has taken a request has taken it, whatever becomes of the rest of the response: also who answers.
func TestWhatWasTakenWithA2xxIsDeliveredThoughTheResponseBreaksOff(t *testing.T) {
	broken := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nno chunk\r\n"
	a := startApp(t, always(broken))
	for name, src := range map[string]config.Source{"ack": acking(a), "pass": passing(a, time.Minute)} {
		t.Run(name, func(t *testing.T) {
			r := start(t, src)
			c, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(patienceOfTests))
			io.WriteString(c, strings.Replace(post, "host: h", "host: h\r\nConnection: close", 1))
			if got, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 200 ") {
				t.Fatalf("answer %q, %v", got, err)
			}
			r.untilStates(map[store.State]int{store.Delivered: 1})
			d := r.delivery(r.last().ID)
			if d.Status != 200 || d.Error == "" || d.Attempts != 1 {
				t.Errorf("%+v", d)
			}
		})
	}
}

// An app that sends its sender on, or has nothing new for it, has not failed.
func TestARedirectionThatIsTheAnswerIsDelivered(t *testing.T) {
	for status, want := range map[string]store.State{
		"302 Found": store.Delivered, "304 Not Modified": store.Delivered, "400 Bad Request": store.Failed, "500 Oh": store.Failed,
	} {
		a := startApp(t, always("HTTP/1.1 "+status+"\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n"))
		r := start(t, passing(a, time.Minute))
		if got := r.send(post); !strings.HasPrefix(got, "HTTP/1.1 "+status+"\r\n") {
			t.Errorf("%s: the sender got %q", status, got)
		}
		r.untilStates(map[store.State]int{want: 1})
		r.end()
	}
}

// Interim responses are passed on (RFC 9110, section 15.2), but for 100 Continue: the request is here in whole.
func TestWhatTheAppSaysBeforeItsResponseIsPassedOn(t *testing.T) {
	const hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
	before := "HTTP/1.1 100 Continue\r\n\r\n" + strings.Replace(hints, "Link", "Connection: close\r\nLink", 1) + "HTTP/1.1 102 Processing\r\n\r\n"
	a := startApp(t, always(before+ok))
	direct := start(t, passing(a, time.Minute))
	edge := startEdge(t, tapeIn(t), edgeConfig(time.Minute))
	startLaptop(t, edge.addr, tapeIn(t), passing(a, 0)).hears("up", up)
	until(t, "the laptop takes requests", func() bool { return edge.edge.at("alice") != nil })
	closing := strings.Replace(ok, "Content-Length: 2", "Content-Length: 2\r\nConnection: close", 1)
	for at, r := range map[string]*rig{"h": direct, "alice.edge.test": edge} {
		for proto, want := range map[string]string{"HTTP/1.1": hints + "HTTP/1.1 102 Processing\r\n\r\n" + closing, "HTTP/1.0": ok} {
			request := strings.NewReplacer("host: h", "host: "+at+"\r\nConnection: close", "HTTP/1.1", proto).Replace(post)
			if got, err := io.ReadAll(r.ask(request)); err != nil || string(got) != want {
				t.Errorf("%s by %s: the sender got %q, %v", at, proto, got, err)
			}
			id := r.last().ID
			until(t, "the attempt is on the tape", func() bool { return len(r.attempts(id)) == 1 })
			if attempt := r.attempts(id)[0]; attempt.Status != 201 || !strings.HasPrefix(r.raw(attempt.Response), "HTTP/1.1 201 ") {
				t.Errorf("%s by %s: on the tape is %+v", at, proto, attempt)
			}
		}
	}
}

// Nobody listens to a stream of events any more when its sender has left: the app learns it, and the tape tells it.
func TestAStreamEndsBehindItsSender(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		event := time.NewTicker(10 * time.Millisecond)
		defer event.Stop()
		_, err = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
		for err == nil {
			<-event.C
			_, err = io.WriteString(c, "data: x\n\n")
		}
	}()
	src := passing(startApp(t, nil), time.Minute)
	src.Targets[0].URL = &url.URL{Scheme: "http", Host: l.Addr().String()}
	r := start(t, src)
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, post)
	if _, err := io.ReadFull(c, make([]byte, len("HTTP/1.1 200 OK"))); err != nil {
		t.Fatal(err)
	}
	c.Close()
	select {
	case <-ended:
	case <-time.After(patienceOfTests):
		t.Fatal("the app goes on")
	}
	rec := r.wait(Answered).Record
	if d := r.delivery(rec.ID); d.State != store.Delivered || !strings.Contains(d.Error, errEndless.Error()) || !strings.HasPrefix(rec.Answer.Error, "connection lost: ") || strings.Contains(rec.Answer.Error, r.addr) {
		t.Errorf("delivery %+v, answer %+v", d, rec.Answer)
	}
}
