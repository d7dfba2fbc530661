package provider

// meta is Facebook, Instagram, WhatsApp and Threads: one dialect, told apart by the event. The signature is over the
// bytes as sent, with everything beyond ASCII escaped. params.verify_token is what the webhook was registered with.
var meta = Provider{
	Name:      "meta",
	Title:     "Meta",
	Doc:       "https://developers.facebook.com/docs/graph-api/webhooks/getting-started",
	Scheme:    &signed{At: "X-Hub-Signature-256", Prefix: "sha256="},
	Methods:   []string{"POST"},
	Event:     "json.object",
	Handshake: metaChallenge,
	Headers:   []string{"x-hub-signature-256"},
}

// metaChallenge answers the verification request of a subscription. Only its token shows who sent it, so it is refused
// if there is none to compare with.
func metaChallenge(r *Request, s *Setting) *Reply {
	query := r.Head.Query()
	mode, _ := parameter(query, "hub.mode")
	challenge, ok := parameter(query, "hub.challenge")
	if r.Head.Method != "GET" || mode != "subscribe" || !ok {
		return nil
	}
	token, _ := parameter(query, "hub.verify_token")
	switch want := s.Params["verify_token"]; {
	case want == "":
		return refusal(403, "params.verify_token is not set")
	case !sameAsAny(token, []string{want}):
		return refusal(403, "hub.verify_token is not params.verify_token")
	}
	return echo(challenge)
}
