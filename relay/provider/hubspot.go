package provider

import "strings"

// hubspot is version 3 of its signatures, over the whole request. The secret is the app's client secret.
var hubspot = Provider{
	Name:  "hubspot",
	Title: "HubSpot",
	Doc:   "https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/request-validation",
	Scheme: &signed{
		At: "X-HubSpot-Signature-v3", Encoding: base64Padded,
		Message: "{method}{url}{body}{timestamp}",
		URL:     hubspotURL,
		Stamp:   stamp{At: "X-HubSpot-Request-Timestamp", Format: unixMillis, Tolerance: usualTolerance},
	},
	Event:   "[for one in json : one.subscriptionType]",
	Headers: []string{"x-hubspot-signature-v3"},
}

// hubspotURL undoes the escapes that HubSpot does not sign: those in the table of its documentation. The question mark
// before the query is not among them.
func hubspotURL(url string) string { return hubspotUnescaped.Replace(url) }

var hubspotUnescaped = strings.NewReplacer(
	"%3A", ":", "%2F", "/", "%3F", "?", "%40", "@", "%21", "!", "%24", "$", "%27", "'", "%28", "(", "%29", ")", "%2A", "*",
	"%2C", ",", "%3B", ";",
	"%3a", ":", "%2f", "/", "%3f", "?", "%2a", "*", "%2c", ",", "%3b", ";",
)
