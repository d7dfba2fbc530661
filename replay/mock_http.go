package replay

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// RoundTrip implements http.RoundTripper: a http.Client with it gets recorded responses, whatever the host is. A request
// that was not recorded is an error that wraps a *Miss.
func (m *Mock) RoundTrip(r *http.Request) (*http.Response, error) {
	began := time.Now()
	told := Told{Method: r.Method, Target: r.URL.RequestURI()}
	defer func() { m.tell(told, began) }()
	found, err := m.answerHTTP(r, began, &told)
	if err != nil {
		told.Err = err
		return nil, err
	}
	response, err := found.http(r)
	if err != nil {
		told.Err = err
		return nil, err
	}
	told.ID, told.Status, told.Size = found.id, response.StatusCode, found.block.Size
	return response, nil
}

// ServeHTTP implements http.Handler, as for httptest.NewServer. The fields of responses come in net/http's writing. A
// request that was not recorded gets 404 with what a Miss says: as JSON where that is accepted, else as text.
func (m *Mock) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	told := Told{Method: r.Method, Target: r.RequestURI}
	defer func() { m.tell(told, began) }()
	found, err := m.answerHTTP(r, began, &told)
	var response *http.Response
	if err == nil {
		response, err = found.http(r)
	}
	if miss := missOf(err); miss != nil {
		told.Status = notRecorded
		contentType, body := miss.wording(r.Header.Get("Accept"))
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(notRecorded)
		n, _ := w.Write(body) // whoever asked has gone
		told.Size = int64(n)
		return
	}
	if err != nil {
		told.Status, told.Err = http.StatusBadGateway, err
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer response.Body.Close()
	told.ID, told.Status = found.id, response.StatusCode
	for name, values := range response.Header {
		if name != "Connection" && name != "Keep-Alive" {
			w.Header()[name] = values
		}
	}
	w.WriteHeader(response.StatusCode)
	told.Size, told.Err = io.Copy(w, response.Body)
	if told.Err != nil {
		panic(http.ErrAbortHandler) // nobody must take half a response for a whole one
	}
}

// answerHTTP is what was recorded of a request of net/http, or what comes of passing it on.
func (m *Mock) answerHTTP(r *http.Request, began time.Time, told *Told) (found recordedAnswer, err error) {
	kept := new(Kept)
	defer func() { err = errors.Join(err, kept.Close()) }()
	request, err := requestOf(r, kept)
	if err != nil {
		return found, fmt.Errorf("read the request: %w", err)
	}
	found, told.Missing, err = m.answer(r.Context(), request, kept, began)
	return found, err
}

// requestOf writes a request of net/http as it would be on the wire, and closes its body.
func requestOf(r *http.Request, kept *Kept) (*Request, error) {
	var body Kept
	if r.Body != nil {
		_, err := io.Copy(&body, r.Body)
		if err := errors.Join(err, r.Body.Close()); err != nil {
			return nil, errors.Join(err, body.Close())
		}
	}
	defer body.Close()
	var head bytes.Buffer
	target, host, method := r.RequestURI, r.Host, r.Method
	if target == "" { // it is a client's
		target = r.URL.RequestURI()
	}
	if host == "" {
		host = r.URL.Host
	}
	if method == "" {
		method = http.MethodGet
	}
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, target, host)
	fields := r.Header.Clone()
	for _, name := range []string{"Host", "Content-Length", "Transfer-Encoding"} {
		fields.Del(name)
	}
	if err := fields.Write(&head); err != nil {
		return nil, err
	}
	if body.Size() > 0 {
		fmt.Fprintf(&head, "Content-Length: %d\r\n", body.Size())
	}
	head.WriteString("\r\n")
	if _, err := kept.Write(head.Bytes()); err != nil {
		return nil, err
	}
	from, err := body.Open()
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(kept, from); err != nil {
		return nil, err
	}
	return Load(kept.Open)
}

// http is a recorded response as net/http has it. Its body is decoded where a http.Transport would have: the request did
// not say that it takes gzip itself.
func (a *recordedAnswer) http(r *http.Request) (*http.Response, error) {
	_, before, err := a.start()
	if err != nil {
		return nil, err
	}
	raw, err := openBehind(a.block.Open, before)
	if err != nil {
		return nil, err
	}
	response, err := http.ReadResponse(bufio.NewReader(raw), r)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the recorded response: %w", err), raw.Close())
	}
	response.Body = &closesBoth{response.Body, raw}
	if strings.EqualFold(response.Header.Get("Content-Encoding"), "gzip") && r.Header.Get("Accept-Encoding") == "" && r.RequestURI == "" && r.Method != http.MethodHead {
		plain, err := gzip.NewReader(response.Body)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("the recorded response: %w", err), response.Body.Close())
		}
		response.Header.Del("Content-Encoding")
		response.Header.Del("Content-Length")
		response.ContentLength, response.Uncompressed = -1, true
		response.Body = &closesBoth{io.NopCloser(plain), response.Body}
	}
	return response, nil
}

// closesBoth reads the one and closes both.
type closesBoth struct {
	io.ReadCloser
	other io.Closer
}

func (c *closesBoth) Close() error { return errors.Join(c.ReadCloser.Close(), c.other.Close()) }
