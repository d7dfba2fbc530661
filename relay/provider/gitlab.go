package provider

// gitlab sends the webhook's secret token itself.
var gitlab = Provider{
	Name:    "gitlab",
	Title:   "GitLab",
	Doc:     "https://docs.gitlab.com/user/project/integrations/webhooks/#validate-requests-by-using-a-secret-token",
	Scheme:  &token{At: []place{"X-Gitlab-Token"}},
	Methods: []string{"POST"},
	Event:   "json.object_kind",
	Dedupe:  "header.idempotency-key",
	Headers: []string{"x-gitlab-event"},
}
