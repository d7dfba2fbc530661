package replay

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// response makes one of a body, with some more header fields.
func response(t testing.TB, body string, fields ...string) *Response {
	t.Helper()
	head := "HTTP/1.1 200 OK\r\n"
	for _, field := range fields {
		head += field + "\r\n"
	}
	r, err := ReadThen(opener(fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(body), body)), "GET")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// changes are those of a difference, one a line.
func changes(d Difference) (lines []string) {
	show := func(value *string) string {
		if value == nil {
			return "nothing"
		}
		return *value
	}
	for _, c := range d.Changes {
		lines = append(lines, c.Where+": "+show(c.Then)+" → "+show(c.Now))
	}
	return lines
}

// rulesOf reads rules as a file has them.
func rulesOf(t testing.TB, text string) *Rules {
	t.Helper()
	r := new(Rules)
	if err := r.Read("rules", strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestHeadsAreComparedByWhatCounts(t *testing.T) {
	const then = "HTTP/1.1 200 OK\r\nDate: Mon\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 2\r\n\r\nhi"
	for name, test := range map[string]struct {
		now     string
		ignored string
		want    []string
	}{
		"same":                            {now: then},
		"another clock, framing and case": {now: "HTTP/1.1 200 Fine\r\nx-a: 1\r\nX-A: 2\r\nDate: Tue\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"},
		"another status":                  {now: strings.Replace(then, "200", "201", 1), want: []string{"status: 200 → 201"}},
		"a field less":                    {now: strings.Replace(then, "X-A: 2\r\n", "", 1), want: []string{"header.x-a: 1, 2 → 1"}},
		"fields in another order":         {now: strings.Replace(then, "X-A: 1\r\nX-A: 2", "X-A: 2\r\nX-A: 1", 1), want: []string{"header.x-a: 1, 2 → 2, 1"}},
		"another field":                   {now: strings.Replace(then, "X-A: 2", "X-B: 2", 1), want: []string{"header.x-a: 1, 2 → 1", "header.x-b: nothing → 2"}},
		"a secret":                        {now: strings.Replace(then, "Date: Mon", "Set-Cookie: s=1234567890abcdef", 1), want: []string{"header.set-cookie: nothing → s=****cdef"}},
		"secrets": {now: strings.Replace(then, "Date: Mon", "Set-Cookie: s=1234567890abcdef; Path=/\r\nSet-Cookie: t=abcdef1234567890", 1),
			want: []string{"header.set-cookie: nothing → s=****cdef; Path=/, t=****7890"}},
		"ignored fields":           {now: strings.Replace(then, "X-A: 2", "X-B: 2", 1), ignored: "header.X-*"},
		"ignored status":           {now: strings.Replace(then, "200", "500", 1), ignored: "status"},
		"ignored text":             {now: strings.Replace(then, "X-A: 2", "X-A: 37", 1), ignored: "text [0-9]+"},
		"text that is not ignored": {now: strings.Replace(then, "X-A: 2", "X-A: x2", 1), ignored: "text [0-9]+", want: []string{"header.x-a: 1, 2 → 1, x2"}},
		"all at once": {now: "HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno", ignored: "header",
			want: []string{"status: 200 → 500", "line 1: hi → no"}},
	} {
		a, errA := ReadThen(opener(then), "GET")
		b, errB := ReadThen(opener(test.now), "GET")
		if errA != nil || errB != nil {
			t.Fatal(name, errA, errB)
		}
		d := Compare(a, b, rulesOf(t, test.ignored))
		if diff := cmp.Diff(test.want, changes(d)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if d.Any() != (test.want != nil) {
			t.Errorf("%s: Any is %v", name, d.Any())
		}
	}
}

func TestJSONIsComparedByWhatItSays(t *testing.T) {
	for _, test := range []struct {
		then, now string
		rules     string
		want      []string
	}{
		// how it is written
		{then: `{"a":1,"b":[true,null]}`, now: "\uFEFF{ \"b\" : [ true , null ],\n\"a\":1 }"},
		{then: `["\u00e9\/","é/"]`, now: `["é/","\u00E9\u002f"]`},
		{then: `[1, -0, 100, 0.10, 1e400000]`, now: `[1.0, 0, 1e2, 1E-1, 1e400000]`},
		{then: `{"a":1,"a":2}`, now: `{"a":2}`},
		// types count
		{then: `{"a":1}`, now: `{"a":"1"}`, want: []string{`json.a: 1 → "1"`}},
		{then: `{"a":null}`, now: `{}`, want: []string{`json.a: null → nothing`}},
		{then: `[0,false,"",[],{}]`, now: `[null,0,[],{},false]`, want: []string{
			`json[0]: 0 → null`, `json[1]: false → 0`, `json[2]: "" → []`, `json[3]: [] → {}`, `json[4]: {} → false`}},
		// numbers beyond those of any machine
		{then: `[9007199254740993]`, now: `[9007199254740992]`, want: []string{`json[0]: 9007199254740993 → 9007199254740992`}},
		{then: `[1e99999999999]`, now: `[1e99999999998]`, want: []string{`json[0]: 1e99999999999 → 1e99999999998`}},
		{then: `["\ud800"]`, now: `["\udc00"]`, want: []string{`json[0]: "\ud800" → "\udc00"`}},
		// paths
		{then: `{"order":{"items":[{"price":1},{"price":2}]},"a b":1}`, now: `{"order":{"items":[{"price":1},{"price":3,"c":4}]},"a b":2}`, want: []string{
			`json.order.items[1].price: 2 → 3`, `json.order.items[1].c: nothing → 4`, `json["a b"]: 1 → 2`}},
		{then: `1`, now: `2`, want: []string{`json: 1 → 2`}},
		// elements that moved
		{then: `[1,2,3,4]`, now: `[0,1,2,4]`, want: []string{`json[0]: 1 → 0`, `json[1]: 2 → 1`, `json[2]: 3 → 2`}},
		{then: `[1,2,3,4]`, now: `[0,1,2,3,4]`, want: []string{`json[0]: nothing → 0`}},
		{then: `[{"i":1},{"i":2},{"i":3}]`, now: `[{"i":1.0},{"i":3}]`, want: []string{`json[1]: {"i":2} → nothing`}},
		{then: `[{"i":1},{"i":2},{"i":3,"p":1}]`, now: `[{"i":2},{"i":3,"p":2},{"i":4},{"i":5}]`, want: []string{
			`json[0]: {"i":1} → nothing`, `json[2].p: 1 → 2`, `json[2]: nothing → {"i":4}`, `json[3]: nothing → {"i":5}`}},
		// rules
		{then: `{"meta":{"at":1,"n":1},"x":1}`, now: `{"meta":{"at":2},"x":1}`, rules: "json.meta.*"},
		{then: `{"items":[{"id":1,"n":1},{"id":2,"n":2}]}`, now: `{"items":[{"id":3,"n":1},{"id":4,"n":3}]}`, rules: "json.items[*].id", want: []string{`json.items[1].n: 2 → 3`}},
		{then: `{"items":[{"id":1,"n":1},{"id":2,"n":2}]}`, now: `{"items":[{"id":4,"n":2}]}`, rules: "json.items[*].id", want: []string{`json.items[0]: {"id":1,"n":1} → nothing`}},
		{then: `{"created_at":1,"b":{"updated_at":1}}`, now: `{"created_at":2,"b":{}}`, rules: "json.*_at\njson.b[\"*_at\"]"},
		{then: `{"a":1}`, now: `[1]`, rules: "json"},
		{then: `{"a":1}`, now: `{"a":2}`, rules: "body"},
		// text that does not count, in whatever it stands
		{then: `{"at":"2026-01-31T10:00:00Z","n":1700000001,"x":1}`, now: `{"at":"2026-02-01T11:00:00Z","n":1700000002,"x":2}`,
			rules: "text [0-9-]+T[0-9:]+Z\ntext \\b17[0-9]{8}\\b", want: []string{`json.x: 1 → 2`}},
		{then: `{"at":"10:00"}`, now: `{"at":"11:00"}`, rules: "text [0-9:]+"},
		{then: `{"at":"10:00"}`, now: `{"at":"noon"}`, rules: "text [0-9:]+", want: []string{`json.at: "…" → "noon"`}},
		{then: `{"of 1":{"a":"x"},"of 2":{"a":"y"}}`, now: `{"of 3":{"a":"z"},"of 4":{"a":"y"}}`, rules: "text [0-9]", want: []string{`json["of …"].a: "x" → "z"`}},
		{then: `[{"1":1,"2":2},{"3":3}]`, now: `[{"4":1,"5":2},{"6":3}]`, rules: "text [0-9]"},
		{then: `{"at":"\u0031 \"1\""}`, now: `{"at":"22 \"3\""}`, rules: "text [0-9]+"},
		{then: `{"n":12345,"m":1234}`, now: `{"n":12346,"m":1235}`, rules: "text [0-9]{4}", want: []string{`json.n: 12345 → 12346`}},
		// without an order
		{then: `{"tags":["a","b","a"]}`, now: `{"tags":["b","a","a"]}`, rules: "unordered json.tags"},
		{then: `{"tags":["a","b","a"]}`, now: `{"tags":["b","a"]}`, rules: "unordered json.tags", want: []string{`json.tags[2]: "a" → nothing`}},
		{then: `["a","b"]`, now: `["b","a"]`, want: []string{`json[0]: "a" → "b"`, `json[1]: "b" → "a"`}},
		{then: `[{"i":1,"t":[1,2]},{"i":2,"t":[3]}]`, now: `[{"t":[3],"i":2},{"t":[2,1.0],"i":1}]`, rules: "unordered json\nunordered json[*].t"},
		{then: `[{"i":1,"p":1},{"i":2}]`, now: `[{"i":2},{"i":1,"p":3}]`, rules: "unordered json", want: []string{`json[0].p: 1 → 3`}},
		{then: `[{"i":1,"at":1},{"i":2,"at":2}]`, now: `[{"i":2,"at":3},{"i":1,"at":4}]`, rules: "unordered json\njson[*].at"},
		// secrets
		{then: `{"access_token":"1234567890abcdef","n":{"tokens":["1234567890abcdef"]}}`, now: `{"access_token":"x234567890abcdef","n":{"tokens":["secret"]}}`, want: []string{
			`json.access_token: "****cdef" → "****cdef"`, `json.n.tokens[0]: "****cdef" → "****"`}},
		{then: `{"a":1}`, now: `{"a":1,"b":{"password":"x"}}`, want: []string{`json.b: nothing → {"password":"****"}`}},
	} {
		rules := rulesOf(t, test.rules)
		got := changes(Compare(response(t, test.then), response(t, test.now), rules))
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s → %s: %s", test.then, test.now, diff)
		}
		if idle := rules.Idle(); idle != nil {
			t.Errorf("%s → %s: %q left nothing out", test.then, test.now, idle)
		}
	}
}

// parts is a multipart form.
func parts(boundary, value, token, file string) string {
	part := func(name, value string) string {
		return "--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
	}
	return part("d[P]", value) + part("token", token) + part("file", file) + "--" + boundary + "--\r\n"
}

func TestBodiesAreComparedAsWhatTheyAre(t *testing.T) {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write([]byte(`{"a":1}`)); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	const form = "Content-Type: application/x-www-form-urlencoded"
	long := strings.Repeat("long ", 100)
	file := func(name string) *Response {
		return response(t, strings.Replace(parts("X", "1", "a", "b"), `name="file"`, `name="file"; filename="`+name+`"`, 1), "Content-Type: multipart/form-data; boundary=X")
	}
	for name, test := range map[string]struct {
		then, now *Response
		want      []string
	}{
		"names of files":  {file("a.txt"), file("b.txt"), []string{"form.file: filename=a.txt, b → filename=b.txt, b"}},
		"lines":           {response(t, "a\nb\nc\n"), response(t, "a\nB\nc\nd\n"), []string{"line 2: b → B", "line 4: nothing → d"}},
		"lines gone":      {response(t, "a\nb\nc\nd"), response(t, "a\nd"), []string{"line 2: b\nc → nothing"}},
		"a last line end": {response(t, "a\n"), response(t, "a"), []string{"line 2:  → nothing"}},
		"a secret in a line": {response(t, "x\n{\"token\": \"1234567890abcdef\","), response(t, "x\n{\"token\": \"x\","),
			[]string{`line 2: {"token": "****cdef", → {"token": "****",`}},
		"a long line": {response(t, long+"then"+long), response(t, long+"now"+long), []string{
			"line 1: …" + long[470:] + "then" + long[:166] + "… → …" + long[470:] + "now" + long[:167] + "…"}},
		"JSON and text": {response(t, `{"a":1}`), response(t, "<p>oops</p>"), []string{`body: {"a":1} → <p>oops</p>`}},
		"nothing":       {response(t, ""), response(t, "x"), []string{"body: nothing → x"}},
		"binary": {response(t, "\x00a"), response(t, "\x00b"), []string{
			"body: 2 bytes, SHA-256 022a6979e6dab7aa → 2 bytes, SHA-256 57eb35615d47f34e"}},
		"another coding": {response(t, zipped.String(), "Content-Encoding: gzip"), response(t, `{"a":1}`, "Content-Encoding: identity"),
			[]string{"header.content-encoding: gzip → identity"}},
		"what was coded": {response(t, zipped.String(), "Content-Encoding: gzip"), response(t, `{"a":2}`, "Content-Encoding: gzip"), []string{"json.a: 1 → 2"}},
		"another charset": {response(t, "\xef\xf0\xe8\xe2\xe5\xf2", "Content-Type: text/plain; charset=windows-1251"), response(t, "привет", "Content-Type: text/plain; charset=utf-8"),
			[]string{"header.content-type: text/plain; charset=windows-1251 → text/plain; charset=utf-8"}},
		"text in a charset": {response(t, "\xef\xf0\xe8", "Content-Type: text/plain; charset=windows-1251"), response(t, "\xef\xf0", "Content-Type: text/plain; charset=windows-1251"),
			[]string{"line 1: при → пр"}},
		"forms": {response(t, "a=1&d[P][M]=x&t[]=1&t[]=2&b=3", form), response(t, "d%5BP%5D%5BM%5D=y&a=1&t[]=1&t[]=3&api_key=1234567890abcdef", form),
			[]string{"form.api_key: nothing → ****cdef", "form.b: 3 → nothing", "form.d.P.M: x → y", "form.t[1]: 2 → 3"}},
		"forms in parts": {response(t, parts("X", "1", "a", "\x00"), "Content-Type: multipart/form-data; boundary=X"), response(t, parts("Y", "2", "b", "\x01"), "Content-Type: multipart/form-data; boundary=Y"),
			[]string{"header.content-type: multipart/form-data; boundary=X → multipart/form-data; boundary=Y", "form.d.P: 1 → 2",
				"form.file: 1 bytes, SHA-256 6e340b9cffb37a98 → 1 bytes, SHA-256 4bf5122f344554c5", "form.token: **** → ****"}},
	} {
		d := Compare(test.then, test.now, nil)
		if diff := cmp.Diff(test.want, changes(d)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestTextIsIgnoredByWhatItSays, not by how its charset has it.
// Senders may write millions of fields into a form, which would take gigabytes and minutes.
func TestAFormOfTooManyFieldsIsComparedAsText(t *testing.T) {
	for kind, form := range map[string]func(value string) string{
		"application/x-www-form-urlencoded": func(value string) string { return strings.Repeat("a&", fieldsMax) + "b=" + value },
		"multipart/form-data; boundary=x": func(value string) string {
			return strings.Repeat("--x\r\n\r\n\r\n", fieldsMax) + "--x\r\n\r\n" + value + "\r\n--x--"
		},
	} {
		a, b := response(t, form("1"), "Content-Type: "+kind), response(t, form("2"), "Content-Type: "+kind)
		if d := Compare(a, b, nil); len(d.Changes) != 1 || !strings.HasPrefix(d.Changes[0].Where, "line ") {
			t.Errorf("%s: %+v", kind, d)
		}
	}
}

func TestTextIsIgnoredByWhatItSays(t *testing.T) {
	const charset = "Content-Type: text/plain; charset=windows-1251"
	got := changes(Compare(response(t, "\xef\xf0\xe8 1", charset), response(t, "\xe8\xef\xf0 2", charset), rulesOf(t, "text ^[а-я]+")))
	if diff := cmp.Diff([]string{"line 1: … 1 → … 2"}, got); diff != "" {
		t.Error(diff)
	}
}

// TestTextMayHaveItsSigns: what is left out as text may have a # in it, and a file the mark that some editors begin one with.
func TestTextMayHaveItsSigns(t *testing.T) {
	rules := rulesOf(t, "\ufefftext order #[0-9]+ # a comment\n")
	if d := Compare(response(t, "your order #12, order book"), response(t, "your order #134, order book"), rules); d.Any() {
		t.Error(changes(d))
	}
	if d := Compare(response(t, "order"), response(t, "no"), rules); !d.Any() {
		t.Error("all of order is left out")
	}
}

func TestAResponseThatWentToAFileIsLookedIntoAsWell(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	body := func(line string) string {
		return strings.Repeat("the same\n", 1<<17) + line + strings.Repeat("\nthe same", 1<<17)
	}
	message := func(body string) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	result := send(t, "GET /hook HTTP/1.1\r\nHost: x\r\n\r\n", newApp(t, message(body("now"))))
	if result.Err != nil {
		t.Fatal(result.Err)
	}
	got := changes(Compare(response(t, body("then")), result.Response, nil))
	if diff := cmp.Diff([]string{"line 131073: then → now"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestALineIsShownWithTheOneBefore(t *testing.T) {
	d := Compare(response(t, "<h1>\n{\"secret\":\"x\",\nb"), response(t, "<h1>\n{\"secret\":\"x\",\nc"), nil)
	if len(d.Changes) != 1 || d.Changes[0].After != `{"secret":"****",` {
		t.Errorf("%+v", d)
	}
}

func TestSecretsAreShownWhenAskedFor(t *testing.T) {
	got := changes(Compare(response(t, `{"token":"old"}`), response(t, `{"token":"new"}`), &Rules{Reveal: true}))
	if diff := cmp.Diff([]string{`json.token: "old" → "new"`}, got); diff != "" {
		t.Error(diff)
	}
}

func TestOnlySomeOfManyChangesAreKept(t *testing.T) {
	many := func(value string) *Response {
		return response(t, "["+strings.Repeat(value+",", 999)+value+"]")
	}
	d := Compare(many("1"), many("2"), nil)
	if len(d.Changes) != mostChanges || d.More != 1000-mostChanges {
		t.Errorf("%d changes and %d more", len(d.Changes), d.More)
	}
}

func TestRulesSayWhereTheyAreWrong(t *testing.T) {
	for text, want := range map[string]string{
		"json.a\n\n# x\njsn.b":            `hooktape.ignore:4: "jsn.b": unknown variable "jsn"; did you mean "json"?`,
		"json.a..b":                       `hooktape.ignore:1: "json.a..b"`,
		"trace":                           `hooktape.ignore:1: "trace" is not compared`,
		"status.x":                        `there is nothing below status`,
		"header.a.b":                      `there is nothing below header.a`,
		"unordered form.x":                `only arrays of json`,
		"x" + strings.Repeat("y", 20<<10): `hooktape.ignore:1: `,
	} {
		err := new(Rules).Read("hooktape.ignore", strings.NewReader(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %s", text, err, want)
		}
	}
}

func TestRulesThatLeaveNothingOutAreIdle(t *testing.T) {
	r := rulesOf(t, "json.a # comment\nheader.date\n  json.gone.* \nunordered json.list\n")
	if err := r.Ignore("header.x-y"); err != nil {
		t.Fatal(err)
	}
	Compare(response(t, `{"a":1,"list":[1]}`, "X-Y: 1"), response(t, `{"a":2,"list":[1]}`, "X-Y: 2"), r)
	want := []string{"header.date (rules:2)", "json.gone.* (rules:3)", "json.list (rules:4)"}
	if diff := cmp.Diff(want, r.Idle()); diff != "" {
		t.Error(diff)
	}
}
