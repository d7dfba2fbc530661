package expr

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// TestHostileBodiesEndInAnError: each of these would take hours or gigabytes without bounds.
func TestHostileBodiesEndInAnError(t *testing.T) {
	digits := strings.Repeat("7", 1<<20)
	ones := "[" + strings.Repeat("1,", 20000) + "1]"
	mixed := "[" + strings.Repeat(`1,"a",`, 20000) + "1]"
	for _, c := range []struct{ src, body string }{
		{`json.s > 5`, `{"s":"` + digits + `"}`},
		{`json.s + 1 == 2`, `{"s":"1e999999999"}`},
		{`parseint(json.s, 10) == 1`, `{"s":"` + digits + `"}`},
		{`tonumber(json.s) == 1`, `{"s":"` + digits + `"}`},
		{`json == 1`, ones + strings.Repeat(" ", 1<<20) + "x"},
		{`json.a == [1]`, `{"a":[` + strings.Repeat("1,", 1<<20) + `1]}`},
		{`json.a == [1]`, `{"a":[` + strings.Repeat(`1,`, maxValues) + `1]}`},
		{`[for a in json : [for b in json : [for c in json : a]]] == []`, ones},
		{`join("", [for a in json : body]) == ""`, ones},
		{`"%{for a in json}${body}%{endfor}" == ""`, ones},
		{`distinct(json) == [1, 2]`, ones},
		{`setunion(json, [1]) == [1]`, ones},
		{`chunklist(json, 2) == []`, mixed},
		{`replace(json.a, "", json.a) == ""`, `{"a":"` + strings.Repeat("x", 500000) + `"}`},
		{`regexreplace(json.a, "", json.a) == ""`, `{"a":"` + strings.Repeat("x", 500000) + `"}`},
		{`regexall("", json.a) == []`, `{"a":"` + strings.Repeat("x", 500000) + `"}`},
		{`split("", json.a) == []`, `{"a":"` + strings.Repeat("x", 500000) + `"}`},
		{`join(json.s, json.l) == ""`, `{"s":"` + strings.Repeat("x", 500000) + `","l":` + ones + `}`},
		{`format(json.f, 1) == ""`, `{"f":"%999999999d"}`},
		{`format(json.f, json.f) == ""`, `{"f":"` + strings.Repeat("%[1]s", 100000) + `"}`},
		{`indent(json.n, body) == ""`, `{"n":99999999}`},
		{`upper(body) == ""`, strings.Repeat("x", 2<<20)},
		{`csvdecode(body) == []`, "a,a\n1,2"},
		{`jsondecode(body) == 1`, strings.Repeat("[", 1<<19)},
		{`pow(json.n, json.n) == 1`, `{"n":99999999999999}`},
		{`log(json.n, 1) == 1`, `{"n":0}`},
		{`length(concat([for a in json : json]...)) == 1`, ones},
		{`jsonencode([for a in json : json]) == ""`, ones},
		{`[for a in json : json] == [for a in json : json]`, ones},
		{`distinct([for a in json : json]) == []`, ones},
		{`[for a in json : { for b in json : b => a }][0] == 1`, ones},
		{`form.a == "1"`, strings.Repeat("a[]=1&", 70000)},
	} {
		t.Run(fmt.Sprintf("%.60s", c.src), func(t *testing.T) {
			e, err := Parse(c.src)
			if err != nil {
				t.Fatal(err)
			}
			v := &View{Record: &store.Record{}, Body: func() ([]byte, error) { return []byte(c.body), nil }}
			v.Head = &wire.RequestHead{Fields: wire.Fields{{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}}}
			holds, err := e.Bool(v)
			if holds {
				t.Error("it holds")
			}
			if err == nil && c.src[:5] != "json " && c.src[:8] != "distinct" {
				t.Error("it did not fail")
			}
			if errors.Is(err, errPanic) {
				t.Error(err)
			}
		})
	}
}

