package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// connectionCap is how many connections an agent takes at once.
const connectionCap = 1024

// startPassing starts an agent that passes everything to an app.
func startPassing(t *testing.T) (*user, *rawApp) {
	t.Helper()
	app := startApp(t)
	u := newUser(t)
	u.start("run", "--config", u.writes("hooktape.hcl", passingOn(app.addr)))
	return u, app
}

// wellStill checks that a good request goes through, as the app's request number
// n: nothing came to the app in between.
func (u *user) wellStill(app *rawApp, n int) {
	u.t.Helper()
	request := requestOfSize(10)
	answers, err := exchange(u.agent.addr, request, inOneWrite)
	if err != nil || len(answers) != 1 || statusOf(answers[0]) != http.StatusOK {
		u.t.Fatalf("a good request got %q, %v", answers, err)
	}
	received, err := app.await(n)
	if err != nil || len(received) != n {
		u.t.Fatalf("the app received %d requests, not %d, %v", len(received), n, err)
	}
	sameBytes(u.t, "the good request at the app", received[n-1], request)
}

// andReset resets the connection after what it wrote.
func andReset(conn net.Conn, b []byte) error {
	_, err := conn.Write(b)
	conn.(*net.TCPConn).SetLinger(0)
	return errors.Join(err, conn.Close())
}

// A sender may go away at any byte. Nothing incomplete comes to the app, and what is
// on the tape is what came.
func TestRequestCutAtAnyByteIsRecordedAndNeverPassedOn(t *testing.T) {
	for name, request := range map[string]string{
		"length":  "POST /cut?a=b HTTP/1.1\r\nHost: h\r\nX-Odd:   v \r\nContent-Length: 20\r\n\r\n{\"cut\": \"somewhere\"}",
		"chunked": "POST /cut HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nX-End: 1\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, app := startPassing(t)
			for n := 1; n < len(request); n++ {
				answers, err := exchangeToTheEnd(u.agent.addr, []byte(request[:n]), andHangUp)
				if err != nil || len(answers) != 1 || statusOf(answers[0]) != http.StatusBadRequest {
					t.Errorf("cut at %d: %q, %v", n, answers, err)
				}
				exchangeToTheEnd(u.agent.addr, []byte(request[:n]), andReset)
			}
			u.wellStill(app, 1)
			cut := u.list("--verdict", "incomplete")
			if len(cut) == 0 {
				t.Fatal("nothing of it is on the tape")
			}
			for _, r := range cut {
				if r.Size == 0 || r.Size >= int64(len(request)) || r.Reason == "" {
					t.Errorf("recorded: %+v", r)
				}
			}
			for _, r := range []listed{cut[0], cut[len(cut)/2], cut[len(cut)-1]} {
				sameBytes(t, "a cut one", u.run("show", r.ID, "--raw"), []byte(request[:r.Size]))
			}
		})
	}
}

func TestThousandPipelinedRequestsAreAnsweredInTheirOrder(t *testing.T) {
	t.Parallel()
	u, app := startPassing(t)
	const n = 1000
	var all bytes.Buffer
	var requests [][]byte
	for i := range n {
		request := fmt.Appendf(nil, "POST /pipelined/%d HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", i, i%50, strings.Repeat("x", i%50))
		requests = append(requests, request)
		all.Write(request)
	}
	answers, err := exchange(u.agent.addr, all.Bytes(), inOneWrite)
	if err != nil || len(answers) != n {
		t.Fatalf("%d answers, %v", len(answers), err)
	}
	received, err := app.await(n)
	if err != nil {
		t.Fatal(err)
	}
	for i, request := range requests {
		if statusOf(answers[i]) != http.StatusOK {
			t.Fatalf("answer %d: %q", i, answers[i])
		}
		sameBytes(t, "at the app", received[i], request)
	}
	if records := u.list(); len(records) != n || records[0].Path != "/pipelined/0" || records[n-1].Path != "/pipelined/999" {
		t.Errorf("%d records", len(records))
	}
}

// mostFields is how many fields a head may have, its Host among them.
const mostFields = 1000

