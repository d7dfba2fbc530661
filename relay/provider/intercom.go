package provider

import "crypto"

// intercom signs the body with the app's client secret.
var intercom = Provider{
	Name:    "intercom",
	Title:   "Intercom",
	Doc:     "https://developers.intercom.com/docs/webhooks/webhook-notifications#signed-notifications",
	Scheme:  &signed{At: "X-Hub-Signature", Prefix: "sha1=", Algorithm: hmacOf{hash: crypto.SHA1}},
	Methods: []string{"POST"},
	Event:   "json.topic",
	Dedupe:  "json.id",
	Headers: []string{"x-hub-signature", "user-agent: intercom-webhooks"},
}
