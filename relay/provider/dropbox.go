package provider

// dropbox says which accounts have changed, not how: an event has neither a name nor an id.
var dropbox = Provider{
	Name:      "dropbox",
	Title:     "Dropbox",
	Doc:       "https://www.dropbox.com/developers/reference/webhooks",
	Scheme:    &signed{At: "X-Dropbox-Signature"},
	Methods:   []string{"POST"},
	Handshake: dropboxChallenge,
	Headers:   []string{"x-dropbox-signature"},
}

// dropboxChallenge answers the verification request of a new webhook, which is not signed.
func dropboxChallenge(r *Request, _ *Setting) *Reply {
	challenge, ok := parameter(r.Head.Query(), "challenge")
	if r.Head.Method != "GET" || !ok {
		return nil
	}
	return echo(challenge)
}
