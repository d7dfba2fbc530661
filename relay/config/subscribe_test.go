package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/provider"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// subscriptionOf is the only subscription of a source of a provider.
func subscriptionOf(t *testing.T, name, block string) *Subscription {
	t.Helper()
	cfg, err := load(t, fmt.Sprintf(`
source "s" {
  path       = "/s"
  provider   = %q
  on_invalid = "record"
  subscribe "x" {
    %s
  }
}`, name, block))
	if err != nil {
		t.Fatal(err)
	}
	return &cfg.Sources[0].Subscribe[0]
}

// requestOf is what a call sends, in a few lines.
func requestOf(t *testing.T, c *Call, params map[string]string) string {
	t.Helper()
	u, headers, body, err := c.Request(&expr.View{Record: &store.Record{}, Params: params})
	if err != nil {
		t.Fatal(err)
	}
	text := c.Method + " " + u.String()
	if v, ok := headers.Get("Authorization"); ok {
		text += " " + v
	}
	return strings.TrimSpace(text + " " + string(body))
}

func TestEachProviderIsToldInItsOwnWay(t *testing.T) {
	const asnaBlock = `params = { token = "T", event = "stocks_full", client = "BC16" }`
	const bitrixBlock = `params = { rest = "https://b24.bitrix24.ru/rest", auth = "A", code = "tape", name = "Tape bot" }`
	const iikoBlock = `params = { organization = "7bc0", login = "K" }`
	const telegramBlock = `params = { token = "1:AA" }`
	const githubBlock = `params = { token = "T", repo = "o/r", events = "push,pull_request" }`
	for _, test := range []struct {
		provider, block string
		call            func(*Subscription) *Call
		want            string
	}{
		{"asna", asnaBlock, creates, `POST https://api.asna.cloud/v5/events/stocks_full Bearer T {"clientId":"BC16","url":"https://h/s"}`},
		{"asna", asnaBlock, updates, `PUT https://api.asna.cloud/v5/events/stocks_full Bearer T {"clientId":"BC16","url":"https://h/s"}`},
		{"asna", asnaBlock, deletes, `DELETE https://api.asna.cloud/v5/events/stocks_full Bearer T {"clientId":"BC16"}`},
		{"bitrix24", bitrixBlock, creates, `POST https://b24.bitrix24.ru/rest/imbot.register CODE=tape&TYPE=B&EVENT_MESSAGE_ADD=https%3A%2F%2Fh%2Fs&` +
			`EVENT_WELCOME_MESSAGE=https%3A%2F%2Fh%2Fs&EVENT_BOT_DELETE=https%3A%2F%2Fh%2Fs&PROPERTIES%5BNAME%5D=Tape%20bot&PROPERTIES%5BCOLOR%5D=GREEN&auth=A`},
		{"bitrix24", bitrixBlock, updates, `POST https://b24.bitrix24.ru/rest/imbot.update BOT_ID=22&FIELDS%5BEVENT_MESSAGE_ADD%5D=https%3A%2F%2Fh%2Fs&` +
			`FIELDS%5BEVENT_WELCOME_MESSAGE%5D=https%3A%2F%2Fh%2Fs&FIELDS%5BEVENT_BOT_DELETE%5D=https%3A%2F%2Fh%2Fs&auth=A`},
		{"bitrix24", bitrixBlock, deletes, `POST https://b24.bitrix24.ru/rest/imbot.unregister BOT_ID=22&auth=A`},
		{"iiko", iikoBlock, func(s *Subscription) *Call { return s.Login }, `POST https://api-ru.iiko.services/api/1/access_token {"apiLogin":"K"}`},
		{"telegram", telegramBlock, creates, `POST https://api.telegram.org/bot1:AA/setWebhook {"secret_token":"S","url":"https://h/s"}`},
		{"telegram", telegramBlock, deletes, `POST https://api.telegram.org/bot1:AA/deleteWebhook`},
		{"github", githubBlock, creates, `POST https://api.github.com/repos/o/r/hooks Bearer T ` +
			`{"active":true,"config":{"content_type":"json","insecure_ssl":"0","secret":"S","url":"https://h/s"},"events":["push","pull_request"],"name":"web"}`},
		{"github", githubBlock, updates, `PATCH https://api.github.com/repos/o/r/hooks/22 Bearer T ` +
			`{"active":true,"config":{"content_type":"json","insecure_ssl":"0","secret":"S","url":"https://h/s"},"events":["push","pull_request"]}`},
		{"github", githubBlock, deletes, `DELETE https://api.github.com/repos/o/r/hooks/22 Bearer T`},
	} {
		s := subscriptionOf(t, test.provider, test.block)
		params := map[string]string{"url": "https://h/s", "secret": "S", "subscription": "22", "access": "A"}
		for name, value := range s.Params {
			params[name] = value
		}
		if got := requestOf(t, test.call(s), params); got != test.want {
			t.Errorf("%s: %s\nwant %s", test.provider, got, test.want)
		}
	}
}