// TestMatchingIsPaidFor: each of these took minutes.
func TestMatchingIsPaidFor(t *testing.T) {
	body := `{"s":"` + strings.Repeat("a", 1<<19) + `","p":"((((a?){10}){10}){10})b","l":["` + strings.Repeat(`a","`, 60000) + `"]}`
	v := &View{Record: &store.Record{}, Body: func() ([]byte, error) { return []byte(body), nil }}
	for _, src := range []string{
		`regex("(a?){1000}b", json.s) == ""`, `regex(json.p, json.s) == ""`, `regexall("(a?){1000}b", json.s) == []`, `regexreplace(json.s, json.p, "") == ""`,
		`[for x in json.l : regexreplace(x, "(a?){1000}", "")] == []`,
	} {
		e, err := Parse(src)
		if err != nil {
			t.Fatal(err)
		}
		_, err = e.Bool(v)
		if wrong, ok := errors.AsType[*EvalError](err); !ok || wrong.Message != errBudget.Error() {
			t.Errorf("%s: %v", src, err)
		}
	}
	for _, src := range []string{`regex("a+", json.s) != ""`, `regexreplace(json.s, "a+\\s*:\\s*\"[^\"]*\"", "") != ""`} {
		if e, err := Parse(src); err != nil {
			t.Fatal(err)
		} else if holds, err := e.Bool(v); !holds || err != nil {
			t.Errorf("%s: %v, %v", src, holds, err)
		}
	}
}

func TestDeepExpressionsAreRefusedOrTaken(t *testing.T) {
	for _, src := range []string{
		strings.Repeat("(", maxSource-1), strings.Repeat("!", maxSource-4) + "true", strings.Repeat("[", 8000) + strings.Repeat("]", 8000),
		"1" + strings.Repeat("+1", 8000) + "==1", strings.Repeat("json[", 3000) + "1" + strings.Repeat("]", 3000) + "==1", strings.Repeat(`"${`, 3000) + "1",
		strings.Repeat("x", maxSource+1),
	} {
		if e, err := Parse(src); err == nil {
			_, _ = e.Bool(&View{Record: &store.Record{}})
		}
	}
}

// everyKind uses each kind of node and most functions.
var everyKind = []string{
	`json.a.b[0].c == "x" && json != null`, `json == {}`, `[for k, v in json : "${k}${jsonencode(v)}" if v != null] == []`, `json[*].a == []`, `{for v in json.l : v => v...} == {}`,
	`json.a[json.k] == 1`, `json.n * json.n - json.n / 3 % 2 > 1 || json.s < json.t`, `form.a.b == form.c[0]`, `query == {} || headers == {}`, `length(json) > length(form)`,
	`upper(json.s) == lower(json.s)`, `format(json.s, json.n, json.l) == ""`, `regexall(json.s, body) == []`, `regexreplace(body, json.s, json.t) == ""`, `split(json.s, body) == []`,
	`substr(body, json.n, json.m) == strrev(body)`, `distinct(json.l) == sort(json.l)`, `concat(json.l, json.l) == flatten(json.l)`, `setunion(json.l, json.m) == []`,
	`merge(json.a, json.b) == zipmap(json.l, json.l)`, `chunklist(json.l, json.n) == slice(json.l, json.n, json.m)`, `element(json.l, json.n) == index(json.l, json.n)`,
	`lookup(json, json.s, json.t) == coalesce(json.a, json.b)`, `csvdecode(body) == []`, `jsondecode(body) == json`, `csv(json.l) == multipart(json.s, json.l)`,
	`formatdate(json.s, json.t) == timeadd(json.s, json.t)`, `unixtime(json.s, json.t) > 0`, `hmac(json.s, body) == sha256(body)`, `base64(body) == ""`,
	`try(json.a + 1, json.b + 1, json.c) == can(json.a + 1)`, `json.a ? json.b : json.c`, `parseint(json.s, json.n) == tonumber(json.s)`, `min(json.l...) == max(json.l...)`,
	`formatlist(json.s, json.l) == values(json)`, `keys(json) == compact(json.l)`, `pow(json.n, json.m) == log(json.n, json.m)`, `indent(json.n, body) == title(body)`,
	`contains(json.l, json.a) != hasindex(json.l, json.n)`, `reverse(json.l) == coalescelist(json.l, [])`, `trim(body, json.s) == tostring(json.n)`, `replace(body, json.s, json.t) == join(json.s, json.l)`,
}

