package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
)

// seedRequests are what the fuzz targets start from, besides testdata/http: one
// for each thing that the parser looks at.
var seedRequests = []string{
	webhookHead,
	"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET / HTTP/1.1\nHost: a\n\nGET / HTTP/1.1\nHost: a\n\n",
	"POST /a%20b//c?d=e?f HTTP/1.1\r\nhost:a:80\r\nCONTENT-LENGTH: 05 \r\nX-Odd: \t a\xff \t\r\nX-Odd:\r\n\r\nhello",
	"POST http://[::1]:80/a?b HTTP/1.1\r\nHost: c\r\nConnection: x, Close\r\nContent-Length: 0\r\n\r\n",
	"OPTIONS * HTTP/1.0\r\nConnection: keep-alive\r\nPragma: no-cache\r\n\r\n",
	"PUT /a HTTP/1.1\r\nHost:\r\nTransfer-Encoding: Chunked\r\nTrailer: A, B\r\nExpect: 100-continue\r\n\r\n" +
		"5;x=\"y\"\r\nhello\r\n0A \t\r\n0123456789\r\n00\r\na: 1\nB:2\r\na:3\r\n\r\nGET /",
	"POST /?a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nContent-Length: 5\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nA: b\n\nC: d\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nConnection: TE, X\r\nTE: trailers\r\nUpgrade: h2c\r\nProxy-Authorization: b\r\nKeep-Alive: 5\r\n\r\n",
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /../%2e%2E/..;/a HTTP/1.1\r\nHost: a\r\n\r\n",
}

func addSeeds(f *testing.F, add func(request []byte)) {
	for _, s := range seedRequests {
		add([]byte(s))
	}
	for _, pattern := range []string{"*.http", "refused/*.http"} {
		files, err := filepath.Glob(filepath.Join("../../testdata/http", pattern))
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			if len(b) < 16<<10 { // larger ones teach the fuzzer nothing and slow it down
				add(b)
			}
		}
	}
}

// cutRequest cuts a whole request off the stream; ok is false if there is none.
func cutRequest(stream []byte) (h *RequestHead, body []byte, ok bool) {
	h, err := ParseRequestHead(stream)
	if err != nil {
		return nil, nil, false
	}
	framer := NewFramer(h.Framing)
	rest := stream[len(h.Raw):]
	n, err := framer.Scan(rest)
	return h, rest[:n], err == nil && framer.Done()
}

// Whatever we accept, net/http accepts, reads the same way and ends at the same byte.
func FuzzRequestAgainstNetHTTP(f *testing.F) {
	addSeeds(f, func(request []byte) { f.Add(request) })
	f.Fuzz(agreeWithNetHTTP)
}

func agreeWithNetHTTP(t *testing.T, stream []byte) {
	h, wire, ok := cutRequest(stream)
	if !ok {
		return
	}
	r := bufio.NewReader(bytes.NewReader(stream))
	req, err := http.ReadRequest(r)
	if err != nil {
		t.Fatalf("net/http refuses the head: %v", err)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatalf("net/http refuses the body: %v", err)
	}
	compareRequests(t, h, req)
	ours, trailers, err := DecodeBody(h.Framing, wire)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "body", ours, body)
	equal(t, "trailers", headerOf(trailers), sentTrailers(req.Trailer))
	rest, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "bytes behind the request", stream[len(h.Raw)+len(wire):], rest)
}

func compareRequests(t *testing.T, h *RequestHead, req *http.Request) {
	t.Helper()
	equal(t, "method", h.Method, req.Method)
	equal(t, "target", h.Target, req.RequestURI)
	equal(t, "version", h.Proto, req.Proto)
	equal(t, "host", h.Host(), req.Host)
	equal(t, "query", h.Query(), req.URL.RawQuery)
	equal(t, "keep-alive", h.KeepAlive, !req.Close)
	path, err := url.PathUnescape(h.Path())
	if err != nil {
		t.Fatal(err)
	}
	if req.URL.Path != "" { // an absolute-form without a path; h.Path says "/" or "*"
		equal(t, "path", path, req.URL.Path)
	}
	length := h.Framing.Length
	if h.Framing.Chunked {
		length = -1
	}
	equal(t, "length", length, req.ContentLength)
	equal(t, "fields", asNetHTTP(h.Fields, h.Framing), req.Header)
}

