package replay

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/replay/tape"
)

// recordingOf is a recording of a request and the response that an app gave.
func recordingOf(t testing.TB, request, response string) *tape.Recording {
	t.Helper()
	head, err := wire.ParseRequestHead([]byte(request))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := wire.ParseResponseHead([]byte(response), head.Method)
	if err != nil {
		t.Fatal(err)
	}
	return &tape.Recording{
		ID: "01ARZ3NDEKTSV4RRFFQ69G5FAV", Known: true, Time: tape.Time{Time: time.Unix(1e9, 0)}, Method: head.Method, Target: head.Target,
		Host: head.Host(), Verdict: "accepted", HeadSize: len(head.Raw), Request: tape.Bytes([]byte(request)),
		Attempts: []tape.Attempt{{
			Number: 1, Target: "app", Status: answer.Status, FirstByte: int64(time.Second), HeadSize: len(answer.Raw), Response: tape.Bytes([]byte(response)),
		}},
	}
}

// tapeFile is a tape file of some recordings.
func tapeFile(t testing.TB, recordings ...*tape.Recording) []byte {
	t.Helper()
	var file bytes.Buffer
	w := tape.NewWriter(&file, tape.Info{Session: "test"})
	for _, r := range recordings {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func mockOf(t testing.TB, o MockOptions, recordings ...*tape.Recording) *Mock {
	t.Helper()
	read, err := ReadTape(bytes.NewReader(tapeFile(t, recordings...)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := read.Close(); err != nil {
			t.Error(err)
		}
	})
	m, err := NewMock(read, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const (
	getOrder = "GET /orders/7?x=1 HTTP/1.1\r\nHost: api.example\r\n\r\n"
	anOrder  = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nX-Twice: 1\r\nX-Twice: 2\r\nContent-Length: 8\r\n\r\n{\"id\":7}"
	gone     = "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"
)

// served sends bytes to a mock that a wire.Server serves, and returns all that comes back until it closes.
func served(t *testing.T, m *Mock, request string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &wire.Server{Serve: func(x *wire.Exchange) { m.Serve(t.Context(), x) }}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(l) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answers, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, wire.ErrServerClosed) {
		t.Error(err)
	}
	return string(answers)
}

func TestRecordedResponsesKeepTheirBytes(t *testing.T) {
	chunked := "HTTP/1.1 200 Fine By Me\r\nTransfer-Encoding:   chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"
	post := "POST /orders HTTP/1.1\r\nHost: api.example\r\nContent-Length: 3\r\n\r\na\x00b"
	m := mockOf(t, MockOptions{}, recordingOf(t, getOrder, anOrder), recordingOf(t, post, chunked), recordingOf(t, getOrder, gone))
	got := served(t, m, getOrder+post+getOrder+getOrder)
	if want := anOrder + chunked + gone + gone; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestHalfAResponseIsNotTakenForAWholeOne(t *testing.T) {
	cut := "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf"
	m := mockOf(t, MockOptions{}, recordingOf(t, getOrder, cut))
	if got := served(t, m, getOrder+getOrder); got != cut {
		t.Errorf("got %q, want %q and the end", got, cut)
	}
}

func TestAMissNamesTheNearest(t *testing.T) {
	m := mockOf(t, MockOptions{}, recordingOf(t, getOrder, anOrder))
	text := served(t, m, "GET /orders/7?x=2&token=abcdefgh HTTP/1.1\r\nHost: h\r\nX-Other: 1\r\n\r\n")
	for _, want := range []string{
		"HTTP/1.1 404 Not Found\r\n", "no recording answers GET /orders/7?x=2&token=****\n",
		"  01ARZ3NDEKTSV4RRFFQ69G5FAV  GET /orders/7?x=1\n", "    query.x: recorded 1, now 2\n", "    query.token: recorded nothing, now ****\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %q", want, text)
		}
	}
	if strings.Contains(text, "header") {
		t.Errorf("what is not matched is told: %q", text)
	}
}

// What is matched may be in no comparison of the whole requests: a value of a body that is JSON in one of them alone, a field
// of the connection.
func TestAMissSaysOfEachMatchedPartWhatDiffers(t *testing.T) {
	form := "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\na=1"
	json := "Content-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"a\":2}"
	for _, c := range []struct {
		match, recorded, now, want string
	}{
		{"json.a", form, json, "json.a: recorded nothing, now 2"},
		{"json.a", json, form, "json.a: recorded 2, now nothing"},
		{"json", form, json, `json: recorded nothing, now {"a":2}`},
		{"form.a", form, json, "form.a: recorded 1, now nothing"},
		{"body", form, "Content-Length: 3\r\n\r\na=1", "header.content-type: recorded application/x-www-form-urlencoded, now nothing"},
		{"header.connection", "Connection: close\r\n" + form, form, "header.connection: recorded close, now nothing"},
	} {
		m := mockOf(t, MockOptions{Match: []string{c.match}}, recordingOf(t, "POST /x HTTP/1.1\r\nHost: h\r\n"+c.recorded, anOrder))
		if text := served(t, m, "POST /x HTTP/1.1\r\nHost: h\r\n"+c.now); !strings.Contains(text, "    "+c.want+"\n") {
			t.Errorf("%s: no %q in %q", c.match, c.want, text)
		}
	}
}

// Bodies are from strangers: whatever they are and say that they are, there is an answer.
func TestEveryBodyIsAnswered(t *testing.T) {
	recorded := "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n\r\n{\"a\":1}"
	m := mockOf(t, MockOptions{}, recordingOf(t, recorded, anOrder))
	noise := make([]byte, 300<<10)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	for _, kind := range []string{"", "application/json", "application/x-www-form-urlencoded", "text/plain; charset=utf-16"} {
		for _, coding := range []string{"", "Content-Encoding: gzip\r\n"} {
			head := fmt.Sprintf("POST /x HTTP/1.1\r\nHost: h\r\nContent-Type: %s\r\n%sContent-Length: %d\r\n\r\n", kind, coding, len(noise))
			if got := served(t, m, head+string(noise)); !strings.HasPrefix(got, "HTTP/1.1 404 ") {
				t.Errorf("%q %q: %.100q", kind, coding, got)
			}
		}
	}
}

func TestNothingAnswersForWhatWasRefusedOrNeverAnswered(t *testing.T) {
	refused, cut, unanswered := recordingOf(t, getOrder, anOrder), recordingOf(t, getOrder, anOrder), recordingOf(t, getOrder, anOrder)
	refused.Verdict, cut.Truncated, unanswered.Attempts = "invalid_signature", true, nil
	m := mockOf(t, MockOptions{}, refused, cut, unanswered)
	if answering, left := m.Recordings(); answering != 0 || left != 3 {
		t.Errorf("%d answer, %d don't", answering, left)
	}
	if got := served(t, m, getOrder); !strings.Contains(got, "the tape has no recording that answers\n") {
		t.Errorf("%q", got)
	}
}

func TestWhichResponseIsGiven(t *testing.T) {
	attempt := func(number, status int, replay, accepted bool) tape.Attempt {
		return tape.Attempt{Number: number, Status: status, Replay: replay, Accepted: accepted, Response: tape.Bytes([]byte{byte(status)})}
	}
	answer := &tape.Answer{Status: 9, Response: tape.Bytes([]byte{9})}
	from2 := &tape.Answer{Status: 9, FromAttempt: 2, Response: tape.Bytes([]byte{9})}
	for name, c := range map[string]struct {
		answer   *tape.Answer
		attempts []tape.Attempt
		want     byte
	}{
		"the answer where no target was asked": {answer, nil, 9},
		"the last in earnest":                  {answer, []tape.Attempt{attempt(1, 1, false, false), attempt(2, 2, false, false), attempt(3, 3, true, false)}, 2},
		"what the sender got":                  {from2, []tape.Attempt{attempt(1, 1, false, false), attempt(2, 2, false, false), attempt(3, 3, false, false)}, 2},
		"what was accepted":                    {from2, []tape.Attempt{attempt(2, 2, false, false), attempt(3, 3, true, true), attempt(4, 4, true, true), attempt(5, 5, true, false)}, 4},
		"none that did not come":               {answer, []tape.Attempt{attempt(1, 1, false, false), attempt(2, 0, false, false)}, 1},
	} {
		found, ok := responseOf(&tape.Recording{Answer: c.answer, Attempts: c.attempts})
		got, err := found.block.ReadAll()
		if !ok || err != nil || got[0] != c.want {
			t.Errorf("%s: %v %v %v, want %d", name, got, ok, err, c.want)
		}
	}
}

func TestAClientGetsRecordedResponses(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	io.WriteString(z, `{"id":8}`)
	z.Close()
	coded := "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(packed.String())
	post := "POST /orders HTTP/1.1\r\nHost: api.example\r\nContent-Length: 8\r\n\r\n{\"id\":8}"
	m := mockOf(t, MockOptions{}, recordingOf(t, getOrder, anOrder), recordingOf(t, post, coded))
	client := &http.Client{Transport: m}

	response, err := client.Get("https://anywhere.example/orders/7?x=1")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil || string(body) != `{"id":7}` || len(response.Header["X-Twice"]) != 2 {
		t.Errorf("%q %v %v", body, response.Header, err)
	}
	response.Body.Close()

	response, err = client.Post("http://anywhere.example/orders", "application/json", strings.NewReader(`{"id": 8}`))
	if err != nil {
		t.Fatal(err)
	}
	body, err = io.ReadAll(response.Body)
	if err != nil || string(body) != `{"id":8}` || !response.Uncompressed {
		t.Errorf("%q %v %v", body, response.Header, err)
	}
	response.Body.Close()

	_, err = client.Get("http://anywhere.example/orders/8")
	if miss, ok := errors.AsType[*Miss](err); !ok || len(miss.Nearest) != 2 || miss.Nearest[0].Path != "/orders/7?x=1" {
		t.Errorf("%v", err)
	}
}

// chunk is a body of one chunk.
func chunk(text string) string { return fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(text), text) }

func TestAHandlerGivesRecordedResponses(t *testing.T) {
	var mu sync.Mutex
	var told []Told
	m := mockOf(t, MockOptions{Told: func(one Told) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, one)
	}}, recordingOf(t, getOrder, anOrder))
	server := httptest.NewServer(m)
	response, err := server.Client().Get(server.URL + "/orders/7?x=1")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || string(body) != `{"id":7}` || response.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%q %v", body, err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/orders/7?x=2", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "application/json")
	if response, err = server.Client().Do(request); err != nil {
		t.Fatal(err)
	}
	var miss Miss
	err = json.NewDecoder(response.Body).Decode(&miss)
	response.Body.Close()
	if err != nil || response.StatusCode != 404 || len(miss.Nearest) != 1 || miss.Nearest[0].Differs.Changes[0].Where != "query.x" {
		t.Errorf("%d %+v %v", response.StatusCode, miss, err)
	}
	server.Close() // waits for what is told
	if len(told) != 2 || told[0].ID == "" || told[0].Missing || !told[1].Missing || told[1].Status != 404 {
		t.Errorf("%+v", told)
	}
}

