package provider

// iiko sends the token that the webhook was registered with. It repeats until it gets 200 with exactly this body, so
// what can't be parsed must get that as well, or it would come for ever.
var iiko = Provider{
	Name:     "iiko",
	Title:    "iiko",
	Doc:      "https://api-ru.iiko.services/#tag/Webhooks",
	Scheme:   &token{At: []place{"Authorization", "authToken"}, Prefix: "Bearer ", Bare: true},
	Optional: true,
	Methods:  []string{"POST"},
	// json.type is for the Simple Order Injection API; eventType for the Cloud API, which sends several events at once.
	Event: `json.type != null ? json.type : json[*].eventType`,
	// A repeat differs only in its correlationId; if anything else differs, it is an event of its own.
	Dedupe: `regexreplace(body, "\"correlationId\"\\s*:\\s*(\"([^\"\\\\]|\\\\.)*\"|[^\"\\s,{}]+)", "")`,
	Acks: []Ack{
		{When: "json == null", Headers: jsonType, Body: `"{\"status\": \"ignored\"}"`, Ignore: true},
		{Headers: jsonType, Body: `"{\"status\": \"OK\"}"`},
	},
	Subscribe: &iikoSubscription,
}

var jsonType = []Header{{"Content-Type", `"application/json"`}}