func creates(s *Subscription) *Call { return s.Create }
func updates(s *Subscription) *Call { return s.Update }
func deletes(s *Subscription) *Call { return s.Delete }

func TestAllSubscriptionsOfProvidersCompile(t *testing.T) {
	n := 0
	for _, p := range provider.All() {
		if p.Subscribe == nil {
			continue
		}
		n++
		var params []string
		for _, param := range p.Subscribe.Params {
			if param.Required {
				params = append(params, param.Name+` = "x"`)
			}
		}
		s := subscriptionOf(t, p.Name, "params = { "+strings.Join(params, ", ")+" }")
		if s.Create == nil || p.Subscribe.Doc == "" {
			t.Errorf("%s: %+v", p.Name, s)
		}
	}
	if n < 5 {
		t.Errorf("%d providers have subscriptions", n)
	}
}

func TestASuccessIsWhatTheCallSays(t *testing.T) {
	response := func(status int, body string) *expr.View {
		return &expr.View{
			Record:   &store.Record{},
			Response: &expr.Response{Head: &wire.ResponseHead{Status: status}, Body: func() ([]byte, error) { return []byte(body), nil }},
		}
	}
	any2xx, created, fine := &Call{}, &Call{Status: []int{201}}, subscriptionOf(t, "telegram", `params = { token = "1" }`).Create
	for _, test := range []struct {
		call   *Call
		status int
		body   string
		want   bool
	}{
		{any2xx, 204, "", true}, {any2xx, 301, "", false}, {any2xx, 500, "", false},
		{created, 201, "", true}, {created, 200, "", false},
		{fine, 200, `{"ok":true}`, true}, {fine, 200, `{"ok":false}`, false}, {fine, 200, `{}`, false}, {fine, 200, `no`, false}, {fine, 400, `{"ok":true}`, false},
	} {
		if got := test.call.Succeeded(response(test.status, test.body)); got != test.want {
			t.Errorf("%+v: %d %s: %v", test.call, test.status, test.body, got)
		}
	}
}

func TestEachCombinationIsARegistration(t *testing.T) {
	s := subscriptionOf(t, "asna", `
    params = { token = "T" }
    each   = { event = ["a", "b"], client = ["1", "2"] }`)
	var got []string
	for _, each := range s.Each {
		got = append(got, each["event"]+each["client"])
	}
	if strings.Join(got, " ") != "a1 a2 b1 b2" {
		t.Errorf("%v", got)
	}
	if got := subscriptionOf(t, "telegram", `params = { token = "T" }`).Each; len(got) != 1 || len(got[0]) != 0 {
		t.Errorf("without each: %v", got)
	}
}

func TestSubscriptionsThatAreNotRight(t *testing.T) {
	for block, want := range map[string]string{
		`params = { token = "T", event = "e" }`:             `ASNA wants a param "client" to subscribe: params = { client = "..." }`,
		`params = { token = "T", event = "e", client = 1 }`: `"client" must be text in quotes`,
		`each = "all"`:           `"each" must be an object of lists`,
		`each = { event = "e" }`: `"event" must be a list`,
		`create { body = "x" }`:  `a call needs a url`,
		"create {\n url = params.url\n method = \"post\"\n}":                                  `"method" is a method, like "POST"`,
		"create {\n url = params.url\n status = 200\n}":                                       `"status" must be a list: [200, 201]`,
		"create {\n url = params.url\n}\ncreate {\n url = params.url\n}":                      `a second create block in this subscription`,
		"create {\n url = params.url\n}\n}\nsubscribe \"x\" {\ncreate {\nurl = params.url\n}": `a second subscribe block of that name`,
		`creates {}`: `unknown block "creates"; did you mean "create"?`,
	} {
		_, err := load(t, "source \"s\" {\n path = \"/s\"\n provider = \"asna\"\n secrets = [\"s\"]\n subscribe \"x\" {\n"+block+"\n}\n}\n")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", block, err, want)
		}
	}
	_, err := load(t, "source \"s\" {\n path = \"/s\"\n subscribe \"x\" {\n}\n}\n")
	if err == nil || !strings.Contains(err.Error(), "hooktape does not know how to subscribe at this provider") {
		t.Error(err)
	}
}

// TestAValueThatCantBeHadIsOneProblem: nobody says beside it that it is not given.
func TestAValueThatCantBeHadIsOneProblem(t *testing.T) {
	for _, block := range []string{
		`params = { token = env("NOT_SET"), event = "e", client = "c" }`,
		"params = { token = \"T\", event = \"e\" }\n each = { client = [env(\"NOT_SET\")] }",
	} {
		_, err := load(t, "source \"s\" {\n path = \"/s\"\n provider = \"asna\"\n secrets = [\"s\"]\n subscribe \"x\" {\n"+block+"\n}\n}\n")
		problems, ok := errors.AsType[*Diagnostics](err)
		if !ok || len(problems.Problems) != 1 {
			t.Errorf("%s: %v", block, err)
		}
	}
}