func TestWhatIsMissingIsAskedForAndRecorded(t *testing.T) {
	asked := 0
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		io.WriteString(w, r.URL.Path)
	}))
	defer far.Close()
	to, err := url.Parse(far.URL)
	if err != nil {
		t.Fatal(err)
	}
	var kept []*tape.Recording
	rules := new(Rules)
	if err := rules.Ignore("header.x-odd"); err != nil {
		t.Fatal(err)
	}
	o := MockOptions{Rules: rules, Missing: &Aim{Route: wire.Route{URL: to}}, Keep: func(r *tape.Recording) error {
		request, err := r.Request.ReadAll()
		if err == nil {
			r.Request = tape.Bytes(request)
		}
		kept = append(kept, r)
		return err
	}}
	m := mockOf(t, o, recordingOf(t, getOrder, anOrder))
	request := "GET /new HTTP/1.1\r\nHost: api.example\r\nX-Odd:  1 \r\n\r\n"
	for range 2 {
		answer, err := http.ReadResponse(bufio.NewReader(strings.NewReader(served(t, m, request))), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		if err != nil || string(body) != "/new" {
			t.Errorf("%q %v", body, err)
		}
	}
	if asked != 1 || len(kept) != 1 {
		t.Fatalf("asked %d times, kept %d", asked, len(kept))
	}
	if rules.Idle() == nil {
		t.Error("what is passed on was compared with what it is not: of large bodies that takes seconds")
	}
	if got, err := kept[0].Request.ReadAll(); err != nil || string(got) != request {
		t.Errorf("%q %v", got, err)
	}
	if err := m.Close(); err != nil { // what it has asked over is closed, or the far side would wait for it
		t.Error(err)
	}
	far.Close()
	if got := served(t, m, "GET /other HTTP/1.1\r\nHost: h\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 502 ") {
		t.Errorf("%q", got)
	}
}

