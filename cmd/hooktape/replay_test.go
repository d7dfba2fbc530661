package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/store"
)

// answering is an app that answers in turn, and notes what it was asked.
type answering struct {
	*httptest.Server
	mu      sync.Mutex // guards what follows
	asked   []string
	answers []func(http.ResponseWriter)
}

func newAnswering(t *testing.T, answers ...func(http.ResponseWriter)) *answering {
	a := &answering{answers: answers}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.asked = append(a.asked, r.Method+" "+r.URL.RequestURI())
		answer := a.answers[0]
		if len(a.answers) > 1 {
			a.answers = a.answers[1:]
		}
		answer(w)
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *answering) got() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Join(a.asked, ", ")
}

func status(code int, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}
}

const okThen = "HTTP/1.1 200 OK\nContent-Type: text/plain\nContent-Length: 2\n\nok"

// sold is a tape with a source that has a target, and one request to it.
func (d *deck) sold(target string) {
	d.t.Helper()
	d.write(func(s *store.Store) {
		source := inspect.Source{Name: "shop", Path: "/hooks/shop", Targets: []inspect.Target{{Name: "app", URL: target + "/in", Timeout: inspect.Milliseconds(5 * time.Second)}}}
		if err := inspect.SaveSources(s, []inspect.Source{source}); err != nil {
			d.t.Fatal(err)
		}
		for _, n := range []string{"1", "2"} {
			id := put(d.t, s, store.Record{Source: "shop"}, "POST /hooks/shop/paid?n="+n+" HTTP/1.1\nHost: shop.example\n\n{}")
			giveAnswer(d.t, s, id, 200, okThen)
			tried(d.t, s, id, store.Attempt{Source: "shop", Target: "app", URL: target + "/in", Status: 200}, okThen)
		}
	})
}

func TestReplaySendsToTheSourcesTargetAndCompares(t *testing.T) {
	app := newAnswering(t, status(200, "ok"), status(500, "oops"))
	d := newDeck(t)
	d.sold(app.URL)
	out := d.hooktape("replay", "last")
	if out.code != exitDone || !strings.Contains(out.stdout, "then  200") || !strings.Contains(out.stdout, "now   200") || !strings.Contains(out.stdout, "same") {
		t.Errorf("%+v", out)
	}
	d.startAgent() // and the same through an agent
	out = d.hooktape("replay", "last")
	if out.code != exitNotSo || !strings.Contains(out.stdout, "now   500") || !strings.Contains(out.stdout, "differs: status, body") {
		t.Errorf("%+v", out)
	}
	if got, want := app.got(), "POST /in/paid?n=2, POST /in/paid?n=2"; got != want {
		t.Errorf("the app got %s, want %s", got, want)
	}
	page := d.ok("show", "last")
	if strings.Count(page, "replay app") != 2 || !strings.Contains(page, "500  4 B") {
		t.Errorf("the attempts are not on the page:\n%s", page)
	}
	if out := d.ok("show", "last", "--json"); strings.Count(out, `"replay":true`) != 2 {
		t.Errorf("%s", out)
	}
}

func TestReplayComparesWithTheTargetsOwnResponse(t *testing.T) {
	app := newAnswering(t, status(503, "busy"))
	d := newDeck(t)
	d.sold(app.URL)
	d.write(func(s *store.Store) {
		id, err := s.Find("last")
		if err != nil {
			t.Fatal(err)
		}
		tried(t, s, id, store.Attempt{Source: "shop", Target: "app", URL: app.URL, Status: 503}, "HTTP/1.1 503 Service Unavailable\nContent-Type: text/plain\nContent-Length: 4\n\nbusy")
	})
	out := d.hooktape("replay", "last", "--json")
	if out.code != exitDone || !strings.Contains(out.stdout, `"differs":{"status":false,"headers":[],"body":false,"changes":[]}`) {
		t.Errorf("%+v", out)
	}
}

