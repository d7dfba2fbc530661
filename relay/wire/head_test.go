package wire

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Every form of a request that two parsers could read differently is refused,
// with the answer it deserves and a reason for the operator.
func TestRefusesWhatTwoParsersCouldReadDifferently(t *testing.T) {
	const get = "GET / HTTP/1.1\r\nHost: a\r\n"
	const post = "POST / HTTP/1.1\r\nHost: a\r\n"
	tests := []struct {
		name, request string
		status        int
		reason        string
	}{
		// request line
		{"no target", "GET HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed request line"},
		{"no version: HTTP/0.9", "GET /\r\n\r\n", 400, "malformed request line"},
		{"empty line first", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed request line"},
		{"space first", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed method"},
		{"two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed HTTP version"},
		{"space behind the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400, "malformed HTTP version"},
		{"tab for a space", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed request line"},
		{"separator in the method", "GE{T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed method"},
		{"bare CR", "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", 400, "control character in the request target"},
		{"NUL", "GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "control character in the request target"},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "HTTP/2 without TLS negotiation"},
		{"CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "CONNECT"},
		{"CONNECT of a path", "CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "CONNECT"},
		{"HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, "version HTTP/2.0"},
		{"HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505, "version HTTP/1.2"},
		{"HTTP/0.9", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505, "version HTTP/0.9"},
		{"HTTP/1.10", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400, "malformed HTTP version"},
		{"version in lower case", "GET / http/1.1\r\nHost: a\r\n\r\n", 400, "malformed HTTP version"},

		// target
		{"no slash", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed request target"},
		{"authority-form", "GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed request target"},
		{"asterisk without OPTIONS", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed request target"},
		{"scheme of another protocol", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed request target"},
		{"percent at the end", "GET /a%2 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed percent-encoding in the path"},
		{"percent without hex", "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed percent-encoding in the path"},
		{"user in the target", "GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed host in the request target"},
		{"no host in the target", "GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed host in the request target"},
		{"escaped host in the target", "GET http://%61/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed host in the request target"},
		{"no address in brackets", "GET http://[a]/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed request target"},

		// fields
		{"no colon", get + "X\r\n\r\n", 400, "header field without a colon"},
		{"only spaces", get + "  \r\n\r\n", 400, "folded header field"},
		{"no name", get + ": a\r\n\r\n", 400, "header field without a name"},
		{"space before the colon", get + "X : a\r\n\r\n", 400, "space between a field name and its colon"},
		{"tab before the colon", get + "X\t: a\r\n\r\n", 400, "space between a field name and its colon"},
		{"space in the name", get + "X Y: a\r\n\r\n", 400, "malformed field name"},
		{"obs-text in the name", get + "X\xff: a\r\n\r\n", 400, "malformed field name"},
		{"obs-fold", get + "X: a\r\n b\r\n\r\n", 400, "folded header field"},
		{"obs-fold with tab", get + "X: a\r\n\tb\r\n\r\n", 400, "folded header field"},
		{"space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, "folded header field"},
		{"bare CR in a value", get + "X: a\rb\r\n\r\n", 400, "control character in the value of X"},
		{"CR CR LF", get + "X: a\r\r\n\r\n", 400, "control character in the value of X"},
		{"NUL in a value", get + "X: a\x00\r\n\r\n", 400, "control character in the value of X"},
		{"DEL in a value", get + "X: \x7f\r\n\r\n", 400, "control character in the value of X"},
		{"vertical tab round a value", get + "X: \va\r\n\r\n", 400, "control character in the value of X"},

		// Host
		{"no Host", "GET / HTTP/1.1\r\n\r\n", 400, "no Host field"},
		{"two Hosts", get + "host: a\r\n\r\n", 400, "more than one Host field"},
		{"two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400, "more than one Host field"},
		{"path in Host", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, `malformed Host "a/b"`},
		{"user in Host", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400, `malformed Host "u@a"`},
		{"space in Host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, `malformed Host "a b"`},
		{"obs-text in Host", "GET / HTTP/1.1\r\nHost: \xff\r\n\r\n", 400, `malformed Host "\xff"`},
		{"port is no number", "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400, `malformed Host "a:b"`},
		{"two ports", "GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n", 400, `malformed Host "a:1:2"`},
		{"open bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400, `malformed Host "[::1"`},
		{"empty brackets", "GET / HTTP/1.1\r\nHost: []\r\n\r\n", 400, `malformed Host "[]"`},
		{"behind the brackets", "GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n", 400, `malformed Host "[::1]a"`},

		// framing
		{"length and chunked", post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "both Content-Length and Transfer-Encoding"},
		{"equal lengths", post + "Content-Length: 5\r\ncontent-length: 5\r\n\r\n", 400, "more than one Content-Length field"},
		{"list of lengths", post + "Content-Length: 5,5\r\n\r\n", 400, `malformed Content-Length "5,5"`},
		{"empty length", post + "Content-Length:\r\n\r\n", 400, `malformed Content-Length ""`},
		{"signed length", post + "Content-Length: +5\r\n\r\n", 400, `malformed Content-Length "+5"`},
		{"negative length", post + "Content-Length: -5\r\n\r\n", 400, `malformed Content-Length "-5"`},
		{"space in a length", post + "Content-Length: 1 0\r\n\r\n", 400, `malformed Content-Length "1 0"`},
		{"hex length", post + "Content-Length: 0x5\r\n\r\n", 400, `malformed Content-Length "0x5"`},
		{"underscored length", post + "Content-Length: 1_0\r\n\r\n", 400, `malformed Content-Length "1_0"`},
		{"length beyond 63 bits", post + "Content-Length: 9223372036854775808\r\n\r\n", 400, `malformed Content-Length "9223372036854775808"`},
		{"two codings", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "more than one Transfer-Encoding field"},
		{"list of codings", post + "Transfer-Encoding: gzip, chunked\r\n\r\n", 400, `Transfer-Encoding "gzip, chunked"`},
		{"identity", post + "Transfer-Encoding: identity\r\n\r\n", 400, `Transfer-Encoding "identity"`},
		{"empty coding", post + "Transfer-Encoding: \r\n\r\n", 400, `Transfer-Encoding ""`},
		{"coding with the Kelvin sign", post + "Transfer-Encoding: chun\u212aed\r\n\r\n", 400, "Transfer-Encoding \"chun\u212aed\""},
		{"chunked in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "Transfer-Encoding in HTTP/1.0"},
		{"length announced as a trailer", post + "Transfer-Encoding: chunked\r\nTrailer: A, content-length\r\n\r\n", 400, "Trailer field announces framing"},

		{"a reason stays short", post + "Transfer-Encoding: " + strings.Repeat("x", 1000) + "\r\n\r\n", 400, `Transfer-Encoding "` + strings.Repeat("x", 40) + `…"`},

		// limits
		{"10,000 fields", get + strings.Repeat("X: a\r\n", 10_000) + "\r\n", 431, "more than 1000 header fields"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h, err := ParseRequestHead([]byte(test.request))
			syntax, ok := errors.AsType[*SyntaxError](err)
			if !ok {
				t.Fatalf("got %+v, %v; want a SyntaxError", h, err)
			}
			if syntax.Status != test.status || syntax.Error() != test.reason {
				t.Errorf("got %d %s, want %d %s", syntax.Status, syntax.Reason, test.status, test.reason)
			}
		})
	}
}

// What is legal, however odd, is accepted and kept as it came.
func TestKeepsWhatIsOddButLegal(t *testing.T) {
	tests := []struct {
		name, request string
		want          RequestHead // without Raw
	}{
		{
			"case, order, duplicates and blanks",
			"post /a HTTP/1.1\r\nx-B: 1\r\nHOST:a\r\nX-A: \t two  words \t\r\nx-b:\r\nX-b: 1\r\n\r\n",
			RequestHead{Method: "post", Target: "/a", Proto: "HTTP/1.1", KeepAlive: true,
				Fields: Fields{{"x-B", "1"}, {"HOST", "a"}, {"X-A", "two  words"}, {"x-b", ""}, {"X-b", "1"}}},
		},
		{
			"bare and mixed line ends",
			"GET / HTTP/1.1\nHost: a\r\nX: 1\n\r\n",
			RequestHead{Method: "GET", Target: "/", Proto: "HTTP/1.1", KeepAlive: true,
				Fields: Fields{{"Host", "a"}, {"X", "1"}}},
		},
		{
			"obs-text, tabs and quotes in a value",
			"GET / HTTP/1.1\r\nHost: a\r\nX: \"caf\xe9\t\\\"\" ;\r\n\r\n",
			RequestHead{Method: "GET", Target: "/", Proto: "HTTP/1.1", KeepAlive: true,
				Fields: Fields{{"Host", "a"}, {"X", "\"caf\xe9\t\\\"\" ;"}}},
		},
		{
			"a target with all that URLs should not have",
			"GET //a/../%2F\xc3\xa9<{|}>\"^`\\?%zz#? HTTP/1.1\r\nHost:\r\n\r\n",
			RequestHead{Method: "GET", Target: "//a/../%2F\xc3\xa9<{|}>\"^`\\?%zz#?", Proto: "HTTP/1.1", KeepAlive: true,
				Fields: Fields{{"Host", ""}}},
		},
		{
			"absolute-form",
			"GET HTTP://a.example:80?b HTTP/1.1\r\nHost: c\r\n\r\n",
			RequestHead{Method: "GET", Target: "HTTP://a.example:80?b", Proto: "HTTP/1.1", KeepAlive: true,
				Fields: Fields{{"Host", "c"}}},
		},
		{
			"a length with zeros before it",
			"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0000000000000000000005 \r\n\r\n",
			RequestHead{Method: "PUT", Target: "/", Proto: "HTTP/1.1", KeepAlive: true, Framing: Framing{Length: 5},
				Fields: Fields{{"Host", "a"}, {"Content-Length", "0000000000000000000005"}}},
		},
		{
			"the longest length",
			"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807\r\n\r\n",
			RequestHead{Method: "PUT", Target: "/", Proto: "HTTP/1.1", KeepAlive: true, Framing: Framing{Length: 9223372036854775807},
				Fields: Fields{{"Host", "a"}, {"Content-Length", "9223372036854775807"}}},
		},
		{
			"chunked in another case, waiting for 100",
			"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\nExpect: x, 100-Continue\r\n\r\n",
			RequestHead{Method: "PUT", Target: "/", Proto: "HTTP/1.1", KeepAlive: true, Continue: true, Framing: Framing{Chunked: true},
				Fields: Fields{{"Host", "a"}, {"Transfer-Encoding", "CHUNKED"}, {"Expect", "x, 100-Continue"}}},
		},
		{
			"HTTP/1.0 without Host, which can't wait for 100",
			"PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
			RequestHead{Method: "PUT", Target: "/", Proto: "HTTP/1.0", Framing: Framing{Length: 1},
				Fields: Fields{{"Expect", "100-continue"}, {"Content-Length", "1"}}},
		},
		{
			"100-continue for no body",
			"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
			RequestHead{Method: "GET", Target: "/", Proto: "HTTP/1.1", KeepAlive: true,
				Fields: Fields{{"Host", "a"}, {"Expect", "100-continue"}}},
		},
		{
			"no fields",
			"OPTIONS * HTTP/1.0\r\n\r\n",
			RequestHead{Method: "OPTIONS", Target: "*", Proto: "HTTP/1.0"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h, err := ParseRequestHead([]byte(test.request + "what follows"))
			if err != nil {
				t.Fatal(err)
			}
			test.want.Raw = test.request
			if !reflect.DeepEqual(*h, test.want) {
				t.Errorf("got  %+v\nwant %+v", *h, test.want)
			}
		})
	}
}

func TestConnectionLivesOnByVersionAndField(t *testing.T) {
	tests := []struct {
		proto, fields string
		want          bool
	}{
		{"HTTP/1.1", "", true},
		{"HTTP/1.1", "Connection: close\r\n", false},
		{"HTTP/1.1", "connection: X,\tClose\r\n", false},
		{"HTTP/1.1", "Connection: keep-alive\r\nConnection: close\r\n", false},
		{"HTTP/1.1", "Connection: closed\r\n", true},
		{"HTTP/1.0", "", false},
		{"HTTP/1.0", "Connection: Keep-Alive\r\n", true},
		{"HTTP/1.0", "Connection: keep-alive, close\r\n", false},
	}
	for _, test := range tests {
		h := parse(t, "GET / "+test.proto+"\r\nHost: a\r\n"+test.fields+"\r\n")
		if h.KeepAlive != test.want {
			t.Errorf("%s %q: got %v, want %v", test.proto, test.fields, h.KeepAlive, test.want)
		}
	}
}

func parse(t testing.TB, request string) *RequestHead {
	t.Helper()
	h, err := ParseRequestHead([]byte(request))
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	return h
}

func TestViewsOfTheTarget(t *testing.T) {
	tests := []struct{ method, target, host, path, query string }{
		{"GET", "/", "field", "/", ""},
		{"GET", "/a//b%20c?d=%zz?e", "field", "/a//b%20c", "d=%zz?e"},
		{"GET", "/?", "field", "/", ""},
		{"GET", "//other/a", "field", "//other/a", ""},
		{"GET", "/http://other/a", "field", "/http://other/a", ""},
		{"GET", "http://other:80/a?b", "other:80", "/a", "b"},
		{"GET", "HTTPS://[::1]:80", "[::1]:80", "/", ""},
		{"GET", "http://other?b=/c", "other", "/", "b=/c"},
		{"OPTIONS", "http://other", "other", "*", ""},
		{"OPTIONS", "http://other?b", "other", "/", "b"},
		{"OPTIONS", "*", "field", "*", ""},
	}
	for _, test := range tests {
		h := parse(t, test.method+" "+test.target+" HTTP/1.1\r\nHost: field\r\n\r\n")
		got := []string{h.Host(), h.Path(), h.Query()}
		if want := []string{test.host, test.path, test.query}; !slices.Equal(got, want) {
			t.Errorf("%s %s: got %q, want %q", test.method, test.target, got, want)
		}
	}
}

// A head that is not complete is asked for again, unless it can't become one.
func TestShortHeads(t *testing.T) {
	for n := range len(webhookHead) {
		if _, err := ParseRequestHead([]byte(webhookHead[:n])); !errors.Is(err, ErrShort) {
			t.Fatalf("after %q: got %v, want ErrShort", webhookHead[:n], err)
		}
	}
	hopeless := []string{
		"\x16\x03\x01\x02\x00\x01", // TLS
		"SSH-2.0-OpenSSH_9.6\r\n",
		"EHLO mail.example.com\r\n",
		"GET / HTTP/2.0\r\n",
		" ",
		"\r\n",
	}
	for _, s := range hopeless {
		if _, err := ParseRequestHead([]byte(s)); !isSyntax(err) {
			t.Errorf("%q: got %v, want a SyntaxError at once", s, err)
		}
	}
}

func isSyntax(err error) bool {
	_, ok := errors.AsType[*SyntaxError](err)
	return ok
}

func TestHeadEndIsFoundWhereverTheReadsAreCut(t *testing.T) {
	heads := []string{webhookHead, "GET / HTTP/1.1\n\n", "GET / HTTP/1.1\n\r\n", "a\r\nb\nc\r\n\r\n"}
	for _, head := range heads {
		stream := []byte(head + "\r\n\r\nmore")
		for looked := range len(head) {
			if end := HeadEnd(stream[:looked], 0); end != -1 {
				t.Fatalf("%q: got %d, want -1", stream[:looked], end)
			}
			if end := HeadEnd(stream, looked); end != len(head) {
				t.Fatalf("%q after %d bytes: got %d, want %d", head, looked, end, len(head))
			}
		}
	}
}

func TestEmptyLinesBeforeARequestAreSkipped(t *testing.T) {
	tests := []struct {
		in   string
		want int
	}{
		{"", 0}, {"GET", 0}, {"\r\nGET", 2}, {"\n\r\nGET", 3}, {"\r", 0}, {"\r\n\r", 2}, {"\rGET", 0}, {" \r\n", 0},
	}
	for _, test := range tests {
		if n := SkipBlank([]byte(test.in)); n != test.want {
			t.Errorf("%q: got %d, want %d", test.in, n, test.want)
		}
	}
}

func TestFieldsAreFoundWithoutCase(t *testing.T) {
	fields := Fields{{"X-A", "1"}, {"x-a", "2"}, {"X-Kelvin", "3"}}
	if v, ok := fields.Get("X-a"); v != "1" || !ok {
		t.Errorf("Get: got %q, %v", v, ok)
	}
	if v, ok := fields.Get("X-\u212aelvin"); ok {
		t.Errorf("Get by the Kelvin sign: got %q", v)
	}
	if got := fields.Values("x-A"); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("Values: got %q", got)
	}
	if got := fields.Values("X-B"); got != nil {
		t.Errorf("Values of none: got %q", got)
	}
}

// Every combination of these parts that we accept reads the same in net/http.
func TestCombinationsAgreeWithNetHTTP(t *testing.T) {
	lines := []string{
		"GET / HTTP/1.1", "POST /a%20b?c HTTP/1.1", "POST http://a:80/b?c HTTP/1.1", "PUT http://A HTTP/1.1",
		"POST //a HTTP/1.0", "OPTIONS * HTTP/1.1", "GET * HTTP/1.1", "HEAD /%2 HTTP/1.1", "GET / HTTP/1.2",
		"GET http://[::1%25a]/ HTTP/1.1", "GET http://a:/ HTTP/1.1", "GET http://a,b/ HTTP/1.1", "GET /\x80# HTTP/1.1",
	}
	fields := []string{
		"", "Content-Length: 5", "Content-Length: 05", "Content-Length:\t5\t", "Content-Length: 5,", "Content-Length: ５",
		"Content-Length: 3", "content-length: 5 ", "Transfer-Encoding: chunked", "transfer-encoding:\tChunked ",
		"Transfer-Encoding: chunked,", "Transfer-Encoding: identity", "Trailer: A", "Trailer: ,Trailer", "Connection: close",
		"Connection: Keep-Alive , x", "Pragma: no-cache", "Host: b", "X:\xff", "X: a\n b", "X : a", "X", "X: \r", "X:\x01",
	}
	bodies := []string{
		"", "hello", "hello, and more", "5\r\nhello\r\n0\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\nGET /", "5;a\rb\r\nhello\r\n0\r\n\r\n",
		"05;\r\nhello\r\n0;x\r\nA: b\r\nA: c\n\r\n", "0\r\nA: b\n\n\r\n\r\n", "0\r\nA: b\r\n\r\n", "0\r\n\n", "0\n\r\n", "0\r\n A: b\r\n\r\n",
		"5\r\nhello0\r\n\r\n", "00000000000000005\r\nhello\r\n0\r\n\r\n", "ffffffffffffffff\r\nhello", "5 ;a\r\nhello\r\n0\r\n\r\n", "0\r\nA\r\n\r\n",
	}
	accepted := 0
	for _, line := range lines {
		for _, f1 := range fields {
			for _, f2 := range fields {
				head := strings.Join(slices.DeleteFunc([]string{line, "Host: a", f1, f2}, func(s string) bool { return s == "" }), "\r\n")
				if _, err := ParseRequestHead([]byte(head + "\r\n\r\n")); err != nil {
					continue
				}
				for _, body := range bodies {
					stream := []byte(head + "\r\n\r\n" + body)
					if _, _, ok := cutRequest(stream); ok {
						accepted++
						agreeWithNetHTTP(t, stream)
					}
				}
			}
		}
	}
	if accepted < 1000 {
		t.Errorf("only %d combinations were accepted, so they show little", accepted)
	}
}

func ExampleParseRequestHead() {
	h, err := ParseRequestHead([]byte("POST /hooks?a=b HTTP/1.1\r\nhost: example.com\r\nContent-Length: 2\r\n\r\n{}"))
	if err != nil {
		panic(err)
	}
	fmt.Println(h.Method, h.Host(), h.Path(), h.Query(), h.Framing.Length, len(h.Raw))
	// Output: POST example.com /hooks a=b 2 66
}

func TestInterimResponsesEndWhereTheFinalOneBegins(t *testing.T) {
	const hints, final = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"
	for b, want := range map[string]int{
		"": 0, final: 0, "HTTP/1.1 101 Switching Protocols\r\n\r\n": 0, hints: len(hints), hints + final: len(hints), "HTTP/1.1 100 \n\n" + hints + final: 15 + len(hints),
		hints[:len(hints)-2]: 0, hints + hints[:20]: len(hints), "HTTP/1.1 1": 0, "POST /1/1 103 HTTP/1.1\r\n\r\n": 0,
		"HTTP/2 201 Created\r\n\r\n": 0, "HTTP/2 103 \r\n\r\n" + final: 15, "HTTP/1.1\r\n\r\n": 0, // as tools write responses that have no such line
	} {
		if got := Interim([]byte(b)); got != want {
			t.Errorf("%q: %d, not %d", b, got, want)
		}
	}
}
