package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/provider"
)

// asnaAPI is the part of ASNA's API that its document tells of: the key of webhooks, subscriptions, and the status of
// what is processed later.
type asnaAPI struct {
	*httptest.Server

	mu            sync.Mutex // guards what follows
	key           string     // "": the service fails
	asked         int        // for the key
	subscriptions map[string]string
	calls         []string // about subscriptions
	statusID      int      // of every message; -1: none is known
	statusAsked   int
}

const asnaToken = "fake-asna-token-0123456789abcdefghij"

func newASNA(t *testing.T) *asnaAPI {
	api := &asnaAPI{subscriptions: map[string]string{}}
	mux := http.NewServeMux()
	for pattern, answer := range map[string]http.HandlerFunc{
		"GET /v5/keys/webhooks":        api.giveKey,
		"POST /v5/events/{event}":      api.subscribe,
		"PUT /v5/events/{event}":       api.subscribe,
		"DELETE /v5/events/{event}":    api.subscribe,
		"POST /v5/stocks":              api.accept,
		"GET /v5/messages/{id}/status": api.status,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer "+asnaToken {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			api.mu.Lock()
			defer api.mu.Unlock()
			answer(w, r)
		})
	}
	api.Server = httptest.NewServer(mux)
	t.Cleanup(api.Close)
	return api
}

func (api *asnaAPI) giveKey(w http.ResponseWriter, _ *http.Request) {
	api.asked++
	if api.key == "" {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, "{\n  \"secret\": %q\n}", api.key)
}

func (api *asnaAPI) subscribe(w http.ResponseWriter, r *http.Request) {
	var what struct{ ClientID, URL string }
	if err := json.NewDecoder(r.Body).Decode(&what); err != nil || what.ClientID == "" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	name := r.PathValue("event") + " " + what.ClientID
	api.calls = append(api.calls, r.Method+" "+name)
	_, there := api.subscriptions[name]
	switch {
	case r.Method == http.MethodPost && !there:
		api.subscriptions[name] = what.URL
		w.WriteHeader(http.StatusCreated)
	case r.Method == http.MethodPut && there:
		api.subscriptions[name] = what.URL
	case r.Method == http.MethodDelete && there:
		delete(api.subscriptions, name)
		w.WriteHeader(http.StatusNoContent)
	default:
		w.WriteHeader(http.StatusBadRequest)
	}
}

const asnaMessage = "9ebec167-ddf5-4de0-b4df-c4c1749afb1a" // of the webhooks in testdata/systems/asna

func (api *asnaAPI) accept(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Location", "https://api.asna.cloud/v5/messages/"+asnaMessage+"/status")
	w.WriteHeader(http.StatusAccepted)
}

