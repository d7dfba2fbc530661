package wire

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const (
	slow = "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n"
	fast = "GET /fast HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

	saidLate = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate"
	saidFast = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfast"
)

// within serves fast at once, and slow by Within, whose do lasts until hold is closed and then ends as given. It tells
// whether the exchange was left.
func within(limit time.Duration, hold <-chan bool, end func(), left chan<- bool) func(*Exchange) {
	return func(x *Exchange) {
		do := func() {
			<-hold
			end()
		}
		if x.Head.Path() == "/fast" || x.Within(limit, do, func() { _, _ = io.WriteString(x, saidLate) }) {
			_, _ = io.WriteString(x, saidFast)
		}
		if x.Head.Path() == "/slow" {
			left <- x.Left()
		}
	}
}

func TestAConnectionGoesOnBesideWhatTakesTooLong(t *testing.T) {
	for name, broken := range map[string]bool{"it ends": false, "it panics": true} {
		t.Run(name, func(t *testing.T) {
			var ended, told atomic.Bool
			hold, left := make(chan bool), make(chan bool, 1)
			s := &Server{Panicked: func(any, []byte) { told.Store(true) }}
			s.Serve = within(time.Millisecond, hold, func() {
				ended.Store(true)
				if broken {
					panic("oh")
				}
			}, left)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ran := make(chan error, 1)
			go func() { ran <- s.Run(l) }()
			if got := talk(t, l.Addr().String(), slow+fast); got != saidLate+saidFast {
				t.Errorf("got %q", got)
			}
			_ = s.Close()
			close(hold)
			if err := <-ran; err != ErrServerClosed || !ended.Load() {
				t.Errorf("Run returned %v, what took too long had ended: %v", err, ended.Load())
			}
			if told.Load() != broken {
				t.Errorf("told of a panic: %v", told.Load())
			}
			if !broken && !<-left {
				t.Error("it was not left")
			}
		})
	}
}

func TestWhatEndsInTimeIsAnsweredByItself(t *testing.T) {
	hold, left := make(chan bool), make(chan bool, 1)
	close(hold)
	s := &Server{Serve: within(time.Hour, hold, func() {}, left)}
	if got := talk(t, listen(t, s), slow+fast); got != saidFast+saidFast || <-left {
		t.Errorf("got %q", got)
	}
}

func TestAPanicWithinTheTimeClosesTheConnection(t *testing.T) {
	hold, told := make(chan bool), make(chan any, 1)
	close(hold)
	s := &Server{Panicked: func(v any, _ []byte) { told <- v }}
	s.Serve = within(time.Hour, hold, func() { panic("oh") }, nil)
	if got := talk(t, listen(t, s), slow); got != "" {
		t.Errorf("got %q", got)
	}
	if v := <-told; v != "oh" {
		t.Errorf("told of %v", v)
	}
}

// What the app says before its response is of no use once its sender has another answer.
func TestNothingIsSaidBeforeAnAnswerThatIsLate(t *testing.T) {
	hold := make(chan bool)
	s := &Server{Serve: func(x *Exchange) {
		x.Within(time.Millisecond, func() {
			x.Interim(earlyHints)
			<-hold
			x.Interim(earlyHints)
		}, func() {
			_, _ = io.WriteString(x, saidLate)
			close(hold)
		})
	}}
	if got := strings.TrimPrefix(talk(t, listen(t, s), slow), earlyHints); got != saidLate { // the early hints may come first
		t.Errorf("got %q", got)
	}
}

// Who reads nothing of what the app says before its response holds up nobody else.
func TestAnInterimResponseThatIsNotReadPutsNothingOff(t *testing.T) {
	began, ended := make(chan bool), make(chan bool)
	addr := listen(t, &Server{Serve: func(x *Exchange) {
		x.Within(time.Millisecond, func() {
			x.Interim(unreadable)
			close(ended)
		}, func() { close(began) })
	}})
	c := dial(t, addr)
	if _, err := io.WriteString(c, slow); err != nil {
		t.Fatal(err)
	}
	<-began
	_ = c.Close()
	<-ended
}
