package provider

// cloudpayments signs the body as sent in Content-HMAC, and what its form says, unescaped, in X-Content-HMAC: the
// former is looked at. What an event is called is only in the URL that each kind has. The check before a payment and
// the payment have the same TransactionId, so that it can't tell repeats.
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