func (api *asnaAPI) status(w http.ResponseWriter, r *http.Request) {
	api.statusAsked++
	if r.PathValue("id") != asnaMessage || api.statusID < 0 {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"id":5,"messageId":%q,"statusId":%d,"statusMessage":"Обработано","statusDate":"2017-04-26T15:34:02.9112524+00:00"}`,
		asnaMessage, api.statusID)
}

// set changes what the service does.
func (api *asnaAPI) set(change func()) {
	api.mu.Lock()
	defer api.mu.Unlock()
	change()
}

// subscribed says whether exactly so many subscriptions are there, all of them to a URL.
func (api *asnaAPI) subscribed(n int, url string) bool {
	api.mu.Lock()
	defer api.mu.Unlock()
	for _, to := range api.subscriptions {
		if to != url {
			return false
		}
	}
	return len(api.subscriptions) == n
}

// pharmacy is an agent with the config of testdata/systems/asna, between ASNA and an app.
type pharmacy struct {
	*user
	t      *testing.T
	api    *asnaAPI
	app    *rawApp
	config string
}

func newPharmacy(t *testing.T) *pharmacy {
	folder, err := filepath.Abs("../../testdata/systems/asna")
	if err != nil {
		t.Fatal(err)
	}
	p := &pharmacy{t: t, user: newUser(t), api: newASNA(t), app: startApp(t), config: filepath.Join(folder, "config.hcl")}
	p.env = append(p.env, "API_URL="+p.api.URL, "APP_URL=http://"+p.app.addr, "SECRET="+asnaToken, "PUBLIC_URL=https://one.example.com")
	return p
}

// webhook is the file of the sender's request, as it is signed there with "fakesecret".
func (p *pharmacy) webhook() []byte {
	p.t.Helper()
	b, err := os.ReadFile(filepath.Join(filepath.Dir(p.config), "webhook-signed-with-fakesecret.http"))
	if err != nil {
		p.t.Fatal(err)
	}
	return b
}

// signed is the webhook under another key.
func (p *pharmacy) signed(key string) []byte {
	request := p.webhook()
	_, body, _ := bytes.Cut(request, []byte("\r\n\r\n"))
	return bytes.Replace(request, signature("fakesecret", body), signature(key, body), 1)
}

func signature(key string, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(body)
	return fmt.Appendf(nil, "sha256=%X", mac.Sum(nil))
}

// send sends raw bytes and gives the status of the answer, and the record.
func (p *pharmacy) send(request []byte) (status int, rec asnaRecord) {
	p.t.Helper()
	answers, err := exchange(p.agent.addr, request, inOneWrite)
	if err != nil {
		p.t.Fatal(err)
	}
	status, _, _ = parseAnswer(p.t, answers[0])
	return status, p.last()
}

type asnaRecord struct {
	ID, Source, Verdict, Reason, Event, Cause string
	Verified                                  bool
	Deliveries                                []struct{ Target, State string }
}

func (p *pharmacy) last() (rec asnaRecord) {
	p.t.Helper()
	out := p.run("list", "--json", "--limit", "1", "--where", `method == "POST" && (path == "/" || path == "/v5/stocks")`)
	if err := json.Unmarshal(out, &rec); err != nil {
		p.t.Fatalf("%v: %s", err, out)
	}
	return rec
}

// await waits for something that must come.
func (p *pharmacy) await(what string, holds func() bool) {
	p.t.Helper()
	if err := poll(holds); err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
}

// TestASNA checks what SYSTEMS.md's ASNA is to hold, with the real program between the document's service and an app.
func TestASNA(t *testing.T) {
	for name, behind := range map[string]bool{"beside its app": false, "with its app behind a tunnel": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPharmacy(t)
			if behind {
				p.appsBehindTunnel()
			}
			p.holds()
		})
	}
}

// holds checks all of it, one thing after another.
func (p *pharmacy) holds() {
	t := p.t
	p.start("run", "--config", p.config)

	// While the key can't be had, nothing is accepted.
	for what, request := range map[string][]byte{
		"signed":     p.webhook(),
		"not signed": bytes.Replace(p.webhook(), []byte("X-Signature"), []byte("X-Other"), 1),
	} {
		if status, rec := p.send(request); status != 503 || rec.Verdict != "unverified" || rec.Verified {
			t.Errorf("without a key, %s: %d %+v", what, status, rec)
		}
	}

	// It is fetched when checks fail for want of it.
	p.api.set(func() { p.api.key = "fakesecret" })
	p.await("the signed request is taken", func() bool {
		status, rec := p.send(p.webhook())
		return status == 200 && rec.Verdict == "accepted" && rec.Verified && rec.Event == "stocks_full"
	})
	if got, err := p.app.await(1); err != nil || !bytes.HasSuffix(got[0], p.webhook()[bytes.Index(p.webhook(), []byte("\r\n\r\n")):]) {
		t.Errorf("the app got %q, %v", got, err)
	}
	p.refusals()
	p.subscriptions()
	p.followed()
	p.rotated()
	p.secrets()
}

// refusals: each wrong request is refused with a reason that says which.
func (p *pharmacy) refusals() {
	good := p.webhook()
	_, body, _ := bytes.Cut(good, []byte("\r\n\r\n"))
	sign := signature("fakesecret", body)
	reasons := map[string]string{}
	for what, c := range map[string]struct {
		request []byte
		kind    provider.FailureKind
	}{
		"a changed body":      {bytes.Replace(good, []byte("Processed"), []byte("Prozessed"), 1), provider.Mismatch},
		"a body set in lines": {withBody(good, bytes.Replace(body, []byte(`,"`), []byte(", \""), -1)), provider.Mismatch},
		"a missing header":    {bytes.Replace(good, []byte("X-Signature"), []byte("X-Other"), 1), provider.Missing},
		"too short":           {bytes.Replace(good, sign, []byte("sha256=37B1"), 1), provider.Form},
		"no prefix":           {bytes.Replace(good, []byte("sha256="), nil, 1), provider.Form},
	} {
		status, rec := p.send(c.request)
		if status != 401 || rec.Verdict != "invalid_signature" || rec.Verified || len(rec.Deliveries) > 0 {
			p.t.Errorf("%s: %d %+v", what, status, rec)
		}
		if other, told := reasons[rec.Reason]; told || rec.Reason == "" || strings.Contains(rec.Reason, string(sign[len("sha256="):])) {
			p.t.Errorf("%s is told like %q: %q", what, other, rec.Reason)
		}
		reasons[rec.Reason] = what
		p.checkKind(what, rec.ID, c.kind)
	}
	status, rec := p.send(p.signed("another"))
	if status != 401 || rec.Verdict != "invalid_signature" || reasons[rec.Reason] != "" {
		p.t.Errorf("a wrong key: %d %+v", status, rec)
	}
	p.checkKind("a wrong key", rec.ID, provider.Mismatch)
	lower := bytes.Replace(good, sign, append([]byte("sha256="), bytes.ToLower(sign[len("sha256="):])...), 1)
	if status, rec := p.send(lower); status != 200 || !rec.Verified {
		p.t.Errorf("in lower case: %d %+v", status, rec)
	}
}

