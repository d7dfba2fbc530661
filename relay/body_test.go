package relay

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/shape"
	"github.com/hooktape/hooktape/store"
)

func fitting(t *testing.T, a *app, schema string) config.Source {
	t.Helper()
	src := acking(a)
	var err error
	src.Schema, err = shape.Compile("s", func(string) ([]byte, error) { return []byte(schema), nil })
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func TestALargeBodyIsHeldAgainstTheSchema(t *testing.T) {
	a := startApp(t, always(ok))
	r := start(t, fitting(t, a, `{"properties": {"last": {"type": "string"}}}`))
	for last, verdict := range map[string]store.Verdict{`1`: store.InvalidBody, `"1"`: store.Accepted} {
		body := `{"pad":"` + strings.Repeat("x", 300<<10) + `","last":` + last + `}`
		answer := r.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
		rec := r.wait(Answered).Record
		if rec.Verdict != verdict || strings.Contains(answer, `"field":"last"`) != (verdict == store.InvalidBody) {
			t.Errorf("%s: %s, %q", last, rec.Verdict, answer)
		}
		if rec.Raw.Size != int64(rec.HeadSize)+int64(len(body)) || rec.Truncated {
			t.Errorf("%s: %d bytes are kept", last, rec.Raw.Size)
		}
	}
}

func TestTheAnswerToABodyThatDoesNotFitHasTheDocumentedShape(t *testing.T) {
	found := invalidBody(&shape.Invalid{Message: "m", Problems: []shape.Problem{{Field: "a[0].b", Message: "<x>"}}})
	var got any
	if err := json.Unmarshal(found.body, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"statusCode": 400.0, "isError": true, "isTransient": false, "exceptionMessage": "m",
		"validationErrors": []any{map[string]any{"field": "a[0].b", "message": "<x>"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestABodyThatCantBeReadIsNotJudged(t *testing.T) {
	a := startApp(t, always(ok))
	r := start(t, fitting(t, a, `{}`))
	cause := errors.New("the disk is gone")
	src := fitting(t, a, `{}`)
	_, err := r.checkBody(&src, func() ([]byte, error) { return nil, cause }, new(holding))
	if !errors.Is(err, cause) {
		t.Error(err)
	}
}