func TestReplayToAnotherPlace(t *testing.T) {
	app := newAnswering(t, status(200, "ok"))
	d := newDeck(t)
	d.sold("http://127.0.0.1:1")
	for to, want := range map[string]string{
		app.URL:                                "POST /hooks/shop/paid?n=2",
		app.URL + "/":                          "POST /paid?n=2",
		app.URL + "/other?a=b":                 "POST /other/paid?a=b&n=2",
		strings.TrimPrefix(app.URL, "http://"): "POST /hooks/shop/paid?n=2",
	} {
		app.mu.Lock()
		app.asked = nil
		app.mu.Unlock()
		d.ok("replay", "last", "--to", to)
		if got := app.got(); got != want {
			t.Errorf("--to %s: %s, want %s", to, got, want)
		}
	}
}

func TestReplaySendsWhatFlagsChooseInTheOrderItCame(t *testing.T) {
	app := newAnswering(t, status(200, "ok"))
	d := newDeck(t)
	d.sold(app.URL)
	d.write(func(s *store.Store) {
		put(t, s, store.Record{Source: "shop", Verdict: store.MethodNotAllowed}, "GET /hooks/shop HTTP/1.1\nHost: x\n\n")
	})
	out := d.hooktape("replay", "--source", "shop", "--json")
	if out.code != exitDone || strings.Count(out.stdout, "\n") != 3 || !strings.Contains(out.stdout, `{"summary":{"records":2,"sent":2,"outcomes":{"same":2},"statuses":{"200":2},`) {
		t.Errorf("%+v", out)
	}
	if got, want := app.got(), "POST /in/paid?n=1, POST /in/paid?n=2"; got != want {
		t.Errorf("the app got %s, want %s", got, want)
	}
	var first sendJSON
	line, _, _ := strings.Cut(out.stdout, "\n")
	if err := json.Unmarshal([]byte(line), &first); err != nil || first.Target != "app" || first.Then.Status != 200 || first.Now.BodySize != 2 || first.Differs.Any() {
		t.Errorf("%s %v", line, err)
	}
	if out := d.hooktape("replay", "--source", "shop", "--limit", "1"); out.code != exitDone || !strings.Contains(out.stderr, "--limit 0") {
		t.Errorf("%+v", out)
	}
	if out := d.hooktape("replay", "--verdict", "method_not_allowed"); out.code != exitNotSo || !strings.Contains(out.stdout, "no response to compare with") || !strings.HasSuffix(app.got(), "GET /in") {
		t.Errorf("%+v %s", out, app.got())
	}
	if out := d.hooktape("replay", "--source", "nobody"); out.code != exitCannot || !strings.Contains(out.stderr, "nothing was sent") {
		t.Errorf("%+v", out)
	}
}

func TestOfARecordThatIsTooLargeItIsToldWhatTakesIt(t *testing.T) {
	app := newAnswering(t, status(200, "ok"))
	d := newDeck(t)
	file := filepath.Join(t.TempDir(), "large.har")
	const exchange = `{"request":{"method":"POST","url":"http://x/a","headers":[]},"response":{"status":200,"headers":[],"content":{"text":"ok"}},"_more":[%s{}]}`
	text := fmt.Sprintf(`{"log":{"entries":[`+exchange+`,`+exchange+`]}}`, "", strings.Repeat("{},", 300_000))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out := d.hooktape("replay", "--file", file, "--to", app.URL, "--compare", "none")
	if out.code != exitCannot || app.got() != "POST /a" || !strings.Contains(out.stderr, "hint: what could be read of it was sent; hooktape import --max-record SIZE") {
		t.Errorf("%+v, the app got %s", out, app.got())
	}
}

func TestReplayLeavesNoTraceWhenAsked(t *testing.T) {
	app := newAnswering(t, status(200, "ok"))
	d := newDeck(t)
	d.sold(app.URL)
	d.ok("replay", "last", "--no-record")
	if out := d.ok("show", "last", "--json"); strings.Contains(out, `"replay":true`) {
		t.Error(out)
	}
}

