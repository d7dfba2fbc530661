package relay

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

func TestHandsWaitForMoreUntilTheyAreDismissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h hands
		gate, begun, ended := make(chan bool), 0, 0
		one := make(chan bool, 1) // begun and ended are for whom it lets in
		work := func() {
			one <- true
			begun++
			<-one
			<-gate
			one <- true
			ended++
			<-one
		}
		check := func(wantBegun, wantEnded, wantIdle int) {
			t.Helper()
			synctest.Wait()
			if begun != wantBegun || ended != wantEnded || len(h.idle) != wantIdle {
				t.Errorf("%d begun, %d ended, %d idle, want %d, %d, %d", begun, ended, len(h.idle), wantBegun, wantEnded, wantIdle)
			}
		}
		for range 3 {
			h.do(work)
		}
		check(3, 0, 0) // none waits for another
		gate <- true
		gate <- true
		check(3, 2, 2)
		h.do(work)
		check(4, 2, 1)
		dismissed := make(chan bool)
		go func() {
			h.dismiss()
			close(dismissed)
		}()
		synctest.Wait()
		h.do(work) // what is under way may still want it
		check(5, 2, 0)
		for range 3 {
			gate <- true
		}
		<-dismissed
		check(5, 5, 0)
	})
}

// Whatever panics in an attempt, the process has other requests.
func TestAnAttemptThatPanicsIsMadeAgain(t *testing.T) {
	for _, in := range []string{"sending", "settling"} {
		t.Run(in, func(t *testing.T) {
			var left atomic.Int32
			left.Store(1)
			panicIn := func(where string) {
				if where == in && left.Add(-1) == 0 {
					panic("a fault")
				}
			}
			app := startApp(t, always(ok))
			r := startWith(t, tapeIn(t), Options{
				Client: &wire.Client{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
					panicIn("sending")
					return new(net.Dialer).DialContext(ctx, network, addr)
				}},
				Jitter: func() float64 {
					panicIn("settling")
					return 0
				},
			}, acking(app))
			r.send(post)
			until(t, "delivered", func() bool { return r.delivery(r.last().ID).State == store.Delivered })
		})
	}
}

// Nor may a fault where hooktape takes over keep from being delivered what it owns already.
func TestATakeOverThatPanicsHoldsNothing(t *testing.T) {
	for in, want := range map[string]map[store.State]int{"takeOver": {}, "wrote": {store.Delivered: 1}} {
		t.Run(in, func(t *testing.T) {
			var left atomic.Int32
			left.Store(1)
			release := make(chan bool)
			app := startApp(t, func(int, string) string { <-release; return ok })
			r := startWith(t, tapeIn(t), Options{Now: func() time.Time {
				if calledBy(in) && left.Add(-1) == 0 {
					panic("a fault")
				}
				return time.Now()
			}}, passing(app, 20*time.Millisecond))
			c, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(patienceOfTests))
			if _, err := io.WriteString(c, post); err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, c) // until the fault ends the connection
			close(release)
			until(t, "no attempt is under way", func() bool { return r.attemptsUnderWay() == 0 && r.exchanges.Load() == 0 })
			all := r.memory.Load().small
			until(t, "the memory is free", func() bool { return all.left.TryAcquire(all.size) })
			r.untilStates(want)
		})
	}
}

// Nor may it keep a connection to the app.
func TestAPanicBesideAResponseClosesItsConnection(t *testing.T) {
	for in, respond := range map[string]func(*app, time.Duration) config.Source{
		"passOn": passing,
		"settle": func(a *app, _ time.Duration) config.Source { return acking(a) },
	} {
		t.Run(in, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			ended := make(chan error, 1)
			go func() {
				c, err := l.Accept()
				if err == nil {
					defer c.Close()
					_ = c.SetDeadline(time.Now().Add(patienceOfTests))
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
					_, err = io.Copy(io.Discard, c)
				}
				ended <- err
			}()
			var left atomic.Int32
			left.Store(1)
			src := respond(&app{addr: l.Addr().String()}, time.Minute)
			r := startWith(t, tapeIn(t), Options{Now: func() time.Time {
				if calledBy(in) && left.Add(-1) == 0 {
					panic("a fault")
				}
				return time.Now()
			}}, src)
			r.ask(post)
			if err := <-ended; errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection stays open")
			}
		})
	}
}

// calledBy says whether a method of that name is among those that wait for the caller.
func calledBy(name string) bool {
	callers := make([]uintptr, 32)
	frames := runtime.CallersFrames(callers[:runtime.Callers(1, callers)])
	for more := true; more; {
		var f runtime.Frame
		if f, more = frames.Next(); strings.HasSuffix(f.Function, "."+name) {
			return true
		}
	}
	return false
}
