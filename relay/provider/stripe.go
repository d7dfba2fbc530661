package provider

// stripe signs time and body, with every secret that is in force.
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
