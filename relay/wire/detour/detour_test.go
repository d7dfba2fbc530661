package detour_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hooktape/hooktape/relay/wire/detour"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo answers each connection with a name and what it gets.
func echo(t *testing.T, name string) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, name)
			_, _ = io.Copy(c, c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String()
}

func dial(t *testing.T, d *detour.Detour) net.Conn {
	c, err := net.Dial("tcp", d.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	return c
}

func reads(t *testing.T, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestADetourLeadsWhereItIsToldAndFallsSilent(t *testing.T) {
	d, err := detour.New()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close() // before the ends of its connections, of which the mute ones do not hear
	c := dial(t, d) // and waits
	d.Lead(echo(t, "first"))
	reads(t, c, "first")
	d.Lead(echo(t, "second"))
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("what was before goes on")
	}
	c = dial(t, d)
	reads(t, c, "second")
	_, _ = io.WriteString(c, "more")
	reads(t, c, "more")

	d.Mute()
	_, _ = io.WriteString(c, "unheard")
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if n, err := c.Read(make([]byte, 1)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("from a mute connection came %d bytes, %v", n, err)
	}
	if _, err := dial(t, d).Read(make([]byte, 1)); err == nil {
		t.Error("a new one leads somewhere")
	}
}
