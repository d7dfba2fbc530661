package provider

// qtickets is an API that an app calls through an outbound source: nobody signs anything.
var qtickets = Provider{
	Name:  "qtickets",
	Title: "QTickets",
	Doc:   "https://qtickets.help/article/rest-api-v1/",
}
