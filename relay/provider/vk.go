package provider

// vk is the Callback API. It sends the secret key in each event, if one is set, and until it gets "ok" it repeats.
// params.confirmation is the text that the server is confirmed with.
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

// vkConfirmation answers with what the owner of the community was shown. Nothing of the request is given back. The
// secret comes with it only if it was set before the server was added.
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
