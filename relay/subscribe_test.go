package relay

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// configuredBy are the sources of a config file.
func configuredBy(t *testing.T, text string) []config.Source {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hooktape.hcl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Sources
}

// topics is a source with a subscription for each of some topics.
func topics(t *testing.T, api *app, publicURL string, names ...string) []config.Source {
	return configuredBy(t, fmt.Sprintf(`
source "shop" {
  path       = "/shop"
  public_url = %q
  subscribe "all" {
    params = { token = "a-very-secret-token-1" }
    each   = { topic = ["%s"] }
    create {
      url     = "http://%s/hooks"
      headers = { "Authorization" = "Bearer ${params.token}" }
      body    = jsonencode({ topic = params.topic, url = params.url })
      status  = [201]
    }
    id = response.json.id
    update {
      method = "PUT"
      url    = "http://%[3]s/hooks/${params.subscription}"
      body   = params.url
    }
    delete {
      method = "DELETE"
      url    = "http://%[3]s/hooks/${params.subscription}"
    }
  }
}`, publicURL, strings.Join(names, `", "`), api.addr))
}

// asked are the start lines and bodies of what an API was asked.
func asked(a *app) (all []string) {
	for _, request := range a.requests() {
		line, _, _ := strings.Cut(request, " HTTP/1.1\r\n")
		_, body, _ := strings.Cut(request, "\r\n\r\n")
		all = append(all, strings.TrimSpace(line+" "+body))
	}
	return all
}

// untilRegistered waits for so many registrations that are all in a state and at a URL.
func (r *rig) untilRegistered(n int, state store.RegistrationState, url string) []store.Registration {
	r.t.Helper()
	var all []store.Registration
	until(r.t, fmt.Sprintf("%d registrations %s at %s", n, state, url), func() bool {
		var err error
		if all, err = r.store.Registrations("shop"); err != nil {
			r.t.Fatal(err)
		}
		other := slices.ContainsFunc(all, func(r store.Registration) bool { return r.State != state || r.URL != url })
		return len(all) == n && !other
	})
	return all
}