func TestTooManyFieldsAreRefusedHoweverSmall(t *testing.T) {
	t.Parallel()
	head := func(fields int) []byte {
		return []byte("GET /fields HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("a:\r\n", fields-1) + "\r\n")
	}
	u, app := startPassing(t)
	answers, err := exchange(u.agent.addr, head(mostFields), inOneWrite)
	if err != nil || statusOf(answers[0]) != http.StatusOK {
		t.Fatalf("%q, %v", answers, err)
	}
	received, err := app.await(1)
	if err != nil {
		t.Fatal(err)
	}
	sameBytes(t, "at the app", received[0], head(mostFields))
	for _, n := range []int{mostFields + 1, 10_000, 100_000} {
		answers, err = exchangeToTheEnd(u.agent.addr, head(n), inOneWrite)
		if err != nil || statusOf(answers[0]) != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%d fields: %q, %v", n, answers, err)
		}
	}
	u.wellStill(app, 2)
	if refused := u.list("--verdict", "malformed"); len(refused) != 3 || refused[0].Truncated || !refused[2].Truncated {
		t.Errorf("recorded: %+v", refused)
	}
}

// smuggled is the request that must never be seen as one.
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: h\r\nX-Evil: 1\r\n\r\n"

// smuggling makes requests that two parsers may cut differently (CL.TE, TE.CL,
// TE.TE, in all their spellings): what stands behind the Host, or behind a NUL
// the target.
func smuggling() map[string]string {
	requests := map[string]string{
		"CL CL":              "Content-Length: 0\r\nContent-Length: 50\r\n\r\n",
		"CL list":            "Content-Length: 0, 50\r\n\r\n",
		"CL plus":            "Content-Length: +0\r\n\r\n",
		"CL hex":             "Content-Length: 0x0\r\n\r\n",
		"CL space in name":   "Content-Length : 0\r\n\r\n",
		"CL tab in name":     "Content-Length\t: 0\r\n\r\n",
		"CL vertical tab":    "Content-Length:\v0\r\n\r\n",
		"CL folded":          "Content-Length:\r\n 0\r\n\r\n",
		"CL behind bare CR":  "X: a\rContent-Length: 50\r\n\r\n",
		"CL behind NUL":      "X: a\x00\r\nContent-Length: 0\r\n\r\n",
		"CL without a colon": "Content-Length 0\r\n\r\n",
		"bare CR as the end": "X: a\r\r\n\r\n",
		"field before space": " X: a\r\n\r\n",
	}
	codings := map[string]string{
		"plain":             "Transfer-Encoding: chunked",
		"case":              "tRANSFER-eNCODING: cHUNKED",
		"identity":          "Transfer-Encoding: identity",
		"two":               "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
		"list":              "Transfer-Encoding: identity, chunked",
		"list behind":       "Transfer-Encoding: chunked, identity",
		"twice":             "Transfer-Encoding: chunked, chunked",
		"unknown":           "Transfer-Encoding: xchunked",
		"quoted":            "Transfer-Encoding: \"chunked\"",
		"parameter":         "Transfer-Encoding: chunked;q=1",
		"space before":      "Transfer-Encoding : chunked",
		"vertical tab":      "Transfer-Encoding:\vchunked",
		"form feed":         "Transfer-Encoding: chunked\f",
		"folded":            "Transfer-Encoding:\r\n chunked",
		"folded value":      "X: a\r\n Transfer-Encoding: chunked",
		"bare CR":           "X: a\rTransfer-Encoding: chunked",
		"leading space":     " Transfer-Encoding: chunked",
		"NUL":               "Transfer-Encoding: chunked\x00",
		"empty":             "Transfer-Encoding:",
		"comma":             "Transfer-Encoding: ,chunked,",
		"high byte in name": "Transfer\xadEncoding: chunked",
	}
	for name, coding := range codings {
		requests["CL.TE "+name] = "Content-Length: 6\r\n" + coding + "\r\n\r\n0\r\n\r\n"
		requests["TE.CL "+name] = coding + "\r\nContent-Length: 4\r\n\r\n2e\r\n"
	}
	for name, target := range map[string]string{
		"bare LF": "/a\nX: y", "bare CR": "/a\rX: y", "tab": "/a\tb", "space": "/a b", "NUL": "/a\x00b",
	} {
		requests["target with "+name] = "\x00" + target
	}
	return requests
}