func TestATargetThatIsAwayEndsTheReplay(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	d := newDeck(t)
	d.sold("http://" + l.Addr().String())
	out := d.hooktape("replay", "--source", "shop")
	if out.code != exitCannot || strings.Count(out.stdout, "now   ") != 1 || !strings.Contains(out.stdout, "refused") || !strings.Contains(out.stderr, "hint: start the app") {
		t.Errorf("%+v", out)
	}
}

func TestWhatCannotBeReplayedIsSaid(t *testing.T) {
	app := newAnswering(t, status(200, "ok"))
	d := newDeck(t)
	d.write(func(s *store.Store) {
		put(t, s, store.Record{Verdict: store.Malformed}, "\x16\x03\x01")
		put(t, s, store.Record{Verdict: store.TooLarge, Truncated: true}, "POST / HTTP/1.1\nHost: x\nContent-Length: 99\n\nabc")
		put(t, s, store.Record{Source: "gone"}, "POST / HTTP/1.1\nHost: x\n\n")
	})
	for name, why := range map[string]string{"last~2": "no whole request", "last~1": "only the beginning", "last": "--to URL"} {
		out := d.hooktape("replay", name)
		if out.code != exitCannot || !strings.Contains(out.stdout, "not sent: ") || !strings.Contains(out.stdout, why) {
			t.Errorf("%s: %+v", name, out)
		}
	}
	if out := d.hooktape("replay", "last", "last~1", "--to", app.URL); out.code != exitNotSo || app.got() != "POST /" {
		t.Errorf("%+v %s", out, app.got())
	}
}

