package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
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
	if out.code != exitDone || strings.Count(out.stdout, "\n") != 2 {
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
	if out := d.hooktape("replay", "--verdict", "method_not_allowed"); out.code != exitDone || !strings.HasSuffix(app.got(), "GET /in") {
		t.Errorf("%+v %s", out, app.got())
	}
	if out := d.hooktape("replay", "--source", "nobody"); out.code != exitDone || !strings.Contains(out.stderr, "nothing was sent") {
		t.Errorf("%+v", out)
	}
}

func TestReplayLeavesNoTraceWhenAsked(t *testing.T) {
	app := newAnswering(t, status(200, "ok"))
	d := newDeck(t)
	d.sold(app.URL)
	d.ok("replay", "last", "--no-record")
	if out := d.ok("show", "last", "--json"); !strings.Contains(out, `"attempts":[]}`) {
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
		"127.0.0.1": true, "::1": true, "10.1.2.3": true, "192.168.0.1": true, "172.20.0.1": true, "fd00::1": true, "169.254.1.1": true,
		"100.64.0.1": true, "0.0.0.0": true, "8.8.8.8": false, "2606:4700::1": false, "100.128.0.1": false,
	} {
		if got := ours(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
}
