package provider

// github signs the body with the secret of the webhook. Webhooks created without a secret come unsigned.
var github = Provider{
	Name:      "github",
	Title:     "GitHub",
	Doc:       "https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries",
	Scheme:    &signed{At: "X-Hub-Signature-256", Prefix: "sha256="},
	Methods:   []string{"POST"},
	Event:     "header.x-github-event",
	Dedupe:    "header.x-github-delivery",
	Headers:   []string{"x-github-event", "x-github-delivery"},
	Subscribe: &githubSubscription,
}
