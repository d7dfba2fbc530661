package provider

// svix is the origin of Standard Webhooks; its own fields have other names. How events are named is up to its users:
// most use type.
var svix = Provider{
	Name:    "svix",
	Title:   "Svix",
	Doc:     "https://docs.svix.com/receiving/verifying-payloads/how-manual",
	Scheme:  standardScheme("svix-"),
	Methods: []string{"POST"},
	Event:   "json.type",
	Dedupe:  "header.svix-id",
	Headers: []string{"svix-id", "svix-timestamp", "svix-signature"},
}
