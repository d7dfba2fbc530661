package replay

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/hooktape/hooktape/relay/expr"
)

// parseEdits reads edits that are written json.a=1, add header.x=1, unset query.b.
func parseEdits(text string) (edits []Edit, err error) {
	for one := range strings.SplitSeq(text, ";") {
		parse := ParseSet
		if rest, ok := strings.CutPrefix(one, "add "); ok {
			one, parse = rest, ParseAdd
		} else if rest, ok := strings.CutPrefix(one, "unset "); ok {
			one, parse = rest, ParseUnset
		}
		e, err := parse(one)
		if err != nil {
			return nil, err
		}
		edits = append(edits, e)
	}
	return edits, nil
}

func TestWhatIsSetChangesAndNothingElse(t *testing.T) {
	const fields = "POST /in?a=%20&b=2 HTTP/1.1\r\nhost:  h\r\nx-EVENT:   old  \r\nX-Two: 1\r\nx-two: 2\r\n"
	message := func(body string) string {
		return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", fields, len(body), body)
	}
	form := func(body string) string {
		return fmt.Sprintf("%sContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", fields, len(body), body)
	}
	for _, c := range []struct{ request, edits, want string }{
		// JSON
		{message(`{"a": {"b": [1, 2.0]},  "c":"d"}`), `json.a.b[1]=17`, message(`{"a": {"b": [1, 17]},  "c":"d"}`)},
		{message(`{"c":"d"}`), `json.c=x y;add json.n=null;add json.o={"p":1}`, message(`{"c":"x y","n":null,"o":{"p":1}}`)},
		{message(`{"a.b":1}`), `json["a.b"]="2"`, message(`{"a.b":"2"}`)},
		{message("{\n  \"a\": [\n    1\n  ]\n}\n"), `add json.a[1]=<b>;add json.z[0].y.x=1`, message("{\n  \"a\": [\n    1,\"<b>\"\n  ],\"z\":[{\"y\":{\"x\":1}}]\n}\n")},
		{message(` { } `), `add json.a=1`, message(` {"a":1 } `)},
		{message("\uFEFF{\"a\":1,\"a\":2}"), `json.a=3`, message("\uFEFF{\"a\":1,\"a\":3}")},
		{message(`{"b":0, "a":1 , "c":[1, 2 ,3],"a":2}`), `unset json.a;unset json.c[1]`, message(`{"b":0 , "c":[1 ,3]}`)},
		{message(`{"a":[ 1 ]}`), `unset json.a[0]`, message(`{"a":[  ]}`)},
		{message(`[1,2]`), `unset json[0];json[0]=9`, message(`[9]`)},
		{message(`{"\u0061":1}`), `json.a=2`, message(`{"\u0061":2}`)},
		// forms and queries
		{form(`event=a&data%5BP%5D=b`), `form.data.P=c d`, form(`event=a&data%5BP%5D=c+d`)},
		{form(`event=a&data[P]=b&x`), `form.data.P=;unset form.event;add form.n.m=1`, form(`data[P]=&x&n%5Bm%5D=1`)},
		{message(`x`), `query.b=3;path=/out;method=PUT`, strings.Replace(message(`x`), "POST /in?a=%20&b=2", "PUT /out?a=%20&b=3", 1)},
		{message(`x`), `unset query.a;add query.c=&`, strings.Replace(message(`x`), "a=%20&b=2", "b=2&c=%26", 1)},
		{message(`x`), `unset query.a;unset query.b`, strings.Replace(message(`x`), "?a=%20&b=2", "", 1)},
		// header fields
		{message(`x`), `header.x-event=new`, strings.Replace(message(`x`), "old", "new", 1)},
		{message(`x`), `add header["X-More"]=1;header.x-more=2`, strings.Replace(message(`x`), "\r\n\r\n", "\r\nx-more: 2\r\n\r\n", 1)},
		{message(`x`), `header.X-TWO=3`, strings.Replace(message(`x`), "X-Two: 1\r\nx-two: 2", "X-Two: 3", 1)},
		{message(`x`), `unset header.x-two;add header.X-Two=0`, strings.Replace(message(`x`), "X-Two: 1\r\nx-two: 2", "X-Two: 0", 1)},
		// the body
		{message(`x`), `body=hello`, message(`hello`)},
		{message(`x`), `unset body`, message(``)},
		{fields + "Transfer-Encoding: chunked\r\n\r\n7\r\n{\"a\":1}\r\n0\r\n\r\n", `header.x-event=new`, strings.Replace(fields, "old", "new", 1) + "Transfer-Encoding: chunked\r\n\r\n7\r\n{\"a\":1}\r\n0\r\n\r\n"},
		{fields + "Transfer-Encoding: chunked\r\n\r\n7\r\n{\"a\":1}\r\n0\r\n\r\n", `json.a=10`, message(`{"a":10}`)},
	} {
		edits, err := parseEdits(c.edits)
		if err != nil {
			t.Fatal(err)
		}
		r, err := loaded(t, c.request).With(edits...)
		if err != nil {
			t.Errorf("%s: %v", c.edits, err)
			continue
		}
		if diff := cmp.Diff(c.want, bytesOf(t, r)); diff != "" {
			t.Errorf("%s: %s", c.edits, diff)
		}
	}
}