func TestAPublicAddressAsksForYes(t *testing.T) {
	d := newDeck(t)
	d.sold("http://198.51.100.1:9")
	out := d.hooktape("replay", "last", "--to", "http://203.0.113.9/")
	if out.code != exitUsage || !strings.Contains(out.stderr, "--yes") {
		t.Errorf("%+v", out)
	}
	for addr, want := range map[string]bool{
		"127.0.0.1": false, "::1": false, "10.1.2.3": false, "192.168.0.1": false, "172.20.0.1": false, "fd00::1": false, "169.254.1.1": false,
		"100.64.0.1": false, "0.0.0.0": false, "::ffff:10.1.2.3": false, "8.8.8.8": true, "2606:4700::1": true, "100.128.0.1": true,
	} {
		if got := public(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
}

func TestANameThatLeadsNowhereIsNoPrivateAddress(t *testing.T) {
	app := newAnswering(t, status(200, "ok"))
	d := newDeck(t)
	d.sold(app.URL)
	report := filepath.Join(t.TempDir(), "report.xml")
	nowhere := "http://" + strings.Repeat("x", 64) + ".example/" // no label may be as long: nobody is asked
	for _, args := range [][]string{{"--to", nowhere}, {"--compare", nowhere}, {"--to", nowhere, "--wait", "1ms"}} {
		out := d.hooktape(append([]string{"replay", "last", "--junit", report}, args...)...)
		if out.code != exitCannot || !strings.Contains(out.stderr, "can't be resolved: no such host") || app.got() != "" {
			t.Errorf("%s: %+v, the app got %s", args, out, app.got())
		}
		if text, err := os.ReadFile(report); err != nil || !bytes.Contains(text, []byte("can&#39;t be resolved")) {
			t.Errorf("%s: %v\n%s", args, err, text)
		}
	}
}

func TestWhatWasSentIsToldEvenWhenItCannotBeRecorded(t *testing.T) {
	var agent *fakeAgent
	app := newAnswering(t, status(200, "ok"), func(w http.ResponseWriter) {
		if err := agent.store.Close(); err != nil {
			t.Error(err)
		}
		status(500, "no")(w)
	})
	d := newDeck(t)
	d.sold(app.URL)
	agent = d.startAgent()
	report := filepath.Join(t.TempDir(), "report.xml")
	out := d.hooktape("replay", "--source", "shop", "--junit", report)
	if out.code != exitCannot || !strings.Contains(out.stdout, " same\n") || !strings.Contains(out.stdout, "differs: status, body") {
		t.Errorf("%+v", out)
	}
	if !strings.Contains(out.stderr, "1 same, 1 differs") || !strings.Contains(out.stderr, "on the tape: ") {
		t.Errorf("%s", out.stderr)
	}
	if text, err := os.ReadFile(report); err != nil || !bytes.Contains(text, []byte(`tests="3" failures="1" errors="1"`)) {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestARecordedResponseThatCannotBeReadIsNoBaseline(t *testing.T) {
	app := newAnswering(t, status(200, "ok"))
	d := newDeck(t)
	d.sold(app.URL)
	d.write(func(s *store.Store) {
		id, err := s.Find("last~1")
		if err != nil {
			t.Fatal(err)
		}
		tried(t, s, id, store.Attempt{Source: "shop", Target: "app", URL: app.URL, Status: 200}, "no response\n\nat all")
	})
	out := d.hooktape("replay", "--source", "shop")
	if out.code != exitNotSo || !strings.Contains(out.stdout, "then  the recorded response can't be read: ") || !strings.Contains(out.stdout, " same\n") ||
		!strings.Contains(out.stderr, "1 same, 1 no baseline") {
		t.Errorf("%+v", out)
	}
	if out := d.hooktape("replay", "--source", "shop", "--json"); !strings.Contains(out.stdout, `"outcome":"no_baseline"`) || !strings.Contains(out.stdout, `"then_error":"read the response: `) {
		t.Errorf("%+v", out)
	}
}

// clocked is a tape with five records of two orders, recorded at these times after the first.
func (d *deck) clocked(target string, at ...time.Duration) {
	d.t.Helper()
	d.write(func(s *store.Store) {
		for i, after := range at {
			body := fmt.Sprintf(`{"order":%d,"n":%d}`, i%2, i)
			id := put(d.t, s, store.Record{Source: "shop", Time: noon.Add(after)},
				fmt.Sprintf("POST /in?n=%d HTTP/1.1\nHost: x\nContent-Length: %d\n\n%s", i, len(body), body))
			giveAnswer(d.t, s, id, 200, okThen)
			tried(d.t, s, id, store.Attempt{Source: "shop", Target: "app", URL: target + "/in", Status: 200}, okThen)
		}
	})
}

// replayed runs a replay with JSON and gives its lines, and the summary.
func (d *deck) replayed(args ...string) (sends []sendJSON, sums summaryJSON) {
	d.t.Helper()
	out := d.hooktape(append([]string{"replay", "--json", "--where", "true"}, args...)...)
	if out.code != exitDone {
		d.t.Fatalf("replay %s: %+v", args, out)
	}
	for line := range strings.Lines(out.stdout) {
		one := struct {
			sendJSON
			Summary *summaryJSON
		}{}
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			d.t.Fatalf("%s: %v", line, err)
		}
		if one.Summary != nil {
			sums = *one.Summary
			continue
		}
		sends = append(sends, one.sendJSON)
	}
	return sends, sums
}

func TestAReplayKeepsTheClock(t *testing.T) {
	const ms = time.Millisecond
	app := newAnswering(t, status(200, "ok"))
	d := newDeck(t)
	d.clocked(app.URL, 0, 20*ms, 20*ms, 140*ms, 160*ms)
	for _, c := range []struct {
		args string
		want []time.Duration // when the sends are due, after the first
	}{
		{"--speed 1", []time.Duration{0, 20 * ms, 20 * ms, 140 * ms, 160 * ms}},
		{"--speed 10", []time.Duration{0, 2 * ms, 2 * ms, 14 * ms, 16 * ms}},
		{"--speed 0.5x --max-gap 50ms", []time.Duration{0, 40 * ms, 40 * ms, 90 * ms, 130 * ms}},
		{"--rate 100/s", []time.Duration{0, 10 * ms, 20 * ms, 30 * ms, 40 * ms}},
		{"--speed 10 --loop 2", []time.Duration{0, 2 * ms, 2 * ms, 14 * ms, 16 * ms, 16 * ms, 18 * ms, 18 * ms, 30 * ms, 32 * ms}},
		{"--speed 1 --limit 2", []time.Duration{0, 20 * ms}},
	} {
		t.Run(c.args, func(t *testing.T) {
			sends, sums := d.replayed(append(strings.Fields(c.args), "--to", app.URL)...)
			due := make([]time.Duration, len(sends))
			first := slices.MinFunc(sends, func(a, b sendJSON) int { return a.Due.Compare(b.Due.Time) }) // responses may come in another order
			for i, line := range sends {
				due[i] = line.Due.Sub(first.Due.Time)
				// The clock on the wall may be put right meanwhile; by which it is late is not told by that one.
				if sent := line.Time.Sub(line.Due.Time); line.Late < 0 || (sent-line.Late.Duration()).Abs() > time.Second {
					t.Errorf("sent %v before its time, and %v late", -sent, line.Late.Duration())
				}
			}
			slices.Sort(due)
			if !slices.Equal(due, c.want) {
				t.Errorf("due at %v, want %v", due, c.want)
			}
			if sums.Late == nil || sums.Waited["max"] < sums.Response["max"] {
				t.Errorf("%+v", sums)
			}
		})
	}
	if _, sums := d.replayed("--to", app.URL); sums.Late != nil || sums.Waited != nil || sums.Response == nil {
		t.Errorf("without a clock: %+v", sums)
	}
}

func TestAReplayKeepsTheOrderOfAKey(t *testing.T) {
	var mu sync.Mutex // guards what follows
	under, orders := map[string]int{}, map[string]string{}
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Order, N int }
		err := json.NewDecoder(r.Body).Decode(&body)
		key := fmt.Sprint(body.Order)
		mu.Lock()
		if under[key]++; err != nil || under[key] > 1 {
			t.Errorf("%d of order %s at once (%v)", under[key], key, err)
		}
		orders[key] += fmt.Sprint(body.N, " ")
		mu.Unlock()
		status(200, "ok")(w)
		mu.Lock()
		under[key]--
		mu.Unlock()
	}))
	defer app.Close()
	d := newDeck(t)
	d.clocked(app.URL, 0, 0, 0, 0, 0, 0, 0, 0)
	d.replayed("--order-by", "json.order", "--to", app.URL)
	d.replayed("--order-by", "json.order", "--to", app.URL, "--rate", "10000/s", "--concurrency", "3")
	if orders["0"] != "0 2 4 6 0 2 4 6 " || orders["1"] != "1 3 5 7 1 3 5 7 " {
		t.Errorf("%v", orders)
	}
}