// What two parsers may cut differently is refused, and nothing after it on the
// connection is taken for a request, neither by the agent nor by the app.
func TestSmuggledRequestsReachNobody(t *testing.T) {
	t.Parallel()
	u, app := startPassing(t)
	for name, fields := range smuggling() {
		request := "POST /front HTTP/1.1\r\nHost: h\r\n" + fields + smuggled
		if target, ok := strings.CutPrefix(fields, "\x00"); ok {
			request = "POST " + target + " HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n" + smuggled
		}
		answers, err := exchangeToTheEnd(u.agent.addr, []byte(request), inOneWrite)
		if err != nil || len(answers) != 1 || statusOf(answers[0])/100 != 4 {
			t.Errorf("%s was answered %q, %v", name, answers, err)
		}
	}
	// Chunks that other parsers end elsewhere. To the agent the first part is a good but incomplete request.
	for name, body := range map[string]string{
		"size with 0x":         "0x0\r\n\r\n",
		"size with sign":       "+0\r\n\r\n",
		"size with underscore": "0_0\r\n\r\n",
		"size overflows":       "10000000000000000\r\n\r\n",
		"bare LF behind size":  "1\nx\r\n0\r\n\r\n",
		"bare CR behind size":  "1\rx\r\n0\r\n\r\n",
		"data runs on":         "1\r\nxy\r\n0\r\n\r\n",
		"bare LF in extension": "1;a\nb\r\nx\r\n0\r\n\r\n",
		"length as a trailer":  "1\r\nx\r\n0\r\nContent-Length: 40\r\n\r\n",
		"coding as a trailer":  "1\r\nx\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
	} {
		request := "POST /front HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + body + smuggled
		answers, err := exchangeToTheEnd(u.agent.addr, []byte(request), inOneWrite)
		if err != nil || len(answers) != 1 || statusOf(answers[0])/100 != 4 {
			t.Errorf("chunks, %s: answered %q, %v", name, answers, err)
		}
	}
	u.wellStill(app, 1)
	for _, r := range u.list() {
		if strings.Contains(r.Path, "smuggled") {
			t.Errorf("recorded as a request of its own: %+v", r)
		}
	}
}

// What looks like smuggling but is not passes as the one request that it is.
func TestHarmlessLookalikesPassAsOneRequest(t *testing.T) {
	t.Parallel()
	u, app := startPassing(t)
	n := 0
	for name, request := range map[string]string{
		"encoded CR LF in the target": "GET /a%0d%0aX-Evil:%201%0d%0a%0d%0aGET%20/smuggled HTTP/1.1\r\nHost: h\r\n\r\n",
		"a request as the body":       fmt.Sprintf("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(smuggled), smuggled),
		"a request in a chunk":        fmt.Sprintf("POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(smuggled), smuggled),
		"a field in an extension":     "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;Content-Length: 9\r\nx\r\n0\r\n\r\n",
		"an override of the method":   "GET /a HTTP/1.1\r\nHost: h\r\nX-HTTP-Method-Override: POST\r\nX-Content-Length: 50\r\n\r\n",
	} {
		answers, err := exchange(u.agent.addr, []byte(request), inOneWrite)
		if err != nil || len(answers) != 1 || statusOf(answers[0]) != http.StatusOK {
			t.Errorf("%s was answered %q, %v", name, answers, err)
			continue
		}
		n++
		received, err := app.await(n)
		if err != nil || len(received) != n {
			t.Fatalf("%s: %d requests at the app, %v", name, len(received), err)
		}
		sameBytes(t, name, received[n-1], []byte(request))
	}
}

// slowOnes opens connections that begin a request and don't go on.
func (u *user) slowOnes(n int, begin string) []net.Conn {
	u.t.Helper()
	conns := make([]net.Conn, n)
	for i := range conns {
		conn, err := net.DialTimeout("tcp", u.agent.addr, patienceOfTests)
		if err == nil {
			_, err = fmt.Fprint(conn, begin)
		}
		if err != nil {
			u.t.Fatalf("slow sender %d: %v", i, err)
		}
		u.t.Cleanup(func() { conn.Close() })
		conns[i] = conn
	}
	return conns
}

// Senders that hold their connections with half a head or half a body hold up
// nobody else, as long as there is a place for one more.
func TestSlowSendersHoldUpNobody(t *testing.T) {
	for name, begin := range map[string]string{
		"half a head": "POST /slow HTTP/1.1\r\nHost: h\r\nX-",
		"half a body": "POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, app := startPassing(t)
			slow := u.slowOnes(connectionCap-1, begin)
			for n := range 20 {
				u.wellStill(app, n+1)
			}
			for i, conn := range slow[:10] { // and trickle on
				if _, err := fmt.Fprint(conn, "a"); err != nil {
					t.Errorf("slow sender %d: %v", i, err)
				}
			}
			u.wellStill(app, 21)
		})
	}
}

