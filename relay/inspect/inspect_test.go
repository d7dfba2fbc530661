package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hooktape/hooktape/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var t0 = time.Date(2026, 1, 31, 12, 0, 0, 123456789, time.UTC)

// deck is a store with a server on it and a client of it.
type deck struct {
	*Client
	t      testing.TB
	store  *store.Store
	server *Server
	agent  *fakeAgent
}

// newDeck makes a deck whose client is in the same process; agent may be nil.
func newDeck(t testing.TB, agent *fakeAgent) *deck {
	t.Helper()
	s, err := store.Open(filepath.Join(t.TempDir(), "tape.db"), store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	d := &deck{t: t, store: s, agent: agent, server: &Server{Store: s, Started: t0, Version: "1.2.3", Now: func() time.Time { return t0 }}}
	if agent != nil {
		d.server.Agent = agent
	}
	d.Client = InProcess(d.server)
	return d
}

// fakeAgent hands out the events that it is given.
type fakeAgent struct {
	mu       sync.Mutex
	events   chan Event
	watching chan struct{} // one for each watch that has begun
	woken    []string
	far      net.Conn // of whatever tunnel; nil: its laptop is not there
}

func newFakeAgent() *fakeAgent {
	return &fakeAgent{events: make(chan Event, 16), watching: make(chan struct{}, 16)}
}

func (*fakeAgent) Recheck(id store.ID, _ bool) (Rejudged, error) {
	return Rejudged{Record: id, Was: store.InvalidSignature, Verdict: store.Accepted, Deliveries: 1}, nil
}

func (f *fakeAgent) Watch(int) (<-chan Event, func()) {
	f.watching <- struct{}{}
	return f.events, func() {}
}

func (f *fakeAgent) Told(context.Context) {}

func (f *fakeAgent) Laptop(string) *Laptop { return nil }
func (f *fakeAgent) Through(context.Context, store.ID, string, string) (net.Conn, error) {
	if f.far == nil {
		return nil, errors.New("not there")
	}
	return f.far, nil
}
func (f *fakeAgent) Away(_, target string) bool { return target == "away" }

func (f *fakeAgent) Wake(source, target string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.woken = append(f.woken, source+"/"+target)
}

// put records a request given as text with \n as line ends.
func (d *deck) put(rec store.Record, text string, deliveries ...store.Delivery) store.ID {
	d.t.Helper()
	head, _, _ := strings.Cut(text, "\n\n")
	raw := strings.Replace(text, head+"\n\n", strings.ReplaceAll(head, "\n", "\r\n")+"\r\n\r\n", 1)
	rec.HeadSize = len(strings.ReplaceAll(head, "\n", "\r\n")) + 4
	if rec.Time.IsZero() {
		rec.Time = t0
	}
	if rec.Verdict == "" {
		rec.Verdict = store.Accepted
	}
	rec.BodySize = int64(len(raw) - rec.HeadSize)
	spool := d.store.Spool()
	if _, err := io.WriteString(spool, raw); err != nil {
		d.t.Fatal(err)
	}
	if err := d.store.Append(&rec, spool, deliveries, nil).Wait(); err != nil {
		d.t.Fatal(err)
	}
	return rec.ID
}

func (d *deck) answer(id store.ID, status int, text string) {
	d.t.Helper()
	spool := d.store.Spool()
	if _, err := io.WriteString(spool, text); err != nil {
		d.t.Fatal(err)
	}
	answer := &store.Answer{Status: status, Time: t0, Duration: 1234567 * time.Nanosecond}
	if err := d.store.Settle(id, store.Outcome{Answer: answer, AnswerRaw: spool}).Wait(); err != nil {
		d.t.Fatal(err)
	}
}

const order = "POST /orders?n=1 HTTP/1.1\nHost: shop.example\nAuthorization: Bearer abcdefghijklmnopqrstuvwxyz\nContent-Length: 13\n\n{\"amount\": 7}"

func TestARecordIsTheJSONOfTheDesign(t *testing.T) {
	d := newDeck(t, nil)
	if err := d.store.StartSession("qa", false); err != nil {
		t.Fatal(err)
	}
	id := d.put(store.Record{
		Source: "shop", Via: "direct", Remote: "192.0.2.1:5", Proto: "HTTP/1.1", Method: "POST", Target: "/orders?n=1",
		Host: "shop.example", Event: "paid", Trace: "t-1", Reason: "", Verified: true,
	}, order, store.Delivery{Source: "shop", Target: "app", State: store.Pending, Due: t0.Add(time.Minute), Attempts: 2, Status: 500, Error: "no"})
	d.answer(id, 200, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
	r, err := d.Record(t.Context(), "last", false)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`{"id":%q,"time":"2026-01-31T12:00:00.123456789Z","source":"shop","session":["qa"],"trace":"t-1",`+
		`"via":"direct","remote":"192.0.2.1:5","proto":"HTTP/1.1","method":"POST","path":"/orders?n=1","host":"shop.example",`+
		`"event":"paid","verdict":"accepted","reason":"","verified":true,"size":%d,"body_size":13,"truncated":false,`+
		`"auth":{"scheme":"Bearer","present":true,"masked":%q,"expires":null},"answer":{"status":200,"duration_ms":1.234},`+
		`"deliveries":[{"target":"app","state":"pending","attempts":2,"status":500,"error":"no","next":"2026-01-31T12:01:00.123456789Z"}]}`,
		id, len(order)+5, r.Auth.Masked)
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if strings.Contains(string(got), "abcdefgh") {
		t.Errorf("the token is not masked: %s", got)
	}
}

func TestEveryKeyIsThereWhenNothingIsKnown(t *testing.T) {
	d := newDeck(t, nil)
	d.put(store.Record{Verdict: store.NoSource}, "GET / HTTP/1.1\nHost: x\n\n")
	response, err := d.get(t.Context(), "/v1/records/last", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"session":[]`, `"answer":null`, `"deliveries":[]`, `"auth":{"scheme":"","present":false,`} {
		if !strings.Contains(string(text), part) {
			t.Errorf("no %s in %s", part, text)
		}
	}
}

func TestBytesAreThoseOfTheTape(t *testing.T) {
	d := newDeck(t, nil)
	request := "POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n"
	id := d.put(store.Record{Method: "POST"}, request)
	big := "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + strings.Repeat("0123456789", 30000)
	d.answer(id, 200, big)
	for name, test := range map[string]struct {
		read func(context.Context, string) (io.ReadCloser, error)
		want string
	}{
		"raw":    {d.Raw, strings.Replace(request, "POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 1)},
		"body":   {d.Body, "abc"},
		"answer": {d.Answer, big},
	} {
		if got := readAll(t, test.read, "last"); got != test.want {
			t.Errorf("%s: %d bytes, want %d: %.80q", name, len(got), len(test.want), got)
		}
	}
}

func readAll(t testing.TB, read func(context.Context, string) (io.ReadCloser, error), name string) string {
	t.Helper()
	r, err := read(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAnAnswerThatPassedOnAnAttemptIsPutTogether(t *testing.T) {
	d := newDeck(t, nil)
	id := d.put(store.Record{}, order)
	response := d.store.Spool()
	io.WriteString(response, "HTTP/1.1 200 OK\r\nServer: app\r\nContent-Length: 4\r\n\r\nbody")
	outcome := store.Outcome{
		Attempt: &store.Attempt{Target: "app", Time: t0, Status: 200, HeadSize: 51}, Response: response,
		Answer: &store.Answer{Status: 200, FromAttempt: store.ThisAttempt, Raw: store.InlineRaw([]byte("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"))},
	}
	if err := d.store.Settle(id, outcome).Wait(); err != nil {
		t.Fatal(err)
	}
	if got, want := readAll(t, d.Answer, "last"), "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"; got != want {
		t.Errorf("answer %q, want %q", got, want)
	}
	read := func(ctx context.Context, name string) (io.ReadCloser, error) { return d.Response(ctx, name, 1) }
	if got, want := readAll(t, read, "last"), "HTTP/1.1 200 OK\r\nServer: app\r\nContent-Length: 4\r\n\r\nbody"; got != want {
		t.Errorf("response %q, want %q", got, want)
	}
}

func TestRecordsAreChosen(t *testing.T) {
	d := newDeck(t, nil)
	for i := range 6 {
		source, verdict := "shop", store.Accepted
		if i%2 == 1 {
			source, verdict = "", store.NoSource
		}
		d.put(store.Record{Source: source, Verdict: verdict, Method: "POST", Target: fmt.Sprint("/", i), Time: t0.Add(time.Duration(i) * time.Hour)},
			fmt.Sprintf("POST /%d HTTP/1.1\nHost: x\nContent-Length: 7\n\n{\"n\":%d}", i, i))
	}
	for name, test := range map[string]struct {
		query Query
		want  string
	}{
		"all, as they came": {Query{}, "/0 /1 /2 /3 /4 /5"},
		"the newest two":    {Query{Newest: true, Limit: 2}, "/5 /4"},
		"a source":          {Query{Filter: Filter{Source: "shop"}}, "/0 /2 /4"},
		"a verdict":         {Query{Filter: Filter{Verdicts: []store.Verdict{store.NoSource}}}, "/1 /3 /5"},
		"two verdicts":      {Query{Filter: Filter{Verdicts: []store.Verdict{store.NoSource, store.Accepted}}}, "/0 /1 /2 /3 /4 /5"},
		"since":             {Query{Filter: Filter{Since: t0.Add(4 * time.Hour)}}, "/4 /5"},
		"until":             {Query{Filter: Filter{Until: t0.Add(2 * time.Hour)}}, "/0 /1"},
		"an expression":     {Query{Filter: Filter{Where: `method == "POST" && json.n > 3`}}, "/4 /5"},
		"one that fails":    {Query{Filter: Filter{Where: `tonumber(path) == 1`}}, ""},
	} {
		var got []string
		for r, err := range d.Records(t.Context(), test.query) {
			if err != nil {
				t.Fatalf("%s: %s", name, err)
			}
			got = append(got, r.Path)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

func TestRefusalsSayWhatIsWrong(t *testing.T) {
	d := newDeck(t, nil)
	d.put(store.Record{}, order)
	for name, test := range map[string]struct {
		ask  func() error
		kind Kind
		text string
	}{
		"unknown record": {func() error { _, err := d.Record(t.Context(), "ZZZZZZ", false); return err }, Unknown, "no record ZZZZZZ"},
		"no answer":      {func() error { _, err := d.Answer(t.Context(), "last"); return err }, Unknown, "was not answered"},
		"no attempt":     {func() error { _, err := d.Response(t.Context(), "last", 3); return err }, NoAttempt, "no attempt 3"},
		"an expression": {func() error {
			_, err := collect(d.Records(t.Context(), Query{Filter: Filter{Where: "metod == 1"}}))
			return err
		}, Misused, "metod"},
		"env": {func() error {
			_, err := collect(d.Records(t.Context(), Query{Filter: Filter{Where: `env("HOME") == ""`}}))
			return err
		}, Misused, "env"},
		"a verb": {func() error { _, err := collect(d.changeDeliveries(t.Context(), "sing", DeliveryQuery{})); return err }, Unknown, "sing"},
		"a tail without an agent": {func() error {
			for _, err := range d.Tail(t.Context(), TailQuery{}) {
				return err
			}
			return nil
		}, Misused, "no agent"},
	} {
		err := test.ask()
		problem, ok := errors.AsType[*Problem](err)
		if !ok || problem.Kind != test.kind || !strings.Contains(problem.Message, test.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnAmbiguousEndingNamesTheRecords(t *testing.T) {
	err := notFound("abcd", &store.AmbiguousError{Ending: "ABCD", IDs: []store.ID{{1}, {2}}})
	problem, ok := errors.AsType[*Problem](err)
	if !ok || problem.Kind != Ambiguous || len(problem.IDs) != 2 {
		t.Errorf("got %#v", err)
	}
}

func TestAnErrorBehindTheFirstLineIsNotLost(t *testing.T) {
	for name, client := range bothClients(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = sendLines(w, func(line func(any) error) error {
			_ = line(Source{Name: "one"})
			return refuse(Failed, "the tape is torn")
		})
	})) {
		sources, err := collect(client.lines(t))
		problem, ok := errors.AsType[*Problem](err)
		if !ok || problem.Kind != Failed || problem.Message != "the tape is torn" {
			t.Errorf("%s: %v %v", name, sources, err)
		}
	}
}

func TestAStreamThatBreaksOffIsNotTakenForWhole(t *testing.T) {
	for name, client := range bothClients(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		panic(http.ErrAbortHandler)
	})) {
		r, err := client.Raw(t.Context(), "last")
		if err == nil {
			_, err = io.ReadAll(r)
			r.Close()
		}
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestAReplaysAttemptIsRecorded(t *testing.T) {
	d := newDeck(t, nil)
	id := d.put(store.Record{}, order)
	response := "HTTP/1.1 201 Created\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100000)
	gone, err := d.AddAttempts(t.Context(), []NewAttempt{
		{Record: id, Attempt: Attempt{Target: "app", URL: "http://app/?token=abcdefghijklmnop", Time: Time{t0}, Status: 201, HeadSize: 49,
			Duration: Milliseconds(1500 * time.Microsecond)}, Head: "POST / HTTP/1.1\r\n\r\n", Response: strings.NewReader(response)},
		{Record: store.ID{1}, Attempt: Attempt{Target: "app", Time: Time{t0}}},
		{Record: id, Attempt: Attempt{Target: "app", Time: Time{t0}, Error: "connection refused"}},
	})
	if err != nil || gone != 1 {
		t.Fatal(gone, err)
	}
	attempts, err := d.Attempts(t.Context(), "last", true)
	if err != nil || len(attempts) != 2 {
		t.Fatalf("%v %v", attempts, err)
	}
	first, second := attempts[0], attempts[1]
	if first.Number != 1 || !first.Replay || first.Status != 201 || first.Size != int64(len(response)) || first.Duration.Duration() != 1500*time.Microsecond {
		t.Errorf("first %+v", first)
	}
	if second.Number != 2 || second.Error != "connection refused" || second.Size != 0 {
		t.Errorf("second %+v", second)
	}
	read := func(ctx context.Context, name string) (io.ReadCloser, error) { return d.Response(ctx, name, 1) }
	if got := readAll(t, read, "last"); got != response {
		t.Errorf("response of %d bytes, want %d", len(got), len(response))
	}
	if masked, _ := d.Attempts(t.Context(), "last", false); strings.Contains(masked[0].URL, "abcdefghijkl") {
		t.Errorf("the URL's token is not masked: %s", masked[0].URL)
	}
}

func TestSourcesAndTheTargetsOfARecord(t *testing.T) {
	d := newDeck(t, nil)
	if sources, err := d.Sources(t.Context()); err != nil || len(sources) != 0 {
		t.Fatalf("an empty tape has sources: %v %v", sources, err)
	}
	sources := []Source{{Name: "shop", Path: "/orders", Targets: []Target{
		{Name: "app", URL: "http://127.0.0.1:1/in", KeepHost: true, Forwarded: true, IDHeader: "X-Record", Timeout: Milliseconds(10 * time.Second)},
		{Name: "big", URL: "http://127.0.0.1:2/", When: "json.amount > 100"},
	}}}
	if err := SaveSources(d.store, sources); err != nil {
		t.Fatal(err)
	}
	id := d.put(store.Record{Source: "shop", Remote: "192.0.2.1:5", Host: "shop.example"}, order)
	records, err := collect(d.Playable(t.Context(), PlayQuery{Names: []string{"last"}}))
	if err != nil || len(records) != 1 || len(records[0].Targets) != 1 {
		t.Fatalf("%v %v", records, err)
	}
	got := records[0].Targets[0]
	if got.Target != sources[0].Targets[0] || got.Prefix != "/orders" {
		t.Errorf("target %+v", got)
	}
	var added []string
	for _, f := range got.Add {
		added = append(added, f.Name+"="+f.Value)
	}
	want := "X-Forwarded-For=192.0.2.1 X-Forwarded-Proto=http X-Forwarded-Host=shop.example X-Record=" + id.String()
	if strings.Join(added, " ") != want {
		t.Errorf("added %v, want %s", added, want)
	}
}

func TestDeliveriesAreChosenRetriedAndDropped(t *testing.T) {
	agent := newFakeAgent()
	d := newDeck(t, agent)
	put := func(state store.State, target string) store.ID {
		return d.put(store.Record{Source: "shop"}, order,
			store.Delivery{Source: "shop", Target: target, State: state, Attempts: 4, Awaited: 3, Error: "500", Due: t0.Add(time.Hour), Created: t0.Add(-time.Hour)})
	}
	pending, failed, delivered := put(store.Pending, "app"), put(store.Failed, "app"), put(store.Delivered, "app")
	put(store.Pending, "other")

	changed, err := collect(d.RetryDeliveries(t.Context(), DeliveryQuery{Target: "app"}))
	if err != nil {
		t.Fatal(err)
	}
	if len(changed) != 2 || changed[0].Record != pending || changed[1].Record != failed {
		t.Errorf("retried %+v", changed)
	}
	for _, r := range changed {
		if r.State != store.Pending || !r.Next.Equal(t0) {
			t.Errorf("not due now: %+v", r)
		}
	}
	if !changed[0].Created.Equal(t0.Add(-time.Hour)) || !changed[1].Created.Equal(t0) || changed[1].Attempts != 0 {
		t.Errorf("a pending one goes on, a failed one begins anew: %+v", changed)
	}
	if len(agent.woken) != 1 || agent.woken[0] != "shop/app" {
		t.Errorf("woken %v", agent.woken)
	}

	changed, err = collect(d.DropDeliveries(t.Context(), DeliveryQuery{Records: []string{failed.String(), delivered.String()}}))
	if err != nil || len(changed) != 1 || changed[0].Record != failed || changed[0].State != store.Dropped {
		t.Errorf("dropped %+v %v", changed, err)
	}
	for state, want := range map[store.State]int{store.Pending: 2, store.Dropped: 1, store.Delivered: 1, store.Failed: 0, "": 4} {
		listed, err := collect(d.Deliveries(t.Context(), DeliveryQuery{State: state}))
		if err != nil || len(listed) != want {
			t.Errorf("%d %s, want %d (%v)", len(listed), state, want, err)
		}
	}
}

// Deliveries are also chosen by what is known of their records; an expression that can't be understood chooses none.
func TestDeliveriesAreChosenByTheirRecords(t *testing.T) {
	d := newDeck(t, newFakeAgent())
	put := func(amount, finding string) store.ID {
		return d.put(store.Record{Source: "shop"}, strings.Replace(order, "7}", amount+"}", 1),
			store.Delivery{Source: "shop", Target: "app", State: store.Delivered, Finding: finding},
			store.Delivery{Source: "shop", Target: "other", State: store.Failed})
	}
	first, second := put("7", ""), put("8", "length(response.json.data) > 0")
	at := func(id store.ID) time.Time {
		rec, err := d.store.Get(id)
		if err != nil {
			t.Fatal(err)
		}
		return rec.Time
	}
	for name, c := range map[string]struct {
		q    DeliveryQuery
		want []store.ID
	}{
		"an expression":      {DeliveryQuery{Where: "json.amount == 8"}, []store.ID{second, second}},
		"and more":           {DeliveryQuery{Where: "json.amount == 8", Target: "other", State: store.Failed}, []store.ID{second}},
		"before all":         {DeliveryQuery{Until: at(first)}, nil},
		"behind all":         {DeliveryQuery{Since: at(second).Add(1)}, nil},
		"all the time":       {DeliveryQuery{Since: at(first), Until: at(second).Add(1), State: store.Failed}, []store.ID{first, second}},
		"named, and more":    {DeliveryQuery{Records: []string{first.String()}, Where: "json.amount == 8"}, nil},
		"an unexpected one":  {DeliveryQuery{State: Unexpected}, []store.ID{second}},
		"all that were made": {DeliveryQuery{State: store.Delivered}, []store.ID{first, second}},
	} {
		listed, err := collect(d.Deliveries(t.Context(), c.q))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var got []store.ID
		for _, delivery := range listed {
			got = append(got, delivery.Record)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	for name, q := range map[string]DeliveryQuery{"expression": {Where: "json.amount =="}, "session": {Session: "none"}} {
		if changed, err := collect(d.DropDeliveries(t.Context(), q)); err == nil || len(changed) > 0 {
			t.Errorf("a wrong %s changed %v", name, changed)
		}
	}
}

// If an attempt ends between the look at a delivery and its change, the attempt wins: nothing is sent twice.
func TestADeliveryThatIsDeliveredMeanwhileIsNotRetried(t *testing.T) {
	d := newDeck(t, newFakeAgent())
	delivery := store.Delivery{Source: "shop", Target: "app", State: store.Pending, Created: t0}
	id := d.put(store.Record{Source: "shop"}, order, delivery)
	other := d.put(store.Record{Source: "shop"}, order, delivery)
	delivery.State = store.Delivered
	d.server.Now = func() time.Time { // is asked in between
		if err := d.store.Settle(id, store.Outcome{Deliveries: []store.Delivery{delivery}}).Wait(); err != nil {
			t.Error(err)
		}
		return t0
	}
	changed, err := collect(d.RetryDeliveries(t.Context(), DeliveryQuery{}))
	if err != nil || len(changed) != 1 || changed[0].Record != other {
		t.Errorf("told of %+v (%v), want only %s", changed, err, other)
	}
	if all, err := d.store.Deliveries(id); err != nil || all[0].State != store.Delivered {
		t.Errorf("%+v (%v), want it delivered", all, err)
	}
}

// Each choice of deliveries by state and filter. In each state there is one to "app" and one to "other".
func TestWhatIsRetriedAndDroppedOfEachState(t *testing.T) {
	states := []store.State{store.Pending, store.Delivered, store.Failed, store.Expired, store.Dropped, store.Orphaned}
	for _, state := range states {
		for verb, took := range map[string]bool{
			"retry": state != store.Delivered,
			"drop":  state != store.Delivered && state != store.Dropped,
		} {
			for filter, want := range map[string]int{
				"none": 2, "state": 2, "target": 1, "source": 2, "record": 2, "record and target": 1,
				"another state": 0, "another source": 0, "another record": 0,
			} {
				t.Run(fmt.Sprint(verb, " ", state, " by ", filter), func(t *testing.T) {
					d := newDeck(t, newFakeAgent())
					id := d.put(store.Record{Source: "shop"}, order,
						store.Delivery{Source: "shop", Target: "app", State: state, Attempts: 3, Created: t0.Add(-time.Hour)},
						store.Delivery{Source: "shop", Target: "other", State: state, Attempts: 3, Created: t0.Add(-time.Hour)})
					none := d.put(store.Record{Source: "shop"}, order)
					anotherState := states[(slices.Index(states, state)+1)%len(states)]
					q := map[string]DeliveryQuery{
						"state": {State: state}, "target": {Target: "app"}, "source": {Source: "shop"},
						"record": {Records: []string{id.String()}}, "record and target": {Records: []string{id.String()}, Target: "app"},
						"another state": {State: anotherState}, "another source": {Source: "till"}, "another record": {Records: []string{none.String()}},
					}[filter]
					if !took {
						want = 0
					}
					d.wantChanged(verb, q, id, want)
				})
			}
		}
	}
}

// wantChanged checks that so many deliveries of a record are changed and reported, and end in the state that the verb means.
func (d *deck) wantChanged(verb string, q DeliveryQuery, id store.ID, want int) {
	d.t.Helper()
	before, err := d.store.Deliveries(id)
	if err != nil {
		d.t.Fatal(err)
	}
	change, to := d.RetryDeliveries, store.Pending
	if verb == "drop" {
		change, to = d.DropDeliveries, store.Dropped
	}
	told, err := collect(change(d.t.Context(), q))
	if err != nil || len(told) != want {
		d.t.Errorf("told of %+v (%v), want %d", told, err, want)
	}
	after, err := d.store.Deliveries(id)
	if err != nil {
		d.t.Fatal(err)
	}
	for i, was := range before {
		is := after[i]
		changed := slices.ContainsFunc(told, func(r RecordDelivery) bool { return r.Target == is.Target })
		switch {
		case !changed && (is.State != was.State || !is.Due.Equal(was.Due)):
			d.t.Errorf("%+v, was %+v, and nobody was told", is, was)
		case changed && is.State != to:
			d.t.Errorf("%+v, want it %s", is, to)
		case changed && verb == "retry" && (!is.Due.Equal(t0) || (is.Attempts == 0) != (was.State != store.Pending)):
			d.t.Errorf("%+v, want it due now, and anew if it was given up", is)
		}
	}
}

func TestHealthAndReadiness(t *testing.T) {
	ready := errors.New("the tape can't be written")
	handler := Health(func() error { return ready }, http.NotFoundHandler())
	for _, test := range []struct {
		path   string
		ready  error
		status int
		text   string
	}{
		{"/", nil, 200, frontText + "\n"},
		{"/healthz", errors.New("stopping"), 200, "ok\n"},
		{"/readyz", nil, 200, "ready\n"},
		{"/readyz", errors.New("stopping"), 503, "stopping\n"},
		{"/v1/records", nil, 404, ""},
	} {
		ready = test.ready
		client := newClient(inProcess{handler})
		response, err := client.http.Get("http://x" + test.path)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != test.status || test.text != "" && string(text) != test.text {
			t.Errorf("%s with %v: %d %q", test.path, test.ready, response.StatusCode, text)
		}
	}
}

func TestStatusSaysWhoAnswers(t *testing.T) {
	d := newDeck(t, newFakeAgent())
	status, err := d.Status(t.Context())
	if err != nil || !status.Agent || status.PID != os.Getpid() || status.Version != "1.2.3" || !status.Started.Equal(t0) {
		t.Errorf("%+v %v", status, err)
	}
}
