package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
	"unicode/utf8"
)

// echoMost is how much of a body the echo app returns.
const echoMost = 1 << 20

// echo is the built-in app that stands in for the developer's own.
type echo struct {
	url    *url.URL
	server *http.Server
	served chan struct{}
}

func startEcho() (*echo, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	e := &echo{
		url:    &url.URL{Scheme: "http", Host: l.Addr().String()},
		server: &http.Server{Handler: http.HandlerFunc(answerEcho), ReadHeaderTimeout: 10 * time.Second},
		served: make(chan struct{}),
	}
	go func() {
		defer close(e.served)
		_ = e.server.Serve(l) // http.ErrServerClosed
	}()
	return e, nil
}

func (e *echo) close() {
	e.server.Close()
	<-e.served
}

// echoed is what the echo app got. Body is text, or BodyBase64 when it is not UTF-8.
type echoed struct {
	Method     string      `json:"method"`
	Path       string      `json:"path"`
	Host       string      `json:"host"`
	Headers    http.Header `json:"headers"`
	Body       string      `json:"body"`
	BodyBase64 string      `json:"body_base64,omitempty"`
	Size       int64       `json:"size"` // of the whole body, of which the first MiB is returned
}

func answerEcho(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, echoMost))
	rest, restErr := io.Copy(io.Discard, r.Body)
	if err := errors.Join(err, restErr); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	got := echoed{Method: r.Method, Path: r.RequestURI, Host: r.Host, Headers: r.Header, Size: int64(len(body)) + rest}
	if utf8.Valid(body) {
		got.Body = string(body)
	} else {
		got.BodyBase64 = base64.StdEncoding.EncodeToString(body)
	}
	w.Header().Set("Content-Type", "application/json")
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	_ = out.Encode(got) // fails when the caller has gone away
}