// Where there is no place, those who are slow give theirs up when their time is
// over, and those who are idle at once.
func TestFullHouseMakesPlaceForThoseWhoSend(t *testing.T) {
	t.Run("slow", func(t *testing.T) {
		t.Parallel()
		u, app := startPassing(t)
		u.slowOnes(connectionCap+50, "POST /slow HTTP/1.1\r\nHost: h\r\nX-")
		u.wellStill(app, 1)
	})
	t.Run("idle", func(t *testing.T) {
		t.Parallel()
		u, app := startPassing(t)
		idle := u.slowOnes(connectionCap, "GET /idle HTTP/1.1\r\nHost: h\r\n\r\n")
		for i, conn := range idle {
			conn.SetDeadline(time.Now().Add(patienceOfTests))
			if answers, err := readAnswers(conn, [][]byte{[]byte("GET /")}, false); err != nil || len(answers) != 1 {
				t.Fatalf("idle sender %d: %q, %v", i, answers, err)
			}
		}
		for n := range 20 {
			u.wellStill(app, connectionCap+n+1)
		}
	})
}

// A flood of refused requests takes nothing from those that are accepted: each of
// these is answered before the flood has had more than a few turns.
func TestFloodOfRefusedRequestsDoesNotStarveTheOthers(t *testing.T) {
	t.Parallel()
	const (
		flooders = 32
		genuine  = 100
	)
	u := newUser(t)
	config := "source \"orders\" {\n  path = \"/orders\"\n  methods = [\"POST\"]\n}\n"
	agent := u.start("run", "--config", u.writes("hooktape.hcl", config))
	var refused atomic.Int64
	var ended atomic.Bool
	var flood sync.WaitGroup
	for n := range flooders {
		flood.Go(func() {
			garbage := []string{
				"GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n", "DELETE /orders HTTP/1.1\r\nHost: h\r\n\r\n",
				"POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "garbage\r\n\r\n",
			}
			for !ended.Load() {
				answers, err := exchangeToTheEnd(agent.addr, []byte(garbage[n%len(garbage)]), andHangUp)
				if err != nil || len(answers) != 1 || statusOf(answers[0])/100 != 4 {
					t.Errorf("refused: %q, %v", answers, err)
					return
				}
				refused.Add(1)
			}
		})
	}
	err := poll(func() bool { return refused.Load() >= flooders })
	var worst int64
	for i := 0; i < genuine && err == nil; i++ {
		before := refused.Load()
		request := bytes.Replace(requestOfSize(100), []byte(" /big "), []byte(" /orders "), 1)
		answers, failed := exchange(agent.addr, request, inOneWrite)
		worst = max(worst, refused.Load()-before)
		if failed != nil || statusOf(answers[0]) != http.StatusOK {
			err = fmt.Errorf("request %d: %q, %w", i, answers, failed)
		}
	}
	ended.Store(true)
	flood.Wait()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d refused beside %d genuine requests, at most %d while one was under way", refused.Load(), genuine, worst)
	if n := len(u.list("--verdict", "accepted")); n != genuine {
		t.Errorf("%d of %d are on the tape", n, genuine)
	}
}