func TestAWrongClockIsSaidBeforeAnythingIsSent(t *testing.T) {
	app := newAnswering(t, status(200, "ok"))
	d := newDeck(t)
	d.sold(app.URL)
	for args, want := range map[string]string{
		"--speed 0":                    "is no speed",
		"--speed -1":                   "is no speed",
		"--speed NaN":                  "is no speed",
		"--speed fast":                 "is no speed",
		"--speed 1 --rate 1/s":         "exclude each other",
		"--rate 100":                   "is no rate",
		"--max-gap 5s":                 "there are none",
		"--speed 1 --max-gap 5":        "is no duration",
		"--speed 1 --max-gap 1us":      "is no duration",
		"--loop 0":                     "less than 1",
		"--concurrency -1":             "less than 0",
		"--order-by json.(":            "order by",
		"--order-by 1+":                "order by",
		"--where json.(":               "",
		"--order-by nosuchvariable.id": "order by",
	} {
		out := d.hooktape(append([]string{"replay", "--source", "shop"}, strings.Fields(args)...)...)
		if out.code != exitUsage || !strings.Contains(out.stderr, want) {
			t.Errorf("%s: %+v", args, out)
		}
	}
	if out := d.hooktape("replay", "last", "no-such-id"); out.code != exitNotSo {
		t.Errorf("%+v", out)
	}
	if app.got() != "" {
		t.Errorf("the app got %s", app.got())
	}
}

