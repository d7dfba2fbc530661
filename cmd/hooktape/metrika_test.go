package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// metrika is a service for offline conversions: an agent with the config of testdata/systems/metrika.
type metrika struct {
	*user
	t      *testing.T
	api    *metrikaAPI
	folder string
	line   []string // that runs the agent
	front  *user    // whose agent senders reach: the same, or an edge before it
}

// webhook is a source as shown to whoever made it.
type webhook struct{ Name, ID, URL, Secret string }

// batchStatus is what a sender is told about a batch.
type batchStatus struct {
	BatchID   string   `json:"batch_id"`
	Status    string   `json:"status"`
	WebhookID string   `json:"webhook_id"`
	Counter   int      `json:"counter_id"`
	Created   string   `json:"created_at"`
	Updated   string   `json:"updated_at"`
	Upload    string   `json:"metrika_upload_id"`
	Total     int      `json:"total"`
	Processed int      `json:"processed"`
	Errors    []string `json:"errors"`
}

const (
	metrikaToken = "y0_FakeTokenNotReal000000000000000000000000000000000000000000000000000000"
	otherToken   = "y0_FakeTokenOfAnother00000000000000000000000000000000000000000000000000"
)

// newMetrika runs the service where senders reach it, or behind a tunnel.
func newMetrika(t *testing.T, tunnel bool) *metrika {
	folder, err := filepath.Abs("../../testdata/systems/metrika")
	if err != nil {
		t.Fatal(err)
	}
	m := &metrika{t: t, folder: folder}
	m.api = newMetrikaAPI(t, map[string]string{"12345678": metrikaToken, "42": otherToken})
	if tunnel {
		m.placeBehindTunnel()
	} else {
		m.user = newUser(t)
		m.front = m.user
		m.line = []string{"run", "--config", filepath.Join(folder, "config.hcl")}
	}
	m.env = append(m.env, "API_URL="+m.api.URL)
	m.begin()
	return m
}

// metrikaEdge forwards to a laptop what comes for the service, and lets the laptop answer. It has none of the service's
// checks but one: the laptop could refuse too large a body only once the edge has all of it.
const metrikaEdge = `
edge {
  domain = "127.0.0.1"
}
source "offline-conversions" {
  path     = "/webhook/offline-conversions"
  max_body = "10MB"
  respond  = "target"
  patience = "2m"
  target "alice" {
    tunnel = "alice"
  }
}
`

// placeBehindTunnel gives the service to a laptop, with its whole config. Senders know the edge alone.
func (m *metrika) placeBehindTunnel() {
	m.t.Helper()
	config := string(mustRead(m.t, filepath.Join(m.folder, "config.hcl")))
	l := newLink(m.t, metrikaEdge, config)
	if err := copyNamed(l.laptop.dir, m.folder, config); err != nil {
		m.t.Fatal(err)
	}
	m.user, m.front, m.line = l.laptop, l.edge, l.laptopArgs
}

// begin starts the service, and waits until senders can reach it. An answer that was lost with the link of the previous
// service would not be asked for again by the edge.
func (m *metrika) begin() {
	m.t.Helper()
	if m.start(m.line...); m.front != m.user {
		m.awaitLog("requests come through the edge")
	}
}

// reachedEachWay runs a test of the service in both places.
func reachedEachWay(t *testing.T, test func(*metrika, *testing.T)) {
	t.Parallel()
	for name, tunnel := range map[string]bool{"where senders reach it": false, "behind a tunnel": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(newMetrika(t, tunnel), t)
		})
	}
}

// create makes a source by the command line.
func (m *metrika) create(name, counter, token string) webhook {
	m.t.Helper()
	file := filepath.Join(m.dir, name+".token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		m.t.Fatal(err)
	}
	out := m.run("source", "create", name, "--provider", "metrika", "--param", "counter_id="+counter, "--param-file", "token="+file,
		"--param", "description=Webhook for CRM system", "--json")
	var w webhook
	if err := json.Unmarshal(out, &w); err != nil {
		m.t.Fatalf("%v: %s", err, out)
	}
	return w
}

