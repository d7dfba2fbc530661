package expr

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// order is the body of most tests.
const order = `{
  "type": "UPDATE", "amount": 1299.50, "count": 3, "big": 123456789012345678901234567890, "paid": true, "nothing": null,
  "orderExternalId": "A-17",
  "a b": [{"c": "x"}, {"c": "y", "d": 1}],
  "items": [{"id": 1, "name": "Пицца"}, {"id": 2}],
  "@this": "at", "#": "hash", "x.y": "dot", "*": "star", "": "empty", "q\u0022uote": "escaped",
  "twice": 1, "twice": 2,
  "nested": "{\"k\":\"v\"}"
}`

func viewOf(contentType, body string) *View {
	at := time.Date(2026, 3, 1, 12, 0, 0, 250_000_000, time.UTC)
	return &View{
		Record: &store.Record{
			ID: ulid.MustParse("01000000000000000000000000"), Time: at, Source: "iiko", Via: "direct", Remote: "192.0.2.1:4711", Method: "POST",
			Target: "/hooks/a%20b?x=1&data[PARAMS][ID]=7&tag[]=a&tag[]=b&x=2", Host: "hooks.example.com", Verdict: store.Accepted,
			Verified: true, Session: []string{"checkout"}, HeadSize: 200, BodySize: int64(len(body)), Answer: &store.Answer{Status: 200},
		},
		Head: &wire.RequestHead{
			Method: "POST", Target: "/hooks/a%20b?x=1&data[PARAMS][ID]=7&tag[]=a&tag[]=b&x=2",
			Fields: wire.Fields{
				{Name: "Content-Type", Value: contentType}, {Name: "X-Signature", Value: "sha256=AB"}, {Name: "Via", Value: "a"}, {Name: "VIA", Value: "b"},
				{Name: "X-Latin", Value: "caf\xe9"},
			},
		},
		Body:   func() ([]byte, error) { return []byte(body), nil },
		Params: map[string]string{"counter_id": "42"},
	}
}

