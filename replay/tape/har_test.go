package tape

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	stdjson "encoding/json"
)

func readHARFile(t testing.TB, name string) (Info, []*Recording) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, all, damage, _ := read(t, f)
	if len(damage) > 0 {
		t.Fatal(damage)
	}
	return info, all
}

// TestHARFilesOfOtherToolsAreRead: the requests are those that the tools saw, as far as they tell.
func TestHARFilesOfOtherToolsAreRead(t *testing.T) {
	type want struct{ request, answer string }
	for name, wants := range map[string][]want{
		"chrome.har": {
			{
				"POST /api/orders?q=a%20b HTTP/1.1\r\naccept: */*\r\ncontent-length: 16\r\ncontent-type: application/json\r\nHost: shop.test\r\n\r\n{\"name\": \"Zoë\"}",
				"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\nContent-Length: 11\r\n\r\n{\"ok\":true}",
			},
			{"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n", ""},
		},
		"firefox.har": {
			{
				"POST /form HTTP/1.1\r\nHost: shop.test:8080\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 11\r\n\r\na=1&b=x%20y",
				"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 4\r\n\r\n\x89PNG",
			},
		},
	} {
		_, got := readHARFile(t, name)
		if len(got) != len(wants) {
			t.Fatalf("%s: %d recordings", name, len(got))
		}
		for i, w := range wants {
			answer := ""
			if got[i].Answer != nil {
				answer = string(got[i].Answer.Response.inline)
			}
			if request := string(got[i].Request.inline); request != w.request || answer != w.answer || got[i].Verdict != "accepted" {
				t.Errorf("%s: %+v\n%q\n%q", name, got[i], request, answer)
			}
		}
		if first := got[0]; !first.Time.Equal(time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)) || first.Answer.Duration == 0 || len(first.Attempts) != 1 {
			t.Errorf("%s: %v, %+v", name, first.Time, first.Answer)
		}
	}
	if _, got := readHARFile(t, "chrome.har"); !got[0].TLS || got[1].TLS {
		t.Error("https is not told from http")
	}
}

// TestTheHARFileOfMitmproxyIsRead: version 8.1.1 of Debian wrote it.
func TestTheHARFileOfMitmproxyIsRead(t *testing.T) {
	info, got := readHARFile(t, "mitmproxy.har")
	if len(got) != 3 || !strings.HasPrefix(info.Software, "mitmproxy") {
		t.Fatal(info, len(got))
	}
	if request := string(got[0].Request.inline); !strings.HasPrefix(request, "POST /orders?x=1 HTTP/1.1\r\nHost: 127.0.0.1:18901\r\n") || !strings.HasSuffix(request, "\r\n\r\n{\"a\": 1}") {
		t.Errorf("%q", request)
	}
	binary := got[1].Answer.Response.inline[got[1].Answer.HeadSize:]
	if len(binary) != 256 || binary[255] != 255 {
		t.Errorf("%q", binary)
	}
	if answer := string(got[2].Answer.Response.inline); strings.Contains(answer, "Content-Encoding") || !strings.HasSuffix(answer, `{"ok":true}`) {
		t.Errorf("%q", answer)
	}
}

func writtenHAR(t testing.TB, recordings []*Recording) (file []byte, left int) {
	t.Helper()
	var b bytes.Buffer
	w := NewHARWriter(&b, testInfo)
	for _, r := range recordings {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), w.Left
}

