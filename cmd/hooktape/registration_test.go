package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// farSide is the API of a provider: what it was asked, and how it answers.
type farSide struct {
	*httptest.Server

	mu    sync.Mutex // guards asked, and what answer works on
	asked []asked
}

// asked is one call: "POST /v5/events/stocks_full", with what it carried.
type asked struct {
	call string
	auth string
	body map[string]any // of JSON, or of a form
}

// newFarSide answers calls with answer, one at a time.
func newFarSide(t *testing.T, answer func(asked) (status int, body string)) *farSide {
	f := &farSide{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		a := asked{call: r.Method + " " + r.URL.Path, auth: r.Header.Get("Authorization"), body: map[string]any{}}
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
			if err := json.NewDecoder(r.Body).Decode(&a.body); err != nil {
				t.Errorf("%s: %v", a.call, err)
			}
		} else if err := r.ParseForm(); err == nil {
			for name := range r.PostForm {
				a.body[name] = r.PostForm.Get(name)
			}
		}
		f.asked = append(f.asked, a)
		status, body := answer(a)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(f.Close)
	return f
}

// take returns what was asked since the last time, and forgets it.
func (f *farSide) take() []asked {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.asked
	f.asked = nil
	return all
}

// registered is a source's registration as source list tells of it.
type registered struct {
	Name, State, URL, ID, Error, Time string
	Each                              map[string]string
}

// enrolled is a user whose source registers itself with a provider.
type enrolled struct {
	*user
	config, source string
}

func newEnrolled(t *testing.T, system, config, source string, api *farSide) *enrolled {
	path, err := filepath.Abs(filepath.Join("../../testdata/systems", system, config))
	if err != nil {
		t.Fatal(err)
	}
	u := newUser(t)
	u.env = append(u.env, "API_URL="+api.URL, "APP_URL=http://"+startApp(t).addr, "SECRET=FakeSecretOfMoscowNotReal")
	return &enrolled{u, path, source}
}

func (e *enrolled) begin(publicURL string) {
	e.t.Helper()
	e.start("run", "--config", e.config, "--public-url", publicURL)
}

func (e *enrolled) again(publicURL string) {
	e.t.Helper()
	e.agent.stop(syscall.SIGTERM)
	e.begin(publicURL)
}

// registrations are those of the source.
func (e *enrolled) registrations() []registered {
	e.t.Helper()
	for line := range bytes.Lines(e.run("source", "list", "--json")) {
		var source struct {
			Name          string
			Subscriptions []registered
		}
		if err := json.Unmarshal(line, &source); err != nil {
			e.t.Fatal(err)
		}
		if source.Name == e.source {
			return source.Subscriptions
		}
	}
	return nil
}

// until waits for the source to have n registrations of which each holds what is asked.
func (e *enrolled) until(n int, holds func(registered) bool) (all []registered) {
	e.t.Helper()
	err := poll(func() bool {
		all = e.registrations()
		return len(all) == n && !slices.ContainsFunc(all, func(r registered) bool { return !holds(r) })
	})
	if err != nil {
		e.t.Fatalf("the registrations never were as they should: %+v", all)
	}
	return all
}

func at(url string) func(registered) bool {
	return func(r registered) bool {
		return r.State == "subscribed" && r.URL == url && r.Time != "" && r.Error == ""
	}
}

// checkNothingShown makes sure that people see none of the secrets.
func (e *enrolled) checkNothingShown(secrets ...string) {
	e.t.Helper()
	seen := e.agent.errs.String() + string(e.run("source", "list", "--json")) + string(e.run("source", "list")) +
		string(e.run("list", "--json", "--limit", "0")) + string(e.run("show", "last"))
	for _, secret := range secrets {
		if strings.Contains(seen, secret) {
			e.t.Errorf("%s is shown", secret)
		}
	}
}

