package wire

import (
	"context"
	"io"
	"net"
	"net/url"
	"testing"
	"time"
)

func TestAHijackedConnectionIsNoMoreTheServers(t *testing.T) {
	hijacked := make(chan net.Conn, 1)
	s := &Server{Serve: func(x *Exchange) {
		r, err := x.Request()
		if err != nil || r.Header.Get("Upgrade") != "echo" {
			t.Errorf("got %v, %v", r, err)
		}
		hijacked <- x.Hijack()
	}}
	c := dial(t, listen(t, s))
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: echo\r\n\r\nahead"); err != nil {
		t.Fatal(err)
	}
	given := <-hijacked
	defer given.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Fatalf("Shutdown waited for it: %v", err)
	}
	if _, err := io.WriteString(c, ", behind"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len("ahead, behind"))
	if _, err := io.ReadFull(given, got); err != nil || string(got) != "ahead, behind" {
		t.Fatalf("read %q, %v", got, err)
	}
	if err := given.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := given.Read(got); !isTimeout(err) {
		t.Errorf("a deadline that is over gives %v", err)
	}
	if _, err := io.WriteString(given, "back"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, got[:4]); err != nil || string(got[:4]) != "back" {
		t.Errorf("the peer read %q, %v", got[:4], err)
	}
}

func TestAConnectionOfARequestsOwnIsUsedOnceUnlessItIsKept(t *testing.T) {
	at := app(t, func(c *net.TCPConn, _ int) {
		for {
			if _, ok := take(c); !ok {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
		}
	})
	client := newClient(t)
	for i, kept := range []string{"", "", "a", "b", "a"} {
		dialled, want := 0, 1
		if i == 4 {
			want = 0
		}
		r, err := client.Do(t.Context(), &Outgoing{
			URL: &url.URL{Scheme: "tunnel", Host: "nobody"}, Head: "GET / HTTP/1.1\r\nHost: h\r\n\r\n", Method: "GET",
			Kept: kept, MaxKept: 1,
			Dial: func(ctx context.Context) (net.Conn, error) {
				dialled++
				return new(net.Dialer).DialContext(ctx, "tcp", at.Host)
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if r.Close(); dialled != want || r.Reused == (want == 1) {
			t.Errorf("request %d of %q: dialled %d times, reused %v", i, kept, dialled, r.Reused)
		}
	}
}
