package provider

// mollie is the webhooks that one subscribes to, which are signed; those that a payment names (webhookUrl) are not.
// During rotation the field comes once for each secret.
var mollie = Provider{
	Name:    "mollie",
	Title:   "Mollie",
	Doc:     "https://docs.mollie.com/reference/webhooks-best-practices",
	Scheme:  &signed{At: "X-Mollie-Signature", Prefix: "sha256="},
	Methods: []string{"POST"},
	Event:   "json.type",
	Dedupe:  "json.id",
	Headers: []string{"x-mollie-signature"},
}
