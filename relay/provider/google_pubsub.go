package provider

import (
	"cmp"
	"crypto"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// googlePubSub is push subscriptions with authentication. Google signs tokens for all its users, for any audience that
// they name, so params.email must say whose tokens we accept: those of the subscription's service account.
// params.audience is the subscription's; the default is the URL. The token says nothing about the body. Several
// statuses count as an acknowledgment, 200 among them.
var googlePubSub = Provider{
	Name:  "google-pubsub",
	Title: "Google Cloud Pub/Sub",
	Doc:   "https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions",
	Scheme: &webToken{
		Title: "Google", At: "Authorization", Prefix: "Bearer ", Algorithm: "RS256", Key: googleKey, Judge: judgePubSub,
	},
	Keyless: true,
	Needs:   []string{"email"},
	Methods: []string{"POST"},
	Event:   "json.message.attributes.eventType",
	// All subscriptions to one topic get the same messages.
	Dedupe:  `json.message.messageId != null ? "${json.subscription} ${json.message.messageId}" : null`,
	Headers: []string{"authorization: bearer ", "user-agent: apis-google"},
}

// googleKeys are the keys that Google signs tokens with.
const googleKeys = "https://www.googleapis.com/oauth2/v3/certs"

func googleKey(id string, s *Setting) (crypto.PublicKey, *Failure) {
	text, failure := fetched(s, googleKeys, nil)
	if failure != nil {
		return nil, failure
	}
	var set struct {
		Keys []webKey `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, &Failure{Kind: Unavailable, Reason: "what " + googleKeys + " has is not JSON"}
	}
	i := slices.IndexFunc(set.Keys, func(k webKey) bool { return k.ID == id })
	if i < 0 { // the list may be older than the key
		return nil, &Failure{Kind: Unavailable, Reason: fmt.Sprintf("Google has no key %q", id)}
	}
	key, err := set.Keys[i].public()
	if err != nil {
		return nil, &Failure{Kind: Unavailable, Reason: fmt.Sprintf("Google's key %q can't be used: %v", id, err)}
	}
	return key, nil
}

// googleSkew is how far Google's own libraries let clocks differ.
const googleSkew = 10 * time.Second

func judgePubSub(c *claims, _ []byte, r *Request, s *Setting) *Failure {
	email, wanted := s.Params["email"], cmp.Or(s.Params["audience"], r.URL)
	switch {
	case email == "":
		return &Failure{Kind: Unavailable, Token: true, Reason: "params.email is not set: Google signs tokens for all its users"}
	case wanted == "":
		return &Failure{Kind: Unavailable, Token: true, Reason: "params.audience is not set, and the public URL is not known"}
	case c.Issuer != "https://accounts.google.com" && c.Issuer != "accounts.google.com":
		return foreign("issuer", c.Issuer)
	case !slices.Contains(c.Audience, wanted):
		return foreign("audience", fmt.Sprint([]string(c.Audience)))
	case c.Email != email || !c.EmailVerified:
		return foreign("service account", c.Email)
	}
	return c.valid(r.Time, cmp.Or(s.Tolerance, googleSkew))
}

// foreign is the failure of a token that is valid but not meant for us.
func foreign(what, got string) *Failure {
	return &Failure{Kind: Mismatch, Token: true, Reason: fmt.Sprintf("the token is for another %s: %q; its signature is right", what, got)}
}
