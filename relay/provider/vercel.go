package provider

import "crypto"

var vercel = Provider{
	Name:    "vercel",
	Title:   "Vercel",
	Doc:     "https://vercel.com/docs/webhooks/webhooks-api#securing-webhooks",
	Scheme:  &signed{At: "X-Vercel-Signature", Algorithm: hmacOf{hash: crypto.SHA1}},
	Methods: []string{"POST"},
	Event:   "json.type",
	Dedupe:  "json.id",
	Headers: []string{"x-vercel-signature"},
}
