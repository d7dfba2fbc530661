package relay

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/store"
)

// scrape is what the agent's metrics say, a line each: name{labels} value.
func scrape(t testing.TB, a *Agent) map[string]string {
	t.Helper()
	w := httptest.NewRecorder()
	a.Metrics().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	found := map[string]string{}
	for line := range strings.Lines(w.Body.String()) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "} "); ok {
			found[name+"}"] = value
		} else if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name != "#" {
			found[name] = value
		}
	}
	return found
}

// wantFigures waits until the metrics say what want says.
func (r *rig) wantFigures(want map[string]string) {
	r.t.Helper()
	var wrong []string
	until(r.t, "the metrics are as they should be", func() bool {
		got := scrape(r.t, r.Agent)
		wrong = nil
		for name, value := range want {
			if got[name] != value {
				wrong = append(wrong, fmt.Sprintf("%s is %q, not %q", name, got[name], value))
			}
		}
		return len(wrong) == 0 || r.t.Context().Err() != nil
	})
}

func TestMetricsCountWhatHappens(t *testing.T) {
	a := startApp(t, func(n int, _ string) string {
		if n == 1 {
			return "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
		}
		return ok
	})
	source := acking(a)
	source.Path = "/a"
	source.Methods = []string{"POST"}
	r := start(t, source)
	r.send(post)
	r.send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
	r.send("GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n")
	r.send("nonsense\r\n\r\n")
	r.wantFigures(map[string]string{
		`hooktape_requests_total{source="ack",verdict="accepted"}`:               "1",
		`hooktape_requests_total{source="ack",verdict="method_not_allowed"}`:     "1",
		`hooktape_requests_total{source="",verdict="no_source"}`:                 "1",
		`hooktape_requests_total{source="",verdict="malformed"}`:                 "1",
		`hooktape_answers_total{class="2xx",source="ack"}`:                       "1",
		`hooktape_answers_total{class="4xx",source="ack"}`:                       "1",
		`hooktape_answers_total{class="4xx",source=""}`:                          "2",
		`hooktape_request_bytes_total{source="ack"}`:                             fmt.Sprint(len(post) + len("GET /a HTTP/1.1\r\nHost: h\r\n\r\n")),
		`hooktape_attempts_total{class="5xx",source="ack",target="app"}`:         "1",
		`hooktape_attempts_total{class="2xx",source="ack",target="app"}`:         "1",
		`hooktape_deliveries_total{source="ack",state="delivered",target="app"}`: "1",
		`hooktape_deliveries_total{source="ack",state="failed",target="app"}`:    "0",
		`hooktape_deliveries_pending{source="ack",target="app"}`:                 "0",
		`hooktape_delivery_lag_seconds_count{source="ack",target="app"}`:         "1",
		`hooktape_target_away{source="ack",target="app"}`:                        "0",
		`hooktape_tape_records`:                                                  "4",
		`hooktape_queue_changes`:                                                 "0",
		`hooktape_ready`:                                                         "1",
		`hooktape_turned_away_total`:                                             "0",
	})
	got := scrape(t, r.Agent)
	for _, name := range []string{
		`hooktape_commit_changes_count`, `hooktape_commit_fsync_seconds_count`, `hooktape_tape_file_bytes`, `hooktape_tape_oldest_timestamp_seconds`,
		`hooktape_last_request_timestamp_seconds{source="ack"}`, `go_goroutines`,
	} {
		if got[name] == "" || got[name] == "0" {
			t.Errorf("%s is %q", name, got[name])
		}
	}
}

func TestMetricsShowWhatWaits(t *testing.T) {
	a := startApp(t, always(ok))
	a.stop()
	r := start(t, acking(a))
	r.send(post)
	r.wait(Away)
	r.wantFigures(map[string]string{
		`hooktape_deliveries_pending{source="ack",target="app"}`:          "1",
		`hooktape_target_away{source="ack",target="app"}`:                 "1",
		`hooktape_attempts_total{class="none",source="ack",target="app"}`: "1",
	})
	if got := scrape(t, r.Agent)[`hooktape_delivery_oldest_pending_seconds{source="ack",target="app"}`]; got == "" || got == "0" {
		t.Errorf("it has waited for %q", got)
	}
}

