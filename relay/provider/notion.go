package provider

// notion signs with the verification token that it sends to a new subscription's URL.
var notion = Provider{
	Name:      "notion",
	Title:     "Notion",
	Doc:       "https://developers.notion.com/reference/webhooks#step-3-validating-event-payloads-recommended",
	Scheme:    &signed{At: "X-Notion-Signature", Prefix: "sha256="},
	Methods:   []string{"POST"},
	Event:     "json.type",
	Dedupe:    "json.id",
	Handshake: notionToken,
	Headers:   []string{"x-notion-signature"},
}

// notionToken accepts the token of a new subscription, which thereby gets on the tape: whoever subscribes must type it
// into Notion, and configure it here.
func notionToken(r *Request, _ *Setting) *Reply {
	_, isToken := place("json:verification_token").get(r)
	if _, isEvent := place("json:type").get(r); !isToken || isEvent {
		return nil
	}
	return &Reply{Status: 200, Open: true}
}
