package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// startLimited starts an agent that passes everything to an app, within limits.
func startLimited(t *testing.T, limits string) (*user, *rawApp) {
	t.Helper()
	app := startApp(t)
	u := newUser(t)
	u.start("run", "--config", u.writes("hooktape.hcl", "limits {\n"+limits+"\n}\n"+passingOn(app.addr)))
	return u, app
}

// A sender beyond limits.connections has to wait until one of the others is done.
func TestConnectionsBeyondTheLimitWait(t *testing.T) {
	t.Parallel()
	u, app := startLimited(t, "connections = 3")
	slow := u.slowOnes(3, "POST /slow HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhell")
	late := u.slowOnes(1, "POST /late HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")[0]
	late.SetReadDeadline(time.Now().Add(300 * time.Millisecond)) // however long: it can't get an answer
	if n, err := late.Read(make([]byte, 1)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("with three connections taken, a fourth reads %d bytes, %v", n, err)
	}
	for _, conn := range []net.Conn{slow[0], late} {
		if conn == slow[0] {
			fmt.Fprint(conn, "o")
		}
		conn.SetReadDeadline(time.Now().Add(patienceOfTests))
		answers, err := readAnswers(conn, [][]byte{[]byte("POST /")}, true)
		if err != nil || len(answers) != 1 || statusOf(answers[0]) != http.StatusOK {
			t.Fatalf("%q, %v", answers, err)
		}
	}
	received, err := app.await(2)
	if err != nil || !strings.HasPrefix(string(received[0]), "POST /slow ") || !strings.HasPrefix(string(received[1]), "POST /late ") {
		t.Errorf("the app got %q, %v", received, err)
	}
}

// A head may be as large as limits.head says, to the byte.
func TestHeadsBeyondTheLimitAreRefused(t *testing.T) {
	t.Parallel()
	const limit = 2 << 10
	u, app := startLimited(t, `head = "2KiB"`)
	head := func(size int) []byte {
		before, behind := "POST /big HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nX-Long: ", "\r\n\r\n"
		return []byte(before + strings.Repeat("x", size-len(before)-len(behind)) + behind)
	}
	for size, status := range map[int]int{limit: http.StatusOK, limit + 1: http.StatusRequestHeaderFieldsTooLarge} {
		answers, err := exchange(u.agent.addr, head(size), inOneWrite)
		if err != nil || len(answers) != 1 || statusOf(answers[0]) != status {
			t.Errorf("a head of %d bytes: %q, %v", size, answers, err)
		}
	}
	if received, err := app.await(1); err != nil || len(received) != 1 {
		t.Errorf("the app got %d requests, %v", len(received), err)
	}
	if refused := u.list("--verdict", "malformed"); len(refused) != 1 || refused[0].Answer == nil || refused[0].Answer.Status != 431 {
		t.Errorf("on the tape: %+v", refused)
	}
}
