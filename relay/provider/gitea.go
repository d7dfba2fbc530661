package provider

// gitea signs the body; so does Forgejo. It also sends GitHub's fields, so three of its own are needed to recognise
// it.
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
