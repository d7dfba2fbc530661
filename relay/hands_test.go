package relay

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"

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
