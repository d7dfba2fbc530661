package provider

// svix is who the Standard Webhooks come from; its own fields have other names. What the event is called is its
// users' choice: most call it type.
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