// FuzzNoBodyPanics also finds what takes long: the fuzzer gives up on inputs of more than a second.
func FuzzNoBodyPanics(f *testing.F) {
	for _, body := range []string{
		"", order, `[]`, `{"l":[1,"a",null,[],{}],"s":"%d","t":"$1","n":2,"m":3,"a":{"b":[{"c":"x"}]},"k":"b"}`, `[1,2,[3]]`, `"text"`, `{"l":[[1,2],[3]],"s":"B"}`, "a[b]=1&c[]=2", "a,b\n1,2",
		`{"n":-1e400,"m":0.0000001,"l":[1e400,-1e400]}`, `{"l":[{"name":"a","value":"b"}],"s":"2006","t":"2026-01-01T00:00:00Z"}`, "\xff\x00\xfe", `{"a":{"\u0000":"\ud800"}}`, `{"":{"":{"":1}}}`,
	} {
		f.Add("application/json", body)
		f.Add("application/x-www-form-urlencoded", body)
		f.Add("multipart/form-data; boundary=B", body)
	}
	var exprs []*Expr
	for _, src := range everyKind {
		e, err := Parse(src)
		if err != nil {
			f.Fatal(err)
		}
		exprs = append(exprs, e)
	}
	f.Fuzz(func(t *testing.T, contentType, body string) {
		v := &View{Record: &store.Record{Target: "/?" + body}, Body: func() ([]byte, error) { return []byte(body), nil }}
		v.Head = &wire.RequestHead{Target: v.Record.Target, Fields: wire.Fields{{Name: "Content-Type", Value: contentType}, {Name: "X", Value: body}}}
		for _, e := range exprs {
			if _, err := e.Bool(v); errors.Is(err, errPanic) {
				t.Errorf("%s panics", e.Source())
			}
			if _, err := e.String(v); errors.Is(err, errPanic) {
				t.Errorf("%s panics", e.Source())
			}
		}
	})
}

// FuzzNoExpressionPanics: --where comes from people and through the API.
func FuzzNoExpressionPanics(f *testing.F) {
	for _, src := range everyKind {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		e, err := Parse(src)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without words")
			}
			return
		}
		_, err = e.Bool(viewOf("application/json", order))
		if errors.Is(err, errPanic) {
			t.Error(err)
		}
	})
}

// FuzzPathsAgreeWithDecoding: what a path finds in place is what decoding all of it finds.
func FuzzPathsAgreeWithDecoding(f *testing.F) {
	f.Add(`{"a":{"b":[1,{"c":2}]}}`, "a", "b")
	f.Add(`{"a":1,"a":{"b":3}}`, "a", "b")
	f.Add(`[[1,2],{"0":5}]`, "1", "0")
	f.Fuzz(func(t *testing.T, body, first, second string) {
		d := parseDocument(body)
		if d == "" {
			return
		}
		path := []step{newStep(first), newStep(second)}
		whole, err := d.value()
		found, errFound := d.at(path).value()
		if err != nil || errFound != nil {
			return
		}
		want := child(child(whole, path[0]), path[1])
		s := &scope{budget: maxSteps}
		same, err := s.equal(want, found)
		if !same && err == nil && isPlain(body+first+second) {
			t.Errorf("%s at %q %q: decoded %#v, found %#v", body, first, second, want, found)
		}
	})
}

// isPlain keeps out what HCL normalizes when it is decoded.
func isPlain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 }) && !strings.Contains(s, `\u`)
}

func BenchmarkPath(b *testing.B) {
	body := []byte(`{"items":[`)
	for len(body) < 1000 {
		body = append(body, `{"id":123,"name":"pizza"},`...)
	}
	body = append(body[:len(body)-1], `],"last":"x"}`...)
	for _, src := range []string{`json.last == "x"`, `event == null`, `json != null && header.x-sign == null`, `length(json.items) > 2`, `json.items[0].id == 123`, `json.items == null || true`} {
		b.Run(src, func(b *testing.B) {
			e, err := Parse(src)
			if err != nil {
				b.Fatal(err)
			}
			head := &wire.RequestHead{Target: "/"}
			r := &store.Record{}
			b.ReportAllocs()
			for b.Loop() {
				if ok, err := e.Bool(&View{Record: r, Head: head, Body: func() ([]byte, error) { return body, nil }}); !ok || err != nil {
					b.Fatal(ok, err)
				}
			}
		})
	}
}

func BenchmarkDecodeWhole(b *testing.B) {
	parsed, _ := hclsyntax.ParseExpression([]byte(`jsonencode(json)`), "", hcl.InitialPos)
	e, diags := Compile(parsed, &Load{Text: []byte(`jsonencode(json)`)})
	if diags.HasErrors() {
		b.Fatal(diags)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.String(viewOf("", order)); err != nil {
			b.Fatal(err)
		}
	}
}
