package tape

import (
	"bytes"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/wire"
)

// socketRecorder takes one connection at a time and tells the bytes that came over it.
type socketRecorder struct {
	net.Listener
	got chan []byte
}

func newSocketRecorder(t *testing.T) *socketRecorder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &socketRecorder{l, make(chan []byte, 1)}
	var serving sync.WaitGroup
	serving.Go(s.serve)
	t.Cleanup(func() { l.Close(); serving.Wait() })
	return s
}

func (s *socketRecorder) serve() {
	for {
		c, err := s.Accept()
		if err != nil {
			return
		}
		s.got <- record(c)
	}
}

// record reads a request, answers, and reads on until the sender hangs up.
func record(c net.Conn) []byte {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute)) // a loaded machine is slow; nothing waits for it otherwise
	var all []byte
	answered, continued := false, false
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		all = append(all, buf[:n]...)
		if head, e := wire.ParseRequestHead(all); e == nil && head.Continue && !continued {
			continued = true
			_, _ = io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
		}
		if !answered && whole(all) {
			answered = true
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			_ = c.(*net.TCPConn).CloseWrite()
		}
		if err != nil {
			return all
		}
	}
}

func whole(all []byte) bool {
	head, err := wire.ParseRequestHead(all)
	if err != nil {
		return false
	}
	_, _, err = wire.DecodeBody(head.Framing, all[len(head.Raw):])
	return err == nil
}

// TestCurlSendsTheRecordedBytes: the command is run in a shell, against a socket that records what comes.
func TestCurlSendsTheRecordedBytes(t *testing.T) {
	needs(t, "curl", "bash", "base64", "timeout")
	recorder := newSocketRecorder(t)
	names, requests := everyRequest(t)
	names, requests = names[:len(names)-1], requests[:len(requests)-1] // without the large one
	own := "POST /a'b?c=%00&d=$(x)`y`[1-3]{a,b} HTTP/1.1\r\nHost: h\r\nX: it's \"$HOME\" `id` \\n\r\nX-Empty:\r\nContent-Length: 13\r\n\r\n@'x'\n\"$HOME\"\n"
	names, requests = append(names, "shell characters"), append(requests, []byte(own))
	withCurl := 0
	for i, raw := range requests {
		if bytes.Count(raw, []byte(" HTTP/1.")) > 1 && !whole(raw) { // several in one file
			continue
		}
		r := &Recording{Request: Bytes(raw)}
		if err := r.examine(); err != nil {
			t.Fatal(err)
		}
		command, instead, err := Curl(r, "http://"+recorder.Addr().String())
		if err != nil {
			t.Fatal(names[i], err)
		}
		if instead == "" {
			withCurl++
		}
		shell := exec.Command("bash", "-c", strings.Replace(command, "curl ", "curl -q --silent --noproxy '*' --max-time 50 ", 1))
		out, err := shell.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v: %s\n%s", filepath.Base(names[i]), err, out, command)
		}
		if got := <-recorder.got; !bytes.Equal(got, raw) {
			t.Errorf("%s:\n%.1000s\n%.600q\nwant\n%.600q", filepath.Base(names[i]), command, got, raw)
		}
	}
	if withCurl < len(requests)/2 {
		t.Errorf("only %d of %d are sent by curl", withCurl, len(requests))
	}
}

func TestACommandDoesNoHarmOnATerminal(t *testing.T) {
	r := &Recording{Request: Bytes([]byte("GET /\x1b[31m HTTP/1.1\r\nHost: a\r\nX: \u202e\r\n\r\n"))}
	command, _, err := Curl(r, "http://a")
	if err != nil || strings.ContainsAny(command, "\x1b\u202e") {
		t.Errorf("%q, %v", command, err)
	}
	if _, _, err := Curl(r, "ftp://a"); err == nil {
		t.Error("ftp is taken")
	}
}

// TestAHostIsNoShellScript: a sender chooses the host that a command is made for, and a shell must not run it.
func TestAHostIsNoShellScript(t *testing.T) {
	needs(t, "curl", "bash", "base64", "timeout")
	const host = "$(no-such-program)"
	for _, body := range []string{"Content-Length: 1\r\n\r\nx", "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"} {
		r := &Recording{Request: Bytes([]byte("POST / HTTP/1.1\r\nHost: " + host + "\r\n" + body))}
		if err := r.examine(); err != nil {
			t.Fatal(err)
		}
		command, _, err := Curl(r, "http://"+host)
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("bash", "-c", command).CombinedOutput()
		if err == nil || strings.Contains(string(out), "command not found") {
			t.Errorf("%s\nran what it was to connect to: %v\n%s", command, err, out)
		}
	}
}
