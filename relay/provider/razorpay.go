package provider

var razorpay = Provider{
	Name:    "razorpay",
	Title:   "Razorpay",
	Doc:     "https://razorpay.com/docs/webhooks/validate-test/",
	Scheme:  &signed{At: "X-Razorpay-Signature"},
	Methods: []string{"POST"},
	Event:   "json.event",
	Dedupe:  "header.x-razorpay-event-id",
	Headers: []string{"x-razorpay-signature"},
}
