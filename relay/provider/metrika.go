package provider

// metrika receives batches of offline conversions for Yandex.Metrica. The batch's id is the record's.
var metrika = Provider{
	Name:    "metrika",
	Title:   "Metrika offline conversions",
	Doc:     "https://yandex.ru/dev/metrika/ru/management/openapi/offline_conversion/upload",
	Scheme:  &token{At: []place{"X-Webhook-Secret"}},
	Methods: []string{"POST"},
	Denied:  403,
	Acks: []Ack{{
		Headers: jsonType,
		Body:    `"{\"batch_id\":\"${id}\",\"status\":\"accepted\",\"accepted_count\":${length(json.conversions)}}"`,
	}},
	Headers: []string{"x-webhook-secret"},
}
