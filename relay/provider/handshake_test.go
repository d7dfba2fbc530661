package provider

import (
	"strings"
	"testing"
)

// A handshake is a request and what is answered to it.
type handshake struct {
	says     string
	provider *Provider
	request  *Request
	params   map[string]string
	status   int    // 0: it is none
	body     string //
	open     bool   // it is answered to anybody
	fetch    string
}

func handshakes(t *testing.T) []handshake {
	long := strings.Repeat("x", maxEcho+1)
	graph := "/?validationToken=Validation%3a+Testing+client+application+reachability"
	subscribe := "/?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token="
	verify := map[string]string{"verify_token": "meatyhamhock"}
	topics := map[string]string{"topic": "https://a.example/feed https://b.example/feed"}
	hub := func(mode, topic string) *Request {
		return request(t, "GET", "/?hub.mode="+mode+"&hub.topic="+topic+"&hub.challenge=c1&hub.lease_seconds=864000", "")
	}
	return []handshake{
		{says: "the challenge", provider: &dropbox, request: request(t, "GET", "/?challenge=abc123", ""), status: 200, body: "abc123", open: true},
		{says: "no challenge", provider: &dropbox, request: request(t, "GET", "/", "")},
		{says: "an event", provider: &dropbox, request: request(t, "POST", "/?challenge=abc123", "{}")},
		{says: "too long a challenge", provider: &dropbox, request: request(t, "GET", "/?challenge="+long, ""), status: 400, open: true},
		{says: "a page as challenge", provider: &dropbox, request: request(t, "GET", "/?challenge=%3Cscript%3E", ""), status: 200, body: "<script>", open: true},

		{says: "the token is right", provider: &meta, request: request(t, "GET", subscribe+"meatyhamhock", ""), params: verify, status: 200, body: "1158201444", open: true},
		{says: "the token is wrong", provider: &meta, request: request(t, "GET", subscribe+"other", ""), params: verify, status: 403, open: true},
		{says: "there is no token", provider: &meta, request: request(t, "GET", subscribe, ""), status: 403, open: true},
		{says: "another mode", provider: &meta, request: request(t, "GET", "/?hub.mode=x&hub.challenge=1", ""), params: verify},

		{
			says: "the challenge", provider: &twitch, status: 200, body: "pogchamp-kappa-360noscope-vohiyo",
			request: request(t, "POST", "/", `{"challenge":"pogchamp-kappa-360noscope-vohiyo","subscription":{}}`,
				"Twitch-Eventsub-Message-Type", "webhook_callback_verification"),
		},
		{
			says: "an event", provider: &twitch,
			request: request(t, "POST", "/", `{"challenge":"x"}`, "Twitch-Eventsub-Message-Type", "notification"),
		},

		{says: "validation", provider: &microsoftGraph, request: request(t, "POST", graph, ""), status: 200, body: "Validation: Testing client application reachability", open: true},
		{says: "an event", provider: &microsoftGraph, request: request(t, "POST", "/", `{"value":[]}`)},

		{
			says: "the validation event", provider: &azureEventGrid, status: 200, body: `{"validationResponse":"512d38b6-c7b8-40c8-89fe-f46f9e9622b6"}`,
			request: request(t, "POST", "/", `[{"id":"2d17","eventType":"Microsoft.EventGrid.SubscriptionValidationEvent",`+
				`"data":{"validationCode":"512d38b6-c7b8-40c8-89fe-f46f9e9622b6"}}]`, "aeg-event-type", "SubscriptionValidation"),
		},
		{
			says: "the code would be a page", provider: &azureEventGrid, status: 200, body: `{"validationResponse":"\u003cb\u003e"}`,
			request: request(t, "POST", "/", `[{"data":{"validationCode":"<b>"}}]`, "aeg-event-type", "SubscriptionValidation"),
		},
		{says: "an event", provider: &azureEventGrid, request: request(t, "POST", "/", `[{"data":{}}]`, "aeg-event-type", "Notification")},
		{
			says: "with the schema of CloudEvents", provider: &azureEventGrid, status: 200, open: true,
			request: request(t, "OPTIONS", "/", "", "WebHook-Request-Origin", "eventgrid.azure.net"),
		},

		{says: "the challenge", provider: &slack, status: 200, body: "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P",
			request: request(t, "POST", "/", `{"token":"x","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P","type":"url_verification"}`)},
		{says: "an event", provider: &slack, request: request(t, "POST", "/", `{"type":"event_callback","challenge":"x"}`)},
		{says: "ping of interactions", provider: &discord, status: 200, body: `{"type":1}`, request: request(t, "POST", "/", `{"type":1,"id":"1"}`)},
		{says: "ping of webhook events", provider: &discord, status: 204, request: request(t, "POST", "/", `{"version":1,"type":0}`)},
		{says: "a command", provider: &discord, request: request(t, "POST", "/", `{"type":2,"data":{"name":"reel"}}`)},
		{says: "a webhook event", provider: &discord, request: request(t, "POST", "/", `{"version":1,"type":1,"event":{}}`)},
		{
			// by the receiver of @zoom/rivet 0.4.0, under the secret that TestHandshakesAreAnswered has
			says: "validation", provider: &zoom, status: 200,
			body:    `{"encryptedToken":"5077cbe1cb2263b9970aa2fd4368247463a507b71f63ba50d944008b5556c706","plainToken":"qgg8vlvZRS6UYooatFL8Aw"}`,
			request: request(t, "POST", "/", `{"payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"},"event_ts":1654503849680,"event":"endpoint.url_validation"}`),
		},
		{says: "an event", provider: &zoom, request: request(t, "POST", "/", `{"event":"meeting.started","payload":{"plainToken":"x"}}`)},
		{says: "a new subscription's token", provider: &notion, status: 200, open: true,
			request: request(t, "POST", "/", `{"verification_token":"secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl"}`)},
		{says: "an event", provider: &notion, request: request(t, "POST", "/", `{"verification_token":"x","type":"page.created"}`)},
		{says: "the ping of a new webhook", provider: &woocommerce, status: 200, open: true, request: request(t, "POST", "/", "webhook_id=7")},
		{says: "an event", provider: &woocommerce, request: request(t, "POST", "/", "webhook_id=7", "X-WC-Webhook-Topic", "order.created")},
		{says: "something else", provider: &woocommerce, request: request(t, "POST", "/", "webhook_id=7&x=1")},
		{says: "a probe", provider: &bitrix24, status: 200, open: true, request: request(t, "HEAD", "/hooks", "")},
		{says: "a probe of another path", provider: &bitrix24, request: request(t, "GET", "/hooks/other", "")},
		{says: "an event", provider: &bitrix24, request: request(t, "POST", "/hooks", "event=X")},

		{says: "asks for permission", provider: &cloudevents, status: 200, open: true,
			request: request(t, "OPTIONS", "/", "", "WebHook-Request-Origin", "eventemitter.example.com", "WebHook-Request-Rate", "120")},
		{says: "another asks", provider: &cloudevents, status: 403, open: true, params: map[string]string{"origin": "eventemitter.example.com"},
			request: request(t, "OPTIONS", "/", "", "WebHook-Request-Origin", "evil.example.com")},
		{says: "CORS", provider: &cloudevents, request: request(t, "OPTIONS", "/", "", "Origin", "https://example.com")},

		{says: "subscribes to what is wanted", provider: &websub, request: hub("subscribe", "https://a.example/feed"), params: topics, status: 200, body: "c1", open: true},
		{says: "subscribes to what is not", provider: &websub, request: hub("subscribe", "https://c.example/feed"), params: topics, status: 404, open: true},
		{says: "nothing is wanted", provider: &websub, request: hub("subscribe", ""), status: 404, open: true},
		{says: "unsubscribes from what is wanted", provider: &websub, request: hub("unsubscribe", "https://b.example/feed"), params: topics, status: 404, open: true},
		{says: "unsubscribes from what is not", provider: &websub, request: hub("unsubscribe", "https://c.example/feed"), params: topics, status: 200, body: "c1", open: true},
		{says: "is denied", provider: &websub, request: hub("denied", "https://a.example/feed"), params: topics, status: 200, open: true},
		{says: "an event", provider: &websub, request: request(t, "POST", "/", "<feed/>"), params: topics},

		{says: "confirmation", provider: &vk, status: 200, body: "6d2b1e8f", open: true, params: map[string]string{"confirmation": "6d2b1e8f"},
			request: request(t, "POST", "/", `{"type":"confirmation","group_id":1}`)},
		{says: "confirmation with the secret", provider: &vk, status: 200, body: "6d2b1e8f", params: map[string]string{"confirmation": "6d2b1e8f"},
			request: request(t, "POST", "/", `{"type":"confirmation","group_id":1,"secret":"s"}`)},
		{says: "nothing to confirm with", provider: &vk, request: request(t, "POST", "/", `{"type":"confirmation","group_id":1}`)},
		{says: "an event", provider: &vk, params: map[string]string{"confirmation": "6d2b1e8f"}, request: request(t, "POST", "/", `{"type":"wall_post_new"}`)},
	}
}

