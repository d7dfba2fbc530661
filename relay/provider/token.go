package provider

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"strings"
)

// token is the Scheme of those who send the secret itself.
type token struct {
	At     []place // where it may stand; the first signs
	Prefix string  // in front of it: "Bearer "; compared ignoring case
	Bare   bool    // senders may omit the prefix, and when we sign we do
}

// Verifier implements Scheme.
func (c *token) Verifier(r *Request, s *Setting) Verifier {
	v := &tokenVerifier{c, r, s}
	if v.Whole() {
		return v
	}
	return judged{v.Verify()}
}

type tokenVerifier struct {
	scheme  *token
	request *Request
	setting *Setting
}

func (v *tokenVerifier) Write(p []byte) (int, error) { return len(p), nil }

func (v *tokenVerifier) Whole() bool {
	for _, at := range v.scheme.At {
		if at.inBody() {
			return true
		}
	}
	return false
}

// Verify implements Verifier. It looks for the token in every place: all tokens that are there must be right.
func (v *tokenVerifier) Verify() *Failure {
	if !anySecret(v.setting) {
		return &Failure{Kind: Unavailable, Token: true, Reason: errNoKey.Error()}
	}
	seen := false
	for _, at := range v.scheme.At {
		value, ok := at.get(v.request)
		if !ok || value == "" {
			continue
		}
		seen = true
		given, ok := cutPrefixFold(value, v.scheme.Prefix)
		if !ok && !v.scheme.Bare {
			return &Failure{Kind: Form, Token: true, Reason: fmt.Sprintf("%s does not begin with %q", at, v.scheme.Prefix)}
		}
		if !sameAsAny(given, v.setting.Secrets) {
			return &Failure{Kind: Mismatch, Token: true, Reason: at.String() + " is not the configured token"}
		}
	}
	if !seen {
		f := missing(v.scheme.At[0])
		f.Token = true
		return f
	}
	return nil
}

// Sign implements Scheme: where the request already has a token, in the same form.
func (c *token) Sign(r *Request, s *Setting, _ string) (*Signature, error) {
	if len(s.Secrets) == 0 || s.Secrets[0] == "" {
		return nil, errNoKey
	}
	at, prefix := c.At[0], c.Prefix
	if c.Bare {
		prefix = ""
	}
	for _, p := range c.At {
		if value, ok := p.get(r); ok {
			rest, ok := cutPrefixFold(value, c.Prefix)
			if at = p; ok || c.Bare {
				prefix = value[:len(value)-len(rest)]
			}
			break
		}
	}
	g := new(Signature)
	return g, at.set(g, r, prefix+s.Secrets[0])
}

func anySecret(s *Setting) bool {
	for _, secret := range s.Secrets {
		if secret != "" {
			return true
		}
	}
	return false
}

// sameAsAny compares in a time that tells neither how much was right nor how long a secret is.
func sameAsAny(given string, secrets []string) bool {
	sum, same := sha256.Sum256([]byte(given)), 0
	for _, secret := range secrets {
		if secret != "" {
			own := sha256.Sum256([]byte(secret))
			same |= subtle.ConstantTimeCompare(sum[:], own[:])
		}
	}
	return same == 1
}

// cutPrefixFold cuts off a prefix, ignoring case.
func cutPrefixFold(text, prefix string) (rest string, ok bool) {
	if len(text) >= len(prefix) && strings.EqualFold(text[:len(prefix)], prefix) {
		return text[len(prefix):], true
	}
	return text, false
}
