package relay

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/provider"
	"github.com/hooktape/hooktape/store"
)

// far is the far side of fetches: it answers with what answer says, and notes what it was asked.
type far struct {
	mu     sync.Mutex
	asked  []string
	answer func(n int) (status int, body string)
}

func (f *far) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	f.asked = append(f.asked, r.Method+" "+r.URL.String()+" "+string(body))
	status, text := f.answer(len(f.asked))
	if status == 0 {
		return nil, errors.New("no route")
	}
	return &http.Response{StatusCode: status, Status: fmt.Sprint(status), Body: io.NopCloser(strings.NewReader(text)), Header: http.Header{}, Request: r}, nil
}

func TestKeysAreFetchedOnceAndKept(t *testing.T) {
	now := time.Unix(1e9, 0)
	side := &far{answer: func(n int) (int, string) { return 200, fmt.Sprint("key ", n) }}
	f := newFetcher(side, func() time.Time { return now })
	get := func(want string, post []byte) {
		t.Helper()
		if got, err := f.get("https://keys.example.com/a", post); err != nil || string(got) != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	get("key 1", nil)
	get("key 1", nil)
	get("key 2", []byte("{}"))
	if want := []string{"GET https://keys.example.com/a ", "POST https://keys.example.com/a {}"}; !slices.Equal(side.asked, want) {
		t.Errorf("asked %q", side.asked)
	}
	now = now.Add(keepFetched)
	get("key 3", nil)

	side.answer = func(int) (int, string) { return 500, "" }
	now = now.Add(keepFetched)
	get("key 3", nil) // it is old, and better than none
	now = now.Add(keepStale)
	if _, err := f.get("https://keys.example.com/a", nil); err == nil {
		t.Error("a key of yesterday was taken")
	}
	asked := len(side.asked)
	if _, err := f.get("https://keys.example.com/a", nil); err == nil || len(side.asked) != asked {
		t.Error("asked again at once after a failure")
	}
}

func TestStrangersCannotMakeUsAskWithoutEnd(t *testing.T) {
	now := time.Unix(1e9, 0)
	side := &far{answer: func(int) (int, string) { return 404, "" }}
	f := newFetcher(side, func() time.Time { return now })
	var err error
	for n := range 1000 {
		_, err = f.get(fmt.Sprint("https://keys.example.com/", n), nil)
	}
	if !errors.Is(err, errFetchedTooOften) || len(side.asked) != fetchBurst || len(f.kept) > fetchedMax {
		t.Errorf("asked %d times, %v", len(side.asked), err)
	}
}

func TestStrangersCannotKeepUsFromAskingForWhatWeHad(t *testing.T) {
	now := time.Unix(1e9, 0)
	f := newFetcher(&far{answer: func(n int) (int, string) { return 200, fmt.Sprint("key ", n) }}, func() time.Time { return now })
	if _, err := f.get("https://keys.example.com/ours", nil); err != nil {
		t.Fatal(err)
	}
	f.client.Transport = &far{answer: func(int) (int, string) { return 404, "" }}
	for n := range 2 * fetchedMax {
		now = now.Add(time.Second)
		f.get(fmt.Sprint("https://keys.example.com/", n), nil)
	}
	if got, err := f.get("https://keys.example.com/ours", nil); err != nil || string(got) != "key 1" {
		t.Errorf("forgotten: %q, %v", got, err)
	}
	now = now.Add(keepFetched)
	for n := range 2 * fetchBurst {
		f.get(fmt.Sprint("https://keys.example.com/more/", n), nil)
	}
	f.client.Transport = &far{answer: func(int) (int, string) { return 200, "new" }}
	if got, err := f.get("https://keys.example.com/ours", nil); err != nil || string(got) != "new" {
		t.Errorf("not asked for again: %q, %v", got, err)
	}
}

func TestAKeyThatCannotBeHadAgainIsNotAskedForEachTime(t *testing.T) {
	now := time.Unix(1e9, 0)
	side := &far{answer: func(n int) (int, string) { return map[bool]int{true: 200, false: 500}[n == 1], "key" }}
	f := newFetcher(side, func() time.Time { return now })
	for range 3 {
		if got, err := f.get("https://keys.example.com/a", nil); err != nil || string(got) != "key" {
			t.Errorf("%q, %v", got, err)
		}
		now = now.Add(keepFetched / 2)
	}
	now = now.Add(keepFailure / 2)
	for range 3 {
		f.get("https://keys.example.com/a", nil)
	}
	if len(side.asked) != 3 { // at first, when it was old, and when that failure was
		t.Errorf("asked %d times", len(side.asked))
	}
}

func TestFetchesReachPublicAddressesOnly(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	_, err := newFetcher(nil, time.Now).get(server.URL+"/?token=secret", nil)
	if !errors.Is(err, errNotPublic) || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
}

func TestAHandshakeThatAsksForAVisitIsAnsweredAfterIt(t *testing.T) {
	for status, want := range map[int]string{200: "HTTP/1.1 200 OK", 403: "HTTP/1.1 502 "} {
		side := &far{answer: func(int) (int, string) { return status, "" }}
		src := acking(startApp(t, always(ok)))
		src.Provider = &provider.Provider{Name: "p", Handshake: func(*provider.Request, *provider.Setting) *provider.Reply {
			return &provider.Reply{Status: 200, Open: true, Fetch: "https://sns.example.com/confirm?token=t"}
		}}
		r := startWith(t, t.TempDir()+"/tape.db", Options{Keys: side}, src)
		answer := r.send(post)
		rec := r.wait(Answered).Record
		if !strings.HasPrefix(answer, want) || rec.Verdict != store.Handshake || len(side.asked) != 1 {
			t.Errorf("%d: %q, %s, asked %q", status, answer, rec.Verdict, side.asked)
		}
	}
}

func TestKeysAreFetchedFromPublicAddressesOnly(t *testing.T) {
	for address, want := range map[string]bool{
		"93.184.216.34": true, "2606:2800:220:1::1": true, "::ffff:93.184.216.34": true, "100.128.0.1": true, "198.20.0.1": true,
		"127.0.0.1": false, "10.0.0.1": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false, "0.1.2.3": false,
		"100.64.0.1": false, "100.100.100.200": false, "192.0.0.192": false, "198.19.255.255": false, "255.255.255.255": false,
		"240.0.0.1": false, "224.0.0.1": false, "::1": false, "fe80::1": false, "fd00:ec2::254": false, "::ffff:100.64.0.1": false,
		"64:ff9b::a00:1": false, "64:ff9b:1::1": false, "2002:a00:1::": false,
	} {
		if got := isPublic(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s is public: %t", address, got)
		}
	}
}
