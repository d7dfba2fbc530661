package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// passingOn is a configuration that passes everything to one app: source path
// and target path are the same, Host stays, so that the app must receive what
// was sent but for hop-by-hop fields and absolute-form.
func passingOn(app string) string {
	return fmt.Sprintf(`
source "all" {
  path    = "/"
  respond = "target"

  target "app" {
    url  = "http://%s"
    host = "original"
  }
}
`, app)
}

func (u *user) writes(name, text string) string {
	u.t.Helper()
	path := filepath.Join(u.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		u.t.Fatal(err)
	}
	return path
}

// requestFiles are all requests of testdata that must be accepted.
func requestFiles(t testing.TB) []string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"../../testdata/http/*.http", "../../testdata/systems/*/*.http"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("no files %s: %v", pattern, err)
		}
		files = append(files, found...)
	}
	return files
}

// sent is one request on its way through a test.
type sent struct {
	name    string // file, and which request of it
	request []byte
	answer  []byte
}

// sendFiles sends every file over a connection of its own and checks that each
// of its requests got the app's answer.
func sendFiles(t *testing.T, addr string, files []string, write func(net.Conn, []byte) error) []sent {
	t.Helper()
	var all []sent
	for _, file := range files {
		content := mustRead(t, file)
		requests, rest := requestsIn(content)
		if len(rest) > 0 || len(requests) == 0 {
			t.Fatalf("%s holds %d requests and %q", file, len(requests), clip(rest))
		}
		answers, err := exchange(addr, content, write)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for i, request := range requests {
			name := strings.TrimPrefix(file, "../../testdata/")
			if len(requests) > 1 {
				name = fmt.Sprintf("%s, request %d", name, i+1)
			}
			if i >= len(answers) || statusOf(answers[i]) != http.StatusOK {
				t.Fatalf("%s was not answered 200: %q", name, answers)
			}
			all = append(all, sent{name, request, answers[i]})
		}
	}
	return all
}

// listed is the part of a record's JSON that these tests read.
type listed struct {
	ID        string `json:"id"`
	Source    string `json:"source"`
	Path      string `json:"path"`
	Verdict   string `json:"verdict"`
	Reason    string `json:"reason"`
	Size      int64  `json:"size"`
	BodySize  int64  `json:"body_size"`
	Truncated bool   `json:"truncated"`
	Answer    *struct {
		Status int `json:"status"`
	} `json:"answer"`
	Deliveries []struct {
		Target   string `json:"target"`
		State    string `json:"state"`
		Attempts int    `json:"attempts"`
	} `json:"deliveries"`
}

// list gives all records, the oldest first.
func (u *user) list(args ...string) []listed {
	u.t.Helper()
	var records []listed
	for line := range bytes.Lines(u.run(append([]string{"list", "--json", "--limit", "0"}, args...)...)) {
		var r listed
		if err := json.Unmarshal(line, &r); err != nil {
			u.t.Fatalf("%q: %v", line, err)
		}
		records = append(records, r)
	}
	if n := len(records); n > 1 && records[0].ID > records[n-1].ID {
		for i := range n / 2 {
			records[i], records[n-1-i] = records[n-1-i], records[i]
		}
	}
	return records
}

// checkTape compares every record's raw bytes and answer with what was sent
// and what came back.
func (u *user) checkTape(all []sent) {
	u.t.Helper()
	records := u.list()
	if len(records) != len(all) {
		u.t.Fatalf("%d records of %d requests", len(records), len(all))
	}
	var wg sync.WaitGroup
	turns := make(chan struct{}, 4)
	for i, r := range records {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			u.checkRecord(r, all[i])
		})
	}
	wg.Wait()
}

func (u *user) checkRecord(r listed, s sent) {
	if r.Verdict != "accepted" || r.Truncated || r.Size != int64(len(s.request)) {
		u.t.Errorf("%s is recorded as %+v", s.name, r)
	}
	for flag, want := range map[string][]byte{"--raw": s.request, "--answer": s.answer} {
		got, err := u.look("show", r.ID, flag)
		if err != nil {
			u.t.Errorf("%s: show %s: %v", s.name, flag, err)
			continue
		}
		sameBytes(u.t, s.name+": show "+flag, got, want)
	}
}

// checkReceived compares what the app received from its request number skip on
// with what it must have been sent.
func checkReceived(t *testing.T, app *rawApp, skip int, all []sent, host string) {
	t.Helper()
	received, err := app.await(skip + len(all))
	if err != nil {
		t.Fatal(err)
	}
	if len(received) != skip+len(all) {
		t.Fatalf("the app received %d requests, not %d", len(received)-skip, len(all))
	}
	for i, s := range all {
		sameBytes(t, s.name+" at the app", received[skip+i], asForwarded(s.request, host))
	}
}

