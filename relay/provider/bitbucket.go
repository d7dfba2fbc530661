package provider

// bitbucket is Bitbucket Cloud and Data Center, which sign the same way.
var bitbucket = Provider{
	Name:    "bitbucket",
	Title:   "Bitbucket",
	Doc:     "https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/#Secure-webhooks",
	Scheme:  &signed{At: "X-Hub-Signature", Prefix: "sha256="},
	Methods: []string{"POST"},
	Event:   "header.x-event-key",
	Dedupe:  "header.x-request-uuid",
	Headers: []string{"x-event-key", "x-request-uuid"},
}
