package wire

import (
	"context"
	"sync"
)

// A watch cuts a connection off when a context ends. It belongs to whoever uses
// the connection.
//
// Watching costs a registration with the context, and many clients use one context
// for all requests. So a context that comes for the second time in a row stays
// watched after its request, until the connection is used with another one. One that
// was made for a single request, and ends after it, cuts nothing off.
type watch struct {
	cut     func(cause error) // cuts the connection off
	done    <-chan struct{}   // of the context; nil: none was watched yet
	stop    func() bool       // nil: it is not watched now
	stays   bool
	cutting sync.WaitGroup
}

// begin has cut called with the cause when ctx ends. It returns false when the
// previous context has cut the connection off.
func (w *watch) begin(ctx context.Context) bool {
	done := ctx.Done()
	if w.stop != nil && done == w.done {
		return true
	}
	if !w.end() {
		return false
	}
	w.stays, w.done = done == w.done, done
	if done == nil {
		return true
	}
	w.cutting.Add(1)
	w.stop = context.AfterFunc(ctx, func() {
		defer w.cutting.Done()
		w.cut(context.Cause(ctx))
	})
	return true
}

// pause is called when the request is done. It returns false when the connection is
// cut off.
func (w *watch) pause(ctx context.Context) bool {
	if w.stays && ctx.Err() == nil {
		return true
	}
	return w.end()
}

// end stops watching. It returns false when the connection is cut off.
func (w *watch) end() bool {
	if w.stop == nil {
		return true
	}
	stopped := w.stop()
	if stopped {
		w.cutting.Done() // it will not run
	}
	w.stop = nil
	w.cutting.Wait()
	return stopped
}
