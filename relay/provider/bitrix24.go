package provider

// bitrix24 sends form-encoded events (PHP style), which include the application's token. It may give up a URL that
// answers 405 to a probe.
var bitrix24 = Provider{
	Name:      "bitrix24",
	Title:     "Bitrix24",
	Doc:       "https://apidocs.bitrix24.com/api-reference/events/safe-event-handlers.html",
	Scheme:    &token{At: []place{"form:auth[application_token]"}},
	Optional:  true,
	Methods:   []string{"POST"},
	Event:     "form.event",
	Handshake: probe,
	Subscribe: &bitrixSubscription,
}

// probe answers requests that only check whether the URL exists, at exactly the source's path.
func probe(r *Request, s *Setting) *Reply {
	if r.Head.Method != "GET" && r.Head.Method != "HEAD" || r.Head.Path() != s.Path {
		return nil
	}
	return &Reply{Status: 200, Open: true}
}