// TestHARIsReadBack with the exact bytes of all requests, and the parts that the specification asks for.
func TestHARIsReadBack(t *testing.T) {
	file, left := writtenHAR(t, samples(t))
	if left != 2 {
		t.Errorf("%d records were left out, want the bytes that are none and the roll-up", left)
	}
	info, got, damage, _ := read(t, bytes.NewReader(file))
	if len(got) != 4 || len(damage) > 0 || info.Session != testInfo.Session || len(info.Signing) != 1 {
		t.Fatal(len(got), damage, info)
	}
	i := 0
	for _, r := range samples(t) {
		if !r.IsRequest() {
			continue
		}
		inMemory(t, r)
		if g := got[i]; !bytes.Equal(g.Request.inline, r.Request.inline) || g.ID != r.ID || !g.Time.Equal(r.Time.Time) || g.Verdict != r.Verdict {
			t.Errorf("%q\nwas %q", g.Request.inline, r.Request.inline)
		}
		i++
	}
	var har struct {
		Log struct {
			Version string
			Creator struct{ Name, Version string }
			Entries []map[string]stdjson.RawMessage
		}
	}
	if err := stdjson.Unmarshal(file, &har); err != nil || har.Log.Version != "1.2" || har.Log.Creator.Name+"/"+har.Log.Creator.Version != "hooktape/test" {
		t.Fatal(err, har.Log.Version, har.Log.Creator)
	}
	for _, entry := range har.Log.Entries {
		for _, name := range []string{"startedDateTime", "time", "request", "response", "cache", "timings"} {
			if entry[name] == nil {
				t.Errorf("%s is missing", name)
			}
		}
	}
}

func TestEveryRequestSurvivesHAR(t *testing.T) {
	names, requests := everyRequest(t)
	var all []*Recording
	for _, raw := range requests[:len(requests)-1] { // without the large one
		r := &Recording{Request: Bytes(raw)}
		if err := r.examine(); err != nil {
			t.Fatal(err)
		}
		r.Known = true
		all = append(all, r)
	}
	file, _ := writtenHAR(t, all)
	_, got, damage, _ := read(t, bytes.NewReader(file))
	if len(damage) > 0 {
		t.Fatal(damage)
	}
	i := 0
	for j, r := range all {
		if r.HeadSize == 0 {
			continue
		}
		if !bytes.Equal(got[i].Request.inline, requests[j]) {
			t.Errorf("%s: %.300q\nwas %.300q", names[j], got[i].Request.inline, requests[j])
		}
		i++
	}
}

