package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// certificate is for 127.0.0.1 and example.com, trusted by roots.
func certificate(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	t.Cleanup(s.Close)
	roots := s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	return &tls.Config{Certificates: s.TLS.Certificates}, &tls.Config{RootCAs: roots}
}

func TestServerSpeaksTLS(t *testing.T) {
	server, client := certificate(t)
	s := &Server{TLS: server, Serve: func(x *Exchange) {
		if !x.TLS {
			t.Error("the exchange does not know of TLS")
		}
		echo(x)
	}}
	u := &url.URL{Scheme: "https", Host: listen(t, s)}
	c := &Client{TLS: client}
	defer c.Close()
	for i := range 3 {
		if got, reused := fetch(t, c, get(u)); got != says("200 OK", "GET /a ") || reused != (i > 0) {
			t.Errorf("got %q, reused %v", got, reused)
		}
	}
	for _, size := range []int{1000, 40_000, 2_000_000} {
		body := bytes.Repeat([]byte("x"), size)
		head := "POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
		chunked := chunks(body)
		want := says("200 OK", "POST /b "+string(chunked))
		if got, _ := fetch(t, c, post(u, head, chunked)); got != want {
			t.Errorf("%d bytes: got %d, want %d", size, len(got), len(want))
		}
	}
}

// chunks encodes a body in chunks of 1 KiB.
func chunks(body []byte) []byte {
	var b bytes.Buffer
	for len(body) > 0 {
		n := min(len(body), 1<<10)
		fmt.Fprintf(&b, "%X\r\n", n)
		b.Write(body[:n])
		b.WriteString("\r\n")
		body = body[n:]
	}
	b.WriteString("0\r\n\r\n")
	return b.Bytes()
}

func TestServerOffersHTTP1Only(t *testing.T) {
	server, client := certificate(t)
	addr := listen(t, &Server{TLS: server, Serve: echo})
	client.NextProtos = []string{"h2", "http/1.1"}
	c, err := tls.Dial("tcp", addr, client)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := c.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
		t.Errorf("negotiated %q", got)
	}
}

func TestServerSeesPlainHTTPAndFailedHandshakesOnTLS(t *testing.T) {
	server, _ := certificate(t)
	told := make(chan *Refusal, 1)
	addr := listen(t, &Server{TLS: server, Serve: echo, Refuse: func(r *Refusal) []byte { told <- r; return nil }})

	got := talk(t, addr, getHead)
	r := <-told
	if !strings.HasPrefix(got, "HTTP/1.1 400 ") || string(r.Raw) != getHead || r.Cause != ErrPlainOnTLS || r.TLS {
		t.Errorf("answered %q, told %+v", got, r)
	}
	if got := talk(t, addr, ""); got != "" {
		t.Errorf("nothing got %q", got)
	}

	_, err := tls.Dial("tcp", addr, &tls.Config{}) // which does not trust the certificate
	r = <-told
	handshake, is := errors.AsType[*HandshakeError](r.Cause)
	if err == nil || !is || handshake.Err == nil || !isTLS(r.Raw) || len(r.Raw) < 100 {
		t.Errorf("dialled %v, told %+v", err, r)
	}
}

func TestHandshakesThatAreNotForHTTPEndThereAndAreNotTold(t *testing.T) {
	server, client := certificate(t)
	told := make(chan *Refusal, 3)
	s := &Server{TLS: server, Serve: echo, Refuse: func(r *Refusal) []byte { told <- r; return nil }}
	s.Aside = func(hello *tls.ClientHelloInfo) *tls.Config {
		if !slices.Contains(hello.SupportedProtos, "question") {
			return nil
		}
		return &tls.Config{Certificates: server.Certificates, NextProtos: []string{"question"}}
	}
	addr := listen(t, s)

	asking := client.Clone()
	asking.NextProtos = []string{"question"}
	c, err := tls.Dial("tcp", addr, asking)
	if err != nil || c.ConnectionState().NegotiatedProtocol != "question" {
		t.Fatalf("the question got %v", err)
	}
	defer c.Close()
	if got := readAll(t, c); got != "" {
		t.Errorf("behind the answer came %q", got)
	}
	asking.RootCAs = nil // so the handshake fails
	if c, err := tls.Dial("tcp", addr, asking); err == nil {
		t.Errorf("trusted %v", c.RemoteAddr())
	}

	u := &url.URL{Scheme: "https", Host: addr}
	others := &Client{TLS: client}
	defer others.Close()
	if got, _ := fetch(t, others, get(u)); got != says("200 OK", "GET /a ") {
		t.Errorf("a request got %q", got)
	}
	if _, err := tls.Dial("tcp", addr, &tls.Config{}); err == nil {
		t.Error("trusted")
	}
	first := <-told
	if _, is := errors.AsType[*HandshakeError](first.Cause); !is || len(told) > 0 {
		t.Errorf("told %+v, and %d more", first, len(told))
	}
}