// asNetHTTP turns our fields into what net/http makes of them.
func asNetHTTP(fields Fields, framing Framing) http.Header {
	header := headerOf(fields)
	delete(header, "Host")
	delete(header, "Transfer-Encoding")
	if framing.Chunked {
		delete(header, "Trailer")
	}
	if p := header["Pragma"]; len(p) > 0 && p[0] == "no-cache" && header["Cache-Control"] == nil {
		header["Cache-Control"] = []string{"no-cache"}
	}
	return header
}

func headerOf(fields Fields) http.Header {
	header := make(http.Header)
	for _, f := range fields {
		header.Add(f.Name, f.Value)
	}
	return header
}

// sentTrailers leaves out those that were announced but never came.
func sentTrailers(trailers http.Header) http.Header {
	sent := make(http.Header)
	maps.Copy(sent, trailers)
	maps.DeleteFunc(sent, func(_ string, values []string) bool { return values == nil })
	return sent
}

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s: got %q, want %q", what, any(got), any(want))
	}
}

// The bytes made from a record are a request that parses like the record.
func FuzzRouteKeepsTheRequest(f *testing.F) {
	addSeeds(f, func(request []byte) { f.Add(request) })
	f.Fuzz(func(t *testing.T, stream []byte) {
		h, body, ok := cutRequest(stream)
		if !ok {
			return
		}
		same := Route{URL: &url.URL{Scheme: "http", Host: "target:1"}, KeepHost: true}
		got := sendAndCut(t, same, h, body)
		equal(t, "path", got.Path(), h.Path())
		if _, sent := h.Fields.Get("Host"); sent {
			equal(t, "host", got.Host(), h.Host())
		}
		other := Route{
			URL: &url.URL{Scheme: "http", Host: "target:1", Path: "/base/", RawQuery: "k=v"},
			Add: Fields{{"X-Added", "1"}},
		}
		if _, err := other.Head(h); errors.Is(err, ErrDotSegments) {
			return
		}
		got = sendAndCut(t, other, h, body)
		want := "/base" + h.Path()
		if h.Path() == "*" {
			want = "*"
		}
		equal(t, "rewritten path", got.Path(), want)
	})
}

// sendAndCut routes a request, cuts it off a stream again, and compares what no
// Route changes.
func sendAndCut(t *testing.T, route Route, h *RequestHead, body []byte) *RequestHead {
	t.Helper()
	head, err := route.Head(h)
	if err != nil {
		t.Fatal(err)
	}
	got, gotBody, ok := cutRequest(append([]byte(head), body...))
	if !ok {
		t.Fatalf("is no request any more: %q", head)
	}
	equal(t, "method", got.Method, h.Method)
	equal(t, "version", got.Proto, h.Proto)
	equal(t, "framing", got.Framing, h.Framing)
	equal(t, "body", gotBody, body)
	equal(t, "fields", passedOn(got.Fields), append(passedOn(h.Fields), route.Add...))
	return got
}

// passedOn are the fields that a Route copies.
func passedOn(fields Fields) Fields {
	kept := Fields{}
	for _, f := range fields {
		if !aboutConnection(f.Name) && !equalFold(f.Name, "Host") {
			kept = append(kept, f)
		}
	}
	return kept
}

