package provider

// vk is the Callback API. Each event has the secret key, if one is set, and is repeated until it gets "ok".
// params.confirmation is the text that confirms the server.
var vk = Provider{
	Name:      "vk",
	Title:     "VK",
	Doc:       "https://dev.vk.com/ru/api/callback/getting-started",
	Scheme:    &token{At: []place{"json:secret"}},
	Methods:   []string{"POST"},
	Event:     "json.type",
	Dedupe:    "json.event_id",
	Acks:      []Ack{{Headers: textType, Body: `"ok"`}},
	Handshake: vkConfirmation,
}

var textType = []Header{{"Content-Type", `"text/plain; charset=utf-8"`}}

// vkConfirmation answers with the text that the owner of the community was shown. It echoes nothing of the request,
// which has the secret only if that was set before the server was added.
func vkConfirmation(r *Request, s *Setting) *Reply {
	kind, _ := place("json:type").get(r)
	if kind != "confirmation" || s.Params["confirmation"] == "" {
		return nil
	}
	reply := echo(s.Params["confirmation"])
	if _, ok := place("json:secret").get(r); ok {
		return reply.checked()
	}
	return reply
}
