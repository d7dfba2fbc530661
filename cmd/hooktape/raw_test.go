package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// This file reads and writes HTTP with rules of its own, shared with nothing
// it tests: two parsers that agree on the bytes are the proof, one that agrees
// with itself is none.

// patienceOfTests bounds every wait: long enough for the race detector on a
// busy machine, short enough to fail within a test's time.
const patienceOfTests = 60 * time.Second

// cutHead gives the length of the head at the front of b, its blank line
// included, or 0 while it is not whole.
func cutHead(b []byte) int {
	for at := 0; ; {
		end := bytes.IndexByte(b[at:], '\n')
		if end < 0 {
			return 0
		}
		line := b[at : at+end]
		at += end + 1
		if len(line) == 0 || string(line) == "\r" {
			return at
		}
	}
}

// field finds the first value of a field of a head.
func field(head []byte, name string) (string, bool) {
	for line := range bytes.Lines(head) {
		key, value, ok := bytes.Cut(line, []byte(":"))
		if ok && strings.EqualFold(string(key), name) {
			return string(bytes.Trim(value, " \t\r\n")), true
		}
	}
	return "", false
}

// cutBody gives the length on the wire of the body at the front of b, which
// the fields of head frame; whole is false while it is not all there.
func cutBody(head, b []byte) (n int, whole bool) {
	if coding, ok := field(head, "Transfer-Encoding"); ok && strings.EqualFold(coding, "chunked") {
		return cutChunks(b)
	}
	length, _ := field(head, "Content-Length")
	n, err := strconv.Atoi(length)
	if length == "" || err != nil {
		return 0, true
	}
	return n, len(b) >= n
}

func cutChunks(b []byte) (n int, whole bool) {
	for at := 0; ; {
		end := bytes.IndexByte(b[at:], '\n')
		if end < 0 {
			return 0, false
		}
		digits, _, _ := strings.Cut(string(b[at:at+end]), ";")
		size, err := strconv.ParseInt(strings.TrimSpace(digits), 16, 62)
		if err != nil {
			return 0, false
		}
		at += end + 1
		if size == 0 {
			trailers := cutHead(b[at:])
			return at + trailers, trailers > 0
		}
		at += int(size) + len("\r\n")
		if at > len(b) {
			return 0, false
		}
	}
}

// cutRequest gives the length of the request at the front of b, or 0 while it
// is not whole.
func cutRequest(b []byte) int {
	head := cutHead(b)
	if head == 0 {
		return 0
	}
	body, whole := cutBody(b[:head], b[head:])
	if !whole {
		return 0
	}
	return head + body
}

// requestsIn cuts a file of testdata into its requests; rest is what is no
// whole request.
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

// cutAnswer gives the length of the answer at the front of b to a request of
// this method, or 0 while it is not whole. ended tells that no more will come.
func cutAnswer(b []byte, method string, ended bool) int {
	head := cutHead(b)
	if head == 0 {
		return 0
	}
	switch status := statusOf(b); {
	case method == "HEAD", status/100 == 1, status == 204, status == 304:
		return head
	}
	_, sized := field(b[:head], "Content-Length")
	_, chunked := field(b[:head], "Transfer-Encoding")
	if !sized && !chunked {
		if !ended {
			return 0
		}
		return len(b)
	}
	body, whole := cutBody(b[:head], b[head:])
	if !whole {
		return 0
	}
	return head + body
}

// statusOf reads the status of an answer, 0 when there is none.
func statusOf(answer []byte) int {
	line, _, _ := bytes.Cut(answer, []byte("\n"))
	words := strings.Fields(string(line))
	if len(words) < 2 {
		return 0
	}
	status, _ := strconv.Atoi(words[1])
	return status
}

func methodOf(request []byte) string {
	method, _, _ := bytes.Cut(request, []byte(" "))
	return string(method)
}

// exchange writes what a sender sends and reads one answer for each whole
// request in it, interim ones (1xx) left out; it reads until the connection
// closes when something is left over that is no request. Then the last answer
// is to that.
func exchange(addr string, sent []byte, write func(net.Conn, []byte) error) (answers [][]byte, err error) {
	_, rest := requestsIn(sent)
	return exchangeUntil(addr, sent, write, len(rest) > 0)
}

// exchangeToTheEnd is exchange with one that must be told so by a closed
// connection: the bytes look whole but are not to be accepted.
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
	if len(answers) == 0 {
		return nil, errors.Join(writeErr, readErr)
	}
	return answers, readErr
}

func readAnswers(conn net.Conn, requests [][]byte, toTheEnd bool) (answers [][]byte, err error) {
	var got []byte
	buf := make([]byte, 64<<10)
	for ended := false; ; {
		for len(got) > 0 {
			method := "" // of what is left over there is none
			if len(answers) < len(requests) {
				method = methodOf(requests[len(answers)])
			}
			n := cutAnswer(got, method, ended)
			if n == 0 {
				break
			}
			if statusOf(got)/100 != 1 {
				answers = append(answers, bytes.Clone(got[:n]))
			}
			got = got[n:]
		}
		if ended {
			return answers, nil
		}
		if !toTheEnd && len(answers) >= len(requests) {
			return answers, nil
		}
		n, err := conn.Read(buf)
		got = append(got, buf[:n]...)
		switch {
		case errors.Is(err, io.EOF), toTheEnd && errors.Is(err, syscall.ECONNRESET):
			ended = true
		case err != nil:
			return answers, fmt.Errorf("after %d answers and %q: %w", len(answers), clip(got), err)
		}
	}
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
	return answers[0], nil
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

// andHangUp writes all and then says that no more will come, as a sender does
// whose connection breaks.
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

func clip(b []byte) []byte { return b[:min(len(b), 200)] }

func mustRead(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