// withBody is a request with another body, whatever its signature is of.
func withBody(request, body []byte) []byte {
	head, _, _ := bytes.Cut(request, []byte("\r\n\r\n"))
	head = regexp.MustCompile(`Content-Length: \d+`).ReplaceAll(head, fmt.Appendf(nil, "Content-Length: %d", len(body)))
	return slices.Concat(head, []byte("\r\n\r\n"), body)
}

// checkKind asks verify, which has the key from the agent, what is wrong with a record.
func (p *pharmacy) checkKind(what, id string, want provider.FailureKind) {
	p.t.Helper()
	out, err := p.try("verify", id, "--json")
	var found struct{ Kind, Reason string }
	if err == nil || json.Unmarshal(out, &found) != nil || found.Kind != string(want) || found.Reason == "" {
		p.t.Errorf("%s: verify says %s, %v", what, out, err)
	}
}

// rotated: when checks begin to fail, the key is fetched again, and a replay is signed with the new one.
func (p *pharmacy) rotated() {
	_, rec := p.send(p.webhook())
	p.api.set(func() { p.api.key = "anotherfakesecret" })
	tick := time.NewTicker(200 * time.Millisecond) // it is not asked for more often than every ten seconds
	defer tick.Stop()
	p.await("what is signed with the new key is taken", func() bool {
		<-tick.C
		answers, err := exchange(p.agent.addr, p.signed("anotherfakesecret"), inOneWrite)
		return err == nil && bytes.HasPrefix(answers[0], []byte("HTTP/1.1 200 "))
	})
	if status, rec := p.send(p.webhook()); status != 401 || rec.Verified {
		p.t.Errorf("the key from before is taken: %d %+v", status, rec)
	}
	p.run("replay", rec.ID, "--resign", "--to", "http://"+p.app.addr) // through no tunnel
	got, _ := p.app.received()
	_, body, _ := bytes.Cut(p.webhook(), []byte("\r\n\r\n"))
	if last := got[len(got)-1]; !bytes.Contains(last, signature("anotherfakesecret", body)) || !bytes.HasSuffix(last, body) {
		p.t.Errorf("replayed %q", last)
	}
}

// subscriptions are made at start, changed with the public URL, and taken back.
func (p *pharmacy) subscriptions() {
	p.await("the subscriptions are made", func() bool { return p.api.subscribed(4, "https://one.example.com/") })
	if err := p.agent.stop(os.Interrupt); err != nil {
		p.t.Fatal(err)
	}
	p.env = append(p.env, "PUBLIC_URL=https://two.example.com")
	before := p.count(&p.api.asked)
	p.start("run", "--config", p.config)
	p.await("the key is fetched at start, before anything comes", func() bool { return p.count(&p.api.asked) > before })
	p.await("they are changed", func() bool { return p.api.subscribed(4, "https://two.example.com/") })
	p.run("unsubscribe", "asna")
	if !p.api.subscribed(0, "") {
		p.t.Errorf("left: %v", p.api.subscriptions)
	}
}

