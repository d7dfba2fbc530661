package provider

// stripe signs the time and the body, with every active secret.
var stripe = Provider{
	Name:  "stripe",
	Title: "Stripe",
	Doc:   "https://docs.stripe.com/webhooks#verify-manually",
	Scheme: &signed{
		At: "Stripe-Signature", Separator: ",", Prefix: "v1=",
		Message: "{timestamp}.{body}",
		Stamp:   stamp{Prefix: "t=", Tolerance: usualTolerance},
	},
	Methods: []string{"POST"},
	Event:   "json.type",
	Dedupe:  "json.id",
	Headers: []string{"stripe-signature"},
}