func TestAnInterruptedReplayIsReportedAndOnTheTape(t *testing.T) {
	for name, clock := range map[string][]string{"at full speed": nil, "on the clock": {"--rate", "100/s"}} {
		t.Run(name, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			var asked atomic.Int64
			app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if asked.Add(1) == 3 {
					interrupt()
					return // whether it is answered in time or not
				}
				status(200, "ok")(w)
			}))
			defer app.Close()
			d := newDeck(t)
			d.clocked(app.URL, make([]time.Duration, 500)...)
			report := filepath.Join(t.TempDir(), "report.xml")
			var stdout, stderr bytes.Buffer
			args := append([]string{"replay", "--where", "true", "--limit", "0", "--to", app.URL, "--json", "--junit", report}, clock...)
			if code := d.execute(ctx, &stdout, &stderr, args...); code != exitInterrupted {
				t.Errorf("exit %d: %s", code, stderr.String())
			}
			sent := strings.Count(stdout.String(), `"record":`)
			if sent < 3 || sent > 400 || !strings.Contains(stdout.String(), fmt.Sprintf(`{"summary":{"records":%d,"sent":%[1]d,`, sent)) || !strings.Contains(stdout.String(), `"interrupted":true`) {
				t.Errorf("%d sent, %s", sent, stdout.String())
			}
			if text, err := os.ReadFile(report); err != nil || !strings.Contains(string(text), fmt.Sprintf(`tests="%d"`, sent+1)) { // and that it was broken off
				t.Errorf("%d sent, %.500s %v", sent, text, err)
			}
			kept := 0
			for _, line := range strings.Split(strings.TrimSpace(stdout.String()), "\n")[:sent] {
				var s sendJSON
				if err := json.Unmarshal([]byte(line), &s); err != nil {
					t.Fatal(line, err)
				}
				kept += strings.Count(d.ok("show", s.Record.String(), "--json"), `"replay":true`)
			}
			if kept != sent {
				t.Errorf("%d sent, %d on the tape", sent, kept)
			}
		})
	}
}

// Else nobody would know how far it came.
func TestAReplayThatIsInterruptedAtItsFirstSendIsSummedUp(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	app := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { interrupt() }))
	defer app.Close()
	d := newDeck(t)
	d.clocked(app.URL, make([]time.Duration, 2)...)
	var stdout, stderr bytes.Buffer
	code := d.execute(ctx, &stdout, &stderr, "replay", "--where", "true", "--to", app.URL, "--rate", "1/h", "--quiet")
	if code != exitInterrupted || !regexp.MustCompile(`(?m)^1 record, 1 sent in .*, then interrupted: 1 `).MatchString(stderr.String()) {
		t.Errorf("exit %d: %s%s", code, stdout.String(), stderr.String())
	}
}

func TestAReplayWhoseOutputNobodyReadsIsReported(t *testing.T) {
	app := newAnswering(t, status(200, "ok"))
	d := newDeck(t)
	d.clocked(app.URL, make([]time.Duration, 2)...)
	reader, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdout.Close()
	reader.Close() // as head does when it has enough
	report := filepath.Join(t.TempDir(), "report.xml")
	var stderr bytes.Buffer
	code := d.execute(t.Context(), stdout, &stderr, "replay", "--where", "true", "--to", app.URL, "--junit", report)
	if code != exitUnread || strings.Contains(stderr.String(), "hooktape: ") {
		t.Errorf("exit %d: %s", code, stderr.String())
	}
	if text, err := os.ReadFile(report); err != nil || !strings.Contains(string(text), `type="broken_off"`) {
		t.Errorf("%s %v", text, err)
	}
}

