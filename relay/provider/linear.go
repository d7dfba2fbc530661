package provider

import "time"

// linear signs the body, which contains the time.
var linear = Provider{
	Name:  "linear",
	Title: "Linear",
	Doc:   "https://linear.app/developers/webhooks#securing-webhooks",
	Scheme: &signed{
		At:    "Linear-Signature",
		Stamp: stamp{At: "json:webhookTimestamp", Format: unixMillis, Tolerance: time.Minute},
	},
	Methods: []string{"POST"},
	Event:   `"${json.type}.${json.action}"`,
	Dedupe:  "header.linear-delivery",
	Headers: []string{"linear-signature"},
}
