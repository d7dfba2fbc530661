package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// This file writes HTTP, reads it back and compares it, by the rules of outsider.go.

// patienceOfTests bounds every wait: long enough for the race detector on a
// busy machine, short enough to fail within a test's time.
const patienceOfTests = 60 * time.Second

// requestsIn cuts a file of testdata into its requests; rest is what is not a whole
// request.
func requestsIn(b []byte) (requests [][]byte, rest []byte) {
	for {
		n := cutRequest(b)
		if n == 0 {
			return requests, b
		}
		requests = append(requests, b[:n])
		b = b[n:]
	}
}

// exchange writes what a sender sends and reads one answer for each whole
// request in it, interim ones (1xx) left out; it reads until the connection
// closes when something is left over that is no request. Then the last answer
// is to that.
func exchange(addr string, sent []byte, write func(net.Conn, []byte) error) (answers [][]byte, err error) {
	_, rest := requestsIn(sent)
	return exchangeUntil(addr, sent, write, len(rest) > 0)
}

// exchangeToTheEnd is exchange for a last request that must be answered by closing
// the connection: its bytes look whole but must not be accepted.
func exchangeToTheEnd(addr string, sent []byte, write func(net.Conn, []byte) error) (answers [][]byte, err error) {
	return exchangeUntil(addr, sent, write, true)
}

func exchangeUntil(addr string, sent []byte, write func(net.Conn, []byte) error, toTheEnd bool) (answers [][]byte, err error) {
	conn, err := net.DialTimeout("tcp", addr, patienceOfTests)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patienceOfTests))

	// An agent that refuses may close before all is written: what it answered
	// counts, not that the rest could not be sent.
	written := make(chan error, 1)
	go func() { written <- write(conn, sent) }()
	requests, _ := requestsIn(sent)
	answers, readErr := readAnswers(conn, requests, toTheEnd)
	if readErr != nil {
		conn.Close()
	}
	writeErr := <-written
	hangUp(conn)
	if len(answers) == 0 {
		return nil, errors.Join(writeErr, readErr)
	}
	return answers, readErr
}

// exchangeInTurn writes one request in a way that reads from the connection
// too, and then reads its answer.
func exchangeInTurn(addr string, request []byte, write func(net.Conn, []byte) error) ([]byte, error) {
	conn, err := net.DialTimeout("tcp", addr, patienceOfTests)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patienceOfTests))
	if err := write(conn, request); err != nil {
		return nil, err
	}
	answers, err := readAnswers(conn, [][]byte{request}, false)
	if err != nil {
		return nil, err
	}
	hangUp(conn)
	return answers[0], nil
}

// hangUp says that no more will come, and waits for the agent to hang up too. By then
// the agent has queued what became of the last request. An app's answer goes onto the
// tape only once the sender has it, so that whoever looks at once might look too
// early.
func hangUp(conn net.Conn) {
	conn.(*net.TCPConn).CloseWrite()
	io.Copy(io.Discard, conn)
}

// The ways to write a request.

func inOneWrite(conn net.Conn, b []byte) error {
	_, err := conn.Write(b)
	return err
}

func byteByByte(conn net.Conn, b []byte) error {
	for i := range b {
		if _, err := conn.Write(b[i : i+1]); err != nil {
			return err
		}
	}
	return nil
}

// andHangUp writes everything and then closes its side, like a sender whose
// connection breaks.
func andHangUp(conn net.Conn, b []byte) error {
	_, err := conn.Write(b)
	return errors.Join(err, conn.(*net.TCPConn).CloseWrite())
}

// asForwarded is what promise 5 lets a target receive of a recorded request:
// the target's Host, origin-form, no hop-by-hop fields; every other byte stays.
// host "" leaves the Host as it is, which `host = "original"` asks for.
func asForwarded(request []byte, host string) []byte {
	var out []byte
	head := cutHead(request)
	first := true
	for line := range bytes.Lines(request[:head]) {
		if first {
			first = false
			out = append(out, inOriginForm(line)...)
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch key := strings.ToLower(string(name)); {
		case key == "connection", key == "keep-alive", key == "te", key == "upgrade", strings.HasPrefix(key, "proxy-"):
			continue
		case key == "host" && host != "":
			old := bytes.Trim(value, " \t\r\n")
			line = append(append(bytes.Clone(name), ':'), bytes.Replace(value, old, []byte(host), 1)...)
		}
		out = append(out, line...)
	}
	return append(out, request[head:]...)
}

func inOriginForm(line []byte) []byte {
	method, rest, _ := strings.Cut(string(line), " ")
	if !strings.HasPrefix(rest, "http://") {
		return line
	}
	authority, after, _ := strings.Cut(strings.TrimPrefix(rest, "http://"), " ")
	_, path, _ := strings.Cut(authority, "/")
	return []byte(method + " /" + path + " " + after)
}

// withPath is a request whose source's path was replaced by its target's.
func withPath(request []byte, source, target string) []byte {
	return bytes.Replace(request, []byte(" "+source), []byte(" "+target), 1)
}

// sameBytes reports the first place where two byte strings differ.
func sameBytes(t testing.TB, what string, got, want []byte) {
	t.Helper()
	if err := differ(got, want); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

func differ(got, want []byte) error {
	if bytes.Equal(got, want) {
		return nil
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	from := max(0, at-40)
	return fmt.Errorf("%d bytes where %d were expected, different from byte %d on\n got: …%q\nwant: …%q",
		len(got), len(want), at, clip(got[from:]), clip(want[from:]))
}

func mustRead(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
