package provider

// hubspot is the third version of its signatures, over all of the request. The secret is the app's client secret.
var hubspot = Provider{
	Name:  "hubspot",
	Title: "HubSpot",
	Doc:   "https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/request-validation",
	Scheme: &signed{
		At: "X-HubSpot-Signature-v3", Encoding: base64Padded,
		Message: "{method}{url}{body}{timestamp}",
		Stamp:   stamp{At: "X-HubSpot-Request-Timestamp", Format: unixMillis, Tolerance: usualTolerance},
	},
	Event:   "[for one in json : one.subscriptionType]",
	Headers: []string{"x-hubspot-signature-v3"},
}
