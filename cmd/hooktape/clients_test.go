package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// client is a run of a real HTTP client against `hooktape http`.
type client struct {
	name     string
	program  string
	args     func(url, body string) []string // body is the path of a file with the body
	stdin    bool                            // the body comes by stdin
	out      string                          // what it must print; "" whatever it likes
	requests int                             // how many it makes
	starts   string                          // how each of them must start
	holds    string                          // what each head must hold, with \n for line ends
	bodies   bool                            // each must carry the body, decoded
}

// curl is told to read no configuration file and to know no proxy.
func curl(args ...string) func(url, body string) []string {
	return func(url, body string) []string {
		line := []string{"-q", "--noproxy", "*", "-sS", "--fail", "--max-time", "50"}
		for _, arg := range args {
			line = append(line, strings.NewReplacer("URL", url, "BODY", body).Replace(arg))
		}
		return line
	}
}

const pythonClient = `
import http.client, sys, urllib.parse
host = urllib.parse.urlsplit(sys.argv[1]).netloc
body = open(sys.argv[2], "rb").read()
conn = http.client.HTTPConnection(host, timeout=50)
conn.request("POST", "/python?a=1", body=body, headers={"X-Client": "python"})
answer = conn.getresponse(); assert answer.status == 200, answer.status; answer.read()
conn.request("PUT", "/python?a=2", body=iter([body[:10], body[10:]]), headers={"X-Client": "python"}, encode_chunked=True)
answer = conn.getresponse(); assert answer.status == 200, answer.status
print(answer.read().decode(), end="")
`

var realClients = []client{
	{name: "curl HTTP/1.0", program: "curl", args: curl("--http1.0", "--data-binary", "@BODY", "URL/c10"),
		out: "ok\n", requests: 1, starts: "POST /c10 HTTP/1.0\r\n", bodies: true},
	{name: "curl HTTP/1.1", program: "curl", args: curl("--http1.1", "--data-binary", "@BODY", "URL/c11"),
		out: "ok\n", requests: 1, starts: "POST /c11 HTTP/1.1\r\n", bodies: true},
	{name: "curl asks for HTTP/2 and falls back", program: "curl", args: curl("--http2", "-w", "%{http_version}\n", "URL/c2"),
		out: "ok\n1.1\n", requests: 1, starts: "GET /c2 HTTP/1.1\r\n", holds: "Upgrade: h2c"},
	{name: "curl uploads in chunks", program: "curl", args: curl("-T", "-", "URL/chunked"), stdin: true,
		out: "ok\n", requests: 1, starts: "PUT /chunked HTTP/1.1\r\n", holds: "Transfer-Encoding: chunked", bodies: true},
	{name: "curl waits for 100 Continue", program: "curl", args: curl("-H", "Expect: 100-continue", "--expect100-timeout", "40", "--data-binary", "@BODY", "URL/expect"),
		out: "ok\n", requests: 1, starts: "POST /expect HTTP/1.1\r\n", holds: "Expect: 100-continue", bodies: true},
	{name: "curl keeps its connection for two URLs", program: "curl", args: curl("-w", "%{num_connects}\n", "-d", "@BODY", "URL/first", "URL/second"),
		out: "ok\n1\nok\n0\n", requests: 2, starts: "POST /"},
	{name: "curl HEAD", program: "curl", args: curl("-I", "URL/head"),
		requests: 1, starts: "HEAD /head HTTP/1.1\r\n"},
	{name: "curl GET with a body", program: "curl", args: curl("-X", "GET", "--data-binary", "@BODY", "URL/orders?page=1"),
		out: "ok\n", requests: 1, starts: "GET /orders?page=1 HTTP/1.1\r\n", bodies: true},
	{name: "curl sends a form with a file", program: "curl", args: curl("-F", "note=привет", "-F", "file=@BODY", "URL/form"),
		out: "ok\n", requests: 1, starts: "POST /form HTTP/1.1\r\n", holds: "Content-Type: multipart/form-data"},
	{name: "wget", program: "wget", args: func(url, body string) []string {
		return []string{"--no-config", "--no-proxy", "-q", "-T", "50", "-t", "1", "-O", "-", "--post-file=" + body, url + "/wget"}
	}, out: "ok\n", requests: 1, starts: "POST /wget HTTP/1.1\r\n", bodies: true},
	{name: "python http.client", program: "python3", args: func(url, body string) []string {
		return []string{"-c", pythonClient, url, body}
	}, out: "ok\n", requests: 2, holds: "X-Client: python", bodies: true},
}

