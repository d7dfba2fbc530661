package provider

// A Subscription says how a receiver registers with a provider: by calls of the provider's API. It has no code: the
// strings are expressions in the language of relay/expr over params, which are those that the subscription's block in
// the config gives, the source's own, and
//
//	params.url           the URL that the provider is to call
//	params.secret        the source's first secret
//	params.access        what Access found in the response to Login
//	params.subscription  what ID found in the response to Create
//
// In expressions about a response, response is what came back.
type Subscription struct {
	Doc    string  // the page that documents it
	Params []Param // what the block in the config must give, or may
	// Login is made before the other calls, each time. Nil: none is needed.
	Login  *Call
	Access string // over the response to Login; yields a text
	// Create makes the subscription. Exists is a condition over a failed response to it: there is a subscription
	// already, which is then updated. "": never.
	Create *Call
	Exists string
	ID     string // over the response to Create; yields a text by which other calls name the subscription; "": they need none
	// Update changes the URL of an existing subscription. Nil: it is created again.
	Update *Call
	Delete *Call // nil: nothing to call
	// Always says that the provider is told at every start of the agent, even if it knows the URL.
	Always bool
	// Credentials are the params that say who calls: if only they change, there is nothing new to tell the provider.
	Credentials []string
}

// A Param is a text that a subscription's block gives.
type Param struct {
	Name     string
	Default  string // "": the param is null if it is not given
	Required bool
}

// A Call is one request to a provider's API.
type Call struct {
	Method  string
	URL     string
	Headers []Header
	Body    string // "": none
	Status  []int  // of a success; nil: any 2xx
	OK      string // what else must hold for a success: a condition over the response; "": nothing
}

// asnaSubscription is one event of one client: a pharmacy or a legal entity.
var asnaSubscription = Subscription{
	Doc: "https://docs.asna.cloud/",
	Params: []Param{
		{Name: "token", Required: true}, {Name: "event", Required: true}, {Name: "client", Required: true},
		{Name: "api", Default: "https://api.asna.cloud"},
	},
	Create: &Call{Method: "POST", URL: asnaEvent, Headers: bearerJSON, Body: asnaSubscriber, Status: []int{201}},
	// The documentation does not say how an attempt to subscribe twice is refused.
	Exists: `response.status == 400 || response.status == 409`,
	Update: &Call{Method: "PUT", URL: asnaEvent, Headers: bearerJSON, Body: asnaSubscriber, Status: []int{200}},
	Delete: &Call{Method: "DELETE", URL: asnaEvent, Headers: bearerJSON, Body: `jsonencode({clientId = params.client})`, Status: []int{204}},

	Credentials: []string{"token"},
}

const (
	asnaEvent      = `"${params.api}/v5/events/${urlencode(params.event)}"`
	asnaSubscriber = `jsonencode({clientId = params.client, url = params.url})`
)

var bearerJSON = []Header{{"Authorization", `"Bearer ${params.token}"`}, {"Content-Type", `"application/json"`}}

// bitrixSubscription is a chat bot. rest is the URL of the portal's REST API, which contains the code of an incoming
// webhook unless auth is given.
var bitrixSubscription = Subscription{
	Doc: "https://apidocs.bitrix24.com/api-reference/chat-bots/imbot-register.html",
	Params: []Param{
		{Name: "rest", Required: true}, {Name: "auth"}, {Name: "client_id"}, {Name: "code", Required: true}, {Name: "name", Required: true},
		{Name: "type", Default: "B"}, {Name: "color", Default: "GREEN"},
	},
	Create: &Call{
		Method: "POST", URL: `"${params.rest}/imbot.register"`, Headers: formType, OK: bitrixOK,
		Body: `"CODE=${urlencode(params.code)}&TYPE=${urlencode(params.type)}&` + bitrixHandlers("") +
			`&PROPERTIES%5BNAME%5D=${urlencode(params.name)}&PROPERTIES%5BCOLOR%5D=${urlencode(params.color)}` + bitrixAuth + `"`,
	},
	ID: `response.json.result`,
	Update: &Call{
		Method: "POST", URL: `"${params.rest}/imbot.update"`, Headers: formType, OK: bitrixOK,
		Body: `"BOT_ID=${urlencode(params.subscription)}&` + bitrixHandlers("FIELDS") + bitrixAuth + `"`,
	},
	Delete: &Call{
		Method: "POST", URL: `"${params.rest}/imbot.unregister"`, Headers: formType, OK: bitrixOK,
		Body: `"BOT_ID=${urlencode(params.subscription)}` + bitrixAuth + `"`,
	},
	Credentials: []string{"auth"},
}

const (
	bitrixOK   = `response.json.error == null`
	bitrixAuth = `%{ if params.client_id != null }&CLIENT_ID=${urlencode(params.client_id)}%{ endif }%{ if params.auth != null }&auth=${urlencode(params.auth)}%{ endif }`
)

