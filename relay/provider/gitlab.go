package provider

import (
	"errors"
	"strings"
)

// gitlab sends the webhook's secret token itself, or signs with a signing token, or both. A signing token begins with
// whsec_ and signs as Standard Webhooks do: https://gitlab.com/gitlab-org/gitlab/-/merge_requests/230944
var gitlab = Provider{
	Name:    "gitlab",
	Title:   "GitLab",
	Doc:     "https://docs.gitlab.com/user/project/integrations/webhooks/#validate-requests-by-using-a-secret-token",
	Scheme:  either{symmetricScheme("webhook-", gitlabSigningToken), &token{At: []place{"X-Gitlab-Token"}}},
	Methods: []string{"POST"},
	Event:   "json.object_kind",
	Dedupe:  "header.idempotency-key",
	Headers: []string{"x-gitlab-event"},
}

// gitlabSigningToken decodes a signing token. A secret token is not one, even if it looks like base64.
func gitlabSigningToken(secret string) ([]byte, error) {
	if !strings.HasPrefix(secret, standardSymmetric) {
		return nil, errors.New("the secret is not a signing token: it does not begin with " + standardSymmetric)
	}
	return standardSecret(secret)
}
