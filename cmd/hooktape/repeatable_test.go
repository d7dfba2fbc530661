package main

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	tapefile "github.com/hooktape/hooktape/replay/tape"
	"github.com/hooktape/hooktape/store"
)

// repeatable is one of the five systems, whose session becomes a test that anybody may have.
type repeatable struct {
	name    string
	environ []string // that its config.hcl asks for
	secrets []string // none of which may get out
	files   []string // the requests of its session, which are sent in this order
	record  func(*testing.T, *repeatable) (*user, []string)
	chosen  []string // what of the session is sent to the app; nil: what came for it
	signed  bool     // the tape file has a secret to sign with
	app     systemApp
	tunnel  bool   // the app is behind one, while the session is recorded
	shown   string // how a replay tells of the field that is another one when the app is changed
}

// systemApp is the app of a system. It only accepts requests made with the secret.
type systemApp struct {
	*httptest.Server
	proves  func(r *http.Request, body []byte, secret string) bool // the sender knows the secret
	answer  string                                                 // %d changes with each request
	changed [2]string                                              // what of the answer the changed app has changed to what
	before  string                                                 // the secret while the session is recorded

	mu      sync.Mutex // guards what follows
	secret  string
	broken  bool // the app is the changed one, and refuses as well what it takes
	taken   int
	refused []string
}

func (a *systemApp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a.mu.Lock()
	defer a.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if !a.proves(r, body, a.secret) {
		a.refused = append(a.refused, fmt.Sprintf("%s %s %v %s", r.Method, r.URL, r.Header, body))
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	a.taken++
	answer := strings.Replace(a.answer, "%d", fmt.Sprint(a.taken), 1)
	if a.broken {
		w.WriteHeader(http.StatusAccepted)
		answer = strings.Replace(answer, a.changed[0], a.changed[1], 1)
	}
	io.WriteString(w, answer)
}

// become gives the app another secret, makes it the changed one or not, and tells how much it took and what it refused
// until then.
func (a *systemApp) become(secret string, changed bool) (taken int, refused []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	taken, refused = a.taken, a.refused
	a.secret, a.broken, a.taken, a.refused = secret, changed, 0, nil
	return taken, refused
}

var repeatables = []repeatable{
	{
		name: "asna", signed: true, secrets: []string{"fakesecret", asnaToken}, record: recordedAsna,
		shown: `json.Accepted  true → false`,
		app: systemApp{before: "fakesecret", answer: `{"Accepted":true}`, changed: [2]string{"true", "false"},
			proves: func(r *http.Request, body []byte, secret string) bool {
				return r.Header.Get("X-Signature") == string(signature(secret, body))
			}},
	},
	{
		name: "bitrix24", signed: true, environ: []string{"SECRET=fakeapplicationtoken000000000000"},
		secrets: []string{"fakeapplicationtoken0", "fakeaccesstoken0", "FakeTokenOfThePortal"}, // its pages are sent as well, which nobody signs
		files:   []string{"event-message-add", "event-join-chat", "event-bot-delete", "install-complete", "api-imbot-chat-add-34"},
		shown:   `json.status  "ok" → "error"`,
		app: systemApp{before: "fakeapplicationtoken000000000000", answer: `{"status":"ok","event":"","trace_id":"t-%d"}`, changed: [2]string{"ok", "error"},
			proves: func(r *http.Request, body []byte, secret string) bool {
				form, err := url.ParseQuery(string(body))
				return r.URL.Path != "/v1/bitrix/events" || err == nil && form.Get("auth[application_token]") == secret
			}},
	},
	{
		name: "iiko", signed: true, environ: []string{"SECRET=fakeiikowebhooksecret00000000000"},
		secrets: []string{"fakeiikowebhooksecret0", "fakeiikoapitoken0", "FakeTokenOfKazan", "FakeLoginOf"},
		files:   []string{"create", "update-courier", "cloud-events", "cloud-events-chunked", "api-assign-courier", "wrong-token"},
		shown:   `json.order.state  "kept" → "lost"`,
		app: systemApp{before: "fakeiikowebhooksecret00000000000", answer: `{"order":{"state":"kept"}}`, changed: [2]string{"kept", "lost"},
			proves: func(r *http.Request, _ []byte, secret string) bool {
				return r.Header.Get("Authorization") == secret || r.Header.Get("authToken") == secret
			}},
	},
	{
		name: "metrika", signed: true, secrets: []string{metrikaToken}, record: recordedMetrika,
		shown: `json.accepted_count  2 → 1`,
		app: systemApp{answer: `{"batch_id":"%d","status":"accepted","accepted_count":2}`, changed: [2]string{":2", ":1"},
			proves: func(r *http.Request, _ []byte, secret string) bool { return r.Header.Get("X-Webhook-Secret") == secret }},
	},
	{
		name: "qtickets", secrets: []string{"fakeqticketstoken0"}, files: []string{"events", "orders-as-in-code", "orders-payed"},
		chosen: []string{"--source", "qtickets"}, shown: `json.data[0].payed  1 → 0`,
		app: systemApp{answer: `{"data":[{"id":4815,"payed":1}]}`, changed: [2]string{`"payed":1`, `"payed":0`},
			proves: func(r *http.Request, _ []byte, _ string) bool {
				return strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ")
			}},
	},
}

// A session of each system is exported without its secrets, and is then a test: the app that is as it was passes, the
// changed one does not, and the report says why.
func TestASessionOfEachSystemIsARepeatableTest(t *testing.T) {
	for i := range repeatables {
		s := &repeatables[i]
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.app.Server = httptest.NewServer(&s.app)
			t.Cleanup(s.app.Close)
			s.tunnel = false
			t.Run("recorded beside the app", s.check)
			s.tunnel = true
			t.Run("recorded with the app behind a tunnel", s.check)
		})
	}
}

