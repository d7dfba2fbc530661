package provider

// gitea signs the body; Forgejo does too. It sends GitHub's fields beside its own, so it takes three of its own to be
// told from it.
var gitea = Provider{
	Name:    "gitea",
	Title:   "Gitea",
	Doc:     "https://docs.gitea.com/usage/webhooks",
	Scheme:  &signed{At: "X-Gitea-Signature"},
	Methods: []string{"POST"},
	Event:   "header.x-gitea-event",
	Dedupe:  "header.x-gitea-delivery",
	Headers: []string{"x-gitea-event", "x-gitea-delivery", "x-gitea-event-type"},
}
