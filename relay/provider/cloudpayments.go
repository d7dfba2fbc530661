package provider

// cloudpayments signs the body as sent in Content-HMAC, and the unescaped contents of its form in X-Content-HMAC; only
// the former is checked. The kind of an event shows only in its URL: each kind has its own. The check before a payment
// has the same TransactionId as the payment, so the id can't tell repeats.
var cloudpayments = Provider{
	Name:    "cloudpayments",
	Title:   "CloudPayments",
	Doc:     "https://developers.cloudpayments.ru/#proverka-uvedomleniy",
	Scheme:  &signed{At: "Content-HMAC", Encoding: base64Padded},
	Methods: []string{"POST"},
	Event:   "form.OperationType != null ? form.OperationType : json.OperationType",
	Acks:    []Ack{{Headers: jsonType, Body: `"{\"code\":0}"`}},
	Headers: []string{"content-hmac"},
}
