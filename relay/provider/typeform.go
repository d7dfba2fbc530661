package provider

var typeform = Provider{
	Name:    "typeform",
	Title:   "Typeform",
	Doc:     "https://www.typeform.com/developers/webhooks/secure-your-webhooks/",
	Scheme:  &signed{At: "Typeform-Signature", Prefix: "sha256=", Encoding: base64Padded},
	Methods: []string{"POST"},
	Event:   "json.event_type",
	Dedupe:  "json.event_id",
	Headers: []string{"typeform-signature"},
}