func TestResponsesTakeTheirTime(t *testing.T) {
	for latency, want := range map[float64]time.Duration{0: 0, 0.5: time.Second / 2, 1: time.Second, 3: 3 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			m := mockOf(t, MockOptions{Latency: latency}, recordingOf(t, getOrder, anOrder))
			began := time.Now()
			r := requestFrom(t, "GET /orders/7?x=1 HTTP/1.1\nHost: h\n\n")
			if _, _, err := m.answer(t.Context(), r, nil, began); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took != want {
				t.Errorf("%v took %v", latency, took)
			}
			stopped, stop := context.WithCancelCause(t.Context())
			stop(errNoAnswer)
			if _, _, err := m.answer(stopped, r, nil, time.Now()); latency > 0 && !errors.Is(err, errNoAnswer) {
				t.Errorf("it waits on: %v", err)
			}
		})
	}
}

func TestManyAskAtOnceAndEachRecordingIsGivenOnce(t *testing.T) {
	const n = 50
	var recordings []*tape.Recording
	for i := range n {
		recordings = append(recordings, recordingOf(t, getOrder, "HTTP/1.1 200 OK\r\nX-N: "+fmt.Sprint(i)+"\r\nContent-Length: 0\r\n\r\n"))
	}
	client := &http.Client{Transport: mockOf(t, MockOptions{}, recordings...)}
	var mu sync.Mutex
	seen := map[string]int{}
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			response, err := client.Get("http://x/orders/7?x=1")
			if err != nil {
				t.Error(err)
				return
			}
			response.Body.Close()
			mu.Lock()
			defer mu.Unlock()
			seen[response.Header.Get("X-N")]++
		})
	}
	all.Wait()
	if len(seen) != n {
		t.Errorf("%d of %d were given", len(seen), n)
	}
}