func TestEveryRequestIsKeptPassedOnAndReplayedVerbatim(t *testing.T) {
	for name, write := range map[string]func(net.Conn, []byte) error{
		"in one write": inOneWrite,
		"byte by byte": byteByByte,
		"and hangs up": andHangUp,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := startApp(t)
			u := newUser(t)
			u.start("run", "--config", u.writes("hooktape.hcl", passingOn(app.addr)))
			all := sendFiles(t, u.agent.addr, requestFiles(t), write)
			checkReceived(t, app, 0, all, "")
			u.checkTape(all)
			u.replayAll(app, all, "")
		})
	}
}

// replayAll replays every record to its own target and compares what arrives.
func (u *user) replayAll(app *rawApp, all []sent, host string) {
	u.t.Helper()
	before, _ := app.received()
	args := []string{"replay"}
	for _, r := range u.list() {
		args = append(args, r.ID)
	}
	u.run(args...)
	checkReceived(u.t.(*testing.T), app, len(before), all, host)
}

func TestThroughTheHTTPCommandOnlyHostDiffers(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	u := newUser(t)
	agent := u.start("http", portOf(app.addr))
	all := sendFiles(t, agent.addr, requestFiles(t), inOneWrite)
	checkReceived(t, app, 0, all, "localhost:"+portOf(app.addr))

	agent.stop(os.Interrupt)
	u.checkTape(all) // the agent has ended: the same from the file
	second := startApp(t)
	var ids []string
	for _, r := range u.list() {
		ids = append(ids, r.ID)
	}
	u.run(append([]string{"replay", "--to", "http://" + second.addr}, ids...)...)
	checkReceived(t, second, 0, all, second.addr)
}

// What was recorded on one tape arrives byte for byte when it is replayed from another one, and as a command.
func TestThroughATapeFileOnlyHostDiffers(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	u := newUser(t)
	agent := u.start("http", portOf(app.addr), "--session", "all")
	all := sendFiles(t, agent.addr, requestFiles(t), inOneWrite)
	if err := agent.stop(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	u.run("export", "--session", "all", "--verbatim", "-o", "all.warc.gz")
	u.env = append(u.env, "HOOKTAPE_DATA="+filepath.Join(u.dir, "another.db"))
	u.run("import", "all.warc.gz")
	second := startApp(t)
	u.run("replay", "--session", "all", "--to", "http://"+second.addr)
	checkReceived(t, second, 0, all, second.addr)

	bash := needsProgram(t, "bash") // whose commands call curl, or write to a socket where curl can't send these bytes
	needsProgram(t, "curl")
	third := startApp(t)
	var chosen []sent
	for i, r := range u.list() {
		if name := filepath.Base(all[i].name); name == "body-of-all-bytes.http" || name == "chunked-with-trailers.http" {
			chosen = append(chosen, all[i])
			command := exec.Command(bash, "-c", string(u.run("export", "--curl", r.ID, "--reveal", "--to", "http://"+third.addr)))
			if out, err := command.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", all[i].name, err, out)
			}
		}
	}
	if len(chosen) != 2 {
		t.Fatalf("%d files were sent as commands", len(chosen))
	}
	checkReceived(t, third, 0, chosen, "")
}

func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

func TestBodiesOf30MBAreKeptPassedOnAndReplayedVerbatim(t *testing.T) {
	t.Parallel()
	plain := requestOfSize(30 << 20)
	head := cutHead(plain)
	chunked := []byte("PUT /big/chunked HTTP/1.1\r\nHost: hooks.example.com\r\ntransfer-encoding: chunked\r\nTrailer: X-Sum\r\n\r\n")
	for rest := plain[head:]; len(rest) > 0; {
		n := min(len(rest), 1+len(rest)%99_991)
		chunked = fmt.Appendf(chunked, "%x;n=1\r\n%s\r\n", n, rest[:n])
		rest = rest[n:]
	}
	chunked = append(chunked, "0\r\nX-Sum: none\r\n\r\n"...)

	app := startApp(t)
	u := newUser(t)
	u.start("run", "--config", u.writes("hooktape.hcl", passingOn(app.addr)))
	var all []sent
	for name, request := range map[string][]byte{"30 MB": plain, "30 MB chunked": chunked} {
		answers, err := exchange(u.agent.addr, request, inOneWrite)
		if err != nil || len(answers) != 1 || statusOf(answers[0]) != http.StatusOK {
			t.Fatalf("%s: %q %v", name, answers, err)
		}
		all = append(all, sent{name, request, answers[0]})
	}
	checkReceived(t, app, 0, all, "")
	u.checkTape(all)
	u.replayAll(app, all, "")
	for i, r := range u.list() {
		if r.BodySize != 30<<20 {
			t.Errorf("%s has a body_size of %d", all[i].name, r.BodySize)
		}
		sameBytes(t, all[i].name+": show --body", u.run("show", r.ID, "--body"), plain[head:])
	}
}

