package replay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/relay/wire/wiretest"
)

func TestMain(m *testing.M) {
	wiretest.Main()
	goleak.VerifyTestMain(m)
}

func opener(text string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
}

// app is a raw socket that answers every request the same, and tells what it got.
type app struct {
	url *url.URL
	got chan string
}

func newApp(t *testing.T, answer string) *app {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &app{&url.URL{Scheme: "http", Host: l.Addr().String(), Path: "/in"}, make(chan string, 8)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			a.serve(conn, answer)
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	return a
}

// serve reads one request to its end and answers it.
func (a *app) serve(conn net.Conn, answer string) {
	defer conn.Close()
	var got []byte
	buffer := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buffer)
		got = append(got, buffer[:n]...)
		if head, perr := wire.ParseRequestHead(got); perr == nil {
			framer := wire.NewFramer(head.Framing)
			if _, ferr := framer.Scan(got[len(head.Raw):]); ferr != nil || framer.Done() {
				break
			}
		}
		if err != nil {
			return
		}
	}
	a.got <- string(got)
	io.WriteString(conn, answer)
}

func send(t *testing.T, request string, to *app) *Result {
	t.Helper()
	r, err := Load(opener(request))
	if err != nil {
		t.Fatal(err)
	}
	client := new(wire.Client)
	defer client.Close()
	sender := Sender{Client: client}
	result, err := sender.Send(t.Context(), r, Aim{Route: wire.Route{Prefix: "/hook", URL: to.url}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { result.Kept.Close() })
	return result
}

func TestWhatIsSentIsWhatWasRecorded(t *testing.T) {
	for name, body := range map[string]string{
		"none":    "Content-Length: 0\r\n\r\n",
		"odd":     "X-oDD:  a\tb \r\nContent-Length: 3\r\nx-odd: again\r\n\r\n\x00\xff\n",
		"chunked": "Transfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n0\r\nTrailer-One: 1\r\n\r\n",
		"longer":  fmt.Sprintf("Content-Length: %d\r\n\r\n%s", 200<<10, strings.Repeat("x", 200<<10)),
		"big":     fmt.Sprintf("Content-Length: %d\r\n\r\n%s", 700<<10, strings.Repeat("x", 700<<10)),
	} {
		a := newApp(t, "HTTP/1.1 204 No Content\r\n\r\n")
		result := send(t, "POST /hook/a//b?q=%20 HTTP/1.1\r\nHost: there\r\n"+body, a)
		if result.Err != nil || result.Response.Status != 204 {
			t.Fatalf("%s: %+v", name, result)
		}
		want := "POST /in/a//b?q=%20 HTTP/1.1\r\nHost: " + a.url.Host + "\r\n" + body
		if got := <-a.got; got != want {
			t.Errorf("%s: got %.200q, want %.200q", name, got, want)
		}
	}
}

func TestTheResponseIsKeptByteForByte(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 200<<10)
	for name, text := range map[string]string{
		"short":       "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
		"chunked":     "HTTP/1.1 200 OK\r\ntransfer-encoding:chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
		"until close": "HTTP/1.0 200 OK\r\n\r\nuntil the end",
		"big":         fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(big), big),
	} {
		result := send(t, "GET /hook HTTP/1.1\r\nHost: x\r\n\r\n", newApp(t, text))
		if result.Err != nil {
			t.Fatalf("%s: %s", name, result.Err)
		}
		r, err := result.Kept.Open()
		if err != nil {
			t.Fatal(err)
		}
		if kept, err := io.ReadAll(r); err != nil || string(kept) != text {
			t.Errorf("%s: kept %d bytes of %d (%v)", name, len(kept), len(text), err)
		}
		then, err := ReadThen(opener(text), "GET")
		if err != nil {
			t.Fatal(err)
		}
		if d := Compare(then, result.Response, nil); d.Any() {
			t.Errorf("%s: the same response differs: %+v", name, d)
		}
	}
}

func TestAResponseCutShortIsAnErrorAndIsKept(t *testing.T) {
	result := send(t, "GET /hook HTTP/1.1\r\nHost: x\r\n\r\n", newApp(t, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"))
	if !errors.Is(result.Err, io.ErrUnexpectedEOF) || result.Response.Status != 200 || result.Response.Size != 4 || result.Unreachable() {
		t.Errorf("%+v", result)
	}
}

func TestATargetThatIsNotThereIsUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := &app{url: &url.URL{Scheme: "http", Host: l.Addr().String()}}
	l.Close()
	result := send(t, "GET /hook HTTP/1.1\r\nHost: x\r\n\r\n", gone)
	if result.Err == nil || !result.Unreachable() || result.Response != nil {
		t.Errorf("%+v", result)
	}
}

func TestARequestThatCannotBeMadeForATargetTellsNoSecretOfIt(t *testing.T) {
	r, err := Load(opener("GET /hook HTTP/1.1\r\nHost: x\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	to := &url.URL{Scheme: "http", Host: "127.0.0.1:1", Path: "/in", RawQuery: "token=correcthorsebattery"}
	_, err = new(Sender).Send(t.Context(), r, Aim{Route: wire.Route{Prefix: "/other", URL: to}})
	if !errors.Is(err, wire.ErrOutsidePrefix) || strings.Contains(err.Error(), "correcthorse") {
		t.Error(err)
	}
}

func TestWhatNeverWasARequestIsNotSent(t *testing.T) {
	for _, text := range []string{"", "\x16\x03\x01", "GET / HTTP/1.1\r\nHost: x\r\n"} {
		if _, err := Load(opener(text)); !errors.Is(err, ErrNoRequest) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestKeptSpillsToAFileAndRemovesIt(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	k := new(Kept)
	var want bytes.Buffer
	for i := range 300 {
		part := bytes.Repeat([]byte{byte(i)}, 7<<10)
		want.Write(part)
		if n, err := k.Write(part); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	r, err := k.Open()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%d bytes of %d (%v)", len(got), want.Len(), err)
	}
	if n := k.InMemory(); n != keptInMemory || new(Kept).InMemory()+(*Kept)(nil).InMemory() != 0 {
		t.Errorf("%d bytes in memory", n)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
