package provider

// shopify signs the body with the app's client secret.
var shopify = Provider{
	Name:    "shopify",
	Title:   "Shopify",
	Doc:     "https://shopify.dev/docs/apps/build/webhooks/subscribe/https#step-2-validate-the-origin-of-your-webhook-to-ensure-its-coming-from-shopify",
	Scheme:  &signed{At: "X-Shopify-Hmac-Sha256", Encoding: base64Padded},
	Methods: []string{"POST"},
	Event:   "header.x-shopify-topic",
	Dedupe:  "header.x-shopify-webhook-id",
	Headers: []string{"x-shopify-topic", "x-shopify-shop-domain"},
}