// hooksAPI gives each subscription an id.
func hooksAPI(t *testing.T) *app {
	return startApp(t, func(n int, request string) string {
		if strings.HasPrefix(request, "POST") {
			body := fmt.Sprintf(`{"id":%d}`, 100+n)
			return fmt.Sprintf("HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		}
		return "HTTP/1.1 204 No Content\r\n\r\n"
	})
}

func TestAProviderKnowsWhereToSend(t *testing.T) {
	api := hooksAPI(t)
	path := filepath.Join(t.TempDir(), "tape.db")
	r := startOn(t, path, topics(t, api, "https://one.example.com", "paid", "sent")...)
	all := r.untilRegistered(2, store.Subscribed, "https://one.example.com/shop")
	if len(all) != 2 || all[0].ID != "101" || all[0].URL != "https://one.example.com/shop" || all[1].Each["topic"] != "sent" {
		t.Errorf("%+v", all)
	}

	// It is told once, and again when the URL changes.
	r.end()
	r = startOn(t, path, topics(t, api, "https://one.example.com", "paid", "sent")...)
	r.Apply(&config.Config{Sources: topics(t, api, "https://two.example.com", "paid", "sent")})
	r.untilRegistered(2, store.Subscribed, "https://two.example.com/shop")

	// What leaves the configuration is taken back, and what comes into it is made.
	r.Apply(&config.Config{Sources: topics(t, api, "https://two.example.com", "sent", "lost")})
	until(t, "two more calls", func() bool { return len(api.requests()) == 6 })
	all = r.untilRegistered(2, store.Subscribed, "https://two.example.com/shop")
	if all[0].Each["topic"] != "sent" || all[1].Each["topic"] != "lost" {
		t.Errorf("%+v", all)
	}

	// All of it is taken back when somebody says so, and stays so.
	all, err := r.Subscribe(t.Context(), "shop", false)
	if err != nil || len(all) != 2 || all[0].State != store.Unsubscribed || all[0].URL != "" {
		t.Errorf("%+v %v", all, err)
	}
	r.end()
	r = startOn(t, path, topics(t, api, "https://three.example.com", "sent", "lost")...)
	if all, err = r.Subscribe(t.Context(), "shop", true); err != nil || all[0].State != store.Subscribed {
		t.Errorf("%+v %v", all, err)
	}
	want := []string{
		`POST /hooks {"topic":"paid","url":"https://one.example.com/shop"}`,
		`POST /hooks {"topic":"sent","url":"https://one.example.com/shop"}`,
		`PUT /hooks/101 https://two.example.com/shop`,
		`PUT /hooks/102 https://two.example.com/shop`,
		`POST /hooks {"topic":"lost","url":"https://two.example.com/shop"}`,
		`DELETE /hooks/101`,
		`DELETE /hooks/102`,
		`DELETE /hooks/105`,
		`POST /hooks {"topic":"sent","url":"https://three.example.com/shop"}`,
		`POST /hooks {"topic":"lost","url":"https://three.example.com/shop"}`,
	}
	got := asked(api)
	slices.Sort(got[4:6]) // in either order
	slices.Sort(want[4:6])
	if !slices.Equal(got, want) {
		t.Errorf("asked\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestCallsToAProviderAreOnTheTape(t *testing.T) {
	api := hooksAPI(t)
	r := start(t, topics(t, api, "https://one.example.com", "paid")...)
	all := r.untilRegistered(1, store.Subscribed, "https://one.example.com/shop")
	rec := r.last()
	if rec.ID != all[0].Record || rec.Source != "shop" || rec.Via != store.ViaAgent || rec.Event != "subscription.create" || rec.Host != api.addr {
		t.Errorf("%+v", rec)
	}
	if got := r.raw(rec.Raw); got != api.requests()[0] {
		t.Errorf("recorded %q, sent %q", got, api.requests()[0])
	}
	attempts, err := r.store.Attempts(rec.ID)
	if err != nil || len(attempts) != 1 || attempts[0].Status != 201 || !strings.HasSuffix(r.raw(attempts[0].Response), `{"id":101}`) {
		t.Errorf("%+v %v", attempts, err)
	}
	if rec.Answer == nil || rec.Answer.Status != 201 || rec.Answer.FromAttempt != 1 {
		t.Errorf("answer %+v", rec.Answer)
	}
}

func TestARefusedSubscriptionIsTriedUntilItIsTaken(t *testing.T) {
	const unauthorized = "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: 45\r\n\r\n{\"error\":\"no\",\"token\":\"a-very-secret-token-1\"}"
	release := make(chan struct{})
	api := startApp(t, func(n int, _ string) string {
		switch n {
		case 1:
			return unauthorized + " "
		case 2:
			return "" // no response at all
		case 3:
			<-release
		}
		return "HTTP/1.1 201 Created\r\nContent-Length: 8\r\n\r\n{\"id\":7}"
	})
	free := sync.OnceFunc(func() { close(release) })
	defer free()
	var log syncBuilder
	r := startWith(t, filepath.Join(t.TempDir(), "tape.db"),
		Options{Jitter: func() float64 { return 0 }, Log: hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Debug})},
		topics(t, api, "https://one.example.com", "paid")...)
	until(t, "a third call", func() bool { return len(api.requests()) == 3 })
	all, err := r.store.Registrations("shop")
	if err != nil || len(all) != 1 || all[0].State != store.Unregistered || all[0].Failures != 2 || all[0].Error == "" || all[0].Next.IsZero() {
		t.Errorf("%+v %v", all, err)
	}
	free()
	if all := r.untilRegistered(1, store.Subscribed, "https://one.example.com/shop"); all[0].Failures != 0 || all[0].Error != "" || all[0].ID != "7" {
		t.Errorf("%+v", all)
	}
	r.end()
	if text := log.String(); strings.Contains(text, "a-very-secret") || !strings.Contains(text, "the provider answered 401") {
		t.Errorf("log:\n%s", text)
	}
}

// syncBuilder is a strings.Builder for several goroutines.
type syncBuilder struct {
	mu sync.Mutex // guards b
	b  strings.Builder
}

func (s *syncBuilder) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuilder) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestWhatTheProviderHasForgottenIsMadeAgain(t *testing.T) {
	api := startApp(t, func(n int, request string) string {
		if strings.HasPrefix(request, "POST") {
			return "HTTP/1.1 201 Created\r\nContent-Length: 8\r\n\r\n{\"id\":7}"
		}
		return "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
	})
	r := start(t, topics(t, api, "https://one.example.com", "paid")...)
	r.untilRegistered(1, store.Subscribed, "https://one.example.com/shop")
	r.Apply(&config.Config{Sources: topics(t, api, "https://two.example.com", "paid")})
	r.untilRegistered(1, store.Subscribed, "https://two.example.com/shop")
	if all, err := r.Subscribe(t.Context(), "shop", false); err != nil || all[0].State != store.Unsubscribed {
		t.Errorf("%+v %v", all, err)
	}
	if got := asked(api); len(got) != 4 || !strings.HasPrefix(got[1], "PUT") || !strings.HasPrefix(got[2], "POST") || !strings.HasPrefix(got[3], "DELETE") {
		t.Errorf("asked %q", got)
	}
}

// alarms is a source that is subscribed for amounts from a least one on; with a token of who calls.
func alarms(t *testing.T, api *app, least, token string) []config.Source {
	return configuredBy(t, fmt.Sprintf(`
source "shop" {
  path       = "/shop"
  public_url = "https://one.example.com"
  subscribe "all" {
    params = { least = %q, token = %q }
    create {
      url     = "http://%s/hooks"
      headers = { "Authorization" = "Bearer ${params.token}" }
      body    = jsonencode({ least = params.least, url = params.url })
    }
    id = response.json.id
    update {
      method = "PUT"
      url    = "http://%[3]s/hooks/${params.subscription}"
      body   = params.least
    }
  }
}`, least, token, api.addr))
}

func TestWhatElseAProviderIsToldIsKeptUpToDate(t *testing.T) {
	api := hooksAPI(t)
	r := start(t, alarms(t, api, "10", "a-very-secret-token-1")...)
	r.untilRegistered(1, store.Subscribed, "https://one.example.com/shop")
	for _, again := range [][2]string{{"10", "a-very-secret-token-2"}, {"20", "a-very-secret-token-2"}} {
		r.Apply(&config.Config{Sources: alarms(t, api, again[0], again[1])})
		if _, err := r.Subscribe(t.Context(), "shop", true); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{`POST /hooks {"least":"10","url":"https://one.example.com/shop"}`, `PUT /hooks/101 20`}
	if got := asked(api); !slices.Equal(got, want) {
		t.Errorf("asked %q, want %q", got, want)
	}
}

// A block that leaves the config takes with it how the provider is told: the provider may still send.
func TestWhatNobodyCanTakeBackIsListedUntilItIsForgotten(t *testing.T) {
	api := hooksAPI(t)
	with := topics(t, api, "https://one.example.com", "paid")
	without := topics(t, api, "https://one.example.com", "paid")
	without[0].Subscribe = nil
	r := start(t, with...)
	r.untilRegistered(1, store.Subscribed, "https://one.example.com/shop")
	r.Apply(&config.Config{Sources: without})
	if all := r.untilRegistered(1, store.Abandoned, "https://one.example.com/shop"); all[0].Error != errAbandoned {
		t.Errorf("%+v", all)
	}
	r.Apply(&config.Config{Sources: with}) // it was a mistake
	r.untilRegistered(1, store.Subscribed, "https://one.example.com/shop")

	r.Apply(&config.Config{Sources: without})
	r.untilRegistered(1, store.Abandoned, "https://one.example.com/shop")
	if _, err := r.Subscribe(t.Context(), "shop", true); err != ErrNoSubscription {
		t.Error(err)
	}
	all, err := r.Subscribe(t.Context(), "shop", false)
	if err != nil || len(all) != 1 || all[0].State != store.Unsubscribed || all[0].Error == "" {
		t.Errorf("%+v %v", all, err)
	}
	if all, err := r.store.Registrations("shop"); err != nil || len(all) != 0 {
		t.Errorf("left: %+v %v", all, err)
	}
	if got := asked(api); len(got) != 1 {
		t.Errorf("asked %q", got)
	}
}

func TestWithoutAPublicURLASubscriptionWaits(t *testing.T) {
	api := hooksAPI(t)
	sources := topics(t, api, "https://one.example.com", "paid")
	sources[0].PublicURL = ""
	r := start(t, sources...)
	if all := r.untilRegistered(1, store.Waiting, ""); !strings.Contains(all[0].Error, "public_url") {
		t.Errorf("%+v", all)
	}
	if _, err := r.Subscribe(t.Context(), "nobody", true); err != ErrNoSource {
		t.Error(err)
	}
	r.Apply(&config.Config{Sources: []config.Source{acking(api)}})
	if _, err := r.Subscribe(t.Context(), "ack", true); err != ErrNoSubscription {
		t.Error(err)
	}
	if n := len(api.requests()); n != 0 {
		t.Errorf("%d calls", n)
	}
}

func TestTheNextStepOfARegistration(t *testing.T) {
	const one, two = "https://one.example.com/", "https://two.example.com/"
	for _, test := range []struct {
		r     store.Registration
		url   string
		fresh bool
		off   bool
		want  step
	}{
		{store.Registration{}, one, false, false, create},
		{store.Registration{}, "", true, false, nothing},
		{store.Registration{URL: one}, one, false, false, nothing},
		{store.Registration{URL: one}, one, true, false, create},
		{store.Registration{URL: one}, two, false, false, update},
		{store.Registration{URL: one}, two, true, false, update},
		{store.Registration{URL: one}, "", false, false, nothing},
		{store.Registration{URL: one, Told: "what"}, one, false, false, nothing},
		{store.Registration{URL: one, Told: "else"}, one, false, false, update},
		{store.Registration{URL: one}, one, true, true, remove},
		{store.Registration{URL: one}, "", false, true, remove},
		{store.Registration{}, one, true, true, nothing},
	} {
		if got := nextStep(&test.r, wish{test.off, test.url, "what", test.fresh}); got != test.want {
			t.Errorf("%+v, %q, fresh %v, off %v: %q, want %q", test.r, test.url, test.fresh, test.off, got, test.want)
		}
	}
}

func TestACallHasNoRoomForALineBreak(t *testing.T) {
	sources := configuredBy(t, `
source "shop" {
  path       = "/shop"
  public_url = "https://one.example.com"
  subscribe "all" {
    create {
      url     = "http://127.0.0.1:1/${params.url == "" ? "" : "a\nb"}"
      headers = { "X-A" = "${params.url}\r\nX-B: 1" }
    }
  }
}`)
	r := start(t, sources...)
	until(t, "refused", func() bool {
		all, err := r.store.Registrations("shop")
		return err == nil && len(all) == 1 && all[0].State == store.Unregistered && all[0].Status == 0 && all[0].Time.After(time.Time{})
	})
	for range r.store.Records(store.Query{}) {
		t.Error("something was called")
	}
	split := &call{method: http.MethodGet, url: &url.URL{Scheme: "http", Host: "h"}, headers: wire.Fields{{Name: "X", Value: "a\r\nb"}}}
	if _, err := split.head(); err == nil {
		t.Error("a head with a line break was made")
	}
}
