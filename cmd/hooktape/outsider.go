package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
)

// This file reads HTTP with rules of its own, for soak and for the tests. It shares
// nothing with what is tested: two parsers that agree on the bytes prove something,
// a parser that agrees with itself does not.

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

// readAnswers reads one answer for each request, leaving out interim ones (1xx).
// With toTheEnd it reads until the connection closes, and what comes then counts too.
func readAnswers(conn net.Conn, requests [][]byte, toTheEnd bool) (answers [][]byte, err error) {
	var got []byte
	buf := make([]byte, 64<<10)
	for ended := false; ; {
		for len(got) > 0 {
			method := "" // none for what is left over
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

// clip is the beginning of bytes that are shown to people.
func clip(b []byte) []byte { return b[:min(len(b), 200)] }
