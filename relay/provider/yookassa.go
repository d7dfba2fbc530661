package provider

// yookassa signs nothing: only the address that a request comes from shows who sent it. The same event of the same
// object is a repeat.
var yookassa = Provider{
	Name:    "yookassa",
	Title:   "YooKassa",
	Doc:     "https://yookassa.ru/developers/using-api/webhooks#ip",
	Allow:   []string{"185.71.76.0/27", "185.71.77.0/27", "77.75.153.0/25", "77.75.154.128/25", "77.75.156.11/32", "77.75.156.35/32", "2a02:5180::/32"},
	Methods: []string{"POST"},
	Event:   "json.event",
	Dedupe:  `json.object.id != null ? "${json.event} ${json.object.id}" : null`,
}
