package wire

import (
	"errors"
	"net/url"
	"testing"
)

func TestPrefixesMatchWholeSegments(t *testing.T) {
	tests := []struct {
		path, prefix, rest string
		ok                 bool
	}{
		{"/a", "/a", "", true},
		{"/a/", "/a", "/", true},
		{"/a/b", "/a", "/b", true},
		{"/a//b", "/a", "//b", true},
		{"/a?b", "/a", "?b", true},
		{"/a/?b", "/a", "/?b", true},
		{"/ab", "/a", "", false},
		{"/b/a", "/a", "", false},
		{"/A", "/a", "", false},
		{"/%61", "/a", "", false},
		{"/a;b", "/a", "", false},
		{"/a", "/a/", "", true},
		{"/a/b", "/a/", "/b", true},
		{"/a", "/a/b", "", false},
		{"/", "/", "/", true},
		{"/a?b", "/", "/a?b", true},
		{"/a", "", "/a", true},
		{"*", "/", "*", true},
		{"*", "/a", "", false},
	}
	for _, test := range tests {
		rest, ok := MatchPrefix(test.path, test.prefix)
		if rest != test.rest || ok != test.ok {
			t.Errorf("%q with %q: got %q, %v; want %q, %v", test.path, test.prefix, rest, ok, test.rest, test.ok)
		}
	}
}

func TestTheTargetsPathTakesThePlaceOfThePrefix(t *testing.T) {
	tests := []struct{ prefix, url, sent, want string }{
		// nothing to rewrite
		{"", "http://t", "/a/../b", "/a/../b"},
		{"/", "http://t/", "/", "/"},
		{"", "http://t", "/a?", "/a?"},
		{"/a", "http://t/a", "/a/%2e%2e/b?c", "/a/%2e%2e/b?c"},
		{"/a", "http://t/a/", "/a", "/a"},
		{"/a/", "http://t/a", "/a/b", "/a/b"},
		// the prefix replaced
		{"/a", "http://t/x", "/a", "/x"},
		{"/a", "http://t/x/", "/a", "/x/"},
		{"/a", "http://t/x/", "/a/", "/x/"},
		{"/a", "http://t/x", "/a/", "/x/"},
		{"/a", "http://t/x/", "/a/b", "/x/b"},
		{"/a", "http://t/x", "/a//b%20c", "/x//b%20c"},
		{"/a", "http://t", "/a", "/"},
		{"/a", "http://t/", "/a", "/"},
		{"/a", "http://t", "/a/b", "/b"},
		{"/a", "http://t/x%2Fy%20z", "/a/b", "/x%2Fy%20z/b"},
		{"", "http://t/x", "/", "/x/"},
		{"/", "http://t/x/", "/a", "/x/a"},
		// dots that are not segments
		{"/a", "http://t/x", "/a/.b/c./.../..d?/../", "/x/.b/c./.../..d?/../"},
		// queries
		{"/a", "http://t/x?k=v", "/a", "/x?k=v"},
		{"/a", "http://t/x?k=v", "/a?", "/x?k=v"},
		{"/a", "http://t/x?k=v", "/a?b=%zz", "/x?k=v&b=%zz"},
		{"", "http://t?k=v", "/a/../b?c", "/a/../b?k=v&c"},
		// absolute-form becomes origin-form
		{"/a", "http://t/x", "http://h/a/b?c", "/x/b?c"},
		{"", "http://t", "http://h", "/"},
		{"", "http://t/x", "HTTPS://h?c", "/x/?c"},
	}
	for _, test := range tests {
		h := parse(t, "POST "+test.sent+" HTTP/1.1\r\nHost: h\r\n\r\n")
		head, err := Route{Prefix: test.prefix, URL: mustURL(t, test.url)}.Head(h)
		if want := "POST " + test.want + " HTTP/1.1\r\nHost: t\r\n\r\n"; head != want || err != nil {
			t.Errorf("%s from %q to %q: got %q, %v; want %q", test.sent, test.prefix, test.url, head, err, want)
		}
	}
}

func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestOptionsOfTheWholeServerStayThat(t *testing.T) {
	for _, target := range []string{"*", "http://h"} {
		h := parse(t, "OPTIONS "+target+" HTTP/1.1\r\nHost: h\r\n\r\n")
		head, err := Route{URL: mustURL(t, "http://t/x?k")}.Head(h)
		if want := "OPTIONS * HTTP/1.1\r\nHost: t\r\n\r\n"; head != want || err != nil {
			t.Errorf("%s: got %q, %v", target, head, err)
		}
	}
}

