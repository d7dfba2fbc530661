package tape

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// needs skips a test where programs are missing, unless nothing may be skipped.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			missing(t, program)
		}
	}
}

func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("HOOKTAPE_ALL_TESTS") == "1" {
		t.Fatalf("%s is not installed, and HOOKTAPE_ALL_TESTS wants all tests", what)
	}
	t.Skipf("%s is not installed", what)
}

// TestOtherReadersReadOurWARC: libarchive's, which knows WARC up to 1.0, for which the version line and the fractions of
// seconds are taken back to it; and Python's of gzip members, lengths and digests.
func TestOtherReadersReadOurWARC(t *testing.T) {
	needs(t, "bsdtar", "python3")
	dir := t.TempDir()
	r := samples(t)[0]
	older := bytes.ReplaceAll(written(t, NewWriter, []*Recording{r}), []byte("WARC/1.1\r\n"), []byte("WARC/1.0\r\n"))
	older = regexp.MustCompile(`(WARC-Date: [^.\r]*)\.\d+Z`).ReplaceAll(older, []byte("${1}Z"))
	plain := filepath.Join(dir, "a.warc")
	if err := os.WriteFile(plain, older, 0o600); err != nil {
		t.Fatal(err)
	}
	listed := output(t, "bsdtar", "-tvf", plain)
	for _, want := range []string{" 40 ", " in", " 6 ", " x"} { // responses and resources are its files, by their URLs
		if !strings.Contains(listed, want) {
			t.Errorf("%q is not in %s", want, listed)
		}
	}
	if got := output(t, "bsdtar", "-xOf", plain, "x"); !strings.Contains(got, "edited") || !strings.Contains(got, "HTTP/1.1 200 OK\r\n") {
		t.Errorf("%q", got)
	}

	members := filepath.Join(dir, "a.warc.gz")
	if err := os.WriteFile(members, written(t, NewGzipWriter, samples(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	const count = `
import sys, zlib, hashlib
rest, n = open(sys.argv[1], "rb").read(), 0
while rest:
    d = zlib.decompressobj(31)
    text, rest, n = d.decompress(rest), d.unused_data, n + 1
    head, block = text.split(b"\r\n\r\n", 1)
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
    assert head.startswith(b"WARC/1.1\r\n") and block.endswith(b"\r\n\r\n"), head
    block = block[:-4]
    assert len(block) == int(fields[b"Content-Length"]), head
    assert fields[b"WARC-Block-Digest"] == b"sha256:" + hashlib.sha256(block).hexdigest().encode(), head
    if b"WARC-Payload-Digest" in fields:
        payload = block.split(b"\r\n\r\n", 1)[1]
        assert fields[b"WARC-Payload-Digest"] == b"sha256:" + hashlib.sha256(payload).hexdigest().encode(), head
print(n)
`
	if got := strings.TrimSpace(output(t, "python3", "-c", count, members)); got != "17" {
		t.Errorf("%s members", got)
	}
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
	return string(out)
}

// TestTheWARCFilesOfWgetAreRead: what it sent and got is what is read, and the digests hold.
func TestTheWARCFilesOfWgetAreRead(t *testing.T) {
	needs(t, "wget")
	recorder := newSocketRecorder(t)
	for _, compressed := range []bool{false, true} {
		file := filepath.Join(t.TempDir(), "site")
		args := []string{"-q", "--no-proxy", "--tries=1", "--warc-file=" + file, "-O", os.DevNull, "http://" + recorder.Addr().String() + "/a?b=c"}
		name := file + ".warc.gz"
		if !compressed {
			args = append(args, "--no-warc-compression")
			name = file + ".warc"
		}
		output(t, "wget", args...)
		sent := <-recorder.got
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		_, all, damage, skipped := read(t, f)
		f.Close()
		if len(all) != 1 || len(damage) > 0 || !bytes.Equal(all[0].Request.inline, sent) || all[0].Answer.Status != 200 || skipped.Alone > 0 {
			t.Errorf("%d recordings, %v, %+v", len(all), damage, skipped)
		}
	}
}

// TestAnotherReaderReadsOurHAR: har-validator holds it against the schema of HAR 1.2, and Node reads what is in it.
func TestAnotherReaderReadsOurHAR(t *testing.T) {
	const modules = "/usr/share/nodejs" // of Debian, whose package is node-har-validator
	needs(t, "node")
	if _, err := os.Stat(filepath.Join(modules, "har-validator")); err != nil {
		missing(t, "har-validator in "+modules)
	}
	const read = `
const har = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"))
require("har-validator").har(har).then(() => {
  for (const {request, response} of har.log.entries) {
    const {text, encoding} = response.content
    console.log(request.method, new URL(request.url).host, response.status, Buffer.from(text || "", encoding || "utf8").toString("hex"))
  }
}, e => { console.error(e.errors); process.exit(1) })`
	t.Setenv("NODE_PATH", modules)
	file, _ := writtenHAR(t, samples(t))
	name := filepath.Join(t.TempDir(), "a.har")
	if err := os.WriteFile(name, file, 0o600); err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for _, r := range samples(t) {
		if !r.IsRequest() || r.HeadSize == 0 {
			continue
		}
		status, body := 0, []byte{}
		if a := r.Answer; a != nil {
			all, err := a.Response.ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			status, body = a.Status, openMessage(all, a.HeadSize, r.Method).body
		}
		fmt.Fprintf(&want, "%s %s %d %x\n", r.Method, r.Host, status, body)
	}
	if got := output(t, "node", "-e", read, name); got != want.String() {
		t.Errorf("%s\nwant\n%s", got, want.String())
	}
}

// oddRequests are those for which a URL is hard to tell.
func oddRequests(t testing.TB) (all []*Recording) {
	t.Helper()
	for i, raw := range []string{
		"GET /no-host HTTP/1.0\r\n\r\n",
		"GET /odd-host HTTP/1.1\r\nHost: a..b\r\n\r\n",
		"GET /odd-port HTTP/1.1\r\nHost: shop.test:70000\r\n\r\n",
		"GET /address HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n\r\n",
		"GET /odd-address HTTP/1.1\r\nHost: [192.0.2.1]\r\n\r\n",
		"GET /no-address HTTP/1.1\r\nHost: [::::]:80\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: shop.test\r\n\r\n",
		"GET http://shop.test/absolute?%zz HTTP/1.1\r\nHost: shop.test\r\n\r\n",
		"GET /\xd0\xb6\xff|{} HTTP/1.1\r\nHost: shop_1.test:80\r\nX-Latin: caf\xe9\r\n\r\n",
	} {
		r := &Recording{Request: Bytes([]byte(raw))}
		if err := r.examine(); err != nil || r.HeadSize == 0 {
			t.Fatalf("%q: %v, %s", raw, err, r.Reason)
		}
		r.Known, r.ID = true, fmt.Sprintf("01KA00000000000000000001%02d", i)
		all = append(all, r)
	}
	return all
}

// mitmproxyHAR is an addon that has a mitmproxy before 10.1, as Debian's is, read HAR. It makes the flows as mitmproxy's
// own reader does since (mitmproxy/io/har.py): what mitmproxy's messages refuse, over which that reader refuses a whole file, it
// refuses too.
const mitmproxyHAR = `
import base64, datetime, json, os
from mitmproxy import connection, ctx, http, io

def headers(pairs):
    return http.Headers([(p["name"].encode(), p["value"].encode()) for p in pairs])

def flow(x):
    began = datetime.datetime.fromisoformat(x["startedDateTime"].replace("Z", "+00:00")).timestamp()
    nowhere, sent, came = ("127.0.0.1", 0), x["request"], x["response"]
    f = http.HTTPFlow(connection.Client(nowhere, nowhere, began), connection.Server(None))
    body = sent["postData"]["text"] if "postData" in sent else ""
    f.request = http.Request.make(sent["method"], sent["url"], body, headers(sent["headers"]))
    text = came["content"].get("text", "")
    body = base64.b64decode(text) if came["content"].get("encoding") == "base64" else text.encode()
    fields = headers(came["headers"])
    body = http.encoding.encode(body, fields.get("content-encoding") or "identity")
    status = came["status"]
    reason = http.status_codes.RESPONSES.get(status, "").encode()
    f.response = http.Response(b"HTTP/1.1", status, reason, fields, body, None, began, began + x["time"] / 1000.0)
    f.request.decode()
    f.response.decode()
    return f

def running():
    try:
        with open(os.environ["HAR"], encoding="utf-8") as har, open(os.environ["FLOWS"], "wb") as flows:
            for x in json.load(har)["log"]["entries"]:
                io.FlowWriter(flows).add(flow(x))
    finally:
        ctx.master.shutdown()
`

// TestMitmproxyReadsOurHAR: by itself from version 10.1 on, with mitmproxyHAR before.
func TestMitmproxyReadsOurHAR(t *testing.T) {
	needs(t, "mitmdump")
	odd := oddRequests(t)
	all := append(samples(t), odd...)
	file, left := writtenHAR(t, all)
	folder := t.TempDir()
	name := filepath.Join(folder, "a.har")
	if err := os.WriteFile(name, file, 0o600); err != nil {
		t.Fatal(err)
	}
	if !mitmproxyReadsHAR(t) {
		addon, flows := filepath.Join(folder, "har.py"), filepath.Join(folder, "a.flows")
		if err := os.WriteFile(addon, []byte(mitmproxyHAR), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("HAR", name)
		t.Setenv("FLOWS", flows)
		output(t, "mitmdump", "--set", "confdir="+folder, "-n", "-s", addon)
		name = flows
	}
	listed := output(t, "mitmdump", "--set", "confdir="+folder, "-n", "-r", name)
	for _, want := range []string{
		"POST https://shop.test/in?a=b%20c&token=x\n          << 200 OK 2b\n", "POST http://shop.test/chunked\n", "GET http://host.invalid/no-host\n",
		"GET http://host.invalid/odd-host\n", "GET http://host.invalid/odd-port\n", "GET http://host.invalid/odd-address\n",
		"GET http://host.invalid/no-address\n", "OPTIONS http://shop.test/*\n", "GET http://shop_1.test/%D0%B6%FF%7C%7B%7D\n",
	} {
		if !strings.Contains(listed, want) {
			t.Errorf("%q is not in\n%s", want, listed)
		}
	}
	if n := strings.Count(listed, " << "); n != len(all)-left {
		t.Errorf("%d exchanges of %d were read:\n%s", n, len(all)-left, listed)
	}
	_, back, damage, _ := read(t, bytes.NewReader(file))
	if len(back) != len(all)-left || len(damage) > 0 {
		t.Fatal(len(back), damage)
	}
	for i, r := range back[len(back)-len(odd):] {
		if r.Host != odd[i].Host || !bytes.Equal(r.Request.inline, odd[i].Request.inline) {
			t.Errorf("%q, host %q, not %q", r.Request.inline, r.Host, odd[i].Host)
		}
	}
}

// mitmproxyReadsHAR says whether the mitmproxy that is installed does, by itself.
func mitmproxyReadsHAR(t *testing.T) bool {
	version := output(t, "mitmdump", "--version")
	var major, minor int
	if _, err := fmt.Sscanf(version, "Mitmproxy: %d.%d", &major, &minor); err != nil {
		t.Fatalf("%v: %s", err, version)
	}
	return major > 10 || major == 10 && minor >= 1
}
