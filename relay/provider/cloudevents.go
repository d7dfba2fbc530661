package provider

import "github.com/hooktape/hooktape/relay/wire"

// cloudevents is the HTTP binding in both content modes, with the token of the Web Hooks specification. Source and id
// together identify an event. Section 2.2 wants 202 for an answer without a body to what is not processed yet.
var cloudevents = Provider{
	Name:      "cloudevents",
	Title:     "CloudEvents",
	Doc:       "https://github.com/cloudevents/spec/blob/main/cloudevents/http-webhook.md",
	Scheme:    either{&token{At: []place{"Authorization"}, Prefix: "Bearer "}, &token{At: []place{"query:access_token"}}},
	Methods:   []string{"POST"},
	Event:     "header.ce-type != null ? header.ce-type : json.type",
	Dedupe:    `header.ce-id != null ? "${header.ce-source} ${header.ce-id}" : json.id != null ? "${json.source} ${json.id}" : null`,
	Acks:      []Ack{{Status: 202}},
	Handshake: cloudEventsValidation,
	Headers:   []string{"ce-specversion"},
}

// cloudEventsValidation gives the permission that a sender asks for before it sends (section 4 of the specification).
// What it permits is still guarded by the token. params.origin names the only sender that gets permission; without it,
// whoever asks does.
func cloudEventsValidation(r *Request, s *Setting) *Reply {
	origin, ok := r.Head.Fields.Get("WebHook-Request-Origin")
	if r.Head.Method != "OPTIONS" || !ok || origin == "" {
		return nil
	}
	if only := s.Params["origin"]; only != "" && only != origin || len(origin) > maxEcho {
		return refusal(403, "WebHook-Request-Origin is not params.origin, or longer than 1 KiB")
	}
	return &Reply{Status: 200, Open: true, Fields: wire.Fields{
		{Name: "Allow", Value: "POST"},
		{Name: "WebHook-Allowed-Origin", Value: origin},
		{Name: "WebHook-Allowed-Rate", Value: "*"},
	}}
}
