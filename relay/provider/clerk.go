package provider

// clerk sends through Svix.
var clerk = Provider{
	Name:    "clerk",
	Title:   "Clerk",
	Doc:     "https://clerk.com/docs/guides/development/webhooks/syncing",
	Scheme:  standardScheme("svix-"),
	Methods: []string{"POST"},
	Event:   "json.type",
	Dedupe:  "header.svix-id",
}
