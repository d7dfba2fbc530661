package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// syncPatience is how long Do itself writes without progress. Then a goroutine
	// goes on writing while Do reads: the app may have answered and read no more.
	syncPatience = 100 * time.Millisecond
	// syncSecure is the most that Do itself writes on TLS, where a write can't be
	// broken off half way; every socket takes that much.
	syncSecure = 16 << 10
	// lastWords is how long an app that takes no more of the request has to say
	// why.
	lastWords = time.Second
)

// errStopped is why a request was not sent to its end: the response came first.
var errStopped = errors.New("stopped sending")

// send writes the request, or has it written while the response is waited for. It
// returns an error of the body. One of the connection is only noted, since a
// response may tell more.
func (r *Response) send() error {
	switch {
	case r.asks():
		return r.ask()
	case r.out.Body == nil && r.out.known() <= smallBuffer:
		r.sendSmall()
		return nil
	}
	buf := bigBuffers.Get().(*[bigBuffer]byte)
	first := r.out.appendTo(buf[:0])
	body, err := r.openBody(len(first))
	if err == nil && body != nil {
		first, body, err = beginBody(first, body)
	}
	if err != nil {
		bigBuffers.Put(buf)
		r.bodyErr = err
		return err
	}
	if body == nil && (r.link.stream == r.link.sock || len(first) <= syncSecure) {
		if first = r.sendNow(first); len(first) == 0 {
			bigBuffers.Put(buf)
			return nil
		}
	}
	r.sendBeside(first, buf, body)
	return nil
}

// asks says whether one go can write the request and wait for the response (see
// asking).
func (r *Response) asks() bool {
	return r.link.ask != nil && r.out.Body == nil && r.out.known() <= bigBuffer
}

// ask is send for a request that asks. The only error is errStale: nothing was
// written.
func (r *Response) ask() error {
	r.untilPause()
	left, err := r.link.asked(&r.out, r.Reused)
	switch {
	case err == errStale:
		return err
	case err != nil:
		r.lastWords(err)
	case len(left) > 0:
		r.sendLeft(r.sendNow(left))
	}
	return nil
}

// sendSmall is send for a small request, so that a write that waits holds little memory.
func (r *Response) sendSmall() {
	small := smallBuffers.Get().(*[smallBuffer]byte)
	defer smallBuffers.Put(small)
	r.sendLeft(r.sendNow(r.out.appendTo(small[:0])))
}

// sendLeft has a writer write what sendNow has left.
func (r *Response) sendLeft(left []byte) {
	if len(left) > 0 {
		buf := bigBuffers.Get().(*[bigBuffer]byte)
		r.sendBeside(append(buf[:0], left...), buf, nil)
	}
}

// known is how many bytes of the request are in memory.
func (o *Outgoing) known() int { return len(o.Preface) + len(o.Head) + len(o.Bytes) }

// appendTo appends what is in memory of the request, but Bytes only if they fit into b's room.
func (o *Outgoing) appendTo(b []byte) []byte {
	b = append(b, o.Preface...)
	b = append(b, o.Head...)
	if len(o.Bytes) <= cap(b)-len(b) {
		b = append(b, o.Bytes...)
	}
	return b
}

// openBody opens what of the body is not in the buffer already.
func (r *Response) openBody(buffered int) (io.ReadCloser, error) {
	switch {
	case r.out.Body != nil:
	case buffered == r.out.known():
		return nil, nil
	default:
		return io.NopCloser(bytes.NewReader(r.out.Bytes)), nil
	}
	body, err := r.out.Body()
	if err != nil {
		return nil, fmt.Errorf("open body: %w", err)
	}
	return body, nil
}

// beginBody fills the buffer with the beginning of the body. If that was all, it
// closes the body and returns nil for it.
func beginBody(first []byte, body io.ReadCloser) ([]byte, io.ReadCloser, error) {
	for len(first) < cap(first) {
		n, err := body.Read(first[len(first):cap(first)])
		first = first[:len(first)+n]
		if err == nil {
			continue
		}
		closeErr := body.Close()
		if err != io.EOF {
			return nil, nil, fmt.Errorf("read body: %w", err)
		}
		if closeErr != nil {
			return nil, nil, fmt.Errorf("close body: %w", closeErr)
		}
		return first, nil, nil
	}
	return first, body, nil
}

// sendNow writes a whole request, or the rest of one. It returns what is left when
// the app takes no more for the moment.
func (r *Response) sendNow(b []byte) (left []byte) {
	sock := r.link.sock
	if r.link.stream == sock {
		sock.patience(syncPatience)
	} else {
		sock.patience(r.limits.Write)
	}
	n, err := r.link.stream.Write(b)
	switch {
	case err == nil:
		r.untilPause()
		return nil
	case isTimeout(err) && r.link.stream == sock && r.ctx.Err() == nil:
		return b[n:]
	}
	r.lastWords(err)
	return nil
}

// lastWords notes why the app takes no more of the request, and gives the app time
// to say so itself.
func (r *Response) lastWords(err error) {
	r.sendErr = cutShort(err)
	r.link.sock.until(earliest(time.Now().Add(lastWords), r.end))
}

// A writer is the goroutine that writes a request, while its response is waited
// for or read.
type writer struct {
	done    chan struct{} // closed when it has ended; then err and bodyErr may be read
	err     error         // of the connection, or errStopped
	bodyErr error         // of the body
	stop    atomic.Bool

	mu       sync.Mutex // held to change how long the response is waited for
	answered bool       // the response is here: the writer must not change that any more
}

// sendBeside starts the writer, which owns buf and body from then on.
func (r *Response) sendBeside(first []byte, buf *[bigBuffer]byte, body io.ReadCloser) {
	w := &writer{done: make(chan struct{})}
	r.writer = w
	r.link.sock.patience(r.limits.Write)
	r.link.sock.until(r.end)
	go func() {
		defer close(w.done)
		defer bigBuffers.Put(buf)
		w.write(r.link.stream, first, buf, body)
		w.ended(r)
	}()
}

// write writes first, then the rest of the body.
func (w *writer) write(to io.Writer, first []byte, buf *[bigBuffer]byte, body io.ReadCloser) {
	if body != nil {
		defer body.Close()
	}
	if _, err := to.Write(first); err != nil || body == nil {
		w.err = cutShort(err)
		return
	}
	for {
		n, err := body.Read(buf[:])
		if n > 0 {
			if w.stop.Load() {
				w.err = errStopped
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				w.err = cutShort(err)
				return
			}
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			w.bodyErr = fmt.Errorf("read body: %w", err)
			return
		}
	}
}

// ended sets how long the response is waited for, now that all is sent or nothing
// more can be.
func (w *writer) ended(r *Response) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.answered:
	case w.bodyErr != nil:
		r.link.sock.until(longAgo)
	case w.err != nil:
		r.link.sock.until(earliest(time.Now().Add(lastWords), r.end))
	default:
		r.untilPause()
	}
}

// noteAnswer keeps the writer from changing the time limit after this.
func (w *writer) noteAnswer() {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answered = true
}

// stopSending ends the writer. If that has written everything, nothing happens.
func (r *Response) stopSending() {
	if r.writer == nil {
		return
	}
	select {
	case <-r.writer.done:
	default:
		r.writer.stop.Store(true)
		r.link.sock.cutWrites(errStopped)
	}
}
