package provider

import "time"

// twitch is EventSub. A revocation comes like an event; only its Twitch-Eventsub-Message-Type tells.
var twitch = Provider{
	Name:  "twitch",
	Title: "Twitch",
	Doc:   "https://dev.twitch.tv/docs/eventsub/handling-webhook-events/",
	Scheme: &signed{
		At:      "Twitch-Eventsub-Message-Signature",
		Prefix:  "sha256=",
		Message: "{id}{timestamp}{body}",
		ID:      "Twitch-Eventsub-Message-Id",
		Stamp:   stamp{At: "Twitch-Eventsub-Message-Timestamp", Format: rfc3339, Tolerance: 10 * time.Minute},
	},
	Methods:   []string{"POST"},
	Event:     "header.twitch-eventsub-subscription-type",
	Dedupe:    "header.twitch-eventsub-message-id",
	Handshake: twitchChallenge,
	Headers:   []string{"twitch-eventsub-message-id", "twitch-eventsub-message-signature"},
}

func twitchChallenge(r *Request, _ *Setting) *Reply {
	kind, _ := r.Head.Fields.Get("Twitch-Eventsub-Message-Type")
	challenge, ok := place("json:challenge").get(r)
	if kind != "webhook_callback_verification" || !ok {
		return nil
	}
	return echo(challenge).checked()
}
