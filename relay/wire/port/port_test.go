package port_test

import (
	"net"
	"testing"

	"github.com/hooktape/hooktape/relay/wire/port"
)

func TestAHeldPortIsRefusedWhileNobodyListensAndGivenToNobody(t *testing.T) {
	h, err := port.Hold()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	for range 3 {
		if c, err := net.Dial("tcp", h.Addr); err == nil {
			c.Close()
			t.Fatal("somebody takes connections")
		}
		if l, err := net.Listen("tcp", h.Addr); err == nil {
			l.Close()
			t.Fatal("somebody else could listen")
		}
		l, err := h.Listen()
		if err != nil {
			t.Fatal(err)
		}
		if l.Addr().String() != h.Addr {
			t.Errorf("it listens on %s, not %s", l.Addr(), h.Addr)
		}
		c, err := net.Dial("tcp", h.Addr)
		if err != nil {
			t.Fatal(err)
		}
		if taken, err := l.Accept(); err != nil {
			t.Error(err)
		} else {
			taken.Close()
		}
		c.Close()
		l.Close()
	}
	h.Release()
	h.Release()
}