// When no connection is idle, a new one waits until one is.
func TestBusyConnectionsMakeOthersWait(t *testing.T) {
	entered, release := make(chan bool, 10), make(chan bool)
	addr := listen(t, &Server{Limits: Limits{Conns: 2}, Serve: func(x *Exchange) {
		entered <- true
		<-release
		echo(x)
	}})
	var clients sync.WaitGroup
	for range 6 {
		clients.Go(func() {
			c := dial(t, addr)
			_, _ = io.WriteString(c, getHead)
			expect(t, c, says("200 OK", "GET /a "))
		})
	}
	<-entered
	<-entered
	if len(entered) > 0 {
		t.Error("more are served at once than may be open")
	}
	close(release)
	clients.Wait()
}

func TestAPanicEndsItsConnectionOnly(t *testing.T) {
	told := make(chan any, 1)
	addr := listen(t, &Server{
		Serve: func(x *Exchange) {
			if x.Head.Target == "/panic" {
				panic("oh")
			}
			echo(x)
		},
		Panicked: func(v any, stack []byte) {
			if !bytes.Contains(stack, []byte("TestAPanicEndsItsConnectionOnly")) {
				t.Errorf("no stack of the panic: %s", stack)
			}
			told <- v
		},
	})
	other := dial(t, addr)
	if got := talk(t, addr, "GET /panic HTTP/1.1\r\nHost: x\r\n\r\n"); got != "" {
		t.Errorf("got %q", got)
	}
	if v := <-told; v != "oh" {
		t.Errorf("told %v", v)
	}
	_, _ = io.WriteString(other, getHead)
	expect(t, other, says("200 OK", "GET /a "))
}

func TestNothingWrittenClosesTheConnection(t *testing.T) {
	addr := listen(t, &Server{Serve: func(x *Exchange) { _, _ = io.Copy(io.Discard, x) }})
	if got := talk(t, addr, getHead+getHead); got != "" {
		t.Errorf("got %q", got)
	}
}

// The answer to an upload that nobody reads arrives before the connection ends, and what follows the upload is never
// taken for a request.
func TestTheAnswerToAnUnreadBodyArrives(t *testing.T) {
	var served atomic.Int32
	addr := listen(t, &Server{Serve: func(x *Exchange) {
		served.Add(1)
		_, _ = x.Write(AppendResponse(nil, Answer{Status: 413, Close: !x.KeepAlive()}))
	}})
	const size = 5 << 20
	upload := "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5242880\r\n\r\n" + strings.Repeat("x", size) + getHead
	if got, want := talk(t, addr, upload), says("413 Request Entity Too Large", "", closes); got != want {
		t.Errorf("got %q", got)
	}
	if served.Load() != 1 {
		t.Errorf("served %d requests", served.Load())
	}
}

func TestKeepAliveTellsWhatIsKnown(t *testing.T) {
	var before, after, closing bool
	addr := listen(t, &Server{Serve: func(x *Exchange) {
		before = x.KeepAlive()
		_, _ = io.Copy(io.Discard, x)
		after = x.KeepAlive()
		x.CloseAfter()
		closing = x.KeepAlive()
		_, _ = x.Write([]byte("x"))
	}})
	talk(t, addr, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
	if before || !after || closing {
		t.Errorf("with an unread body %v, a read one %v, after CloseAfter %v", before, after, closing)
	}
}

func TestTheBodyIsDecodedOnItsWay(t *testing.T) {
	addr := listen(t, &Server{Serve: func(x *Exchange) {
		var decoded []byte
		x.SetDecoded(func(p []byte) { decoded = append(decoded, p...) })
		_, _ = io.Copy(io.Discard, x)
		trailer, _ := x.Trailers().Get("t")
		if string(decoded) != "abcde" || x.BodySize() != 5 || trailer != "v" {
			t.Errorf("decoded %q, size %d, trailer %q", decoded, x.BodySize(), trailer)
		}
		_, _ = x.Write([]byte("x"))
	}})
	talk(t, addr, "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nT: v\r\n\r\n")
}

func TestShutdownCutsWhatDoesNotFinish(t *testing.T) {
	entered := make(chan bool)
	s := &Server{Serve: func(x *Exchange) {
		entered <- true
		_, _ = x.Read(make([]byte, 1))
		_, _ = x.Write([]byte("x"))
	}}
	addr := listen(t, s)
	c := dial(t, addr)
	_, _ = io.WriteString(c, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n")
	<-entered
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(cause)
	if err := s.Shutdown(ctx); !errors.Is(err, cause) {
		t.Errorf("Shutdown returned %v", err)
	}
	if got, _ := io.ReadAll(c); len(got) > 0 {
		t.Errorf("got %q", got)
	}
	if err := s.Run(newPipes()); !errors.Is(err, ErrServerClosed) {
		t.Errorf("Run after Shutdown returned %v", err)
	}
}
