package provider

import (
	"github.com/tidwall/gjson"

	"github.com/hooktape/hooktape/relay/wire"
)

// discord signs interactions and webhook events with the application's key; the secret is its public key, in hex. A
// request with a wrong signature must get 401, or Discord stops using the URL.
var discord = Provider{
	Name:  "discord",
	Title: "Discord",
	Doc:   "https://discord.com/developers/docs/interactions/overview#setting-up-an-endpoint-validating-security-request-headers",
	Scheme: &signed{
		At:        "X-Signature-Ed25519",
		Algorithm: publicKey{},
		Message:   "{timestamp}{body}",
		Stamp:     stamp{At: "X-Signature-Timestamp", Tolerance: usualTolerance},
	},
	Methods:   []string{"POST"},
	Event:     "json.event.type != null ? json.event.type : json.data.name",
	Dedupe:    "json.id",
	Handshake: discordPing,
	Headers:   []string{"x-signature-ed25519", "x-signature-timestamp"},
}

// discordPing answers the PING of interactions (type 1) and that of webhook events (type 0; these alone have a
// version): https://discord.com/developers/docs/events/webhook-events#preparing-for-events
func discordPing(r *Request, _ *Setting) *Reply {
	kind, version := gjson.GetBytes(r.Body, "type"), gjson.GetBytes(r.Body, "version")
	switch {
	case kind.Raw == "0" && version.Exists():
		return &Reply{Status: 204}
	case kind.Raw == "1" && !version.Exists():
		return &Reply{Status: 200, Fields: wire.Fields{{Name: "Content-Type", Value: "application/json"}}, Body: []byte(`{"type":1}`)}
	}
	return nil
}