// holds says whether a condition holds for a record, or fails the test.
func holds(t *testing.T, src string, v *View) bool {
	t.Helper()
	e, err := Parse(src)
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	b, err := e.Bool(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestConditionsThatHold(t *testing.T) {
	v := viewOf("application/json", order)
	for _, src := range []string{
		// the record
		`source == "iiko" && method == "POST" && verdict == "accepted" && via == "direct"`,
		`id == "01000000000000000000000000"`, `verified`, `status == 200`, `contains(session, "checkout")`, `session == ["checkout"]`,
		`size > 200`, `remote == "192.0.2.1:4711"`, `host == "hooks.example.com"`,
		`event == null`, `trace == null`, `response == null`, `response.json.a == null`,
		`time == "2026-03-01T12:00:00.25Z"`, `time > "2026-03-01T12:00:00Z"`, `time < "2026-03-01T15:00:01+03:00"`, `time > "2026-02"`,
		// the head
		`path == "/hooks/a%20b"`, `query.x == "2"`, `query.data.PARAMS.ID == "7"`, `query.tag == ["a", "b"]`, `query.tag[1] == "b"`, `query.no.such == null`,
		`header.x-signature == "sha256=AB"`, `header["X-Signature"] == "sha256=AB"`, `header.via == "a"`, `headers.via == ["a", "b"]`, `headers.via[1] == "b"`,
		`header.no == null`, `headers.no == null`, `lookup(header, "via", "") == "a"`, `length(headers) == 4`, `header.x-latin == "caf\uFFFD"`,
		// the source
		`params.counter_id == "42"`, `params.no == null`, `params.counter_id.deeper == null`, `length(params) == 1`, `params == {counter_id = "42"}`,
		// paths into JSON
		`json.type == "UPDATE"`, `json["a b"][0].c == "x"`, `json["a b"][1]["d"] == 1`, `json["a b"][2] == null`, `json.type.deeper == null`, `json.no[3].such == null`,
		`json.amount == 1299.5`, `json.amount > 1000`, `json.big == 123456789012345678901234567890`, `json.paid`, `!json.nothing`, `json.nothing == null`, `json.no == null`,
		`json["@this"] == "at"`, `json["#"] == "hash"`, `json["x.y"] == "dot"`, `json["*"] == "star"`, `json[""] == "empty"`, `json["q\"uote"] == "escaped"`,
		`json.items["#"] == null`, `json.items["@reverse"] == null`, `json.twice == 2`, `json != null`, `json.items != null`,
		// JSON as a whole
		`length(json.items) == 2`, `json.items[*].id == [1, 2]`, `[for i in json.items : i.name] == ["Пицца", null]`, `json.items[0] == {name = "Пицца", id = 1}`,
		`{for i in json.items : i.id => i.name if i.name != null} == {"1" = "Пицца"}`, `[for x in json.no : x] == []`, `json.no[*].x == []`,
		`jsondecode(json.nested).k == "v"`, `json[header.no == null ? "type" : "count"] == "UPDATE"`, `length(json) == 17`, `length(json.no) == 0`,
		// functions and operators
		`coalesce(json.no, json.type) == "UPDATE"`, `try(json.type + 1, "no number") == "no number"`, `!can(json.type + 1)`, `can(json.count + 1)`,
		`"${json.type}-${json.count}-${json.no}" == "UPDATE-3-"`, `"%{ for i in json.items }${i.id};%{ endfor }" == "1;2;"`, `json.count > "2"`,
		`startswith(path, "/hooks") && endswith(path, "b") && strcontains(path, "%20")`, `unixtime("2026-03-01 15:00:00", "Europe/Moscow") == 1772366400`,
		`distinct([1, 1, "1", null, null]) == [1, "1", null]`, `csv([["a", "b\"c"], [1, null]]) == "a,\"b\"\"c\"\n1,\n"`,
		`json.no == null || json.no > 5`, `format("%05.1f", json.amount) == "1299.5"`,
		`(true ? [1] : "x") == [1]`, `max(json.items[*].id...) == 2`,
		`jsonencode(json.items[1]) == "{\"id\":2}"`, `sort(["b", "a"]) == ["a", "b"]`, `keys(json.items[0]) == ["id", "name"]`, `concat([1], ["a"]) == [1, "a"]`,
	} {
		if !holds(t, src, v) {
			t.Errorf("does not hold: %s", src)
		}
	}
}

func TestFormsNestAsInPHP(t *testing.T) {
	body := "event=ONIMBOTMESSAGEADD&data[PARAMS][MESSAGE]=ping+%D0%B0%2B&data%5BPARAMS%5D%5BID%5D=5&data[BOT][0][x]=1&list[]=a&list[]=b&last=1&last=2&odd[=1&pct=50%&b[a]=1"
	v := viewOf("application/x-www-form-urlencoded; charset=utf-8", body)
	for _, src := range []string{
		`form.event == "ONIMBOTMESSAGEADD"`, `form.data.PARAMS.MESSAGE == "ping а+"`, `form["data"]["PARAMS"]["ID"] == "5"`, `form.data.BOT[0].x == "1"`,
		`form.list == ["a", "b"]`, `form.last == "2"`, `form["odd["] == "1"`, `form.pct == "50%"`, `form.no == null`, `form.event.deeper == null`, `json == null`, `json.event == null`,
		`length(form.data) == 2`, `form.b == {a = "1"}`,
	} {
		if !holds(t, src, v) {
			t.Errorf("does not hold: %s", src)
		}
	}
	multipart := "--B\r\nContent-Disposition: form-data; name=\"a[b]\"\r\n\r\nvalue\r\n--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x.txt\"\r\n\r\nfile\r\n--B--\r\n"
	if !holds(t, `form.a.b == "value" && form.f == "file"`, viewOf(`multipart/form-data; boundary=B`, multipart)) {
		t.Error("multipart form")
	}
	if !holds(t, `form == null`, viewOf("application/json", "{}")) {
		t.Error("a JSON body is no form")
	}
}

func TestWhatIsNotJSONIsNull(t *testing.T) {
	for _, body := range []string{
		"", "not json", "{", `{"a":1}}`, `{"a":1} x`, `{'a':1}`, "null", `{"a":tru}`, `{"a":01}`, "\xff\xfe", `"unterminated`,
		strings.Repeat("[", 1000) + strings.Repeat("]", 1000), strings.Repeat("[", 5<<20), strings.Repeat(`{"a":`, 1<<20),
	} {
		v := viewOf("application/json", body)
		if !holds(t, `json == null && json.a == null && json.a.b[0] == null`, v) {
			t.Errorf("%.40q is not null", body)
		}
	}
	for _, body := range []string{"\uFEFF{\"a\": 1}", " \n{\"a\":1}\r\n"} {
		if !holds(t, `json.a == 1`, viewOf("", body)) {
			t.Errorf("%q is JSON", body)
		}
	}
}

func TestNumbersBeyondTheLimitsAreNull(t *testing.T) {
	for text, want := range map[string]bool{
		"1": false, "-0.5e-3": false, "1e400": false, "1e401": true, "1e-401": true, "1e999999999999": true, strings.Repeat("9", 40): false, strings.Repeat("9", 41): true,
		"0." + strings.Repeat("1", 40): true, "1E+400": false,
	} {
		v := viewOf("", `{"n":`+text+`,"l":[`+text+`]}`)
		if got := holds(t, `json.n == null`, v); got != want {
			t.Errorf("%.20s == null: %v", text, got)
		}
		if got := holds(t, `json.l == [null]`, v); got != want {
			t.Errorf("[%.20s] == [null]: %v", text, got)
		}
	}
}

func TestTextStandsForExactBytes(t *testing.T) {
	decomposed := "e\u0301" // what HCL normalizes to é
	for _, c := range []struct{ src, body, want string }{
		{`body`, "\xff\x00" + decomposed, "\xff\x00" + decomposed},
		{`json.a`, `{"a":"` + decomposed + `"}`, decomposed},
		{`json.a`, `{"a":1.50}`, "1.50"},
		{`json.a`, `{"a": {"b" : [1, 2 ]} }`, `{"b" : [1, 2 ]}`},
		{`json`, ` {"a" :1}`, `{"a" :1}`},
		{`"<${json.a}>${body}"`, `{"a":"` + decomposed + `"}`, "<" + decomposed + ">{\"a\":\"" + decomposed + "\"}"},
		{`query`, "", "x=1&data[PARAMS][ID]=7&tag[]=a&tag[]=b&x=2"},
		{`json.no`, "{}", ""},
		{`sha256(body)`, decomposed, "bf12767b0f2a56b2190075bae8169f656e3ce8d6357d4aff184bc6c7ea48f9f6"},
		{`base64(body)`, "\xff\xfe", "//4="},
		{`hmac("key", body)`, "The quick brown fox jumps over the lazy dog", "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"},
		{`hmac("key", body, "sha1")`, "The quick brown fox jumps over the lazy dog", "de7c9b85b8b78aa6bc8a7a36f70a90701c9db4d9"},
		{`true ? json.a : "no"`, `{"a":"` + decomposed + `"}`, decomposed},
		{`status`, "", "200"},
		{`1 / 4`, "", "0.25"},
		{`multipart("B", [{name = "f", value = csv([[1, 2]]), filename = "a.csv", type = "text/csv"}])`, "",
			"--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.csv\"\r\nContent-Type: text/csv\r\n\r\n1,2\n\r\n--B--\r\n"},
	} {
		e := compiled(t, c.src, &Load{})
		got, err := e.String(viewOf("", c.body))
		if err != nil || got != c.want {
			t.Errorf("%s of %q: %q, %v; want %q", c.src, c.body, got, err, c.want)
		}
		b, err := e.Bytes(viewOf("", c.body))
		if err != nil || string(b) != c.want {
			t.Errorf("%s of %q: bytes %q, %v", c.src, c.body, b, err)
		}
	}
	if b, err := compiled(t, `json.no`, &Load{}).Bytes(viewOf("", "{}")); b != nil || err != nil {
		t.Errorf("null is %q, %v", b, err)
	}
}

func TestABodyThatIsNotTextIsNullAsAValue(t *testing.T) {
	if v := viewOf("", "\xff"); !holds(t, `body == null && sha256(body) != null`, v) {
		t.Error("body is a value")
	}
}

func TestResponse(t *testing.T) {
	v := viewOf("", "{}")
	v.Response = &Response{
		Head: &wire.ResponseHead{Status: 503, Fields: wire.Fields{{Name: "Retry-After", Value: "7"}}},
		Body: func() ([]byte, error) { return []byte(`{"data":[],"upload":{"id":5}}`), nil },
	}
	for _, src := range []string{
		`response.status == 503`, `response.header.retry-after == "7"`, `response.headers.retry-after == ["7"]`, `response.json.upload.id == 5`, `length(response.json.data) == 0`,
		`response != null`, `keys(response) == ["body", "header", "headers", "json", "status"]`, `response["json"].upload.id == 5`, `strcontains(response.body, "upload")`,
		`response[header.no == null ? "status" : ""] == 503`,
	} {
		if !holds(t, src, v) {
			t.Errorf("does not hold: %s", src)
		}
	}
}

func TestWithoutAHeadTheRecordSpeaks(t *testing.T) {
	v := &View{Record: &store.Record{Target: "/a?b=1"}}
	if !holds(t, `path == "/a" && query.b == "1" && header == {} && header.x == null && json == null && body == "" && form == null && status == null && source == null`, v) {
		t.Error("a record without a head")
	}
}

func TestABodyIsReadOnceAndOnlyWhenNeeded(t *testing.T) {
	reads := 0
	v := viewOf("", "")
	v.Body = func() ([]byte, error) { reads++; return []byte(order), nil }
	holds(t, `method == "POST" || json.type == "x"`, v)
	if reads != 0 {
		t.Fatal("the body was read for nothing")
	}
	holds(t, `json.type == "x" || json.count == 3 && body != ""`, v)
	holds(t, `json.type == "UPDATE"`, v)
	if reads != 1 {
		t.Fatalf("the body was read %d times", reads)
	}
}

// A batch of offline conversions may have 10 MB: more than may be decoded at once.
func TestALoopGoesOverALongerArrayThanIsDecodedAtOnce(t *testing.T) {
	const n = 1000
	conversion := `{"client_id":"1.2","target":"purchase","date_time":"2025-07-01T12:34:56","price":1500,"note":"` + strings.Repeat("x", 9800) + `"}`
	v := viewOf("application/json", `{"conversions":[`+strings.TrimSuffix(strings.Repeat(conversion+",", n), ",")+`]}`)
	for _, src := range []string{
		`length([for c in json.conversions : c.note]) == 1000`,
		`[for i, c in json.conversions : i if c.price > 1][999] == 999`,
		`csv(concat([["a"]], [for c in json.conversions : [c.client_id, unixtime(c.date_time, "Europe/Moscow"), c.note]])) != ""`,
		`multipart("b", [{ name = "f", filename = "f.csv", type = "text/csv", value = csv(concat([["a"]], [for c in json.conversions : [c.client_id, c.note]])) }]) != ""`,
		`length({ for i, c in json.conversions : i => c.target }) == 1000`,
	} {
		if !holds(t, src, v) {
			t.Errorf("%s does not hold", src)
		}
	}
	for _, src := range []string{`json.conversions == []`, `[for c in json : 1] == []`, `[for a in [1] : [for c in json.conversions : 1]] == []`} {
		e, err := Parse(src)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Bool(v); err == nil {
			t.Errorf("%s decodes all of it", src)
		}
	}
}

func TestABodyThatCannotBeReadFailsTheExpression(t *testing.T) {
	v := viewOf("", "")
	broken := errors.New("disk")
	v.Body = func() ([]byte, error) { return nil, broken }
	e, err := Parse(`json.a == null`)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if b, err := e.Bool(v); b || err == nil {
			t.Fatalf("%v, %v", b, err)
		}
	}
}

func TestWhatFailsSaysSo(t *testing.T) {
	v := viewOf("", order)
	for src, want := range map[string]string{
		`json.no > 5`:                           `json.no > 5: the value is null`,
		`json.type > 5`:                         `json.type > 5: a number is wanted`,
		`json.type`:                             `json.type: true or false is wanted`,
		`json.type && true`:                     `json.type && true: true or false is wanted`,
		`upper(json.items) == ""`:               `upper(json.items) == "": upper() cannot take its argument 1: a list or object is not text`,
		`json.count / 0 > 1`:                    `json.count / 0 > 1: the number is too large or too small`,
		`regex("(${json.type}", body) == ""`:    "regex(\"(${json.type}\", body) == \"\": regex() failed: invalid regexp pattern: missing closing ) in (UPDATE",
		`[for x in json.type : x] == []`:        `[for x in json.type : x] == []: a list or object is wanted here`,
		`hmac(json.no, body) == hmac("", body)`: `hmac(json.no, body) == hmac("", body): hmac() needs a key that is not empty`,
		`try(json.type + 1) == 2`:               `try(json.type + 1) == 2: a number is wanted`,
	} {
		e, err := Parse(src)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		b, err := e.Bool(v)
		if failed, ok := errors.AsType[*EvalError](err); b || !ok || failed.Error() != want {
			t.Errorf("%s: %v, %v; want %s", src, b, err, want)
		}
	}
}
