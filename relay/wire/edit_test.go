package wire

import "testing"

func TestAnEditChangesWhatItNamesAndNothingElse(t *testing.T) {
	const head = "POST /a?b=%20 HTTP/1.1\r\nhost:  h\r\nX-Odd:   two  \r\nx-odd: again\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\nX-Empty:\r\n\r\n"
	size := func(n int64) *int64 { return &n }
	for what, c := range map[string]struct {
		edit Edit
		want string
	}{
		"nothing": {Edit{}, head},
		"the start line": {
			Edit{Method: "PUT", Target: "/c"},
			"PUT /c HTTP/1.1\r\nhost:  h\r\nX-Odd:   two  \r\nx-odd: again\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\nX-Empty:\r\n\r\n",
		},
		"fields, in their place": {
			Edit{Set: Fields{{"x-ODD", "one"}, {"X-New", "n"}, {"x-empty", "full"}}},
			"POST /a?b=%20 HTTP/1.1\r\nhost:  h\r\nX-Odd:   one  \r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\nX-Empty: full\r\nX-New: n\r\n\r\n",
		},
		"several of a name": {
			Edit{Set: Fields{{"X-Odd", "1"}, {"X-Odd", "2"}}, Drop: []string{"trailer"}},
			"POST /a?b=%20 HTTP/1.1\r\nhost:  h\r\nX-Odd:   1  \r\nX-Odd: 2\r\nTransfer-Encoding: chunked\r\nX-Empty:\r\n\r\n",
		},
		"another body": {
			Edit{Length: size(12)},
			"POST /a?b=%20 HTTP/1.1\r\nhost:  h\r\nX-Odd:   two  \r\nx-odd: again\nX-Empty:\r\nContent-Length: 12\r\n\r\n",
		},
	} {
		got, err := c.edit.Head(head)
		if err != nil || got != c.want {
			t.Errorf("%s: %v\n%q, want\n%q", what, err, got, c.want)
		}
	}

	const counted = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length:  05\r\nContent-Encoding: gzip\r\nX: y\r\n\r\n"
	for want, edit := range map[string]Edit{
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length:  7\r\nX: y\r\n\r\n":                         {Length: size(7)},
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length:  7\r\nContent-Encoding: br\r\nX: y\r\n\r\n": {Length: size(7), Set: Fields{{"Content-Encoding", "br"}}},
	} {
		if got, err := edit.Head(counted); err != nil || got != want {
			t.Errorf("%v\n%q, want\n%q", err, got, want)
		}
	}
}

func TestAnEditCannotBreakTheHead(t *testing.T) {
	const head = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
	for what, edit := range map[string]Edit{
		"a field with a line end": {Set: Fields{{"X", "a\r\nY: b"}}},
		"a name with a colon":     {Set: Fields{{"X:", "a"}}},
		"a method with a space":   {Method: "GET /x HTTP/1.1\r\nA:"},
		"a target with a space":   {Target: "/ HTTP/1.1\r\nX: y\r\n\r\nGET /"},
		"a target with a line":    {Target: "/\r\nX:"},
		"a target with a field":   {Target: "/ HTTP/1.1\r\nX:"},
		"a target with a request": {Target: "/ HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nX:"},
		"a second host":           {Set: Fields{{"Host", "a"}, {"Host", "b"}}},
		"two framings":            {Set: Fields{{"Transfer-Encoding", "chunked"}, {"Content-Length", "5"}}},
	} {
		if got, err := edit.Head(head); err == nil {
			t.Errorf("%s: %q", what, got)
		}
	}
}
