package provider

// zendesk signs the time with the body, but does not say how old that may be. A webhook may use any method, and have no
// body.
var zendesk = Provider{
	Name:  "zendesk",
	Title: "Zendesk",
	Doc:   "https://developer.zendesk.com/documentation/webhooks/verifying/",
	Scheme: &signed{
		At:       "X-Zendesk-Webhook-Signature",
		Encoding: base64Padded,
		Message:  "{timestamp}{body}",
		Stamp:    stamp{At: "X-Zendesk-Webhook-Signature-Timestamp", Format: rfc3339},
	},
	Event:   "json.type",
	Dedupe:  "header.x-zendesk-webhook-invocation-id",
	Headers: []string{"x-zendesk-webhook-signature"},
}