func TestADamagedHARGivesWhatIsReadable(t *testing.T) {
	file, _ := writtenHAR(t, samples(t))
	cut := bytes.Index(file, []byte("/chunked"))
	_, got, damage, _ := read(t, bytes.NewReader(file[:cut]))
	if len(got) != 1 || len(damage) != 1 || !errors.Is(damage[0], errCut) || damage[0].Record != 2 || damage[0].Offset == 0 {
		t.Errorf("%d recordings, %v", len(got), damage)
	}
	_, got, damage, _ = read(t, strings.NewReader(`{"log":{"entries":[{"request":{"method":"GET","url":"http://a/"}},{"request":7},{},{"request":{"method":"GET","url":"http://b/"}}]}}`))
	if len(got) != 2 || len(damage) != 2 || damage[0].Record != 2 {
		t.Errorf("%d recordings, %v", len(got), damage)
	}
	r, err := NewReader(strings.NewReader(`{"a":1}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, err = range r.Recordings() {
	}
	if !errors.Is(err, errNoHAR) {
		t.Error(err)
	}
}

// TestWhatAToolLeavesOutIsNoBaseline: of responses that are not whole, a replay can say nothing.
func TestWhatAToolLeavesOutIsNoBaseline(t *testing.T) {
	const request = `"request":{"method":"GET","url":"http://a/"}`
	for response, want := range map[string]int{
		`{"status":200,"content":{"size":0}}`:            1,
		`{"status":200,"content":{"size":4,"text":"a"}}`: 1,
		`{"status":200,"content":{"size":4}}`:            0,
		`{"status":200}`:                                 1,
		`{"status":0}`:                                   0,
		`null`:                                           0,
	} {
		_, got, damage, _ := read(t, strings.NewReader(`{"log":{"entries":[{`+request+`,"time":null,"response":`+response+`}]}}`))
		if len(damage) > 0 || len(got) != 1 || len(got[0].Attempts) != want {
			t.Errorf("%s: %+v, %v", response, got, damage)
		}
	}
	cut := warcText("request", "1", "", "GET / HTTP/1.1\r\nHost: a\r\n\r\n") + warcText("response", "2", "WARC-Concurrent-To: <1>\r\nWARC-Truncated: time\r\n", "HTTP/1.1 200 OK\r\n\r\nhi")
	_, got, damage, _ := read(t, strings.NewReader(cut))
	if len(damage) > 0 || len(got) != 1 || len(got[0].Attempts) > 0 || got[0].Answer.Error != "the file does not have all of it: time" {
		t.Errorf("%+v, %v", got, damage)
	}
}

// TestAnInterimResponseIsNoBaseline: who records nothing but "103 Early Hints" has not what the app answered.
func TestAnInterimResponseIsNoBaseline(t *testing.T) {
	const har = `{"log":{"entries":[{"request":{"method":"GET","url":"http://a.test/"},"response":{"status":%d}}]}}`
	for status, baselines := range map[int]int{103: 0, 100: 0, 101: 1, 200: 1} {
		_, all, damage, _ := read(t, strings.NewReader(fmt.Sprintf(har, status)))
		if len(all) != 1 || len(damage) > 0 {
			t.Fatalf("%d: %v, %v", status, all, damage)
		}
		r := all[0]
		if len(r.Attempts) != baselines || (r.Answer.Status == status) != (baselines > 0) || (r.Answer.Error == "") != (baselines > 0) {
			t.Errorf("%d: %+v, %+v", status, r.Answer, r.Attempts)
		}
	}
}

// TestHARTellsWhatAReplayGoesBy: which requests were for the app at which path, and which responses were the app's.
func TestHARTellsWhatAReplayGoesBy(t *testing.T) {
	request, response := []byte("POST /in/a HTTP/1.1\r\nHost: x\r\n\r\n"), Bytes([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
	for name, change := range map[string]func(*Recording){
		"answered by the app": func(r *Recording) { r.Answer.FromAttempt = 1 },
		"acknowledged":        func(*Recording) {},
		"outbound":            func(r *Recording) { r.Outbound = true },
		"undelivered":         func(r *Recording) { r.Undelivered = true },
		"of the agent":        func(r *Recording) { r.Via = "agent" },
	} {
		r := &Recording{
			ID: "A", Known: true, Source: "shop", Path: "/in", Base: "/b", Via: "direct", Proto: "HTTP/1.1", Method: "POST", Target: "/in/a", Host: "x",
			Verdict: "accepted", HeadSize: len(request), Request: Bytes(request), Answer: &Answer{Status: 200, HeadSize: int(response.Size) - 2, Response: response},
		}
		change(r)
		file, _ := writtenHAR(t, []*Recording{r})
		_, all, damage, _ := read(t, bytes.NewReader(file))
		if len(all) != 1 || len(damage) > 0 {
			t.Fatal(name, all, damage)
		}
		got := all[0]
		if got.Path != r.Path || got.Base != r.Base || got.Via != r.Via || got.Outbound != r.Outbound || got.Undelivered != r.Undelivered || got.Answer.Response.Size != response.Size {
			t.Errorf("%s: %+v", name, got)
		}
		if fromApp := r.Answer.FromAttempt > 0; (len(got.Attempts) == 1) != fromApp || (got.Answer.FromAttempt > 0) != fromApp {
			t.Errorf("%s: attempts %+v", name, got.Attempts)
		}
	}
}

func TestHosts(t *testing.T) {
	for text, want := range map[string]bool{
		"a": true, "shop.test.": true, "shop_1.test:8080": true, "127.0.0.1": true, "[::1]:80": true, "xn--e1afmkfd.test": true, "XN--E1AFMKFD.test": true, "a--b.test": true,
		"": false, "a b": false, "a..b": false, "a:99999": false, "[127.0.0.1]": false, "xn--a.test": false, "shop.XN--": false, "xn--zzzzz-.test": false,
	} {
		if mayBeHost(text) != want {
			t.Errorf("%q: want %t", text, want)
		}
	}
}

func TestDamageOfHARIsToldInWordsOfHAR(t *testing.T) {
	for entry, want := range map[string]string{
		`5`:                        "it is of kind number, which is not HAR",
		`{"request":{"url":true}}`: "request.url is of kind bool, which is not HAR",
	} {
		_, damage := readMost(t, strings.NewReader(`{"log":{"entries":[`+entry+`]}}`), 1<<20)
		if len(damage) != 1 || damage[0].Err.Error() != want {
			t.Errorf("%s: %v", entry, damage)
		}
	}
}
