package provider

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"hash"
	"math/big"
	"slices"
	"strings"
	"time"
)

// webToken is the Scheme of those who send a JSON Web Token (RFC 7519), signed with a key that must be fetched.
type webToken struct {
	Title     string // who signs
	At        place
	Prefix    string // in front of the token: "Bearer "
	Algorithm string // "RS256" or "ES256" (RFC 7518); the token has no say in it
	// Key gets the key with that id. What a stranger wrote into the token must not decide where from.
	Key func(id string, s *Setting) (crypto.PublicKey, *Failure)
	// Judge says whether a token is about this request. body is the SHA-256 of the decoded body.
	Judge func(c *claims, body []byte, r *Request, s *Setting) *Failure
}

// claims are what tokens say, as far as any provider's check looks at it.
type claims struct {
	Issuer        string   `json:"iss"`
	Audience      audience `json:"aud"`
	Email         string   `json:"email"`
	EmailVerified bool     `json:"email_verified"`
	IssuedAt      int64    `json:"iat"` // Unix seconds
	Expires       int64    `json:"exp"` // Unix seconds
	BodySum       string   `json:"request_body_sha256"`
}

// audience is one or several (RFC 7519, section 4.1.3).
type audience []string

func (a *audience) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// Sign implements Scheme. It always fails.
func (c *webToken) Sign(*Request, *Setting, string) (*Signature, error) {
	return nil, onlySender(c.Title)
}

// Verifier implements Scheme.
func (c *webToken) Verifier(r *Request, s *Setting) Verifier {
	return &webTokenVerifier{c, r, s, sha256.New()}
}

type webTokenVerifier struct {
	scheme    *webToken
	request   *Request
	setting   *Setting
	hash.Hash // of the body
}

func (v *webTokenVerifier) Whole() bool { return false }

// Verify implements Verifier.
func (v *webTokenVerifier) Verify() *Failure {
	value, ok := v.scheme.At.get(v.request)
	if !ok || value == "" {
		return missing(v.scheme.At)
	}
	text, ok := cutPrefixFold(value, v.scheme.Prefix)
	token, err := parseWebToken(text)
	switch {
	case !ok:
		return misshapen("%s does not begin with %q", v.scheme.At, v.scheme.Prefix)
	case err != nil:
		return misshapen("%s is no JSON Web Token: %w", v.scheme.At, err)
	case token.header.Algorithm != v.scheme.Algorithm:
		return misshapen("%s is signed by %q instead of %s", v.scheme.At, token.header.Algorithm, v.scheme.Algorithm)
	}
	key, failure := v.scheme.Key(token.header.KeyID, v.setting)
	if failure != nil {
		return failure
	}
	if !token.signedBy(key) {
		return &Failure{Kind: Mismatch, Reason: "the signature of the token in " + v.scheme.At.String() + " does not match"}
	}
	return v.scheme.Judge(&token.claims, v.Sum(nil), v.request, v.setting)
}

// A parsedToken is a token whose signature is not checked yet.
type parsedToken struct {
	header struct {
		Algorithm string   `json:"alg"`
		KeyID     string   `json:"kid"`
		Critical  []string `json:"crit"`
	}
	claims    claims
	sum       [sha256.Size]byte // of what is signed
	signature []byte
}

// maxKeyID bounds the ids of keys, because they are sent on in questions.
const maxKeyID = 100

func parseWebToken(text string) (*parsedToken, error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return nil, errors.New("it does not have three parts")
	}
	t := new(parsedToken)
	var err error
	if err = decodePart(parts[0], &t.header); err == nil {
		err = decodePart(parts[1], &t.claims)
	}
	if err == nil {
		t.signature, err = base64URL.decode(parts[2])
	}
	switch {
	case err != nil:
		return nil, err
	case len(t.header.Critical) > 0: // RFC 7515, section 4.1.11: what is not understood is refused
		return nil, errors.New("it has extensions")
	case len(t.header.KeyID) > maxKeyID:
		return nil, errors.New("the id of its key is too long")
	}
	t.sum = sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	return t, nil
}

func decodePart(text string, to any) error {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return errors.New("a part is not base64")
	}
	if json.Unmarshal(b, to) != nil {
		return errors.New("a part is not the JSON that is expected")
	}
	return nil
}

// signedBy checks RS256 or ES256, depending on the type of the key.
func (t *parsedToken) signedBy(key crypto.PublicKey) bool {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, t.sum[:], t.signature) == nil
	case *ecdsa.PublicKey:
		half := len(t.signature) / 2 // r and s, RFC 7518, section 3.4
		if key.Curve != elliptic.P256() || len(t.signature) != 64 {
			return false
		}
		r, s := new(big.Int).SetBytes(t.signature[:half]), new(big.Int).SetBytes(t.signature[half:])
		return ecdsa.Verify(key, t.sum[:], r, s)
	}
	return false
}

// valid says whether the token is valid at that time, give or take the tolerance.
func (c *claims) valid(at time.Time, tolerance time.Duration) *Failure {
	from, to := time.Unix(c.IssuedAt, 0).Add(-tolerance), time.Unix(c.Expires, 0).Add(tolerance)
	switch {
	case at.Before(from):
		return &Failure{Kind: Expired, Reason: "the token is not valid for another " + from.Sub(at).Round(time.Second).String() + "; its signature is right"}
	case at.After(to):
		return &Failure{Kind: Expired, Reason: "the token expired " + at.Sub(to).Round(time.Second).String() + " ago; its signature is right"}
	}
	return nil
}

// A webKey is a public key as RFC 7517 writes it.
type webKey struct {
	Type      string `json:"kty"`
	ID        string `json:"kid"`
	Curve     string `json:"crv"`
	X         string `json:"x"`
	Y         string `json:"y"`
	Modulus   string `json:"n"`
	Exponent  string `json:"e"`
	ExpiredAt *int64 `json:"expired_at"` // Unix seconds; Plaid's
}

var errNotWebKey = errors.New("it is not a key for RS256 or ES256")

func (k *webKey) public() (crypto.PublicKey, error) {
	switch {
	case k.Type == "RSA":
		n, err1 := base64URL.decode(k.Modulus)
		e, err2 := base64URL.decode(k.Exponent)
		if err1 != nil || err2 != nil || len(n) < 256 || len(e) == 0 || len(e) > 4 {
			return nil, errNotWebKey
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}, nil
	case k.Type == "EC" && k.Curve == "P-256":
		x, err1 := base64URL.decode(k.X)
		y, err2 := base64URL.decode(k.Y)
		if err1 != nil || err2 != nil {
			return nil, errNotWebKey
		}
		return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
	}
	return nil, errNotWebKey
}