// Whatever senders send, there are no more lines than the configuration has given names for.
func TestSendersCannotMakeMetricsGrow(t *testing.T) {
	a := startApp(t, always(ok))
	source := acking(a)
	source.Path = "/a"
	r := start(t, source)
	round := func(i int) {
		r.send(fmt.Sprintf("M%d /a/%d?q=%d HTTP/1.1\r\nHost: h%d\r\n\r\n", i, i, i, i))
		r.send(fmt.Sprintf("GET /x%d HTTP/1.1\r\nHost: h%d\r\n\r\n", i, i))
		r.send(fmt.Sprintf("nonsense%d\r\n\r\n", i))
	}
	round(0)
	want := func(rounds int) { // an answer is counted when the sender has it
		r.wantFigures(map[string]string{
			`hooktape_deliveries_total{source="ack",state="delivered",target="app"}`: fmt.Sprint(rounds),
			`hooktape_answers_total{class="2xx",source="ack"}`:                       fmt.Sprint(rounds),
			`hooktape_answers_total{class="4xx",source=""}`:                          fmt.Sprint(2 * rounds),
		})
	}
	want(1)
	before := ours(scrape(t, r.Agent))
	for i := range 20 {
		round(i + 1)
	}
	want(21)
	if after := ours(scrape(t, r.Agent)); after != before {
		t.Errorf("%d lines have become %d", before, after)
	}
}

func ours(figures map[string]string) (n int) {
	for name := range figures {
		if strings.HasPrefix(name, "hooktape_") {
			n++
		}
	}
	return n
}

func TestMetricsFollowTheConfiguration(t *testing.T) {
	a := startApp(t, always(ok))
	r := start(t, acking(a))
	r.send(post)
	r.wantFigures(map[string]string{`hooktape_deliveries_total{source="ack",state="delivered",target="app"}`: "1"})
	other := acking(a)
	other.Name = "other"
	r.Apply(&config.Config{Sources: []config.Source{acking(a), other}})
	r.wantFigures(map[string]string{
		`hooktape_requests_total{source="ack",verdict="accepted"}`:               "1", // goes on
		`hooktape_requests_total{source="other",verdict="accepted"}`:             "0",
		`hooktape_deliveries_total{source="ack",state="delivered",target="app"}`: "1",
		`hooktape_delivery_lag_seconds_count{source="other",target="app"}`:       "0",
	})
	r.Apply(&config.Config{Sources: []config.Source{other}})
	for name := range scrape(t, r.Agent) {
		if strings.Contains(name, `source="ack"`) {
			t.Errorf("%s is still there", name)
		}
	}
}

func TestCountingCostsNoMemory(t *testing.T) {
	r := start(t, config.Source{Name: "a", Path: "/"})
	rec := &store.Record{Source: "a", Verdict: store.Accepted, Time: time.Now(), Answer: &store.Answer{Status: 200}}
	if n := testing.AllocsPerRun(100, func() { r.metrics.answered(rec) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestWhatWasTurnedAwayIsCounted(t *testing.T) {
	r := start(t, config.Source{Name: "a", Path: "/"})
	r.cantRecord(errors.New("no space"))
	r.cantRecord(errors.New("no space"))
	r.wantFigures(map[string]string{`hooktape_turned_away_total`: "2"})
}

func BenchmarkCounting(b *testing.B) {
	m := newMetrics(nil)
	m.follow(&config.Config{Sources: []config.Source{{Name: "orders"}}})
	rec := &store.Record{Source: "orders", Verdict: store.Accepted, Time: time.Now(), Answer: &store.Answer{Status: 200}}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.answered(rec)
		}
	})
}
