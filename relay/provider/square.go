package provider

// square signs the notification URL, as the subscription has it, and the body.
var square = Provider{
	Name:    "square",
	Title:   "Square",
	Doc:     "https://developer.squareup.com/docs/webhooks/step3validate",
	Scheme:  &signed{At: "X-Square-HmacSha256-Signature", Encoding: base64Padded, Message: "{url}{body}"},
	Methods: []string{"POST"},
	Event:   "json.type",
	Dedupe:  "json.event_id",
	Headers: []string{"x-square-hmacsha256-signature"},
}
