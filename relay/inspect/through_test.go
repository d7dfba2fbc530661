package inspect

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/hooktape/hooktape/store"
)

// edge is an agent whose tape has one record, behind its socket, until stop.
func edge(t *testing.T, agent *fakeAgent) (c *Client, d *deck, stop func()) {
	t.Helper()
	d = newDeck(t, agent)
	rec := &store.Record{Source: "alice", Raw: store.InlineRaw([]byte("GET / HTTP/1.1\r\n\r\n"))}
	if err := d.store.Append(rec, nil, nil, nil).Wait(); err != nil {
		t.Fatal(err)
	}
	database := filepath.Join(t.TempDir(), "tape.db")
	l, err := Listen(database)
	if err != nil {
		t.Fatal(err)
	}
	running, end := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- d.server.Serve(running, l) }()
	stop = sync.OnceFunc(func() {
		end()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	c, err = Dial(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, d, stop
}

func TestAConnectionLeadsToTheLaptopUntilTheAgentStops(t *testing.T) {
	agent := newFakeAgent()
	c, d, stop := edge(t, agent)
	if _, err := d.Through(t.Context(), "last", "alice", "alice"); !isRefusal(err) {
		t.Errorf("where no agent runs: %v", err)
	}
	if _, err := c.Through(t.Context(), "last", "alice", "alice"); !isRefusal(err) {
		t.Errorf("while the laptop is away: %v", err)
	}
	if _, err := c.Through(t.Context(), "last~7", "alice", "alice"); !isRefusal(err) {
		t.Errorf("of a record that is not there: %v", err)
	}
	var laptop net.Conn
	agent.far, laptop = net.Pipe()
	conn, err := c.Through(t.Context(), "last", "alice", "alice")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, way := range [][2]net.Conn{{conn, laptop}, {laptop, conn}} {
		got := make([]byte, 5)
		go func() { _, _ = io.WriteString(way[0], "hello") }()
		if _, err := io.ReadFull(way[1], got); err != nil || string(got) != "hello" {
			t.Errorf("got %q, %v", got, err)
		}
	}
	stop()
	for _, end := range []net.Conn{conn, laptop} {
		if _, err := end.Read(make([]byte, 1)); err == nil {
			t.Error("it goes on")
		}
	}
}

// lossy is a connection that ends by being lost, like the link of a tunnel.
type lossy struct{ net.Conn }

func (c lossy) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// TestWhatIsLostOnItsWayDoesNotSeemToBeWhole: some responses last until the end of their connection.
func TestWhatIsLostOnItsWayDoesNotSeemToBeWhole(t *testing.T) {
	for name, tt := range map[string]struct {
		way  func(net.Conn) net.Conn
		want error
	}{
		"the laptop ends it": {func(c net.Conn) net.Conn { return c }, nil},
		"the link is lost":   {func(c net.Conn) net.Conn { return lossy{c} }, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			agent := newFakeAgent()
			c, _, _ := edge(t, agent)
			near, laptop := net.Pipe()
			agent.far = tt.way(near)
			conn, err := c.Through(t.Context(), "last", "alice", "alice")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			go func() {
				_, _ = io.WriteString(laptop, "HTTP/1.0 200 OK\r\n\r\nhe")
				_, _ = io.WriteString(laptop, "llo")
				_ = laptop.Close()
			}()
			got, err := io.ReadAll(iotest.OneByteReader(conn))
			if err != tt.want || string(got) != "HTTP/1.0 200 OK\r\n\r\nhello" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func isRefusal(err error) bool {
	_, refused := errors.AsType[*Problem](err)
	return refused
}

// TestWhoIsGoneIsNotSentForFurther: while the laptop takes nothing, it does not show that nobody waits.
func TestWhoIsGoneIsNotSentForFurther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, near := net.Pipe()
		far, laptop := net.Pipe()
		defer laptop.Close()
		var joined sync.WaitGroup
		joined.Go(func() { join(near, near, far) })
		if _, err := io.WriteString(client, "POST / HTTP/1.1\r\n"); err != nil {
			t.Error(err)
		}
		_ = client.Close()
		joined.Wait()
	})
}

// stutter is a connection whose other end has sent b: one byte comes between two timeouts.
type stutter struct {
	net.Conn
	b     []byte
	ready bool
}

func (c *stutter) Read(p []byte) (int, error) {
	if c.ready = !c.ready; c.ready && len(c.b) > 0 {
		return 0, os.ErrDeadlineExceeded
	}
	n := copy(p[:1], c.b)
	c.b = c.b[n:]
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func TestPiecesAreReadFurtherBehindATimeout(t *testing.T) {
	var sent bytes.Buffer
	w := pieceWriter{to: &sent}
	for _, s := range []string{"one, ", "two, ", strings.Repeat("x", 70_000)} {
		if n, err := io.WriteString(&w, s); n != len(s) || err != nil {
			t.Fatal(n, err)
		}
	}
	want := "one, two, " + strings.Repeat("x", 70_000)
	for _, whole := range []bool{false, true} {
		end := io.ErrUnexpectedEOF
		if whole {
			_, end = w.end(), io.EOF
		}
		conn := &stutter{b: bytes.Clone(sent.Bytes())}
		c := &pieces{Conn: conn, in: bufio.NewReader(conn)}
		var got []byte
		var err error
		for p := make([]byte, 100); err == nil || errors.Is(err, os.ErrDeadlineExceeded); {
			var n int
			n, err = c.Read(p)
			got = append(got, p[:n]...)
		}
		if err != end || string(got) != want {
			t.Errorf("whole %t: got %d bytes of %d, %v", whole, len(got), len(want), err)
		}
	}
}