func TestAMockGivesNoResponseToSomethingElse(t *testing.T) {
	r := recordingOf(t, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	rewritten := r.Attempts[0]
	rewritten.Number, rewritten.Edited, rewritten.Response = 2, true, tape.Bytes([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"))
	r.Attempts = append(r.Attempts, rewritten)
	m := mockOf(t, MockOptions{}, r)
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest("GET", "/a", nil))
	if w.Body.String() != "ok" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestTheFinalResponseIsTheRecordedOne, and not an interim one in front of it, as other tools record them.
func TestTheFinalResponseIsTheRecordedOne(t *testing.T) {
	const hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
	r := recordingOf(t, getOrder, hints+anOrder)
	if got := served(t, mockOf(t, MockOptions{}, r), getOrder); !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") || !strings.HasSuffix(got, `{"id":7}`) {
		t.Errorf("the mock answers %q", got)
	}
	w := httptest.NewRecorder()
	mockOf(t, MockOptions{}, r).ServeHTTP(w, httptest.NewRequest("GET", "/orders/7?x=1", nil))
	if w.Code != 200 || w.Body.String() != `{"id":7}` {
		t.Errorf("the handler answers %d %q", w.Code, w.Body)
	}
	then, err := ReadThen(opener(hints+anOrder), "GET")
	if err != nil {
		t.Fatal(err)
	}
	body, err := then.Body()
	if then.Status != 200 || string(body) != `{"id":7}` || err != nil {
		t.Errorf("%d %q, %v", then.Status, body, err)
	}
}

// TestWhatIsMaskedNeedNotBeAsked: the app under test has its own secrets, and the file has fakes of others.
func TestWhatIsMaskedNeedNotBeAsked(t *testing.T) {
	const asked = "POST /orders?token=%s&phone=%s&n=%s HTTP/1.1\r\nHost: x\r\nX-Tenant: a\r\nAuthorization: Bearer %s\r\n" +
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
	request := func(secret, n, item string) string {
		body := fmt.Sprintf(`{"password":%q,"item":%q}`, secret, item)
		return fmt.Sprintf(asked, secret, secret, n, secret, len(body), body)
	}
	var file bytes.Buffer
	w := tape.NewWriter(&file, tape.Info{Masked: true, Hidden: &tape.Hidden{Paths: []string{"query.phone"}}})
	if err := errors.Join(w.Write(recordingOf(t, request("fakefakefake", "1", "tea"), anOrder)), w.Close()); err != nil {
		t.Fatal(err)
	}
	read, err := ReadTape(&file)
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	m, err := NewMock(read, MockOptions{Match: []string{"method", "path", "query", "body", "header.authorization"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ request, want string }{
		{request("secret", "1", "tea"), `{"id":7}`},
		{request("secret", "2", "tea"), "POST /orders?token=****&phone=fakefakefake&n=1\n    query.n: recorded 1, now 2\n"},
		{request("secret", "1", "milk"), "\n    json.item: recorded \"tea\", now \"milk\"\n"},
	} {
		if got := served(t, m, c.request); !strings.HasSuffix(got, c.want) {
			t.Errorf("%q does not end with %q", got, c.want)
		}
	}
}