// check goes the whole way, from the app and back to it.
func (s *repeatable) check(t *testing.T) {
	s.app.become(s.app.before, false)
	record := s.record
	if record == nil {
		record = recorded
	}
	u, secrets := record(t, s)
	got, refused := s.app.become("", false)
	if refused != nil {
		t.Fatalf("while it was recorded the app refused %q", refused)
	}
	r := &repeating{repeatable: s, user: u, secrets: append(secrets, s.secrets...)}
	r.run("export", "--session", "tape", "--mask", "-o", "tape.warc.gz")
	r.checkFile()
	r.imported()
	r.replayed(cmp.Or(got, 1)) // the app of metrika comes in with the replay of its one batch
}

// place puts the app where it should be.
func (s *repeatable) place(u *user) {
	if s.tunnel {
		u.appsBehindTunnel()
	}
}

// folder is where a system's files are.
func (s *repeatable) folder() string {
	path, err := filepath.Abs(filepath.Join("../../testdata/systems", s.name))
	if err != nil {
		panic(err)
	}
	return path
}

// recorded records the session with the config of the system and its requests.
func recorded(t *testing.T, s *repeatable) (*user, []string) {
	api := newFarSide(t, func(asked) (int, string) {
		return http.StatusOK, `{"result":true,"token":"fake","data":[{"id":4815,"payed":1}]}`
	})
	u := newUser(t)
	to := api.URL
	if s.name == "qtickets" { // whose app is the API
		to = s.app.URL
	}
	s.place(u)
	u.env = append(append(u.env, s.environ...), "APP_URL="+s.app.URL, "API_URL="+to, "PUBLIC_URL=https://one.example.com")
	u.start("run", "--config", filepath.Join(s.folder(), "config.hcl"), "--session", "tape")
	for _, name := range s.files {
		if _, err := exchange(u.agent.addr, mustRead(t, filepath.Join(s.folder(), name+".http")), inOneWrite); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	u.settled()
	return u, nil
}

// recordedAsna records a signed webhook, and a call to the API that the app made.
func recordedAsna(t *testing.T, s *repeatable) (*user, []string) {
	p := newPharmacy(t)
	s.place(p.user)
	p.api.set(func() { p.api.key = "fakesecret"; p.api.statusID = 2 })
	p.env = append(p.env, "APP_URL="+s.app.URL)
	p.start("run", "--config", p.config, "--session", "tape")
	p.await("the signed request is taken", func() bool { status, _ := p.send(p.webhook()); return status == http.StatusOK })
	p.send(asnaCall)
	p.settled()
	return p.user, nil
}

// recordedMetrika records a batch for a source that is made at run time.
func recordedMetrika(t *testing.T, s *repeatable) (*user, []string) {
	m := newMetrika(t, s.tunnel)
	m.api.finish("PROCESSED")
	crm := m.create("crm", "12345678", metrikaToken)
	m.run("session", "start", "tape")
	m.batch(m.request("batch.http", crm))
	m.settled()
	return m.user, []string{crm.Secret}
}

// settled waits until nothing is pending, and ends the agent.
func (u *user) settled() {
	u.t.Helper()
	if err := poll(func() bool {
		return !bytes.Contains(u.looks("list", "--json", "--limit", "0"), []byte(`"state":"pending"`))
	}); err != nil {
		u.t.Fatal(err)
	}
	if err := u.agent.stop(os.Interrupt); err != nil {
		u.t.Fatal(err)
	}
}

// repeating is a system's session on its way to other people.
type repeating struct {
	*repeatable
	*user
	secrets []string         // the system's, and those that were made at run time
	signing tapefile.Signing // what the tape file is signed with
}

// checkFile looks for secrets in all that the tape file says, and takes the one that it brings along.
func (r *repeating) checkFile() {
	r.t.Helper()
	packed := mustRead(r.t, filepath.Join(r.dir, "tape.warc.gz"))
	plain, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		r.t.Fatal(err)
	}
	text, err := io.ReadAll(plain)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, coded := range regexp.MustCompile(`"head":"([^"]*)"`).FindAllSubmatch(text, -1) {
		head, err := base64.StdEncoding.DecodeString(string(coded[1]))
		if err != nil {
			r.t.Fatal(err)
		}
		text = append(text, head...)
	}
	r.checkSecrets("the tape file", text)

	file, err := tapefile.NewReader(bytes.NewReader(packed))
	if err != nil {
		r.t.Fatal(err)
	}
	defer file.Close()
	for _, err := range file.Recordings() {
		if err != nil {
			r.t.Fatal(err)
		}
	}
	switch signing := file.Info().Signing; {
	case r.signed && len(signing) == 1:
		r.signing = signing[0]
	case r.signed || len(signing) > 0:
		r.t.Fatalf("the tape file is signed with %+v", signing)
	}
}

