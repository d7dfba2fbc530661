package relay

import (
	"testing"
	"testing/synctest"
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
