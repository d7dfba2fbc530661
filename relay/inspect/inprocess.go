package inspect

import (
	"fmt"
	"io"
	"net/http"
	"sync"
)

// inProcess is an http.RoundTripper that calls a handler, without a socket. The
// handler's goroutine has ended when closing the response's body returns.
type inProcess struct{ handler http.Handler }

func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r = r.Clone(r.Context())
		r.Body = http.NoBody
	}
	out, in := io.Pipe()
	a := &pipedAnswer{
		header: http.Header{}, in: in, begun: make(chan struct{}), ended: make(chan struct{}),
		response: &http.Response{
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r, ContentLength: -1, Trailer: http.Header{},
		},
	}
	a.response.Body = pipedBody{out, a.ended}
	go a.serve(t.handler, r)
	<-a.begun
	return a.response, nil
}

// pipedAnswer is the http.ResponseWriter of an inProcess handler. Only the
// handler's goroutine writes to it. The response is the caller's once begun is
// closed, except its Trailer, which is the caller's at the end of the body.
type pipedAnswer struct {
	header       http.Header
	in           *io.PipeWriter
	once         sync.Once
	begun, ended chan struct{}
	response     *http.Response
}

func (a *pipedAnswer) serve(h http.Handler, r *http.Request) {
	defer close(a.ended)
	defer r.Body.Close()
	defer func() {
		cause := recover()
		a.WriteHeader(http.StatusOK)
		if cause == http.ErrAbortHandler { // over a socket, too, the caller would learn no more
			cause = "not all of it can be read"
		}
		if cause != nil {
			a.in.CloseWithError(fmt.Errorf("the answer broke off: %v", cause))
			return
		}
		for _, key := range a.header["Trailer"] {
			a.response.Trailer[key] = a.header[key]
		}
		a.in.Close()
	}()
	h.ServeHTTP(a, r)
}

func (a *pipedAnswer) Header() http.Header { return a.header }

func (a *pipedAnswer) WriteHeader(status int) {
	a.once.Do(func() {
		a.response.StatusCode, a.response.Status = status, fmt.Sprintf("%d %s", status, http.StatusText(status))
		a.response.Header = a.header.Clone()
		close(a.begun)
	})
}

func (a *pipedAnswer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.in.Write(p)
}

// Flush does nothing: a pipe holds nothing back.
func (a *pipedAnswer) Flush() { a.WriteHeader(http.StatusOK) }

// pipedBody waits for the handler when it is closed.
type pipedBody struct {
	*io.PipeReader
	ended chan struct{}
}

func (b pipedBody) Close() error {
	b.PipeReader.Close()
	<-b.ended
	return nil
}
