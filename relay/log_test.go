package relay

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/hooktape/hooktape/store"
)

// logged runs fn with an agent that logs JSON, and gives the lines.
func logged(t *testing.T, level hclog.Level, fn func(a *Agent)) (lines []map[string]any) {
	t.Helper()
	var b bytes.Buffer
	a := &Agent{log: hclog.New(&hclog.LoggerOptions{Output: &b, Level: level, JSONFormat: true}), now: time.Now, metrics: newMetrics(nil)}
	fn(a)
	for text := range strings.Lines(b.String()) {
		line := map[string]any{}
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		lines = append(lines, line)
	}
	return lines
}

func TestARequestIsOneLineWithoutSecrets(t *testing.T) {
	rec := &store.Record{
		ID: store.ID{1, 2, 3}, Source: "a", Verdict: store.Accepted, Remote: "192.0.2.1:5", Method: "POST",
		Target: "/hooks?token=hush-hush-hush-hush", Raw: store.Raw{Size: 7}, Answer: &store.Answer{Status: 200, Duration: 1500 * time.Microsecond},
	}
	lines := logged(t, hclog.Debug, func(a *Agent) { a.done(rec) })
	if len(lines) != 1 {
		t.Fatalf("%d lines: %v", len(lines), lines)
	}
	for key, want := range map[string]any{
		"@message": "request recorded", "record": rec.ID.String(), "source": "a", "verdict": "accepted", "method": "POST",
		"remote": "192.0.2.1:5", "size": 7.0, "status": 200.0, "duration": "1.5ms",
	} {
		if lines[0][key] != want {
			t.Errorf("%s is %v, not %v", key, lines[0][key], want)
		}
	}
	if path, _ := lines[0]["path"].(string); !strings.HasPrefix(path, "/hooks?token=") || strings.Contains(path, "hush-hush") {
		t.Errorf("path is %q", path)
	}
	if lines := logged(t, hclog.Info, func(a *Agent) { a.done(rec) }); len(lines) != 0 {
		t.Errorf("who did not ask for it got %v", lines)
	}
}

func TestAFailureThatGoesOnIsLoggedOnceAMinute(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	lines := logged(t, hclog.Info, func(a *Agent) {
		a.now = func() time.Time { return now }
		for range 3 * int(complainEvery/time.Second) {
			a.complain("can't read", targetKey{"orders", "app"}, errors.New("input/output error"))
			now = now.Add(time.Second)
		}
		a.complain("can't read", targetKey{"orders", "other"}, errors.New("input/output error"))
		a.complain("can't write", targetKey{"orders", "app"}, errors.New("input/output error"), "record", store.ID{1})
		now = now.Add(-time.Hour) // a clock that was set back holds nothing up
		a.complain("can't write", targetKey{"orders", "app"}, errors.New("input/output error"))
	})
	var got []string
	for _, line := range lines {
		times, _ := json.Marshal(line["times-since"])
		got = append(got, line["@message"].(string)+" "+line["target"].(string)+" "+string(times))
	}
	want := "can't read app null, can't read app 59, can't read app 59, can't read other null, can't write app null, can't write app null"
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("got %s", text)
	}
}

// TestATargetThatFailsNowAndThenIsLoggedOnceAMinute: the lines of one that refuses every other delivery would fill the log.
func TestATargetThatFailsNowAndThenIsLoggedOnceAMinute(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	lines := logged(t, hclog.Info, func(a *Agent) {
		a.now = func() time.Time { return now }
		flaky := &target{agent: a, key: targetKey{"orders", "app"}}
		answers := func(status int, state store.State) {
			flaky.tellFailure(store.Delivery{Record: store.ID{1}, Status: status, State: state})
		}
		for range 100 {
			answers(503, store.Pending)
			answers(200, store.Delivered)
		}
		now = now.Add(complainEvery)
		answers(503, store.Pending)
		answers(503, store.Pending)
		answers(200, store.Delivered)
	})
	var got []string
	for _, line := range lines {
		times, _ := json.Marshal(line["times-since"])
		got = append(got, line["@message"].(string)+" "+string(times))
	}
	const fails, takes = "target answers with failures, will retry (logged once)", "target takes deliveries again"
	if want := []string{fails + " null", takes + " null", fails + " 99", takes + " null"}; !slices.Equal(got, want) {
		t.Errorf("%d lines: %q", len(got), got)
	}
}

func TestDeliveriesThatExpireOneByOneAreLoggedOnceAMinute(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	key := targetKey{"orders", "app"}
	lines := logged(t, hclog.Info, func(a *Agent) {
		a.now = func() time.Time { return now }
		for range 10 {
			a.tellShed(store.Expired, key, "more than 3 were waiting", 2)
		}
		a.tellShed(store.Expired, key, "the target was away for longer than 1h", 5) // another reason
		now = now.Add(complainEvery)
		a.tellShed(store.Expired, key, "more than 3 were waiting", 1)
	})
	var got []any
	for _, line := range lines {
		got = append(got, line["count"])
	}
	if want := []any{2.0, 5.0, 19.0}; !slices.Equal(got, want) {
		t.Errorf("counts %v of %v", got, lines)
	}
}