// However a body is cut into pieces, the Framer and the BodyReader see the same.
func FuzzFramerInPieces(f *testing.F) {
	addSeeds(f, func(request []byte) {
		if h, body, ok := cutRequest(request); ok {
			f.Add(h.Framing.Chunked, h.Framing.Length, body, []byte{1, 0, 3})
		}
	})
	f.Add(false, int64(-1), []byte("until the end"), []byte{2})
	f.Fuzz(func(t *testing.T, chunked bool, length int64, stream, cuts []byte) {
		framing := Framing{Chunked: chunked, Length: max(length, -1)}
		whole := scan(framing, stream, nil)
		equal(t, "in pieces", scan(framing, stream, cuts), whole)
		equal(t, "byte by byte", scan(framing, stream, []byte{1}), whole)
		body, trailers, err := DecodeBody(framing, stream[:whole.n])
		equal(t, "decoded", body, whole.decoded)
		equal(t, "size", whole.size, int64(len(body)))
		r := NewBodyReader(framing, &pieces{stream: stream[:whole.n], cuts: cuts})
		read, readErr := io.ReadAll(r)
		equal(t, "read", read, body)
		equal(t, "trailers read", r.Trailers(), trailers)
		if (readErr == nil) != (err == nil) {
			t.Fatalf("BodyReader says %v, DecodeBody %v", readErr, err)
		}
	})
}

type scanned struct {
	n        int
	size     int64
	done     bool
	decoded  []byte
	trailers Fields
	err      error
}

func scan(framing Framing, stream, cuts []byte) scanned {
	result := scanned{decoded: []byte{}}
	framer := NewFramer(framing)
	framer.Decoded = func(p []byte) { result.decoded = append(result.decoded, p...) }
	p := pieces{stream: stream, cuts: cuts}
	for result.err == nil {
		piece := p.next(len(p.stream))
		if len(piece) == 0 {
			break
		}
		var n int
		n, result.err = framer.Scan(piece)
		result.n += n
		if n < len(piece) {
			break
		}
	}
	result.size, result.done, result.trailers = framer.Size(), framer.Done(), framer.Trailers()
	return result
}

// pieces gives a stream in pieces of the sizes in cuts, over and over; whole
// without them.
type pieces struct {
	stream, cuts []byte
	i            int
}

func (p *pieces) next(most int) []byte {
	n := min(most, len(p.stream))
	if len(p.cuts) > 0 {
		n = min(n, int(p.cuts[p.i%len(p.cuts)])+1)
		p.i++
	}
	piece := p.stream[:n]
	p.stream = p.stream[n:]
	return piece
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.stream) == 0 {
		return 0, io.EOF
	}
	return copy(b, p.next(len(b))), nil
}

// Whatever response we accept, net/http accepts and reads the same way.
func FuzzResponseAgainstNetHTTP(f *testing.F) {
	for _, s := range seedResponses {
		f.Add([]byte(s), "GET")
		f.Add([]byte(s), "HEAD")
	}
	f.Fuzz(func(t *testing.T, stream []byte, method string) {
		h, err := ParseResponseHead(stream, method)
		if err != nil {
			return
		}
		framer := NewFramer(h.Framing)
		n, err := framer.Scan(stream[len(h.Raw):])
		if err != nil || framer.EOF() != nil {
			return
		}
		r := bufio.NewReader(bytes.NewReader(stream))
		resp, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("net/http refuses the head: %v", err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatalf("net/http refuses the body: %v", err)
		}
		equal(t, "status", h.Status, resp.StatusCode)
		equal(t, "version", h.Proto, resp.Proto)
		equal(t, "keep-alive", h.KeepAlive, !resp.Close)
		ours, trailers, err := DecodeBody(h.Framing, stream[len(h.Raw):len(h.Raw)+n])
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "body", ours, body)
		equal(t, "trailers", headerOf(trailers), sentTrailers(resp.Trailer))
		want := asNetHTTP(h.Fields, Framing{Chunked: slices.Contains(resp.TransferEncoding, "chunked")})
		if h.Proto == "HTTP/1.1" && resp.Header["Connection"] == nil {
			delete(want, "Connection") // net/http drops a field that says close
		}
		equal(t, "fields", want, resp.Header)
	})
}

var seedResponses = []string{
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n\r\n",
	"HTTP/1.1 200\r\n\r\nuntil close",
	"HTTP/1.0 404 Not Found\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 204 \r\nConnection: close\r\nX:  \xff\t \r\n\r\n",
	"HTTP/1.1 304 Not Modified\nContent-Length: 10\n\n",
	"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
}