// The document's API for subscriptions: POST makes one, PUT changes its URL, DELETE takes it back.
func TestAsnaIsSubscribedToForAllEventsAndClients(t *testing.T) {
	t.Parallel()
	known := map[string]string{}
	api := newFarSide(t, func(a asked) (int, string) {
		key := fmt.Sprint(a.call[strings.LastIndex(a.call, "/")+1:], " ", a.body["clientId"])
		_, there := known[key]
		switch method, _, _ := strings.Cut(a.call, " "); {
		case a.auth != "Bearer FakeTokenOfAsnaNotReal":
			return 401, ""
		case method == "POST" && !there, method == "PUT" && there:
			known[key] = a.body["url"].(string)
			return map[string]int{"POST": 201, "PUT": 200}[method], ""
		case method == "DELETE" && there:
			delete(known, key)
			return 204, ""
		}
		return 400, `{"statusCode":400,"isError":true,"exceptionMessage":"wrong"}`
	})
	knows := func() map[string]string {
		api.mu.Lock()
		defer api.mu.Unlock()
		return maps.Clone(known)
	}
	e := newEnrolled(t, "asna", "subscriptions.hcl", "asna", api)
	e.begin("https://one.example.com")
	e.until(12, at("https://one.example.com/asna"))
	checkAsked(t, api.take(), "POST", 12)
	if known := knows(); len(known) != 12 || known["stocks_full BC164E55-B612-4A04-800B-34CCF10F6858"] != "https://one.example.com/asna" {
		t.Errorf("ASNA knows %v", known)
	}

	e.again("https://one.example.com")
	e.run("subscribe", "asna")
	checkAsked(t, api.take(), "", 0)
	e.again("https://two.example.com")
	e.until(12, at("https://two.example.com/asna"))
	checkAsked(t, api.take(), "PUT", 12)

	// With a new tape nobody knows what is subscribed: subscriptions that exist are updated.
	e.agent.stop(syscall.SIGTERM)
	e.env = append(e.env, "HOOKTAPE_DATA="+filepath.Join(e.dir, "new.db"))
	e.begin("https://three.example.com")
	e.until(12, at("https://three.example.com/asna"))
	checkAsked(t, api.take(), "", 24)

	e.run("unsubscribe", "asna")
	checkAsked(t, api.take(), "DELETE", 12)
	e.again("https://four.example.com")
	e.until(12, func(r registered) bool { return r.State == "unsubscribed" && r.URL == "" })
	if checkAsked(t, api.take(), "", 0); len(knows()) != 0 {
		t.Errorf("ASNA still knows %v", knows())
	}
	e.run("subscribe", "asna")
	e.until(12, at("https://four.example.com/asna"))
	if checkAsked(t, api.take(), "POST", 12); len(knows()) != 12 {
		t.Errorf("ASNA knows %v", knows())
	}
	e.checkNothingShown("FakeTokenOfAsnaNotReal")
}

func checkAsked(t *testing.T, all []asked, method string, n int) {
	t.Helper()
	if len(all) != n {
		t.Errorf("asked %d times, not %d: %v", len(all), n, all)
	}
	for _, a := range all {
		if !strings.HasPrefix(a.call, method) {
			t.Errorf("asked %s", a.call)
		}
	}
}

// The known API: a login gives a token for an hour, the settings of an organization's webhook are set as a whole.
func TestIikoIsRegisteredForEachOrganization(t *testing.T) {
	t.Parallel()
	locked := true // Kazan's login
	api := newFarSide(t, func(a asked) (int, string) {
		switch {
		case a.call == "POST /api/1/access_token" && (a.body["apiLogin"] == "FakeLoginOfMoscowNotReal" || a.body["apiLogin"] == "FakeLoginOfKazanNotReal" && !locked):
			return 200, fmt.Sprintf(`{"correlationId":"c","token":"token of %s"}`, a.body["apiLogin"])
		case a.call == "POST /api/1/access_token":
			return 401, `{"correlationId":"c","errorDescription":"Login 'FakeLoginOfKazanNotReal' is not authorized."}`
		case a.call == "POST /api/1/webhooks/update_settings" && strings.HasPrefix(a.auth, "Bearer token of "):
			return 200, `{"correlationId":"c"}`
		}
		return 400, `{}`
	})
	e := newEnrolled(t, "iiko", "config.hcl", "iiko", api)
	e.begin("https://one.example.com")
	const path = "/api/v1/webhooks/iiko"
	all := e.until(2, func(r registered) bool {
		return r.Name == "moscow" && at("https://one.example.com"+path)(r) || r.Name == "kazan" && r.State == "failed"
	})
	if !strings.Contains(all[1].Error, "login: the provider answered 401") || !strings.Contains(all[1].Error, "is not authorized") {
		t.Errorf("%+v", all[1])
	}
	api.mu.Lock()
	locked = false
	api.mu.Unlock()
	e.until(2, at("https://one.example.com"+path)) // it is tried again by itself
	told := settings(t, api.take())
	moscow, kazan := told["7bc05553-4b68-44e8-b7bc-37be63c6d9e9"], told["0d2fa1a1-9d27-4b0e-a9a2-5d1f2f5c6f01"]
	if len(moscow) != 1 || moscow[0].auth != "Bearer token of FakeLoginOfMoscowNotReal" || moscow[0].body["authToken"] != "FakeSecretOfMoscowNotReal" {
		t.Errorf("Moscow: %v", moscow)
	}
	if len(kazan) != 1 || kazan[0].body["authToken"] != "FakeTokenOfKazanNotReal" || kazan[0].body["webHooksUri"] != "https://one.example.com"+path {
		t.Errorf("Kazan: %v", kazan)
	}
	checkFilters(t, moscow[0])

	// At every start, and when the URL changes; what they send is taken with the token of each.
	for _, publicURL := range []string{"https://one.example.com", "https://two.example.com"} {
		e.again(publicURL)
		e.until(2, at(publicURL+path))
		if err := poll(func() bool {
			n := 0
			for _, a := range api.soFar() {
				if a.body["webHooksUri"] == publicURL+path {
					n++
				}
			}
			return n == 2
		}); err != nil {
			t.Errorf("%s: told %v", publicURL, api.soFar())
		}
		api.take()
	}
	for token, want := range map[string]string{"FakeSecretOfMoscowNotReal": " 200 ", "FakeTokenOfKazanNotReal": " 200 ", "FakeOfNobodyNotReal": " 401 "} {
		request := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nAuthorization: %s\r\nContent-Length: 2\r\n\r\n{}", path, token)
		answers, err := exchange(e.agent.addr, []byte(request), inOneWrite)
		if err != nil || !strings.Contains(string(answers[0][:20]), want) {
			t.Errorf("%s: %q %v", token, answers, err)
		}
	}
	e.checkNothingShown("FakeSecretOfMoscowNotReal", "FakeTokenOfKazanNotReal")
}