// checkSecrets looks for them in a text.
func (r *repeating) checkSecrets(what string, text []byte) {
	r.t.Helper()
	for _, secret := range r.secrets {
		if bytes.Contains(text, []byte(secret)) {
			r.t.Errorf("%s holds the secret %s", what, secret)
		}
	}
}

// imported puts the file onto an empty tape, on which each record is the one that it was, under a new id.
func (r *repeating) imported() {
	r.t.Helper()
	before := map[string]copied{}
	for _, rec := range r.copies() {
		before[rec.ID] = rec
	}
	r.env = append(r.env, "HOOKTAPE_DATA="+filepath.Join(r.dir, "empty.db"))
	r.run("import", "tape.warc.gz")
	after := r.copies()
	if len(after) == 0 || len(after) != len(before) {
		r.t.Fatalf("%d records of %d were imported", len(after), len(before))
	}
	for _, rec := range after {
		was, known := before[rec.Origin]
		if was.Via != store.ViaAgent { // those nobody plays back, here as there
			was.Via = store.ViaImport
		}
		if was.ID, was.Origin = rec.ID, rec.Origin; !known || rec.ID == rec.Origin || rec != was {
			r.t.Errorf("imported: %+v, not %+v", rec, was)
		}
	}
}

// copied is what of a record should survive an import.
type copied struct {
	ID, Time, Via, Source, Method, Event, Verdict string
	Verified, Outbound                            bool

	Origin string `json:"origin_id"`
}

