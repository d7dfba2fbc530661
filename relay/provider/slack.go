package provider

// slack signs events, commands and interactions alike. The first event to a URL asks whether it is ours.
var slack = Provider{
	Name:  "slack",
	Title: "Slack",
	Doc:   "https://docs.slack.dev/authentication/verifying-requests-from-slack",
	Scheme: &signed{
		At: "X-Slack-Signature", Prefix: "v0=",
		Message: "v0:{timestamp}:{body}",
		Stamp:   stamp{At: "X-Slack-Request-Timestamp", Tolerance: usualTolerance},
	},
	Methods: []string{"POST"},
	// Events, commands and interactions: https://docs.slack.dev/interactivity/handling-user-interaction
	Event: `json.type == "event_callback" ? json.event.type : json.type != null ? json.type : ` +
		`form.command != null ? form.command : try(jsondecode(form.payload).type, null)`,
	Dedupe: "json.event_id",
	// https://docs.slack.dev/reference/events/url_verification
	Handshake: slackChallenge,
	Headers:   []string{"x-slack-signature", "x-slack-request-timestamp"},
}

func slackChallenge(r *Request, _ *Setting) *Reply {
	kind, _ := place("json:type").get(r)
	challenge, ok := place("json:challenge").get(r)
	if kind != "url_verification" || !ok {
		return nil
	}
	return echo(challenge).checked()
}