// Nobody who looks at the first bytes of a tape file asks for a word about the rest, and of a long one it isn't the last bytes
// alone that nobody takes.
func TestAnExportThatNobodyReadsEndsWithoutAWord(t *testing.T) {
	d := newDeck(t)
	d.clocked("http://app", make([]time.Duration, 8)...)
	for _, form := range []string{"warc", "warc.gz", "har"} {
		reader, stdout, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		reader.Close()
		var stderr bytes.Buffer
		code := d.execute(t.Context(), stdout, &stderr, "export", "--where", "true", "--mask", "--format", form, "-o", "-")
		if code != exitUnread || stderr.Len() > 0 {
			t.Errorf("%s: exit %d: %s", form, code, stderr.String())
		}
		stdout.Close()
	}
}

func TestATargetThatGoesAwayLaterIsInTheReport(t *testing.T) {
	app := newAnswering(t, status(200, "ok"))
	asked := 0
	app.answers = []func(http.ResponseWriter){func(w http.ResponseWriter) {
		if asked++; asked == 2 {
			app.Listener.Close()
			w.Header().Set("Connection", "close")
		}
		status(200, "ok")(w)
	}}
	d := newDeck(t)
	d.clocked(app.URL, make([]time.Duration, 4)...)
	out := d.hooktape("replay", "--where", "true", "--to", app.URL, "--json")
	if out.code != exitNotSo || !strings.Contains(out.stdout, `"outcomes":{"failed":2,"same":2}`) {
		t.Errorf("%+v", out)
	}
}

// interrupted is a context that ends when it is looked at for the at-th time.
type interrupted struct {
	context.Context
	end   context.CancelFunc
	looks atomic.Int64
	at    int64
}

func (i *interrupted) Err() error {
	if i.looks.Add(1) == i.at {
		i.end()
	}
	return i.Context.Err()
}

func TestAnInterruptIsInTheReportAndTheExitCodeOrInNeither(t *testing.T) {
	app := newAnswering(t, status(200, "ok"))
	d := newDeck(t)
	d.clocked(app.URL, 0)
	told := map[bool]int{}
	for at, looked := int64(1), int64(1); at <= looked; at++ {
		parent, end := context.WithCancel(t.Context())
		ctx := &interrupted{Context: parent, end: end, at: at}
		var stdout, stderr bytes.Buffer
		code := d.execute(ctx, &stdout, &stderr, "replay", "last", "--to", app.URL, "--no-record", "--json")
		end()
		looked = max(looked, ctx.looks.Load())
		if _, text, sums := strings.Cut(stdout.String(), `"interrupted":`); sums {
			is := strings.HasPrefix(text, "true")
			told[is]++
			if is != (code == exitInterrupted) || !is && code != exitDone {
				t.Errorf("ended at the %d. look: exit %d, %s%s", at, code, stdout.String(), stderr.String())
			}
		}
	}
	if told[true] == 0 {
		t.Errorf("%v", told)
	}
}

// A tape file may say of a record what it likes: that is no verdict to ask for, and nothing for a terminal.
func TestWhatIsNoVerdictIsNotToldAsOne(t *testing.T) {
	d := newDeck(t)
	d.write(func(s *store.Store) {
		if err := s.CreateSession("odd", false); err != nil {
			t.Fatal(err)
		}
		for _, verdict := range []store.Verdict{"\x1b[31m", store.Malformed} {
			id := put(t, s, store.Record{Verdict: verdict}, "GET / HTTP/1.1\nHost: x\n\n")
			if err := s.AddToSession("odd", id); err != nil {
				t.Fatal(err)
			}
		}
	})
	out := d.hooktape("replay", "--session", "odd", "--to", "http://127.0.0.1:1")
	if out.code != exitCannot || !strings.Contains(out.stderr, "hint: --verdict malformed sends them\n") || strings.Contains(out.stderr, "31m") {
		t.Errorf("exit %d\n%q", out.code, out.stderr)
	}
}
