package provider

import "strings"

// woocommerce signs the body. A new webhook first checks that it gets 200, with a request that has its number,
// unsigned.
var woocommerce = Provider{
	Name:      "woocommerce",
	Title:     "WooCommerce",
	Doc:       "https://developer.woocommerce.com/docs/best-practices/urls-and-routing/webhooks/",
	Scheme:    &signed{At: "X-WC-Webhook-Signature", Encoding: base64Padded},
	Methods:   []string{"POST"},
	Event:     "header.x-wc-webhook-topic",
	Handshake: woocommercePing,
	Headers:   []string{"x-wc-webhook-topic", "x-wc-webhook-source"},
}

// woocommercePing answers deliver_ping of the plugin's class-wc-webhook.php.
func woocommercePing(r *Request, _ *Setting) *Reply {
	number, ok := strings.CutPrefix(string(r.Body), "webhook_id=")
	if _, isEvent := r.Head.Fields.Get("X-WC-Webhook-Topic"); isEvent || !ok || strings.Trim(number, "0123456789") != "" {
		return nil
	}
	return &Reply{Status: 200, Open: true}
}
