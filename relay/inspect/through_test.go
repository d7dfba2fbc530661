package inspect

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"

	"github.com/hooktape/hooktape/store"
)

func TestAConnectionLeadsToTheLaptopUntilTheAgentStops(t *testing.T) {
	agent := newFakeAgent()
	d := newDeck(t, agent)
	rec := &store.Record{Source: "alice", Raw: store.InlineRaw([]byte("GET / HTTP/1.1\r\n\r\n"))}
	if err := d.store.Append(rec, nil, nil, nil).Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Through(t.Context(), rec.ID.String(), "alice", "alice"); !isRefusal(err) {
		t.Errorf("where no agent runs: %v", err)
	}
	database := filepath.Join(t.TempDir(), "tape.db")
	l, err := Listen(database)
	if err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(context.Background())
	defer stop()
	served := make(chan error, 1)
	go func() { served <- d.server.Serve(running, l) }()
	c, err := Dial(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Through(t.Context(), rec.ID.String(), "alice", "alice"); !isRefusal(err) {
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
	if err := <-served; err != nil {
		t.Error(err)
	}
	for _, end := range []net.Conn{conn, laptop} {
		if _, err := end.Read(make([]byte, 1)); err == nil {
			t.Error("it goes on")
		}
	}
}

func isRefusal(err error) bool {
	_, refused := errors.AsType[*Problem](err)
	return refused
}
