package provider

// iiko sends the token that the webhook was registered with. It repeats until it gets 200 with exactly this body, and
// would repeat for ever what can't be parsed.
var iiko = Provider{
	Name:     "iiko",
	Title:    "iiko",
	Doc:      "https://api-ru.iiko.services/#tag/Webhooks",
	Scheme:   &token{At: []place{"Authorization", "authToken"}, Prefix: "Bearer ", Bare: true},
	Optional: true,
	Methods:  []string{"POST"},
	// The first is of the Simple Order Injection API, the others are of the Cloud API, which sends several at once.
	Event: `json.type != null ? json.type : json[*].eventType`,
	// A repeat differs in this alone; an update of anything else is an event of its own.
	Dedupe: `regexreplace(body, "\"correlationId\"\\s*:\\s*(\"([^\"\\\\]|\\\\.)*\"|[^\"\\s,{}]+)", "")`,
	Acks: []Ack{
		{When: "json == null", Headers: jsonType, Body: `"{\"status\": \"ignored\"}"`, Ignore: true},
		{Headers: jsonType, Body: `"{\"status\": \"OK\"}"`},
	},
	Subscribe: &iikoSubscription,
}

var jsonType = []Header{{"Content-Type", `"application/json"`}}
