package relay

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hooktape/hooktape/store"
)

// What a sender has got can be looked up at once: whoever asks waits for what is on its way to the tape.
func TestWhoAsksWaitsForAnswersThatAreBeingTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := new(Agent)
		a.Told(t.Context())
		a.telling.begin(store.ID{1})
		a.telling.begin(store.ID{2})
		told := make(chan struct{})
		go func() {
			a.Told(t.Context())
			close(told)
		}()
		synctest.Wait()
		a.telling.begin(store.ID{3})
		a.telling.end(store.ID{1})
		synctest.Wait()
		select {
		case <-told:
			t.Error("it did not wait for the second")
		default:
		}
		a.telling.end(store.ID{2})
		<-told
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		a.Told(ctx)
		a.telling.end(store.ID{3})
		a.Told(t.Context())
	})
}

// A stream of events may go on for hours: who asks does not wait for it again and again.
func TestWhoAsksDoesNotWaitForAnAnswerThatGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := new(Agent)
		a.telling.begin(store.ID{1})
		a.telling.begin(store.ID{2})
		for _, most := range []time.Duration{endsSoon, endsNow} {
			asked := time.Now()
			if a.Told(t.Context()); time.Since(asked) != most {
				t.Errorf("it took %v, want %v", time.Since(asked), most)
			}
		}
	})
}

// The last byte of an answer can be with its sender before the tape has any of it.
func TestAnAnswerThatItsSenderHasIsOnTheTapeForWhoAsks(t *testing.T) {
	app := startApp(t, always(ok))
	r := start(t, passing(app, patienceOfTests))
	for range 50 {
		r.send(post)
		r.Told(t.Context())
		if rec := r.last(); rec.Answer == nil {
			t.Fatal("it is not there yet")
		}
	}
}
