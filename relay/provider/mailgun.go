package provider

// mailgun signs a time and a token that it puts into the body, and nothing of the event. A token is good for only one
// request, so that repeats can be refused by it.
var mailgun = Provider{
	Name:  "mailgun",
	Title: "Mailgun",
	Doc:   "https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks",
	Scheme: &signed{
		At:      "json:signature.signature",
		Message: "{timestamp}{id}",
		Stamp:   stamp{At: "json:signature.timestamp"},
		ID:      "json:signature.token",
	},
	Methods: []string{"POST"},
	Event:   "json.event-data.event",
	Dedupe:  "json.signature.token",
}
