package provider

// paddle is Paddle Billing. Its own packages allow five seconds between the clocks. That is too little: clocks of
// laptops are off by more, and a request's time on the way is not the sender's fault.
var paddle = Provider{
	Name:  "paddle",
	Title: "Paddle",
	Doc:   "https://developer.paddle.com/webhooks/signature-verification",
	Scheme: &signed{
		At: "Paddle-Signature", Separator: ";", Prefix: "h1=",
		Message: "{timestamp}:{body}",
		Stamp:   stamp{Prefix: "ts=", Tolerance: usualTolerance},
	},
	Methods: []string{"POST"},
	Event:   "json.event_type",
	Dedupe:  "json.event_id",
	Headers: []string{"paddle-signature"},
}
