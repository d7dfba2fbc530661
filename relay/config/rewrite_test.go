package config

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hooktape/hooktape/relay/wire"
)

// rewriting loads a source with one target that has the keys of a rewrite block.
func rewriting(t *testing.T, keys string) *Rewrite {
	t.Helper()
	cfg, err := load(t, "source \"s\" {\n path = \"/\"\n target \"t\" {\n  url = \"https://api.example/v1\"\n  rewrite {\n"+keys+"\n  }\n }\n}\n")
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Sources[0].Targets[0].Rewrite
}

func TestARewriteChangesWhatItNames(t *testing.T) {
	base := &url.URL{Scheme: "https", Host: "api.example"}
	size := func(n int64) *int64 { return &n }
	for keys, want := range map[string]struct {
		edit wire.Edit
		body string
	}{
		``:                                  {},
		`method = "PUT"`:                    {edit: wire.Edit{Method: "PUT"}},
		`url = "/x/${json.a}?q"`:            {edit: wire.Edit{Target: "/x/7?q"}},
		`url = "https://API.example/y"`:     {edit: wire.Edit{Target: "/y"}},
		`url = json.none`:                   {},
		`headers = {"A" = "1", "B" = null}`: {edit: wire.Edit{Set: wire.Fields{{Name: "A", Value: "1"}}, Drop: []string{"B"}}},
		`headers = {"A" = " ${json.a} "}`:   {edit: wire.Edit{Set: wire.Fields{{Name: "A", Value: "7"}}}},
		`body = "<${json.a}>"`:              {edit: wire.Edit{Length: size(3)}, body: "<7>"},
		`body = json.none`:                  {edit: wire.Edit{Length: size(0)}},
		`body = body`:                       {edit: wire.Edit{Length: size(13)}, body: `{"a":7, "a ":1}`[:13]},
	} {
		view := viewOf(`{"a":7, "a ":1}`[:13])
		if strings.Contains(keys, "json") || keys == "" {
			view = viewOf(`{"a":7}`)
		}
		edit, body, err := rewriting(t, keys).Edit(view, base)
		if err != nil {
			t.Errorf("%s: %v", keys, err)
			continue
		}
		if diff := cmp.Diff(want.edit, edit); diff != "" || string(body) != want.body || (body != nil) != (want.edit.Length != nil) {
			t.Errorf("%s: body %q\n%s", keys, body, diff)
		}
	}
}

func TestARewriteThatCantBeComputedSaysWhichKey(t *testing.T) {
	base := &url.URL{Scheme: "https", Host: "api.example"}
	for keys, want := range map[string]string{
		`method = json.m`:                             `rewrite method: the text is no method`,
		`url = json.u`:                                `rewrite url: the URL is not on the host of the target's url`,
		`url = "http://api.example${json.n}/"`:        `rewrite url: the URL is not on the host of the target's url`,
		`url = "https://me:pw@api.example/${json.n}"`: `rewrite url: the URL is not on the host of the target's url`,
		`url = json.m`:                                `rewrite url: the text is neither a URL nor a path that begins with "/"`,
		`url = "/in/${json.up}/x"`:                    `rewrite url: path has dot segments and would be rewritten`,
		`url = "https://api.example/..%2fx${json.n}"`: `rewrite url: path has dot segments and would be rewritten`,
		`headers = {"A" = json.line}`:                 `rewrite headers: header "A": the value has a line break or NUL in it`,
		`body = unixtime(json.m)`:                     `rewrite body: unixtime(json.m): unixtime() failed: the text is no time like 2006-01-02T15:04:05Z`,
		`body = hmac(json.none, json.m) + 1`:          `rewrite body: hmac(json.none, json.m) + 1: the value is null`,
	} {
		_, _, err := rewriting(t, keys).Edit(viewOf(`{"m":"a b","u":"https://elsewhere.example/","line":"a\nb","up":"../.."}`), base)
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", keys, err, want)
		}
	}
}
