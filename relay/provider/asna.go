package provider

// asna signs the bytes of the body, in upper case hex. Its documentation says both, and that keys come from
// GET /v5/keys/webhooks.
var asna = Provider{
	Name:      "asna",
	Title:     "ASNA",
	Doc:       "https://docs.asna.cloud/5.0.2/other",
	Scheme:    &signed{At: "X-Signature", Prefix: "sha256=", Encoding: hexUpper},
	Methods:   []string{"POST"},
	Event:     "json.Event",
	Subscribe: &asnaSubscription,
}
