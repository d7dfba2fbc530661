package provider

import (
	"encoding/base64"
	"strings"
)

// basicAuth is for any sender that knows a user and a password. A secret is "user:password".
var basicAuth = Provider{
	Name:   "basic",
	Title:  "HTTP basic authentication",
	Doc:    "https://www.rfc-editor.org/rfc/rfc7617",
	Scheme: basic{},
}

// bearerAuth is for any sender that knows a token.
var bearerAuth = Provider{
	Name:   "bearer",
	Title:  "HTTP bearer token",
	Doc:    "https://www.rfc-editor.org/rfc/rfc6750#section-2.1",
	Scheme: &token{At: []place{"Authorization"}, Prefix: "Bearer "},
}

// basic is HTTP basic authentication (RFC 7617). Secrets are "user:password".
type basic struct{}

// Verifier implements Scheme.
func (basic) Verifier(r *Request, s *Setting) Verifier {
	value, _ := r.Head.Fields.Get("Authorization")
	rest, ok := cutPrefixFold(value, "Basic ")
	given, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
	failure := &Failure{Token: true}
	switch {
	case !anySecret(s):
		failure.Kind, failure.Reason = Unavailable, errNoKey.Error()
	case value == "":
		failure.Kind, failure.Reason = Missing, "Authorization is missing"
	case !ok || err != nil:
		failure.Kind, failure.Reason = Form, "Authorization is not of the Basic scheme"
	case !sameAsAny(string(given), s.Secrets):
		failure.Kind, failure.Reason = Mismatch, "Authorization does not have the configured user and password"
	default:
		failure = nil
	}
	return judged{failure}
}

// Sign implements Scheme.
func (basic) Sign(r *Request, s *Setting, _ string) (*Signature, error) {
	if len(s.Secrets) == 0 || s.Secrets[0] == "" {
		return nil, errNoKey
	}
	g := new(Signature)
	return g, place("Authorization").set(g, r, "Basic "+base64.StdEncoding.EncodeToString([]byte(s.Secrets[0])))
}
