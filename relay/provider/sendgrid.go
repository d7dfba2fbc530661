package provider

import "crypto"

// sendgrid signs batches of events with a key of its own; the secret is the public key, as the base64 of its DER, which
// is how the settings show it.
var sendgrid = Provider{
	Name:  "sendgrid",
	Title: "Twilio SendGrid",
	Doc:   "https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features",
	Scheme: &signed{
		At:        "X-Twilio-Email-Event-Webhook-Signature",
		Encoding:  base64Padded,
		Algorithm: publicKey{crypto.SHA256},
		Message:   "{timestamp}{body}",
		Stamp:     stamp{At: "X-Twilio-Email-Event-Webhook-Timestamp"},
	},
	Methods: []string{"POST"},
	Event:   "[for one in json : one.event]",
	Headers: []string{"x-twilio-email-event-webhook-signature"},
}
