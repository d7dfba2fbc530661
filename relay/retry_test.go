package relay

import (
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

var (
	retryForADay   = config.Retry{For: 24 * time.Hour, Min: time.Second, Max: time.Minute}
	heldForTwoDays = &config.Target{Retry: retryForADay, Hold: 48 * time.Hour}
)

func TestAnAttemptSettlesADelivery(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	fresh, old, ancient := now.Add(-time.Minute), now.Add(-25*time.Hour), now.Add(-49*time.Hour)
	there, away, mute := outlook{}, outlook{away: true, held: true}, outlook{held: true}
	soon, place := now.Add(500*time.Millisecond), now.Add(-time.Minute)
	for _, c := range []struct {
		name    string
		created time.Time
		status  int
		outlook outlook
		after   time.Duration
		state   store.State
		due     time.Time
	}{
		{"2xx is delivered", fresh, 204, there, 0, store.Delivered, time.Time{}},
		{"2xx is delivered, however late", ancient, 200, there, 0, store.Delivered, time.Time{}},
		{"5xx is tried again", fresh, 503, there, 0, store.Pending, soon},
		{"so is 404: the app may be in the middle of a deployment", fresh, 404, there, 0, store.Pending, soon},
		{"so is a redirect: bytes are sent where the user said", fresh, 302, there, 0, store.Pending, soon},
		{"410 never again", fresh, 410, there, 0, store.Failed, time.Time{}},
		{"no response is tried again", fresh, 0, there, 0, store.Pending, soon},
		{"Retry-After is obeyed", fresh, 429, there, time.Hour, store.Pending, now.Add(time.Hour)},
		{"but not for more than a day", fresh, 429, outlook{back: now}, 1000 * time.Hour, store.Pending, now.Add(24 * time.Hour)},
		{"one whose target is away keeps its place, the breaker holds it", fresh, 0, away, 0, store.Pending, place},
		{"however long it is tried already", old, 0, away, 0, store.Pending, place},
		{"until the hold is over", ancient, 0, away, 0, store.Expired, time.Time{}},
		{"one that answers nothing is held too, but others get their turn", old, 0, mute, 0, store.Pending, soon},
		{"until the hold is over, as well", ancient, 0, mute, 0, store.Expired, time.Time{}},
		{"the time is over", old, 500, there, 0, store.Failed, time.Time{}},
		{"Retry-After is obeyed beyond the time", fresh, 503, there, 25 * time.Hour, store.Pending, now.Add(24 * time.Hour)},
		{"but not again", old, 503, there, time.Hour, store.Failed, time.Time{}},
		{"nor beyond the hold", now.Add(-40 * time.Hour), 503, outlook{back: now.Add(-20 * time.Hour)}, 12 * time.Hour, store.Pending, now.Add(8 * time.Hour)},
		{"the time begins anew when the target comes back", old, 500, outlook{back: now.Add(-time.Minute)}, 0, store.Pending, soon},
		{"but ends with the hold", ancient, 500, outlook{back: now.Add(-time.Minute)}, 0, store.Failed, time.Time{}},
	} {
		d := store.Delivery{Created: c.created, Attempts: 1, Status: c.status, Due: place}
		state, due := settled(d, c.outlook, heldForTwoDays, c.after, now, 0.5)
		if state != c.state || !due.Equal(c.due) {
			t.Errorf("%s: %s, due %v; want %s, %v", c.name, state, due, c.state, c.due)
		}
	}
}

func TestOneAttemptMeansOneAttempt(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	once := &config.Target{Hold: time.Hour}
	for _, o := range []outlook{{}, {away: true, held: true}, {held: true}} {
		d := store.Delivery{Created: now.Add(-time.Second), Attempts: 1}
		if state, _ := settled(d, o, once, 0, now, 0.5); state != store.Failed {
			t.Errorf("%+v: %s", o, state)
		}
	}
}

func TestAttemptsThatTheSenderWaitedForPutNothingOff(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	d := store.Delivery{Created: now, Attempts: 9, Awaited: 8, Status: 503}
	if _, due := settled(d, outlook{}, heldForTwoDays, 0, now, 1); !due.Equal(now.Add(time.Second)) {
		t.Errorf("the first that nobody waits for is tried again in %v", due.Sub(now))
	}
}

func TestBackoffGrowsWithFullJitterUpToItsMaximum(t *testing.T) {
	for _, c := range []struct {
		attempts int
		jitter   float64
		want     time.Duration
	}{
		{1, 0, 500 * time.Millisecond}, // never none at all
		{1, 0.999999999, time.Second},
		{3, 0.5, 2 * time.Second},
		{6, 0.999999999, 32 * time.Second},
		{7, 0.999999999, time.Minute},
		{40, 0.999999999, time.Minute},
		{1 << 40, 0.5, 30 * time.Second},
	} {
		got := backoff(retryForADay, c.attempts, c.jitter)
		if (got - c.want).Abs() > time.Millisecond {
			t.Errorf("attempt %d, jitter %v: %v, want %v", c.attempts, c.jitter, got, c.want)
		}
	}
}

func TestRetryAfterIsSecondsOrADate(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"120":                           2 * time.Minute,
		"0":                             0,
		"Sun, 01 Mar 2026 12:01:00 GMT": time.Minute,
		"Sun, 01 Mar 2026 11:00:00 GMT": 0,
		"-5":                            0,
		"soon":                          0,
		"99999999999999999999":          (1<<31 - 1) * time.Second,
	} {
		if got := retryAfter(wire.Fields{{Name: "retry-after", Value: value}}, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
	if got := retryAfter(nil, now); got != 0 {
		t.Errorf("none: %v", got)
	}
}

func TestABreakerOpensWithTheFirstMissAndProbesEverMoreSeldom(t *testing.T) {
	var b breaker
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	if b.open() {
		t.Fatal("the zero breaker is open")
	}
	b.fail(now)
	b.fail(now.Add(time.Hour)) // does not move the beginning
	if !b.open() || !b.since.Equal(now) {
		t.Fatalf("after a miss: %+v", b)
	}
	var waits []time.Duration
	for range 12 {
		if ask, _ := b.probe(b.probeAt.Add(-1)); ask {
			t.Fatal("it asks before its time")
		}
		at := b.probeAt
		ask, next := b.probe(at)
		if !ask {
			t.Fatal("it does not ask when it is time")
		}
		waits = append(waits, next.Sub(at))
	}
	if waits[0] != 2*probeMin || waits[11] != probeMax {
		t.Errorf("waits between probes: %v", waits)
	}
	if was := b.close(); !was.since.Equal(now) || b.open() {
		t.Errorf("closed: was %+v, is %+v", was, b)
	}
}

func TestABreakerOpensWhenTooManySendsInARowAreNotAnswered(t *testing.T) {
	var b breaker
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for range silenceMax - 1 {
		b.silence(now)
	}
	b.close() // one was answered
	for range silenceMax - 1 {
		b.silence(now)
	}
	if b.open() {
		t.Fatal("it opens although one was answered in between")
	}
	if b.silence(now); !b.open() || !b.mute {
		t.Fatalf("after %d: %+v", silenceMax, b)
	}
	if b.fail(now); b.mute {
		t.Error("no connection comes about any more, but it would ask with a delivery")
	}
}

func TestABreakerAsksAlthoughTheClockWasSetBack(t *testing.T) {
	var b breaker
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	b.fail(now)
	if ask, _ := b.probe(now.Add(-time.Hour)); !ask {
		t.Error("it waits for an hour")
	}
}