// asnaCall is a call of the app to the API, which is only accepted.
var asnaCall = []byte("POST /v5/stocks HTTP/1.1\r\nHost: api.asna.cloud\r\nAuthorization: Bearer " + asnaToken +
	"\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{\"stocks\":[]}")

// count is a number of what the service was asked.
func (p *pharmacy) count(of *int) (n int) {
	p.api.set(func() { n = *of })
	return n
}

// outcome is the delivery that waits for what a call was promised.
func (p *pharmacy) outcome(id string) delivered {
	p.t.Helper()
	for line := range bytes.Lines(p.run("deliveries", "list", id, "--json")) {
		var d delivered
		if err := json.Unmarshal(line, &d); err != nil {
			p.t.Fatal(err)
		}
		if d.Target == "api/follow" {
			return d
		}
	}
	return delivered{}
}

// followed: a deferred 202 is followed to its end, or ended by the webhook with its MessageId.
func (p *pharmacy) followed() {
	for _, end := range []int{2, 3} { // processed, or failed
		p.api.set(func() { p.api.statusID, p.api.statusAsked = -1, 0 })
		status, call := p.send(asnaCall)
		if status != 202 {
			p.t.Fatalf("%d", status)
		}
		for i, id := range []int{1, end} {
			p.await("it is asked", func() bool { return p.count(&p.api.statusAsked) > i })
			if d := p.outcome(call.ID); d.State != "pending" {
				p.t.Errorf("before the end: %+v", d)
			}
			p.api.set(func() { p.api.statusID = id })
		}
		p.await("it has ended", func() bool { return p.outcome(call.ID).State == "delivered" })
		p.checkAnswers(call.ID, end)
		asked := p.count(&p.api.statusAsked)
		if d := p.outcome(call.ID); d.Attempts != asked {
			p.t.Errorf("asked %d times: %+v", asked, d)
		}
	}

	p.api.set(func() { p.api.statusID = 0 })
	_, call := p.send(asnaCall)
	p.await("it is waited for", func() bool { return p.outcome(call.ID).State == "pending" })
	if status, rec := p.send(p.webhook()); status != 200 || rec.Cause != call.ID {
		p.t.Errorf("the webhook is not tied to the call: %d %+v", status, rec)
	}
	p.await("the webhook ends it", func() bool { return p.outcome(call.ID).State == "delivered" })
	if tree := string(p.run("show", call.ID, "--trace")); !strings.Contains(tree, "asna ") || !strings.Contains(tree, "  POST / ") {
		p.t.Errorf("the tree:\n%s", tree)
	}
}

// checkAnswers makes sure that each answer is on the tape with the call: that the message is not known, and the last one.
func (p *pharmacy) checkAnswers(id string, end int) {
	p.t.Helper()
	var rec struct {
		Attempts []struct {
			Number, Status int
			Target         string
		}
	}
	if err := json.Unmarshal(p.run("show", id, "--json"), &rec); err != nil {
		p.t.Fatal(err)
	}
	var statuses []int
	for _, at := range rec.Attempts {
		if at.Target == "api/follow" {
			statuses = append(statuses, at.Status)
		}
	}
	if !slices.Contains(statuses, 204) || !slices.Contains(statuses, 200) {
		p.t.Errorf("what was asked was answered %v", statuses)
	}
	last := p.run("show", id, "--response", fmt.Sprint(rec.Attempts[len(rec.Attempts)-1].Number))
	if !bytes.Contains(last, fmt.Appendf(nil, `"statusId":%d`, end)) {
		p.t.Errorf("the last answer: %s", last)
	}
}

// Secrets are only on the tape, and the key is not even there.
func (p *pharmacy) secrets() {
	shown := string(p.agent.errs.String()) + string(p.agent.out.String())
	for _, args := range [][]string{{"list"}, {"list", "--json"}, {"show", "last"}, {"source", "list"}, {"deliveries", "list"}} {
		shown += string(p.run(args...))
	}
	if strings.Contains(shown, asnaToken) || strings.Contains(shown, "fakesecret") { // of both keys
		p.t.Error("a secret is shown")
	}
	if err := p.agent.stop(os.Interrupt); err != nil {
		p.t.Fatal(err)
	}
	tape, err := os.ReadFile(p.tape)
	if err != nil {
		p.t.Fatal(err)
	}
	if bytes.Contains(tape, []byte("fakesecret")) {
		p.t.Error("the key is on the tape")
	}
}
