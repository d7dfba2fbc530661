package provider

// pagerduty is version 3. During rotation it signs once for each secret.
var pagerduty = Provider{
	Name:    "pagerduty",
	Title:   "PagerDuty",
	Doc:     "https://developer.pagerduty.com/docs/verifying-webhook-signatures",
	Scheme:  &signed{At: "X-PagerDuty-Signature", Separator: ",", Prefix: "v1="},
	Methods: []string{"POST"},
	Event:   "json.event.event_type",
	Dedupe:  "json.event.id",
	Headers: []string{"x-pagerduty-signature"},
}