// request is a file of the folder as the sender of a webhook sends it.
func (m *metrika) request(name string, w webhook) []byte {
	m.t.Helper()
	b, err := os.ReadFile(filepath.Join(m.folder, name))
	if err != nil {
		m.t.Fatal(err)
	}
	b = bytes.ReplaceAll(b, []byte("550e8400-e29b-41d4-a716-446655440000"), []byte(w.ID))
	return bytes.ReplaceAll(b, []byte("FakeSecretNotReal_0000000000000000000000000"), []byte(w.Secret))
}

// send sends raw bytes and gives the answer.
func (m *metrika) send(request []byte) (status int, fields http.Header, body []byte) {
	m.t.Helper()
	answers, err := exchange(m.front.agent.addr, request, inOneWrite)
	if err != nil {
		m.t.Fatal(err)
	}
	return parseAnswer(m.t, answers[0])
}

func parseAnswer(t *testing.T, answer []byte) (status int, fields http.Header, body []byte) {
	t.Helper()
	r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), nil)
	if err != nil {
		t.Fatalf("%v: %q", err, answer)
	}
	defer r.Body.Close()
	if body, err = io.ReadAll(r.Body); err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, r.Header, body
}

// batch sends a batch that must be taken, and gives its id.
func (m *metrika) batch(request []byte) string {
	m.t.Helper()
	status, _, body := m.send(request)
	var told struct {
		BatchID  string `json:"batch_id"`
		Status   string `json:"status"`
		Accepted int    `json:"accepted_count"`
	}
	if err := json.Unmarshal(body, &told); err != nil || status != 200 || told.Status != "accepted" || told.BatchID == "" || told.Accepted == 0 {
		m.t.Fatalf("%d %s %v", status, body, err)
	}
	return told.BatchID
}

// ask asks for the status of a batch. Questions count towards the requests of a minute, so after many of them it has to
// wait.
func (m *metrika) ask(w webhook, batch string) (code int, body []byte) {
	m.t.Helper()
	request := bytes.ReplaceAll(m.request("status.http", w), []byte("550e8400-e29b-41d4-a716-446655440001"), []byte(batch))
	if err := poll(func() bool { code, _, body = m.send(request); return code != 429 }); err != nil {
		m.t.Fatal(err)
	}
	return code, body
}

func (m *metrika) status(w webhook, batch string) (s batchStatus) {
	m.t.Helper()
	code, body := m.ask(w, batch)
	if err := json.Unmarshal(body, &s); err != nil || code != 200 {
		m.t.Fatalf("status of %s: %d %s %v", batch, code, body, err)
	}
	return s
}

// deliveries are how far a batch is, by target.
func (m *metrika) deliveries(batch string) map[string]delivered {
	m.t.Helper()
	all := map[string]delivered{}
	for line := range bytes.Lines(m.looks("deliveries", "list", batch, "--json")) {
		var d delivered
		if err := json.Unmarshal(line, &d); err != nil {
			m.t.Fatal(err)
		}
		all[d.Target] = d
	}
	return all
}

type delivered struct {
	Target, State string
	Attempts      int
}