// soFar is what was asked so far; it stays for take.
func (f *farSide) soFar() []asked {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.asked)
}

// settings are the calls that set a webhook, by organization.
func settings(t *testing.T, all []asked) map[string][]asked {
	t.Helper()
	told := map[string][]asked{}
	for _, a := range all {
		if organization, ok := a.body["organizationId"].(string); ok {
			told[organization] = append(told[organization], a)
		}
	}
	return told
}

// checkFilters looks for all that the document wants to hear of.
func checkFilters(t *testing.T, a asked) {
	t.Helper()
	text, err := json.Marshal(a.body["webHooksFilter"])
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		`"Unconfirmed","WaitCooking","ReadyForCooking","CookingStarted","CookingCompleted","Waiting","OnWay","Delivered","Closed","Cancelled"`,
		`"itemStatuses":["Added",`, `"errors":true`, `"tableOrderFilter":`, `"stopListUpdateFilter":{"updates":true}`, `"reserveFilter":`, `"personalShiftFilter":`,
	} {
		if !bytes.Contains(text, []byte(part)) {
			t.Errorf("the filter lacks %s: %s", part, text)
		}
	}
}

// The bot is registered once: another imbot.register, as the report found after each click, would be one too many.
func TestABitrixBotIsRegisteredOnceAndFollowsItsURL(t *testing.T) {
	t.Parallel()
	api := newFarSide(t, func(a asked) (int, string) {
		switch {
		case a.body["auth"] != "FakeTokenOfThePortalNotReal":
			return 401, `{"error":"expired_token"}`
		case a.call == "POST /rest/imbot.register":
			return 200, `{"result":22,"time":{"start":1770060216.1}}`
		case a.body["BOT_ID"] == "22":
			return 200, `{"result":true}`
		}
		return 200, `{"error":"BOT_ID_ERROR","error_description":"Bot not found"}`
	})
	e := newEnrolled(t, "bitrix24", "config.hcl", "bitrix24", api)
	e.begin("https://one.example.com")
	all := e.until(1, at("https://one.example.com/v1/bitrix/events"))
	if all[0].ID != "22" {
		t.Errorf("%+v", all)
	}
	calls := api.take()
	checkAsked(t, calls, "POST /rest/imbot.register", 1)
	for name, want := range map[string]string{"CODE": "teachbase", "TYPE": "B", "PROPERTIES[NAME]": "Teachbase",
		"EVENT_MESSAGE_ADD": all[0].URL, "EVENT_WELCOME_MESSAGE": all[0].URL, "EVENT_BOT_DELETE": all[0].URL} {
		if calls[0].body[name] != want {
			t.Errorf("%s is %v, want %s", name, calls[0].body[name], want)
		}
	}
	hook, err := url.Parse(all[0].URL)
	if err != nil {
		t.Fatal(err)
	}
	probe := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: h\r\n\r\n", hook.Path)
	if answers, err := exchange(e.agent.addr, []byte(probe), inOneWrite); err != nil || !bytes.HasPrefix(answers[0], []byte("HTTP/1.1 200 ")) {
		t.Errorf("what is registered is not what is served: %q %v", answers, err)
	}

	e.again("https://one.example.com")
	e.run("subscribe", "bitrix24")
	checkAsked(t, api.take(), "", 0)
	e.again("https://two.example.com")
	e.until(1, at("https://two.example.com/v1/bitrix/events"))
	calls = api.take()
	checkAsked(t, calls, "POST /rest/imbot.update", 1)
	if calls[0].body["FIELDS[EVENT_MESSAGE_ADD]"] != "https://two.example.com/v1/bitrix/events" {
		t.Errorf("%v", calls[0].body)
	}
	e.run("unsubscribe", "bitrix24")
	checkAsked(t, api.take(), "POST /rest/imbot.unregister", 1)
	e.checkNothingShown("FakeTokenOfThePortalNotReal")
}