func TestRealClientsAreServedRecordedAndPassedOn(t *testing.T) {
	for _, c := range realClients {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			program := needsProgram(t, c.program)
			app := startApp(t)
			u := newUser(t)
			agent := u.start("http", portOf(app.addr))
			body := requestOfSize(100_000)
			body = body[cutHead(body):]
			path := u.writes("body.bin", string(body))

			ctx, cancel := context.WithTimeout(t.Context(), patienceOfTests)
			defer cancel()
			var out, errs bytes.Buffer
			cmd := exec.CommandContext(ctx, program, c.args("http://"+agent.addr, path)...)
			cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = u.dir, os.Environ(), &out, &errs
			if c.stdin {
				cmd.Stdin = bytes.NewReader(body)
			}
			if err := cmd.Run(); err != nil {
				t.Fatalf("%v\n%s%s", err, &out, &errs)
			}
			if c.out != "" && out.String() != c.out {
				t.Errorf("it printed %q, not %q", &out, c.out)
			}
			u.checkClient(app, c, body)
		})
	}
}

// checkClient compares the tape, the app, and what the client meant to
// send.
func (u *user) checkClient(app *rawApp, c client, body []byte) {
	u.t.Helper()
	records := u.list()
	received, _ := app.received()
	if len(records) != c.requests || len(received) != c.requests {
		u.t.Fatalf("%d records, %d requests at the app, not %d", len(records), len(received), c.requests)
	}
	for i, r := range records {
		raw := u.run("show", r.ID, "--raw")
		head := raw[:cutHead(raw)]
		if !bytes.HasPrefix(raw, []byte(c.starts)) || !bytes.Contains(head, []byte(c.holds)) {
			u.t.Errorf("recorded: %q", clip(raw))
		}
		sameBytes(u.t, "at the app", received[i], asForwarded(raw, "localhost:"+portOf(app.addr)))
		if c.bodies {
			sameBytes(u.t, "show --body", u.run("show", r.ID, "--body"), body)
		}
	}
}

// Go's own client, many at once: sized and chunked bodies, trailers, 100
// Continue, HEAD.
func TestGoClientIsServedRecordedAndPassedOn(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	u := newUser(t)
	agent := u.start("http", portOf(app.addr))
	transport := &http.Transport{MaxIdleConnsPerHost: 4, ExpectContinueTimeout: patienceOfTests}
	defer transport.CloseIdleConnections()

	const each = 10
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for i := range each {
				if err := goRequest(transport, "http://"+agent.addr, n, i); err != nil {
					t.Errorf("client %d, request %d: %v", n, i, err)
				}
			}
		})
	}
	wg.Wait()

	received, err := app.await(4 * each)
	if err != nil {
		t.Fatal(err)
	}
	atApp := make(map[string][]byte)
	for _, request := range received {
		atApp[strings.Fields(string(clip(request)))[1]] = request
	}
	for _, r := range u.list() {
		sameBytes(t, r.Path, atApp[r.Path], asForwarded(u.run("show", r.ID, "--raw"), "localhost:"+portOf(app.addr)))
	}
}

// goRequest makes one of four kinds of request, by i.
func goRequest(transport http.RoundTripper, url string, n, i int) error {
	payload := fmt.Sprintf("client %d request %d", n, i)
	method, body := http.MethodPost, io.Reader(strings.NewReader(payload))
	if i%4 == 1 {
		body = io.MultiReader(body) // hides the length: chunked
	}
	if i%4 == 2 {
		method, body = http.MethodHead, nil
	}
	req, err := http.NewRequest(method, fmt.Sprintf("%s/go/%d/%d", url, n, i), body)
	if err != nil {
		return err
	}
	switch i % 4 {
	case 1:
		req.Trailer = http.Header{"X-Checksum": {"0123"}}
	case 3:
		req.Header.Set("Expect", "100-continue")
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode != http.StatusOK || resp.Header.Get("X-App") != "kept":
		return fmt.Errorf("answered %s %v", resp.Status, resp.Header)
	case method != http.MethodHead && string(got) != "ok\n":
		return fmt.Errorf("answered %q", got)
	}
	return nil
}

// A 30 MB upload by curl, which asks with Expect first.
func TestCurlUploads30MB(t *testing.T) {
	t.Parallel()
	program := needsProgram(t, "curl")
	app := startApp(t)
	u := newUser(t)
	agent := u.start("http", portOf(app.addr))
	body := requestOfSize(30 << 20)
	body = body[cutHead(body):]
	path := filepath.Join(u.dir, "big.bin")
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(program, curl("-T", path, "URL/big")("http://"+agent.addr, path)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	u.checkClient(app, client{requests: 1, starts: "PUT /big HTTP/1.1\r\n", bodies: true}, body)
}
