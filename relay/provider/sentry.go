package provider

// sentry is the integration platform. Request-ID identifies the request, not the event: each attempt has a new one.
var sentry = Provider{
	Name:    "sentry",
	Title:   "Sentry",
	Doc:     "https://docs.sentry.io/integrations/integration-platform/webhooks/",
	Scheme:  &signed{At: "Sentry-Hook-Signature"},
	Methods: []string{"POST"},
	Event:   `"${header.sentry-hook-resource}.${json.action}"`,
	Headers: []string{"sentry-hook-resource"},
}
