package replay_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hooktape/hooktape/replay"
	"github.com/hooktape/hooktape/replay/tape"
)

// played plays a tape at an app, and says what a test would print.
func played(t *testing.T, path string, o replay.PlayOptions) (text string, failed bool) {
	t.Helper()
	var b bytes.Buffer
	top := &printed{to: &b}
	top.Run("", func(sub *printed) { replay.Play(sub, path, o) })
	return b.String(), top.failed
}

// orders is a copy of the tape of the examples.
func orders(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("testdata/orders.warc")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "orders.warc")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// answersWith is an app that always says the same.
func answersWith(body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Agent", r.UserAgent())
		io.WriteString(w, body)
	})
}

func TestAnAppThatAnswersOtherwiseFailsUntilThatIsRight(t *testing.T) {
	path := orders(t)
	app := answersWith(`{"id":1}`)
	text, failed := played(t, path, replay.PlayOptions{Handler: app})
	for _, want := range []string{
		"GET /orders/7: GET /orders/7, recorded as 01KJV8D9KR0000000000000ABC, got another response:\n",
		"  json.id: recorded 7, now 1\n", "  header.x-agent: recorded nothing, now shop/1.0\n", "  status: recorded 201, now 200\n",
	} {
		if !failed || !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if text, failed := played(t, path, replay.PlayOptions{Handler: app, Update: true}); failed || !strings.Contains(text, "3 responses are new, 0 of them masked") {
		t.Errorf("update: %s", text)
	}
	if text, failed := played(t, path, replay.PlayOptions{Handler: app}); failed {
		t.Errorf("updated: %s", text)
	}
	if text, failed := played(t, path, replay.PlayOptions{Handler: app, Update: true}); failed || strings.Contains(text, "new") {
		t.Errorf("nothing to update: %s", text)
	}
	after, err := os.Stat(path)
	if err != nil || after.Mode() != before.Mode() {
		t.Errorf("%v, before %v, %v", after.Mode(), before.Mode(), err)
	}
	if left, err := filepath.Glob(path + ".*"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestRequestsCanBeChosenAndChangedBeforeTheyAreSent(t *testing.T) {
	var got []string
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, r.URL.Path+" "+string(body))
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, `{"id":8}`)
	}))
	defer app.Close()
	edit, err := replay.ParseSet("json.n=3")
	if err != nil {
		t.Fatal(err)
	}
	replay.Play(t, "testdata/orders.warc", replay.PlayOptions{
		URL:     app.URL + "/v2",
		Wants:   func(r *tape.Recording) bool { return r.Method == "POST" },
		Prepare: func(r *replay.Request) (*replay.Request, error) { return r.With(edit) },
	})
	if len(got) != 1 || got[0] != `/v2/orders {"tea":"green","n":3 }` {
		t.Errorf("%q", got)
	}
}

// TestTheAppGetsRequestsWhereItGotThemThen: the source of a tape may have another path than the app behind it.
func TestTheAppGetsRequestsWhereItGotThemThen(t *testing.T) {
	path := orders(t)
	if err := tape.Rewrite(path, func(_ int, r *tape.Recording) error { r.Path = "/orders"; return nil }); err != nil {
		t.Fatal(err)
	}
	var got []string
	app := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = append(got, r.Method+" "+r.URL.Path) })
	server := httptest.NewServer(app)
	defer server.Close()
	for _, c := range []struct {
		o    replay.PlayOptions
		want string
	}{
		{replay.PlayOptions{Handler: app}, "GET /orders/7, GET /orders/7, POST /orders"},
		{replay.PlayOptions{Handler: app, Path: "/in"}, "GET /in/7, GET /in/7, POST /in"},
		{replay.PlayOptions{URL: server.URL + "/in"}, "GET /in/7, GET /in/7, POST /in"},
	} {
		got = nil
		played(t, path, c.o)
		if text := strings.Join(got, ", "); text != c.want {
			t.Errorf("%+v: %s, want %s", c.o, text, c.want)
		}
	}
}

func TestWhatCanNotBePlayedFails(t *testing.T) {
	path := orders(t)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut.warc")
	if err := os.WriteFile(cut, text[:len(text)-100], 0o600); err != nil {
		t.Fatal(err)
	}
	unanswered := orders(t)
	if err := tape.Rewrite(unanswered, func(_ int, r *tape.Recording) error { r.Attempts = nil; return nil }); err != nil {
		t.Fatal(err)
	}
	har := filepath.Join(t.TempDir(), "orders.har")
	if err := os.WriteFile(har, []byte(`{"log":{"entries":[]}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	app := answersWith(`{"id":1}`)
	for name, c := range map[string]struct {
		path string
		o    replay.PlayOptions
		want string
	}{
		"no file":     {path + "x", replay.PlayOptions{Handler: app}, "no such file"},
		"damaged":     {cut, replay.PlayOptions{Handler: app}, "is damaged in 1 places"},
		"nothing":     {path, replay.PlayOptions{Handler: app, Wants: func(*tape.Recording) bool { return false }}, "has nothing to play"},
		"update HAR":  {har, replay.PlayOptions{Handler: app, Update: true}, "can't be updated: only WARC files"},
		"nowhere":     {path, replay.PlayOptions{}, "neither a handler nor a URL"},
		"no baseline": {unanswered, replay.PlayOptions{Handler: app}, "no response of the app was recorded"},
		"no app":      {path, replay.PlayOptions{URL: "http://127.0.0.1:1"}, "connect"},
	} {
		if text, failed := played(t, c.path, c.o); !failed || !strings.Contains(text, c.want) {
			t.Errorf("%s: no %q in %s", name, c.want, text)
		}
	}
	if text, failed := played(t, unanswered, replay.PlayOptions{Handler: app, Update: true}); failed {
		t.Errorf("%s", text)
	}
	if text, failed := played(t, unanswered, replay.PlayOptions{Handler: app}); failed {
		t.Errorf("what came is no baseline: %s", text)
	}
}

func TestTheIgnoreFileCountsUnlessThereAreRules(t *testing.T) {
	path := orders(t)
	t.Chdir(t.TempDir())
	o := replay.PlayOptions{Handler: answersWith(`{"id":1}`)}
	if text, failed := played(t, path, o); !failed {
		t.Errorf("without the file: %s", text)
	}
	if err := os.WriteFile(replay.IgnoreFile, []byte("json\nheader\nstatus # whatever it is\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, failed := played(t, path, o); failed {
		t.Errorf("with it: %s", text)
	}
	o.Rules = new(replay.Rules)
	if text, failed := played(t, path, o); !failed {
		t.Errorf("with rules: %s", text)
	}
	if err := os.WriteFile(replay.IgnoreFile, []byte("jsno\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o.Rules = nil
	if text, failed := played(t, path, o); !failed || !strings.Contains(text, replay.IgnoreFile+":1: ") {
		t.Errorf("with a wrong one: %s", text)
	}
}

func TestAnAppThatHangsFails(t *testing.T) {
	over := make(chan struct{})
	defer close(over)
	text, failed := played(t, orders(t), replay.PlayOptions{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).Flush() // the head comes, and nothing behind it
			<-over
		}),
		Timeout: 50 * time.Millisecond,
	})
	if !failed || strings.Count(text, " in time\n") != 3 { // a slow machine may not come as far as the head
		t.Errorf("%s", text)
	}
}
