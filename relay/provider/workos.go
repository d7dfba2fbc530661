package provider

import "time"

var workos = Provider{
	Name:  "workos",
	Title: "WorkOS",
	Doc:   "https://workos.com/docs/events/data-syncing/webhooks",
	Scheme: &signed{
		At:        "WorkOS-Signature",
		Separator: ",",
		Prefix:    "v1=",
		Message:   "{timestamp}.{body}",
		Stamp:     stamp{Prefix: "t=", Format: unixMillis, Tolerance: 3 * time.Minute},
	},
	Methods: []string{"POST"},
	Event:   "json.event",
	Dedupe:  "json.id",
	Headers: []string{"workos-signature"},
}