// bitrixHandlers name the URL for each event of a bot; inside a group of fields if one is given.
func bitrixHandlers(group string) (form string) {
	for i, event := range []string{"EVENT_MESSAGE_ADD", "EVENT_WELCOME_MESSAGE", "EVENT_BOT_DELETE"} {
		if i > 0 {
			form += "&"
		}
		if group != "" {
			event = group + "%5B" + event + "%5D"
		}
		form += event + "=${urlencode(params.url)}"
	}
	return form
}

var formType = []Header{{"Content-Type", `"application/x-www-form-urlencoded"`}}

// iikoSubscription is the webhook of one organization: all statuses, errors, tables, the stop list, reserves and shifts.
// The provider keeps one URL for each, so telling it again does no harm, and repairs what somebody else has set.
var iikoSubscription = Subscription{
	Doc: "https://api-ru.iiko.services/#tag/Webhooks",
	Params: []Param{
		{Name: "organization", Required: true}, {Name: "login", Required: true}, {Name: "api", Default: "https://api-ru.iiko.services/api/1"},
		{Name: "auth_token"},
	},
	Login: &Call{
		Method: "POST", URL: `"${params.api}/access_token"`, Headers: jsonType, Body: `jsonencode({apiLogin = params.login})`,
	},
	Access: `response.json.token`,
	Create: &Call{
		Method: "POST", URL: `"${params.api}/webhooks/update_settings"`,
		Headers: []Header{{"Authorization", `"Bearer ${params.access}"`}, {"Content-Type", `"application/json"`}},
		Body: `jsonencode({
			organizationId = params.organization, webHooksUri = params.url, authToken = coalesce(params.auth_token, params.secret),
			webHooksFilter = {
				deliveryOrderFilter = {
					orderStatuses = ["Unconfirmed", "WaitCooking", "ReadyForCooking", "CookingStarted", "CookingCompleted", "Waiting", "OnWay", "Delivered", "Closed", "Cancelled"],
					itemStatuses = ["Added", "PrintedNotCooking", "CookingStarted", "CookingCompleted", "Served"], errors = true
				},
				tableOrderFilter = {
					orderStatuses = ["New", "Bill", "Closed", "Deleted"],
					itemStatuses = ["Added", "PrintedNotCooking", "CookingStarted", "CookingCompleted", "Served"], errors = true
				},
				reserveFilter = {updates = true, errors = true}, stopListUpdateFilter = {updates = true}, personalShiftFilter = {updates = true}
			}
		})`,
	},
	Delete: &Call{
		Method: "POST", URL: `"${params.api}/webhooks/update_settings"`,
		Headers: []Header{{"Authorization", `"Bearer ${params.access}"`}, {"Content-Type", `"application/json"`}},
		Body:    `jsonencode({organizationId = params.organization, webHooksUri = ""})`,
	},
	Always: true,
}

// telegramSubscription is the webhook of a bot, which has only one.
var telegramSubscription = Subscription{
	Doc:    "https://core.telegram.org/bots/api#setwebhook",
	Params: []Param{{Name: "token", Required: true}, {Name: "api", Default: "https://api.telegram.org"}},
	Create: &Call{
		Method: "POST", URL: `"${params.api}/bot${params.token}/setWebhook"`, Headers: jsonType, OK: `response.json.ok`,
		Body: `jsonencode({url = params.url, secret_token = params.secret})`,
	},
	Delete: &Call{Method: "POST", URL: `"${params.api}/bot${params.token}/deleteWebhook"`, OK: `response.json.ok`},
}

// githubSubscription is a webhook of one repository, given as owner/name. events are separated by commas.
var githubSubscription = Subscription{
	Doc: "https://docs.github.com/en/rest/repos/webhooks",
	Params: []Param{
		{Name: "token", Required: true}, {Name: "repo", Required: true}, {Name: "events", Default: "push"}, {Name: "api", Default: "https://api.github.com"},
	},
	Create: &Call{
		Method: "POST", URL: `"${params.api}/repos/${params.repo}/hooks"`, Headers: githubHeaders, Status: []int{201},
		Body: `jsonencode({name = "web", active = true, events = split(",", params.events), config = ` + githubConfig + `})`,
	},
	ID: `response.json.id`,
	Update: &Call{
		Method: "PATCH", URL: githubHook, Headers: githubHeaders, Status: []int{200},
		Body: `jsonencode({active = true, events = split(",", params.events), config = ` + githubConfig + `})`,
	},
	Delete: &Call{Method: "DELETE", URL: githubHook, Headers: githubHeaders, Status: []int{204}},

	Credentials: []string{"token"},
}

const (
	githubHook   = `"${params.api}/repos/${params.repo}/hooks/${params.subscription}"`
	githubConfig = `{url = params.url, content_type = "json", secret = params.secret, insecure_ssl = "0"}`
)

var githubHeaders = []Header{
	{"Authorization", `"Bearer ${params.token}"`}, {"Accept", `"application/vnd.github+json"`}, {"X-GitHub-Api-Version", `"2022-11-28"`},
	{"Content-Type", `"application/json"`},
}
