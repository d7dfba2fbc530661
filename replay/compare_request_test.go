package replay

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRequestsAreComparedByWhatTheyAsk(t *testing.T) {
	const then = "POST /in/a?x=1&y[]=2 HTTP/1.1\r\nHost: h\r\nDate: Mon\r\nX-A: 1\r\nContent-Length: 7\r\n\r\n{\"a\":1}"
	for name, test := range map[string]struct {
		now  string
		want []string
	}{
		"same":                  {now: then},
		"other order and chunk": {now: "POST /in/a?y%5B%5D=2&x=1 HTTP/1.1\r\nx-a: 1\r\nhost: h\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{\"a\":1}\r\n0\r\n\r\n"},
		"method and path":       {now: strings.Replace(then, "POST /in/a", "PUT /in/token/1234567890abcdef", 1), want: []string{"method: POST → PUT", "path: /in/a → /in/token/****cdef"}},
		"query":                 {now: strings.Replace(then, "x=1", "token=1234567890abcdef", 1), want: []string{"query.token: nothing → ****cdef", "query.x: 1 → nothing"}},
		"fields and body":       {now: strings.NewReplacer("X-A: 1", "X-A: 2", `"a":1`, `"a":2`).Replace(then), want: []string{"header.x-a: 1 → 2", "json.a: 1 → 2"}},
		"cut short":             {now: strings.Replace(then, `{"a":1}`, `{"a"`, 1), want: []string{`body: {"a":1} → {"a"`}},
	} {
		d, err := CompareRequests(loaded(t, then), loaded(t, test.now), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(test.want, changes(d)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if d.Any() != (test.want != nil) {
			t.Errorf("%s: Any is %v", name, d.Any())
		}
	}
	d, err := CompareRequests(loaded(t, then), loaded(t, strings.Replace(then, "POST /in", "PUT /out", 1)), rulesOf(t, "method\npath"))
	if err != nil || d.Any() {
		t.Errorf("ignored: %v %v", changes(d), err)
	}
}
