package replay

import (
	"strconv"
	"strings"
	"testing"
)

func TestWhatIsSetChangesAndNothingElse(t *testing.T) {
	const head = "POST /in?a=%20&b=2 HTTP/1.1\r\nhost:  h\r\nx-EVENT:   old  \r\nContent-Length: "
	message := func(body string) string { return head + strconv.Itoa(len(body)) + "\r\n\r\n" + body }
	for _, c := range []struct{ body, sets, want string }{
		{`{"a": {"b": [1, 2.0]},  "c":"d"}`, `json.a.b[1]=17`, message(`{"a": {"b": [1, 17]},  "c":"d"}`)},
		{`{"c":"d"}`, `json.c=x y;json.n=null;json.o={"p":1}`, message(`{"c":"x y","n":null,"o":{"p":1}}`)},
		{`{"a.b":1}`, `json["a.b"]="2"`, message(`{"a.b":"2"}`)},
		{`event=a&data%5BP%5D=b`, `form.data.P=c d`, message(`event=a&data%5BP%5D=c+d`)},
		{`x`, `header.x-event=new`, strings.Replace(message(`x`), "old", "new", 1)},
		{`x`, `header["X-More"]=1`, strings.Replace(message(`x`), "\r\n\r\n", "\r\nX-More: 1\r\n\r\n", 1)},
		{`x`, `query.b=3;path=/out;method=PUT`, strings.Replace(message(`x`), "POST /in?a=%20&b=2", "PUT /out?a=%20&b=3", 1)},
		{`x`, `body=hello`, message(`hello`)},
	} {
		var sets []Set
		for text := range strings.SplitSeq(c.sets, ";") {
			s, err := ParseSet(text)
			if err != nil {
				t.Fatal(err)
			}
			sets = append(sets, s)
		}
		r, err := loaded(t, message(c.body)).With(sets...)
		if err != nil {
			t.Errorf("%s: %v", c.sets, err)
			continue
		}
		if got := bytesOf(t, r); got != c.want {
			t.Errorf("%s: got\n%q, want\n%q", c.sets, got, c.want)
		}
	}
}

func TestWhatCannotBeSetSaysWhy(t *testing.T) {
	for text, want := range map[string]string{
		"json.a":         "PATH=VALUE",
		"jsn.a=1":        `did you mean "json"`,
		"status=1":       "can't be set",
		"json=1":         "json.NAME=VALUE",
		"method.x=1":     "nothing below",
		"header.a.b=1":   "nothing below",
		"json.a..b=1":    "json.a..b",
		"header.x-a=a\n": "field x-a",
		"json.a=1":       "not JSON",
	} {
		s, err := ParseSet(text)
		if err == nil {
			_, err = loaded(t, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx").With(s)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
