package provider

import (
	"crypto"
	"slices"
	"strings"
)

// websub is a subscriber of the W3C's WebSub, formerly PubSubHubbub. params.topic lists the topics that are wanted,
// separated by blanks. The hub chooses how it signs; the request to subscribe gives it a secret.
var websub = Provider{
	Name:  "websub",
	Title: "WebSub",
	Doc:   "https://www.w3.org/TR/websub/#signing-content",
	Scheme: either{
		hubSignature("sha256=", crypto.SHA256), hubSignature("sha512=", crypto.SHA512),
		hubSignature("sha384=", crypto.SHA384), hubSignature("sha1=", crypto.SHA1),
	},
	Methods:   []string{"POST"},
	Handshake: hubVerification,
	Headers:   []string{"x-hub-signature", "link: rel=\"hub\""},
}

func hubSignature(prefix string, hash crypto.Hash) Scheme {
	return &signed{At: "X-Hub-Signature", Prefix: prefix, Algorithm: hmacOf{hash: hash}}
}

// hubVerification answers a hub that asks whether we meant it, since anybody can ask a hub in our name: to subscribe to
// a topic that is wanted, or unsubscribe from one that is not.
func hubVerification(r *Request, s *Setting) *Reply {
	query := r.Head.Query()
	mode, _ := parameter(query, "hub.mode")
	if r.Head.Method != "GET" || mode != "subscribe" && mode != "unsubscribe" && mode != "denied" {
		return nil
	}
	if mode == "denied" { // only a notice, section 5.2
		return &Reply{Status: 200, Open: true}
	}
	topic, _ := parameter(query, "hub.topic")
	challenge, ok := parameter(query, "hub.challenge")
	wanted := slices.Contains(strings.Fields(s.Params["topic"]), topic)
	switch {
	case !ok:
		return refusal(404, "hub.challenge is missing")
	case mode == "subscribe" && !wanted:
		return refusal(404, "hub.topic is not in params.topic")
	case mode == "unsubscribe" && wanted:
		return refusal(404, "hub.topic is in params.topic: this subscription must stay")
	}
	return echo(challenge)
}
