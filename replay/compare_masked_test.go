package replay

import (
	"strings"
	"testing"

	"github.com/hooktape/hooktape/replay/tape"
)

func TestWhatIsMaskedIsNotComparedByItsValue(t *testing.T) {
	const jsonType, formed = "Content-Type: application/json", "Content-Type: application/x-www-form-urlencoded"
	rules, err := rulesOf(t, "json.at").Masked(&tape.Hidden{Names: []string{"phone"}, Paths: []string{"json.mail", "json.card.*", "header.x-user"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		then, now *Response
		want      string // what differs under the rules; without them something does
	}{
		"a token":     {response(t, `{"token":"fake1","n":1}`, jsonType), response(t, `{"token":"another","n":1}`, jsonType), ""},
		"beside it":   {response(t, `{"token":"fake1","n":1}`, jsonType), response(t, `{"token":"another","n":2}`, jsonType), "json.n: 1 → 2"},
		"it is gone":  {response(t, `{"token":"fake1","n":1}`, jsonType), response(t, `{"n":1}`, jsonType), `json.token: "" → nothing`},
		"own names":   {response(t, `{"phone":12,"n":1}`, jsonType), response(t, `{"phone":34567,"n":1}`, jsonType), ""},
		"paths":       {response(t, `{"mail":"x","card":{"a":1,"b":"y"}}`, jsonType), response(t, `{"mail":"zz","card":{"a":22,"b":""}}`, jsonType), ""},
		"a form":      {response(t, `token=fake&n=1`, formed), response(t, `token=x&n=2`, formed), "form.n: 1 → 2"},
		"fields":      {response(t, ``, "Set-Cookie: sid=fake; Path=/", "X-User: a"), response(t, ``, "Set-Cookie: sid=x; Path=/", "X-User: b"), ""},
		"their rest":  {response(t, ``, "Set-Cookie: sid=fake; Path=/"), response(t, ``, "Set-Cookie: sid=x; Path=/b"), "header.set-cookie: sid=****; Path=/ → sid=****; Path=/b"},
		"rules count": {response(t, `{"at":1,"token":"a"}`, jsonType), response(t, `{"at":2,"token":"b"}`, jsonType), ""},
	} {
		if d := Compare(c.then, c.now, nil); !d.Any() {
			t.Errorf("%s: they are the same without rules", name)
		}
		if got := strings.Join(changes(Compare(c.then, c.now, rules)), "; "); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	if _, err := new(Rules).Masked(&tape.Hidden{Paths: []string{"body.x"}}); err == nil {
		t.Error("a path that can't be masked is taken")
	}
}
