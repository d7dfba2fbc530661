package replay

import (
	"io"
	"strings"
	"testing"
)

// requestFrom reads a request whose lines end in LF.
func requestFrom(t testing.TB, text string) *Request {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	raw := strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n" + body
	r, err := Load(func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(raw)), nil })
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWhatMatches(t *testing.T) {
	const (
		plain = "GET /a?x=1&y=2 HTTP/1.1\nHost: h\nX-Tenant: 1\n\n"
		order = "POST /a HTTP/1.1\nHost: h\nContent-Length: 32\n\n" + `{"id":1,"at":"now","n":[1,2,3]} `
		form  = "POST /a HTTP/1.1\nHost: h\nContent-Type: application/x-www-form-urlencoded\nContent-Length: 16\n\na=1&b[x]=2&c=%2B"
		parts = "POST /a HTTP/1.1\nHost: h\nContent-Type: multipart/form-data; boundary=one\nContent-Length: 137\n\n" +
			"--one\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n" +
			"--one\r\nContent-Disposition: form-data; name=\"b\"; filename=\"b.txt\"\r\n\r\ntwo\r\n--one--\r\n"
	)
	for name, c := range map[string]struct {
		match, ignore, unordered []string
		text                     string
		then, now                string
		same                     bool
	}{
		"the same":                        {then: plain, now: plain, same: true},
		"another order of the query":      {then: plain, now: "GET /a?y=2&x=1 HTTP/1.1\nHost: other\n\n", same: true},
		"another query":                   {then: plain, now: "GET /a?y=2&x=2 HTTP/1.1\nHost: h\n\n"},
		"a query less":                    {then: plain, now: "GET /a?x=1 HTTP/1.1\nHost: h\n\n"},
		"a query that does not count":     {then: plain, now: "GET /a?x=1 HTTP/1.1\nHost: h\n\n", ignore: []string{"query.y"}, same: true},
		"another path":                    {then: plain, now: "GET /b?x=1&y=2 HTTP/1.1\nHost: h\n\n"},
		"another method":                  {then: plain, now: "PUT /a?x=1&y=2 HTTP/1.1\nHost: h\n\n"},
		"a method that does not count":    {then: plain, now: "PUT /a?x=1&y=2 HTTP/1.1\nHost: h\n\n", ignore: []string{"method"}, same: true},
		"another field":                   {then: plain, now: strings.Replace(plain, "X-Tenant: 1", "X-Tenant: 2", 1), same: true},
		"another field that is matched":   {match: []string{"path", "header.x-tenant"}, then: plain, now: strings.Replace(plain, "X-Tenant: 1", "x-tenant: 2", 1)},
		"a field in another writing":      {match: []string{"header.X-Tenant"}, then: plain, now: strings.Replace(plain, "X-Tenant: 1", "x-tenant:   1", 1), same: true},
		"one parameter":                   {match: []string{"query.x"}, then: plain, now: "GET /z?x=1 HTTP/1.1\nHost: h\n\n", same: true},
		"JSON in another writing":         {then: order, now: "POST /a HTTP/1.1\nHost: h\nContent-Length: 34\n\n" + `{"n":[1.0,2,3], "at":"now","id":1}`, same: true},
		"JSON that says another thing":    {then: order, now: strings.Replace(order, `"id":1`, `"id":2`, 1)},
		"JSON that does not count":        {then: order, now: strings.Replace(order, `now`, `old`, 1), ignore: []string{"json.at"}, same: true},
		"JSON in another order":           {then: order, now: strings.Replace(order, `[1,2,3]`, `[3,2,1]`, 1)},
		"JSON whose order does not count": {then: order, now: strings.Replace(order, `[1,2,3]`, `[3,2,1]`, 1), unordered: []string{"json.n"}, same: true},
		"one value of JSON":               {match: []string{"json.id"}, then: order, now: strings.Replace(order, `now`, `old`, 1), same: true},
		"another value of JSON":           {match: []string{"json.n[1]"}, then: order, now: strings.Replace(order, `,2,`, `,9,`, 1)},
		"a value of JSON that is missing": {match: []string{"json.id"}, then: order, now: strings.Replace(order, `"id"`, `"ix"`, 1)},
		"a form in another order":         {then: form, now: strings.Replace(form, "a=1&b[x]=2&c=%2B", "c=%2b&b[x]=2&a=1", 1), same: true},
		"one field of a form":             {match: []string{"form.b"}, then: form, now: strings.Replace(form, "a=1", "a=2", 1), same: true},
		"a form in parts, cut elsewhere":  {then: parts, now: strings.ReplaceAll(parts, "one", "two"), same: true},
		"another form in parts":           {then: parts, now: strings.Replace(parts, "two", "one", 1)},
		"another name of a file in parts": {then: parts, now: strings.Replace(parts, "b.txt", "c.txt", 1)},
		"one field of a form in parts":    {match: []string{"form.a"}, then: parts, now: strings.Replace(parts, "two", "owt", 1), same: true},
		"text that does not count":        {then: order, now: strings.Replace(order, `now`, `old`, 1), text: "now|old", same: true},
		"a body that does not count":      {then: order, now: form, ignore: []string{"body"}, same: true},
		"a body beside none":              {then: order, now: "POST /a HTTP/1.1\nHost: h\n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			rules := new(Rules)
			for _, path := range c.ignore {
				if err := rules.Ignore(path); err != nil {
					t.Fatal(err)
				}
			}
			for _, path := range c.unordered {
				if err := rules.Unordered(path); err != nil {
					t.Fatal(err)
				}
			}
			if c.text != "" {
				if err := rules.IgnoreText(c.text); err != nil {
					t.Fatal(err)
				}
			}
			m, err := NewMatching(c.match, rules)
			if err != nil {
				t.Fatal(err)
			}
			x := newIndex(m)
			then, err := m.print(requestFrom(t, c.then))
			if err != nil {
				t.Fatal(err)
			}
			x.add(then, requestLine{}, 0)
			now, err := m.print(requestFrom(t, c.now))
			if err != nil {
				t.Fatal(err)
			}
			if same := x.find(now) != nil; same != c.same {
				t.Errorf("same: %v", same)
			}
		})
	}
}

func TestWhatCanNotBeMatched(t *testing.T) {
	for _, part := range []string{"verdict", "nothing", "header", "header.a.b", "method.x", "path[0]", "body.id", "json.", ""} {
		if _, err := NewMatching([]string{part}, nil); err == nil {
			t.Errorf("%q is matched", part)
		}
	}
}

func TestTheNearestComeFirst(t *testing.T) {
	m, err := NewMatching(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	x := newIndex(m)
	for i, line := range []string{"GET /z", "POST /orders/8", "GET /orders/7?x=2", "GET /orders", "GET /orders/7?x=1", "GET /orders/7?x=1"} {
		r := requestFrom(t, line+" HTTP/1.1\nHost: h\n\n")
		print, err := m.print(r)
		if err != nil {
			t.Fatal(err)
		}
		x.add(print, lineOf(r), i)
	}
	r := requestFrom(t, "GET /orders/7 HTTP/1.1\nHost: h\n\n")
	print, err := m.print(r)
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	for _, near := range x.nearest(print, lineOf(r), 4) {
		got = append(got, near.recordings[0])
	}
	if want := []int{2, 4, 3, 0}; len(got) != 4 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] || got[3] != want[3] {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestRecordingsTakeTurns(t *testing.T) {
	turns := turns{recordings: []int{3, 5}}
	for i, want := range []int{3, 5, 5, 5} {
		if got := turns.take(); got != want {
			t.Errorf("turn %d: %d, want %d", i, got, want)
		}
	}
}