// until waits until the delivery of a batch to a target has a state and an attempt, and then asks for the
// status.
func (m *metrika) until(w webhook, batch, target, state, status string) batchStatus {
	m.t.Helper()
	if err := poll(func() bool {
		d := m.deliveries(batch)[target]
		return d.State == state && d.Attempts > 0
	}); err != nil {
		m.t.Fatalf("batch %s never was %s at %s: %+v", batch, state, target, m.deliveries(batch))
	}
	s := m.status(w, batch)
	if s.Status != status {
		m.t.Errorf("batch %s is %+v, want %s", batch, s, status)
	}
	return s
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func TestMetrikaTakesBatchesForSourcesMadeAtRunTime(t *testing.T) {
	reachedEachWay(t, (*metrika).takesBatches)
}

func (m *metrika) takesBatches(t *testing.T) {
	crm := m.create("crm", "12345678", metrikaToken)
	if !uuid.MatchString(crm.ID) || crm.URL != "https://api.example.com/webhook/offline-conversions/"+crm.ID || len(crm.Secret) != 43 {
		t.Errorf("made %+v", crm)
	}
	shop := m.create("shop", "42", otherToken)

	batch := m.batch(m.request("batch.http", crm))
	if id := newestAccepted(t, m.user); id != batch {
		t.Errorf("the batch is %s, its record %s", batch, id)
	}
	if s := m.until(crm, batch, "upload/follow", "pending", "processing"); s.Upload != "987654" || s.Processed != 0 || s.Errors != nil {
		t.Errorf("%+v", s)
	}
	m.api.finish("PROCESSED")
	s := m.until(crm, batch, "upload/follow", "delivered", "completed")
	if s.BatchID != batch || s.WebhookID != crm.ID || s.Counter != 12345678 || s.Upload != "987654" || s.Total != 2 || s.Processed != 2 || s.Errors != nil {
		t.Errorf("%+v", s)
	}
	for _, at := range []string{s.Created, s.Updated} {
		if _, err := time.Parse(time.RFC3339Nano, at); err != nil {
			t.Error(err)
		}
	}
	m.until(shop, m.batch(m.request("batch-python.http", shop)), "upload/follow", "delivered", "completed")
	m.checkUploads(batch)

	// After a restart it is all there.
	m.agent.stop(syscall.SIGTERM)
	m.begin()
	if again := m.status(crm, batch); again.Status != "completed" || again.Upload != "987654" {
		t.Errorf("after a restart: %+v", again)
	}
	m.until(crm, m.batch(m.request("batch.http", crm)), "upload/follow", "delivered", "completed")
	m.checkNoSecrets(crm, shop)
}

// newestAccepted is the id of the newest record that was accepted.
func newestAccepted(t *testing.T, u *user) string {
	t.Helper()
	var rec struct{ ID string }
	if err := json.Unmarshal(u.looks("list", "--json", "--limit", "1", "--verdict", "accepted"), &rec); err != nil {
		t.Fatal(err)
	}
	return rec.ID
}

// checkUploads looks at what the API got: its own shape, the right counter, Unix seconds, and nobody's secret.
func (m *metrika) checkUploads(first string) {
	m.t.Helper()
	uploads := m.api.got()
	if len(uploads) != 2 || uploads[0].counter != "12345678" || uploads[1].counter != "42" || uploads[0].comment != first {
		m.t.Fatalf("%+v", uploads)
	}
	want := [][]string{
		{"ClientId", "UserId", "Yclid", "Target", "DateTime", "Price", "Currency", "PurchaseId"},
		{"1234567890.1234567890", "", "", "purchase", "1751362496", "1500", "RUB", "order123"},
		{"", "user123", "", "registration", "1751362200", "", "", ""},
	}
	for i, row := range want {
		if !slices.Equal(uploads[0].rows[i], row) {
			m.t.Errorf("row %d: %q, want %q", i, uploads[0].rows[i], row)
		}
	}
	for _, u := range uploads {
		if u.fields.Get("X-Webhook-Secret") != "" {
			m.t.Error("the secret went out")
		}
	}
}

// checkNoSecrets makes sure that nothing people look at contains a secret.
func (m *metrika) checkNoSecrets(hooks ...webhook) {
	m.t.Helper()
	seen := ""
	for _, u := range slices.Compact([]*user{m.user, m.front}) {
		seen += u.agent.errs.String() + u.agent.out.String()
		for _, args := range [][]string{{"source", "list"}, {"source", "list", "--json"}, {"list", "--json"}, {"show", "last"}} {
			seen += string(u.looks(args...))
		}
	}
	for _, w := range hooks {
		if strings.Contains(seen, w.Secret) {
			m.t.Errorf("the secret of %s is shown", w.Name)
		}
	}
	for _, token := range []string{metrikaToken, otherToken} {
		if strings.Contains(seen, token) {
			m.t.Error("a token is shown")
		}
	}
}

func TestMetrikaTellsWhatWentWrongWithABatch(t *testing.T) {
	reachedEachWay(t, (*metrika).tellsWhatWentWrong)
}

func (m *metrika) tellsWhatWentWrong(t *testing.T) {
	crm := m.create("crm", "12345678", metrikaToken)
	m.api.breakDown(1 << 20)
	batch := m.batch(m.request("batch.http", crm))
	s := m.until(crm, batch, "upload", "pending", "pending")
	if len(s.Errors) != 1 || s.Errors[0] != "Backend error" || s.Processed != 0 || s.Upload != "" || s.Total != 2 {
		t.Errorf("%+v", s)
	}
	m.api.finish("PROCESSED")
	m.api.breakDown(0)
	if s := m.until(crm, batch, "upload/follow", "delivered", "completed"); s.Errors != nil || s.Processed != 2 {
		t.Errorf("%+v", s)
	}

	// A token of another counter: it stays pending until somebody drops it.
	wrong := m.create("wrong", "42", metrikaToken)
	batch = m.batch(m.request("batch.http", wrong))
	if s := m.until(wrong, batch, "upload", "pending", "pending"); len(s.Errors) != 1 || s.Errors[0] != "Access is denied" {
		t.Errorf("%+v", s)
	}
	m.run("deliveries", "drop", batch)
	if s := m.until(wrong, batch, "upload", "dropped", "error"); s.Errors[0] != "Access is denied" {
		t.Errorf("%+v", s)
	}

	// What Metrica makes of it may be an error, too.
	m.api.finish("LINKAGE_FAILURE")
	failed := m.batch(m.request("batch.http", crm))
	if s := m.until(crm, failed, "upload/follow", "delivered", "error"); len(s.Errors) != 1 || s.Upload == "" || s.Processed != 0 {
		t.Errorf("%+v", s)
	}

	// Nobody is told of a batch that is not theirs.
	if code, body := m.ask(crm, batch); code != 404 {
		t.Errorf("another's batch: %d %s", code, body)
	}
}

func TestMetrikaRefusesWhatIsBeyondItsLimits(t *testing.T) {
	reachedEachWay(t, (*metrika).refusesWhatIsBeyondItsLimits)
}

func (m *metrika) refusesWhatIsBeyondItsLimits(t *testing.T) {
	m.api.finish("PROCESSED")
	crm := m.create("crm", "12345678", metrikaToken)
	for _, name := range []string{"batch-wrong-secret.http", "batch-without-secret.http"} {
		request := m.request(name, crm)
		if name == "batch-wrong-secret.http" {
			request = m.request(name, webhook{ID: crm.ID, Secret: strings.Repeat("x", len(crm.Secret))})
		}
		if status, _, body := m.send(request); status != 403 {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}

	status, _, body := m.send(m.request("batch-invalid.http", crm))
	var told struct {
		ValidationErrors []struct{ Field, Message string }
	}
	if err := json.Unmarshal(body, &told); err != nil || status != 400 {
		t.Errorf("%d %s %v", status, body, err)
	}
	wrong := map[string]string{}
	for _, e := range told.ValidationErrors {
		wrong[e.Field] += e.Message
	}
	for _, want := range [][2]string{
		{"conversions[0].date_time", ""}, {"conversions[1].target", ""},
		{"conversions[0]", "client_id"}, {"conversions[0]", "user_id"}, {"conversions[0]", "yclid"},
	} {
		if message, ok := wrong[want[0]]; !ok || !strings.Contains(message, want[1]) {
			t.Errorf("%v is not among what is wrong: %s", want, body)
		}
	}

	for _, date := range []string{"2025-13-01T12:30:00", "2025-07-32T12:30:00", "2025-07-01T24:30:00"} {
		one := bytes.ReplaceAll(conversions(crm, 1, ""), []byte("2025-07-01T12:30:00"), []byte(date))
		if status, _, body := m.send(one); status != 400 || !strings.Contains(string(body), `"field":"conversions[0].date_time"`) {
			t.Errorf("%s: %d %s", date, status, body)
		}
	}
	if status, _, body := m.send(conversions(crm, 1001, "")); status != 400 || !strings.Contains(string(body), `"field":"conversions"`) {
		t.Errorf("1001 conversions: %d %s", status, body)
	}
	// As many as there may be, and more bytes than expressions decode at once.
	order := strings.Repeat("9", 2000)
	m.until(crm, m.batch(conversions(crm, 1000, order)), "upload/follow", "delivered", "completed")
	if rows := m.api.got()[0].rows; len(rows) != 1001 || rows[1000][1] != "user999" || rows[1000][7] != order {
		t.Errorf("%d rows were uploaded", len(rows))
	}
	large := fmt.Sprintf("POST /webhook/offline-conversions/%s HTTP/1.1\r\nHost: h\r\nX-Webhook-Secret: %s\r\nExpect: 100-continue\r\nContent-Length: 10000001\r\n\r\n", crm.ID, crm.Secret)
	if answer, err := exchangeInTurn(m.front.agent.addr, []byte(large), inOneWrite); err != nil {
		t.Error(err)
	} else if status, _, _ := parseAnswer(t, answer); status != 413 {
		t.Errorf("10 MB and a byte: %d", status)
	}

	// Switched off: 410, recorded; and on again.
	m.run("source", "disable", "crm")
	if status, _, _ := m.send(m.request("batch.http", crm)); status != 410 {
		t.Errorf("switched off: %d", status)
	}
	if err := poll(func() bool { // through a tunnel the answer may be faster than the tape
		return bytes.Count(m.looks("list", "--verdict", "disabled", "--json"), []byte("\n")) == 1
	}); err != nil {
		t.Errorf("recorded of it: %s", m.looks("list", "--verdict", "disabled", "--json"))
	}
	m.run("source", "enable", "crm")
	m.until(crm, m.batch(m.request("batch.http", crm)), "upload/follow", "delivered", "completed")

	// 60 a minute: another source is not slowed down by it.
	busy := m.create("busy", "42", otherToken)
	m.checkRate(busy)
	m.until(crm, m.batch(m.request("batch.http", crm)), "upload/follow", "delivered", "completed")
}

// conversions is a batch of so many, each with the id of a purchase.
func conversions(w webhook, n int, purchase string) []byte {
	var b bytes.Buffer
	b.WriteString(`{"conversions":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"user_id":"user%d","target":"registration","date_time":"2025-07-01T12:30:00","purchase_id":%q}`, i, purchase)
	}
	b.WriteString(`]}`)
	return fmt.Appendf(nil, "POST /webhook/offline-conversions/%s HTTP/1.1\r\nHost: h\r\nX-Webhook-Secret: %s\r\nContent-Length: %d\r\n\r\n%s", w.ID, w.Secret, b.Len(), b.Bytes())
}

// checkRate sends until there are too many requests. A slow machine takes longer to get there.
func (m *metrika) checkRate(w webhook) {
	m.t.Helper()
	request := fmt.Appendf(nil, "POST /webhook/offline-conversions/%s HTTP/1.1\r\nHost: h\r\nX-Webhook-Secret: %s\r\nContent-Length: 2\r\n\r\n{}", w.ID, w.Secret)
	const most = 2000
	for n := 1; n <= most; n++ {
		status, fields, _ := m.send(request)
		switch {
		case status == 400:
			continue
		case status != 429 || fields.Get("Retry-After") == "" || n <= 60:
			m.t.Errorf("request %d: %d, Retry-After %q", n, status, fields.Get("Retry-After"))
		}
		return
	}
	m.t.Errorf("%d requests were taken", most)
}
