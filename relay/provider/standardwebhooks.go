package provider

import (
	"encoding/base64"
	"errors"
	"strings"
)

// standardwebhooks is the specification that many senders follow: several signatures in one field, for rotation, of
// which v1 is symmetric and v1a asymmetric.
var standardwebhooks = Provider{
	Name:    "standard-webhooks",
	Title:   "Standard Webhooks",
	Doc:     "https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md",
	Scheme:  standardScheme("webhook-"),
	Methods: []string{"POST"},
	Event:   "json.type",
	Dedupe:  "header.webhook-id",
	Headers: []string{"webhook-id", "webhook-timestamp", "webhook-signature"},
}

// standardScheme is the scheme of the specification, with the names of its fields beginning with prefix.
func standardScheme(prefix place) Scheme {
	symmetric := symmetricScheme(prefix, standardSecret)
	asymmetric := *symmetric
	asymmetric.Prefix, asymmetric.Algorithm = "v1a,", standardKey{}
	return either{symmetric, &asymmetric}
}

// symmetricScheme is v1 alone, with keys that decode reads.
func symmetricScheme(prefix place, decode func(secret string) ([]byte, error)) *signed {
	return &signed{
		At:        prefix + "signature",
		Separator: " ",
		Prefix:    "v1,",
		Encoding:  base64Padded,
		Algorithm: hmacOf{hash: sha256HMAC.hash, decode: decode},
		Message:   "{id}.{timestamp}.{body}",
		Stamp:     stamp{At: prefix + "timestamp", Tolerance: usualTolerance},
		ID:        prefix + "id",
	}
}

// Prefixes of secrets: symmetric, secret and public key.
const (
	standardSymmetric = "whsec_"
	standardPrivate   = "whsk_"
	standardPublic    = "whpk_"
)

// standardSecret decodes a symmetric secret; some write it without its prefix.
func standardSecret(secret string) ([]byte, error) {
	if strings.HasPrefix(secret, standardPrivate) || strings.HasPrefix(secret, standardPublic) {
		return nil, errors.New("the secret is not a symmetric key")
	}
	b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, standardSymmetric))
	if err != nil {
		return nil, errors.New("the secret is not base64 behind " + standardSymmetric)
	}
	return b, nil
}

// standardKey is Ed25519 with keys as the specification writes them.
type standardKey struct{ publicKey }

func (a standardKey) key(secret string) (key, error) {
	rest, private := strings.CutPrefix(secret, standardPrivate)
	if !private {
		var public bool
		if rest, public = strings.CutPrefix(secret, standardPublic); !public {
			return nil, errors.New("the secret has neither " + standardPublic + " nor " + standardPrivate + " in front")
		}
	}
	return a.publicKey.key(rest)
}