// copies are the records of the session.
func (r *repeating) copies() (all []copied) {
	r.t.Helper()
	for line := range bytes.Lines(r.run("list", "--session", "tape", "--json", "--limit", "0")) {
		var rec copied
		if err := json.Unmarshal(line, &rec); err != nil {
			r.t.Fatal(err)
		}
		all = append(all, rec)
	}
	return all
}

// replayed replays the imported session at the app, which gets all that it got when it was recorded, and the file at the
// changed one.
func (r *repeating) replayed(sends int) {
	r.t.Helper()
	if rules, err := os.ReadFile(filepath.Join(r.folder(), "hooktape.ignore")); err == nil {
		r.writes("hooktape.ignore", string(rules))
	}
	args := slices.Concat(r.chosen, []string{"--to", r.app.URL, "--resign"})
	if !r.signed { // that nobody signs these is what the config says
		args = append(args, "-c", filepath.Join(r.folder(), "config.hcl"))
	}
	r.app.become(r.signing.Secret, false)
	if r.name == "metrika" { // its target got something else than what its sender has sent
		r.run(slices.Concat([]string{"replay", "--session", "tape", "--accept"}, args)...)
		r.run("export", "--session", "tape", "--verbatim", "--force", "-o", "tape.warc.gz")
	}
	same := r.run(slices.Concat([]string{"replay", "--session", "tape"}, args)...)
	taken, refused := r.app.become(r.signing.Secret, false)
	if taken < sends || refused != nil || bytes.Count(same, []byte("  same\n")) != sends {
		r.t.Errorf("the app took %d and refused %q:\n%s", taken, refused, same)
	}

	r.resigned()

	r.app.become(r.signing.Secret, true)
	r.env = append(r.env, "GITHUB_STEP_SUMMARY="+filepath.Join(r.dir, "summary.md"))
	told, err := r.try(slices.Concat([]string{"replay", "--file", "tape.warc.gz", "--junit", "changed.xml"}, args)...)
	if err == nil || !strings.HasPrefix(err.Error(), "exit status 1\n") || bytes.Count(told, []byte("status  200 → 202")) != sends {
		r.t.Errorf("the app is another one, and the replay ended with %v:\n%s", err, told)
	}
	if _, refused = r.app.become(r.signing.Secret, false); refused != nil {
		r.t.Errorf("the changed app refused %q", refused)
	}
	reports := map[string][]byte{
		"what is printed": told, "the JUnit file": mustRead(r.t, filepath.Join(r.dir, "changed.xml")),
		"the summary": mustRead(r.t, filepath.Join(r.dir, "summary.md")),
	}
	for what, text := range reports {
		r.checkSecrets(what, text)
		if plain := html.UnescapeString(string(text)); !strings.Contains(plain, "status  200 → 202") || !strings.Contains(plain, r.shown) {
			r.t.Errorf("%s does not say what is another one now:\n%s", what, text)
		}
		if test := r.signing.Secret; test != "" && bytes.Contains(text, []byte(test)) {
			r.t.Errorf("%s shows the secret of the tape file", what)
		}
	}
}

// resigned replays what was verified to an app that has a secret of its own. The file is signed already, so that nothing else
// shows that --resign signs.
func (r *repeating) resigned() {
	r.t.Helper()
	if !r.signed {
		return
	}
	const other = "fakesecretofanotherapp00000000000"
	r.writes("other.secret", other)
	args := []string{"replay", "--session", "tape", "--where", "verified", "--to", r.app.URL, "--resign", "--provider", r.signing.Provider, "--secret-file", "other.secret"}
	for name, value := range r.signing.Params {
		args = append(args, "--param", name+"="+value)
	}
	r.app.become(other, false)
	told := r.run(args...)
	if taken, refused := r.app.become("", false); taken == 0 || refused != nil {
		r.t.Errorf("signed with another secret, the app took %d and refused %q:\n%s", taken, refused, told)
	}
}