// Behind a rewritten prefix no path leads out of the target's path, whatever the
// target's server decodes or takes for a separator.
func TestDotSegmentsAreRefusedWhereThePathIsRewritten(t *testing.T) {
	refused := []string{
		"/a/..", "/a/../b", "/a/b/..", "/a/./b", "/a/.", "/a//../b", "/a/%2e%2e/b", "/a/.%2E", "/a/%2E", "/a/%2e./b",
		"/a/..%2fb", "/a/b%2F..%2Fc", "/a/..\\b", "/a/b%5c..", "/a/..;x/b", "/a/..;", "/a/.;x", "/a/%2e%2e%3bx/b", "/a/..?b",
	}
	for _, path := range refused {
		h := parse(t, "GET "+path+" HTTP/1.1\r\nHost: h\r\n\r\n")
		for _, route := range []Route{{Prefix: "/a", URL: mustURL(t, "http://t/x")}, {URL: mustURL(t, "http://t/x")}} {
			if head, err := route.Head(h); !errors.Is(err, ErrDotSegments) {
				t.Errorf("%s: got %q, %v; want ErrDotSegments", path, head, err)
			}
		}
	}
}

func TestRouteRefusesWhatItCannotDo(t *testing.T) {
	h := parse(t, "GET /b HTTP/1.1\r\nHost: h\r\n\r\n")
	u := mustURL(t, "http://t")
	tests := []struct {
		route Route
		want  error
	}{
		{Route{Prefix: "/a", URL: u}, ErrOutsidePrefix},
		{Route{URL: u, Add: Fields{{"X", "a\r\nY: b"}}}, ErrBadField},
		{Route{URL: u, Add: Fields{{"X:", "a"}}}, ErrBadField},
		{Route{URL: u, Add: Fields{{"", "a"}}}, ErrBadField},
	}
	for _, test := range tests {
		if head, err := test.route.Head(h); !errors.Is(err, test.want) {
			t.Errorf("%+v: got %q, %v; want %v", test.route, head, err, test.want)
		}
	}
}

// Promise 5: the forwarded bytes are the recorded ones, except for what it names.
func TestFieldsAreCopiedByteForByte(t *testing.T) {
	tests := []struct {
		name, fields string
		keepHost     bool
		want         string
	}{
		{
			"case, order, duplicates, blanks, bare LF, obs-text",
			"x-B: 1\nhOST:\t h \t\r\nX-A:two  words \t\r\nx-b:\r\nX: \xff\n", false,
			"x-B: 1\nhOST:\t t:8080 \t\r\nX-A:two  words \t\r\nx-b:\r\nX: \xff\n",
		},
		{
			"empty Host",
			"Host:\r\nA: b\r\n", false,
			"Host:t:8080\r\nA: b\r\n",
		},
		{
			"original host",
			"Host: h:80 \r\n", true,
			"Host: h:80 \r\n",
		},
		{
			"fields of the connection",
			"Host: h\r\nconnection: close, X-Named\r\nKEEP-ALIVE: 5\r\nProxy-Authorization: a\r\nproxy-connection: b\r\nProxy-X: c\r\nTe: trailers\r\nUpgrade: h2c\r\nX-Named: stays\r\n", false,
			"Host: t:8080\r\nX-Named: stays\r\n",
		},
		{
			"what frames and announces the body",
			"Host: h\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\nExpect: 100-continue\r\n", false,
			"Host: t:8080\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\nExpect: 100-continue\r\n",
		},
		{
			"names that begin or end like those",
			"Host: h\r\nTEE: a\r\nConnection-X: b\r\nProxyX: c\r\nX-Upgrade: d\r\nX-Forwarded-Host: e\r\n", false,
			"Host: t:8080\r\nTEE: a\r\nConnection-X: b\r\nProxyX: c\r\nX-Upgrade: d\r\nX-Forwarded-Host: e\r\n",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := parse(t, "POST /a HTTP/1.1\n"+test.fields+"\n")
			route := Route{URL: mustURL(t, "http://t:8080"), KeepHost: test.keepHost}
			head, err := route.Head(h)
			if want := "POST /a HTTP/1.1\n" + test.want + "\n"; head != want || err != nil {
				t.Errorf("got  %q, %v\nwant %q", head, err, want)
			}
			route.Add = Fields{{"X-Hooktape-Id", "1"}}
			head, err = route.Head(h)
			if want := "POST /a HTTP/1.1\n" + test.want + "X-Hooktape-Id: 1\r\n\n"; head != want || err != nil {
				t.Errorf("with a field added: got  %q, %v\nwant %q", head, err, want)
			}
		})
	}
}

func TestHTTP10StaysAndGetsNoHost(t *testing.T) {
	h := parse(t, "POST http://h/a HTTP/1.0\r\n\r\n")
	head, err := Route{URL: mustURL(t, "http://t")}.Head(h)
	if want := "POST /a HTTP/1.0\r\n\r\n"; head != want || err != nil {
		t.Errorf("got %q, %v; want %q", head, err, want)
	}
}

// The authority of an absolute-form is the host that was asked for, whatever
// the Host field says (RFC 9112, section 3.2.2).
func TestOriginalHostOfAbsoluteForm(t *testing.T) {
	h := parse(t, "POST http://asked:80/a HTTP/1.1\r\nHost: other\r\n\r\n")
	head, err := Route{URL: mustURL(t, "http://t"), KeepHost: true}.Head(h)
	if want := "POST /a HTTP/1.1\r\nHost: asked:80\r\n\r\n"; head != want || err != nil {
		t.Errorf("got %q, %v; want %q", head, err, want)
	}
}