func TestHandshakesAreAnswered(t *testing.T) {
	for _, h := range handshakes(t) {
		t.Run(h.provider.Name+"/"+h.says, func(t *testing.T) {
			reply := h.provider.Handshake(h.request, &Setting{Secrets: []string{usualSecret}, Params: h.params, Path: "/hooks"})
			if reply == nil {
				reply = new(Reply)
			}
			if reply.Status != h.status || string(reply.Body) != h.body || reply.Open != h.open || reply.Fetch != h.fetch {
				t.Errorf("%d %q, open: %v, fetch: %q", reply.Status, reply.Body, reply.Open, reply.Fetch)
			}
			if (reply.Reason == "") != (reply.Status < 400) {
				t.Errorf("%d for the reason %q", reply.Status, reply.Reason)
			}
			kind, _ := reply.Fields.Get("Content-Type")
			if len(reply.Body) > 0 && kind != "text/plain; charset=utf-8" && kind != "application/json" {
				t.Errorf("Content-Type: %s", kind)
			}
			if len(reply.Body) > maxEcho+100 {
				t.Errorf("it gives back %d bytes", len(reply.Body))
			}
		})
	}
}

func TestPermissionToSendNamesWhoAsked(t *testing.T) {
	r := request(t, "OPTIONS", "/", "", "WebHook-Request-Origin", "eventemitter.example.com")
	reply := cloudevents.Handshake(r, new(Setting))
	for name, want := range map[string]string{
		"WebHook-Allowed-Origin": "eventemitter.example.com", "WebHook-Allowed-Rate": "*", "Allow": "POST",
	} {
		if got, _ := reply.Fields.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