func TestACodedBodyIsChangedAsItIsRead(t *testing.T) {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write([]byte(`{"a": 1}`)); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	request := fmt.Sprintf("POST / HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", zipped.Len(), zipped.String())
	edits, err := parseEdits("json.a=2;add json.b=3")
	if err != nil {
		t.Fatal(err)
	}
	r, err := loaded(t, request).With(edits...)
	if err != nil {
		t.Fatal(err)
	}
	want := "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 14\r\n\r\n{\"a\": 2,\"b\":3}"
	if got := bytesOf(t, r); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestAChangedBodyStaysWhenTheHeadIsChangedBehindIt(t *testing.T) {
	body, errBody := ParseSet("json.a=2")
	head, errHead := ParseAdd("header.x-signature=s")
	r, err := loaded(t, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n\r\n{\"a\":1}").With(body)
	if err == nil {
		r, err = r.With(head)
	}
	if errBody != nil || errHead != nil || err != nil {
		t.Fatal(errBody, errHead, err)
	}
	if string(r.Body) != `{"a":2}` {
		t.Errorf("the body that took the place of the recorded one is %q", r.Body)
	}
}

func TestWhatCannotBeChangedSaysWhy(t *testing.T) {
	for edit, want := range map[string]string{
		"json.a":                  "PATH=VALUE",
		"jsn.a=1":                 `did you mean "json"`,
		"status=1":                "can't be set",
		"json=1":                  "json.NAME",
		"unset form":              "form.NAME",
		"method.x=1":              "nothing below",
		"header.a.b=1":            "nothing below",
		"json.a..b=1":             "json.a..b",
		"unset path":              "can't be without path",
		"header.content-length=5": "follows from the body",
		"add header.x-a=a\n":      "field x-a",
		"add header.x-a=a;json.a=1;unset header.x-a;header.x-a=b": "set header.x-a: the request has none",
		"json.b=1":         "set json.b: the request has none",
		"json.a.b=1":       "set json.a.b: the request has none",
		"json.l[1]=1":      "set json.l[1]: the request has none",
		"unset json.b":     "unset json.b: the request has none",
		"unset json.a.b":   "unset json.a.b: the request has none",
		"header.x-b=1":     "set header.x-b: the request has none",
		"unset header.x-b": "unset header.x-b: the request has none",
		"query.c=1":        "set query.c: the request has none",
		"unset query.c":    "unset query.c: the request has none",
		"add json.a.b=1":   "nothing below 1",
		"add json.l[2]=1":  "the next is [1]",
		"body=x;json.a=1":  "not JSON",
		"add form.a=1":     "no form, urlencoded or multipart/form-data",
		"path=/a?b=c":      "no part of the path",
		"path=/a b":        "the target has a space",
		"method=P T":       "malformed method",
	} {
		edits, err := parseEdits(edit)
		if err == nil {
			_, err = loaded(t, "POST /?q=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 15\r\n\r\n{\"a\":1,\"l\":[0]}").With(edits...)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", edit, err, want)
		}
		if strings.Contains(want, "has none") && !errors.Is(err, ErrNoPart) {
			t.Errorf("%q: %v is no ErrNoPart", edit, err)
		}
	}
}

// TestAnEditOfJSONChangesWhatIsThere holds edits to the comparison: what was set is
// the one thing that differs, and taken away it is gone.
func TestAnEditOfJSONChangesWhatIsThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := anyJSON(3).Draw(t, "value")
		names := []string{"json"}
		value = editedAt(t, value, &names) // the path counts
		text, err := json.MarshalIndent(value, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if len(names) == 1 {
			return
		}
		before := parseTree(text)
		after, err := before.with(names[1:], []byte(`"set now"`), false)
		if err != nil {
			t.Fatal(err)
		}
		d := compared(t, string(text), string(after), nil)
		if len(d.Changes) != 1 || d.Changes[0].Where != expr.FormatPath(names...) {
			t.Errorf("set at %q: %v", names, changes(d))
		}
		without, err := before.without(names[1:])
		if err != nil {
			t.Fatal(err)
		}
		if d := compared(t, string(text), string(without), nil); len(d.Changes) == 0 {
			t.Errorf("unset at %q: nothing is gone", names)
		}
	})
}
