package wire

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestResponsesAreReadAsServersSendThem(t *testing.T) {
	tests := []struct {
		name, method, response string
		want                   ResponseHead // without Raw
	}{
		{
			"length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
			ResponseHead{Proto: "HTTP/1.1", Status: 200, Reason: "OK", KeepAlive: true, Framing: Framing{Length: 5},
				Fields: Fields{{"Content-Length", "5"}}},
		},
		{
			"no reason, no space", "GET", "HTTP/1.1 404\r\ncontent-length:0\r\n\r\n",
			ResponseHead{Proto: "HTTP/1.1", Status: 404, KeepAlive: true, Fields: Fields{{"content-length", "0"}}},
		},
		{
			"no reason, bare LF, closing", "GET", "HTTP/1.1 999 \nConnection: close\nContent-Length: 1\n\n",
			ResponseHead{Proto: "HTTP/1.1", Status: 999, Framing: Framing{Length: 1},
				Fields: Fields{{"Connection", "close"}, {"Content-Length", "1"}}},
		},
		{
			"until the connection closes", "POST", "HTTP/1.1 200 Sehr sch\xf6n\r\n\r\n",
			ResponseHead{Proto: "HTTP/1.1", Status: 200, Reason: "Sehr sch\xf6n", Framing: Framing{Length: -1}},
		},
		{
			"chunked", "POST", "HTTP/1.1 500 Internal Server Error\r\nTransfer-Encoding: chunked\r\n\r\n",
			ResponseHead{Proto: "HTTP/1.1", Status: 500, Reason: "Internal Server Error", KeepAlive: true, Framing: Framing{Chunked: true},
				Fields: Fields{{"Transfer-Encoding", "chunked"}}},
		},
		{
			"answer to HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
			ResponseHead{Proto: "HTTP/1.1", Status: 200, Reason: "OK", KeepAlive: true, Fields: Fields{{"Content-Length", "5"}}},
		},
		{
			"1xx", "POST", "HTTP/1.1 100 Continue\r\n\r\n",
			ResponseHead{Proto: "HTTP/1.1", Status: 100, Reason: "Continue", KeepAlive: true},
		},
		{
			"204", "POST", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
			ResponseHead{Proto: "HTTP/1.1", Status: 204, Reason: "No Content", KeepAlive: true,
				Fields: Fields{{"Transfer-Encoding", "chunked"}}},
		},
		{
			"304 with the length of what is not sent", "GET", "HTTP/1.0 304 Not Modified\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n",
			ResponseHead{Proto: "HTTP/1.0", Status: 304, Reason: "Not Modified", KeepAlive: true,
				Fields: Fields{{"Connection", "keep-alive"}, {"Content-Length", "5"}}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h, err := ParseResponseHead([]byte(test.response+"what follows"), test.method)
			if err != nil {
				t.Fatal(err)
			}
			test.want.Raw = test.response
			if !reflect.DeepEqual(*h, test.want) {
				t.Errorf("got  %+v\nwant %+v", *h, test.want)
			}
		})
	}
}

func TestResponsesThatCouldBeReadDifferentlyAreRefused(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	tests := []struct{ name, response, reason string }{
		{"no HTTP", "SSH-2.0-OpenSSH_9.6\r\n", `malformed status line "SSH-2.0-OpenSSH_9.6"`},
		{"no HTTP, no line", "220 mail", `malformed status line "220 mail"`},
		{"no HTTP, a line with a space", "220 mail ready\r\n", `malformed status line "220 mail ready"`},
		{"no HTTP, long", strings.Repeat("x", 50), `malformed status line "` + strings.Repeat("x", 40) + `…"`},
		{"TLS", "\x15\x03\x01\x00\x02\x02\x46", "TLS, where plain HTTP was asked for"},
		{"no status", "HTTP/1.1\r\n\r\n", `malformed status line "HTTP/1.1"`},
		{"another version", "HTTP/2.0 200 OK\r\n\r\n", "version HTTP/2.0"},
		{"two spaces", "HTTP/1.1  200 OK\r\n\r\n", "malformed status code"},
		{"four digits", "HTTP/1.1 2000 OK\r\n\r\n", "malformed status code"},
		{"below 100", "HTTP/1.1 099 OK\r\n\r\n", "malformed status code"},
		{"signed", "HTTP/1.1 +20 OK\r\n\r\n", "malformed status code"},
		{"CR in the reason", "HTTP/1.1 200 O\rK\r\n\r\n", "control character in the reason phrase"},
		{"length and chunked", ok + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "both Content-Length and Transfer-Encoding"},
		{"equal lengths", ok + "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", "more than one Content-Length field"},
		{"bad length without a body", "HTTP/1.1 304 Not Modified\r\nContent-Length: x\r\n\r\n", `malformed Content-Length "x"`},
		{"chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "Transfer-Encoding in HTTP/1.0"},
		{"obs-fold", ok + "X: a\r\n b\r\n\r\n", "folded header field"},
		{"space before the colon", ok + "X : a\r\n\r\n", "space between a field name and its colon"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h, err := ParseResponseHead([]byte(test.response), "GET")
			syntax, ok := errors.AsType[*SyntaxError](err)
			if !ok {
				t.Fatalf("got %+v, %v; want a SyntaxError", h, err)
			}
			if syntax.Status != 502 || syntax.Reason != test.reason {
				t.Errorf("got %d %s, want 502 %s", syntax.Status, syntax.Reason, test.reason)
			}
		})
	}
}

func TestShortResponses(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
	for n := range len(head) {
		if _, err := ParseResponseHead([]byte(head[:n]), "GET"); !errors.Is(err, ErrShort) {
			t.Fatalf("after %q: got %v, want ErrShort", head[:n], err)
		}
	}
}