// A sender that waits for 100 Continue gets it before it sends its body.
func TestSenderThatWaitsFor100ContinueGetsIt(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	u := newUser(t)
	u.start("run", "--config", u.writes("hooktape.hcl", passingOn(app.addr)))
	request := mustRead(t, "../../testdata/http/expect-100-continue.http")
	waits := func(conn net.Conn, b []byte) error {
		head := cutHead(b)
		if _, err := conn.Write(b[:head]); err != nil {
			return err
		}
		buf := make([]byte, 25)
		if _, err := io.ReadFull(conn, buf); err != nil || string(buf) != "HTTP/1.1 100 Continue\r\n\r\n" {
			return fmt.Errorf("instead of 100 Continue: %q %w", buf, err)
		}
		_, err := conn.Write(b[head:])
		return err
	}
	answer, err := exchangeInTurn(u.agent.addr, request, waits)
	if err != nil {
		t.Fatal(err)
	}
	all := []sent{{"expect-100-continue", request, answer}}
	checkReceived(t, app, 0, all, "")
	u.checkTape(all)
}

// Stray line ends between requests are forgiven, and are no records.
func TestBlankLinesBetweenRequestsAreNoRecords(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	u := newUser(t)
	u.start("run", "--config", u.writes("hooktape.hcl", passingOn(app.addr)))
	get := mustRead(t, "../../testdata/http/root-target.http")
	stray := func(conn net.Conn, b []byte) error {
		return inOneWrite(conn, bytes.Join([][]byte{{}, b[:len(b)/2], b[len(b)/2:]}, []byte("\r\n")))
	}
	answers, err := exchange(u.agent.addr, append(bytes.Clone(get), get...), stray)
	if err != nil || len(answers) != 2 {
		t.Fatalf("%q %v", answers, err)
	}
	u.checkTape([]sent{{"first", get, answers[0]}, {"second", get, answers[1]}})
}

// The raw requests are what their names say, in this checkout too.
func TestRawRequestsSurvivedTheCheckout(t *testing.T) {
	all := mustRead(t, "../../testdata/http/body-of-all-bytes.http")
	for b := range 256 {
		if !bytes.Contains(all, []byte{byte(b)}) {
			t.Errorf("body-of-all-bytes.http lacks 0x%02x", b)
		}
	}
	webhook := mustRead(t, "../../testdata/systems/asna/webhook.http")
	if body := webhook[cutHead(webhook):]; len(body) != 189 || !json.Valid(body) {
		t.Errorf("the body of ASNA's webhook has %d bytes, not 189", len(body))
	}
	if lf := mustRead(t, "../../testdata/http/bare-lf-line-ends.http"); bytes.Contains(lf[:cutHead(lf)], []byte("\r")) {
		t.Error("bare-lf-line-ends.http has CR in its head")
	}
	for _, file := range requestFiles(t) {
		if b := mustRead(t, file); !strings.Contains(file, "line-ends") && !bytes.Contains(b[:cutHead(b)], []byte("\r\n")) {
			t.Errorf("%s lost its CR LF", file)
		}
	}
}

// What a target may receive is written down in testdata/http/forwarded for the
// requests of which promise 5 names more than the Host.
func TestForwardedFormIsWhatPromise5Names(t *testing.T) {
	changed := 0
	for _, file := range requestFiles(t) {
		if filepath.Base(filepath.Dir(file)) != "http" {
			continue
		}
		request := mustRead(t, file)
		requests, _ := requestsIn(request)
		var got []byte
		for _, r := range requests {
			got = append(got, asForwarded(r, "")...)
		}
		want, err := os.ReadFile(filepath.Join("../../testdata/http/forwarded", filepath.Base(file)))
		switch {
		case os.IsNotExist(err):
			want = request
		case err != nil:
			t.Fatal(err)
		default:
			changed++
		}
		sameBytes(t, file, got, want)
	}
	files, _ := filepath.Glob("../../testdata/http/forwarded/*.http")
	if changed != len(files) {
		t.Errorf("%d of %d files in forwarded/ have a request", changed, len(files))
	}
}

func TestTestdataHoldsNoRealTokens(t *testing.T) {
	err := filepath.WalkDir("../../testdata/systems", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		for line := range bytes.Lines(mustRead(t, path)) {
			for _, mark := range []string{"Bearer ", "OAuth ", "application_token", "access_token", "X-Webhook-Secret: ", "authToken: ", `"secret": "`, `"token": "`} {
				_, after, found := strings.Cut(string(line), mark)
				plain := strings.ToLower(after)
				if found && strings.TrimSpace(after) != "" && !strings.HasPrefix(after, "${") && !strings.Contains(plain, "fake") && !strings.Contains(plain, "not-a-real") && !strings.Contains(plain, "notreal") {
					t.Errorf("%s: %s%.60s does not look fake", path, mark, after)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
