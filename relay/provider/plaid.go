package provider

import (
	"crypto"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// plaid signs the hash of the body, in a token. Its keys are fetched with the secret of the API and params.client_id,
// from the environment that params.environment names (default "production").
var plaid = Provider{
	Name:    "plaid",
	Title:   "Plaid",
	Doc:     "https://plaid.com/docs/api/webhooks/webhook-verification/",
	Scheme:  &webToken{Title: "Plaid", At: "Plaid-Verification", Algorithm: "ES256", Key: plaidKey, Judge: judgePlaid},
	Needs:   []string{"client_id"},
	Methods: []string{"POST"},
	Event:   `"${json.webhook_type}.${json.webhook_code}"`,
	Headers: []string{"plaid-verification"},
}

// plaidHosts are the hosts of the environments.
var plaidHosts = map[string]string{
	"": "production.plaid.com", "production": "production.plaid.com", "sandbox": "sandbox.plaid.com",
}

// plaidKey asks for a key with each secret in turn, until one is accepted.
func plaidKey(id string, s *Setting) (key crypto.PublicKey, failure *Failure) {
	host, ok := plaidHosts[s.Params["environment"]]
	switch {
	case !ok:
		return nil, &Failure{Kind: Unavailable, Reason: fmt.Sprintf("params.environment is %q, neither production nor sandbox", s.Params["environment"])}
	case s.Params["client_id"] == "":
		return nil, &Failure{Kind: Unavailable, Reason: "params.client_id is not set"}
	}
	failure = &Failure{Kind: Unavailable, Reason: errNoKey.Error()}
	for _, secret := range s.Secrets {
		if secret == "" {
			continue
		}
		post, err := json.Marshal(map[string]string{"client_id": s.Params["client_id"], "secret": secret, "key_id": id})
		if err != nil {
			return nil, &Failure{Kind: Unavailable, Reason: err.Error()}
		}
		var text []byte
		if text, failure = fetched(s, "https://"+host+"/webhook_verification_key/get", post); failure == nil {
			return parsePlaidKey(text, id)
		}
	}
	return nil, failure
}

func parsePlaidKey(text []byte, id string) (crypto.PublicKey, *Failure) {
	var answer struct {
		Key webKey `json:"key"`
	}
	err := json.Unmarshal(text, &answer)
	var key crypto.PublicKey
	if err == nil {
		key, err = answer.Key.public()
	}
	switch {
	case err != nil:
		return nil, &Failure{Kind: Unavailable, Reason: fmt.Sprintf("Plaid's key can't be used: %v", err)}
	case answer.Key.ID != id:
		return nil, &Failure{Kind: Unavailable, Reason: "Plaid answered with another key"}
	case answer.Key.ExpiredAt != nil:
		return nil, &Failure{Kind: Mismatch, Reason: fmt.Sprintf("the key %q is no longer in use", id)}
	}
	return key, nil
}

func judgePlaid(c *claims, body []byte, r *Request, s *Setting) *Failure {
	if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(body)), []byte(c.BodySum)) != 1 {
		return &Failure{Kind: Mismatch, Reason: "the body is not the one that the token was made for: its SHA-256 differs; the token's signature is right"}
	}
	return stamp{Tolerance: 5 * time.Minute}.judge(time.Unix(c.IssuedAt, 0), r.Time, s.Tolerance)
}
