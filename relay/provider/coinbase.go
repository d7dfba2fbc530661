package provider

// coinbase is Coinbase Commerce.
var coinbase = Provider{
	Name:    "coinbase",
	Title:   "Coinbase Commerce",
	Doc:     "https://docs.cdp.coinbase.com/commerce/api-arcitecture/webhooks-security",
	Scheme:  &signed{At: "X-CC-Webhook-Signature"},
	Methods: []string{"POST"},
	Event:   "json.event.type",
	Dedupe:  "json.event.id",
	Headers: []string{"x-cc-webhook-signature"},
}
