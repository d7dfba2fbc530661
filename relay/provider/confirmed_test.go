package provider

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/PagerDuty/go-pagerduty/webhookv3"
	razorpayutils "github.com/razorpay/razorpay-go/utils"
)

// A vector is a request that its maker's own code or documentation says is right.
type vector struct {
	provider *Provider
	by       string // what says so
	secret   string
	params   map[string]string
	at       time.Time // when it was signed, where that is signed
	url      string    // as it has ours, where it signs that; "": that of the tests
	target   string
	fields   []string // names and values
	body     string
	spelling string // in what we write it otherwise; "": in nothing
}

// newYear is 2026-01-01T00:00:00.123Z.
var newYear = time.UnixMilli(1767225600123)

var vectors = []vector{
	{
		provider: &github, by: "the page that Doc names", secret: "It's a Secret to Everybody",
		fields: []string{"X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
		body:   "Hello, World!",
	},
	{
		provider: &bitbucket, by: "the page that Doc names", secret: "It's a Secret to Everybody",
		fields: []string{"X-Hub-Signature", "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"},
		body:   "Hello World!",
	},
	{
		provider: &slack, by: "the page that Doc names", at: time.Unix(1531420618, 0), secret: "8f742231b10e8888abcd99yyyzzz85a5",
		fields: []string{
			"X-Slack-Request-Timestamp", "1531420618",
			"X-Slack-Signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
		},
		body: "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar" +
			"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com" +
			"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
	},
	{
		provider: &square, by: "the code of the page that Doc names", secret: "asdf1234", url: "https://example.com/webhook",
		fields: []string{"X-Square-HmacSha256-Signature", "2kRE5qRU2tR+tBGlDwMEw2avJ7QM4ikPYD/PJ3bd9Og="},
		body:   `{"hello":"world"}`,
	},
	{
		provider: &adyen, by: "HMACValidatorTest of Adyen/adyen-java-api-library",
		secret: "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056",
		body: `{"notificationItems":[{"NotificationRequestItem":{"additionalData":{"hmacSignature":"coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0="},` +
			`"amount":{"currency":"EUR","value":1130},"eventCode":"AUTHORISATION","merchantAccountCode":"TestMerchant",` +
			`"merchantReference":"TestPayment-1407325143704","pspReference":"7914073381342284","success":"true"}}]}`,
	},
	{
		provider: &twilio, by: "the tests of twilio/twilio-node", secret: "12345", url: "https://mycompany.com/myapp.php?foo=1&bar=2",
		fields: []string{"X-Twilio-Signature", "RSOYDt4T1cUTdK1PDd93/VVr8B8="},
		body:   "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212",
	},
	{
		provider: &hubspot, by: "test_signature.py of HubSpot/hubspot-api-python", at: time.UnixMilli(15000000),
		secret: "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy", url: "https://www.example.com/webhook_uri",
		fields: []string{
			"X-HubSpot-Request-Timestamp", "15000000", "X-HubSpot-Signature-v3", "HPW73RUtKmcYoEDADG0s6MmGFWUzWJKAW07r8RDgcQw=",
		},
		body: "{'example_field':'example_value'}",
	},
	{
		provider: &notion, by: "the page that Doc names", secret: "secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl",
		fields: []string{"X-Notion-Signature", "sha256=461e8cbcba8a75c3edd866f0e71280f5a85cbf21eff040ebd10fe266df38a735"},
		body:   `{"verification_token":"secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl"}`,
	},
	{
		provider: &shopify, by: "webhooks.validate of @shopify/shopify-api 13.1.0", secret: "shpss_vector",
		fields: []string{"X-Shopify-Hmac-Sha256", "fAAYF5Tp/PKZ0m1iTz9mhiCFeYUZst03m2UOHT91Os8="},
		body:   `{"id":820982911946154508,"note":"héllo"}`,
	},
	{
		provider: &linear, by: "LinearWebhookClient of @linear/sdk 98.0.0", at: time.UnixMilli(1773500966000), secret: "lin_wh_vector",
		fields: []string{"Linear-Signature", "2213ec6e21d537e80962a46ec177db5a359f0a619a24fc9659fa6540ffeecebd"},
		body:   `{"action":"update","type":"Issue","webhookTimestamp":1773500966000}`,
	},
	{
		provider: &zoom, by: "the receiver of @zoom/rivet 0.4.0", at: newYear, secret: "zoom-secret-token",
		fields: []string{
			"X-Zm-Request-Timestamp", "1767225600",
			"X-Zm-Signature", "v0=97aa716fcda36791ae605e1663db45dc7b229df7468ca3bf8fd1ab9f83ce1dee",
		},
		body: `{"event":"meeting.started","event_ts":1767225600123,"payload":{"account_id":"A1"}}`,
	},
	{
		provider: &intercom, by: "node/index.js of intercom/intercom-webhooks", secret: "intercom-client-secret",
		fields: []string{"X-Hub-Signature", "sha1=5361c7b3fff66a3d43b6ec4c6d2542b71bfa1641"},
		body:   `{"type":"notification_event","topic":"conversation.user.created","id":"notif_1"}`,
	},
	{
		provider: &woocommerce, by: "generate_signature of the plugin's class-wc-webhook.php", secret: "woo & secret",
		fields: []string{"X-WC-Webhook-Signature", "TFN/fMggvsur2v5TetVEnmY0mkTMbMLHY2QmgYQ7iM4="},
		body:   `{"id":515,"status":"processing"}`,
	},
	{
		provider: &dropbox, by: "validate_request of the page that Doc names, and of dropbox/mdwebhook",
		secret: "t1ck3tb00thsecret",
		fields: []string{"X-Dropbox-Signature", "7d17c30773ccaee5a88ec23399703f77c34cbedee69da6d5779e9edcc29dfd9d"},
		body:   `{"list_folder":{"accounts":["dbid:AAH4f99T0taONIb-OurWxbNQ6ywGRopQngc"]},"delta":{"users":[12345678]}}`,
	},
	{
		provider: &meta, by: "validate-x-hub.ts of fbsamples/graph-api-webhooks-samples",
		secret: "9f3c1d7a5b2e48f0a6c4d8e1b3f57290",
		fields: []string{"X-Hub-Signature-256", "sha256=e3b94d034571aab0c5ccb3ba36e68474e834de6d99d653a54e6206af1370e330"},
		body: `{"object":"page","entry":[{"id":"104210","time":1767225600,"messaging":[{"sender":{"id":"77"},"recipient":{"id":"104210"},` +
			`"timestamp":1767225600123,"message":{"mid":"m_AG5","text":"\u041f\u0440\u0438\u0432\u0435\u0442"}}]}]}`,
	},
	{
		provider: &twitch, by: "getSignatureHeader of twitchdev/twitch-cli", spelling: "our times have no fractions",
		secret: "s3cre77890ab0123456789", at: time.Unix(1767225600, 123456789),
		fields: []string{
			"Twitch-Eventsub-Message-Id", "e76c6bd4-55c9-4987-8304-da1588d8988b",
			"Twitch-Eventsub-Message-Timestamp", "2026-01-01T00:00:00.123456789Z",
			"Twitch-Eventsub-Message-Signature", "sha256=510748f987d3b77fff2318bc0e08b5566f05780c19ad39750a0b627851354ae6",
		},
		body: `{"subscription":{"id":"f1c2a387-161a-49f9-a165-0f21d7a4e1c4","status":"enabled","type":"stream.online","version":"1",` +
			`"condition":{"broadcaster_user_id":"1337"},"transport":{"method":"webhook","callback":"https://hooks.example.com/"},` +
			`"created_at":"2025-12-31T10:11:12.634234626Z","cost":0},"event":{"id":"9001","broadcaster_user_id":"1337",` +
			`"broadcaster_user_login":"cool_user","broadcaster_user_name":"Cool_User","type":"live","started_at":"2026-01-01T00:00:00Z"}}`,
	},
	{
		provider: &sentry, by: "verifySentrySignature.ts of getsentry/integration-platform-example",
		secret: "6a1f0c2b9d8e4f7a5c3b1d0e9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a",
		fields: []string{"Sentry-Hook-Signature", "e698fd51fe2e765caef1f15e9916a15f3037308912dacb6a03fac0ac7c23635a"},
		body: `{"action":"created","installation":{"uuid":"a8e5d37a-696c-4c54-adb5-b3f28d64c7de"},"data":{"issue":{"id":"1170820242",` +
			`"title":"ReferenceError: heck is not defined"}},"actor":{"type":"application","id":"sentry","name":"Sentry"}}`,
	},
	{
		provider: &vercel, by: "the code of the page that Doc names",
		secret: "yXk8nT2qLw0vZc5RrB7eUa1J",
		fields: []string{"x-vercel-signature", "422b4fa660454aa897b58ce8cffa57815ae8e60b"},
		body: `{"id":"uev_CWuCUS8Zk","type":"deployment.created","createdAt":1767225600123,"region":"sfo1",` +
			`"payload":{"deployment":{"id":"dpl_4rP","url":"my-site-9x.vercel.app"}}}`,
	},
	{
		provider: &contentful, by: "signRequest of @contentful/node-apps-toolkit 3.16.1", at: newYear,
		secret: "k3Zt9wQ1vYb7Lh2Rn5Xs8Cd0Fg4Jm6PaUeIoTyBzWqVrNkMxHcSlDjGfQpEaOu1i",
		target: "/hooks/contentful?space=one&x=a%20b",
		fields: []string{
			"X-Contentful-Topic", "ContentManagement.Entry.publish",
			"Content-Type", "application/vnd.contentful.management.v1+json",
			"X-Contentful-Timestamp", "1767225600123",
			"X-Contentful-Signed-Headers", "content-type,x-contentful-signed-headers,x-contentful-timestamp,x-contentful-topic",
			"X-Contentful-Signature", "1c8da502174c13686a1335f2127bdc410192e9252699f8fa8d7720c4f3bb96ca",
		},
		body: `{"sys":{"type":"Entry","id":"7xJ2kQ"},"fields":{"title":{"en-US":"Überblick"}}}`,
	},
	{
		provider: &workos, by: "webhooks.computeSignature of @workos-inc/node 8.13.0", at: newYear, spelling: "the blank",
		secret: "wos_secret_Qm3x",
		fields: []string{"WorkOS-Signature", "t=1767225600123, v1=6435df804a77bffaeb8898585f9535db4844476a74ba600ac283ee41bebd776d"},
		body: `{"id":"event_01J9XK2M","event":"dsync.user.created","data":{"id":"directory_user_01","email":"ada@example.com"},` +
			`"created_at":"2026-01-01T00:00:00.000Z"}`,
	},
	{
		provider: &coinbase, by: "test/testWebhook.spec.js of coinbase/coinbase-commerce-node",
		secret: "30291a20-0bd1-4267-9b0f-e6e7b123c0bf",
		fields: []string{"X-CC-Webhook-Signature", "8be7742c7d372f08a6a3224edadf18a22b65fa9e28f3f2de97376cdaa092590d"},
		body: `{"id":1,"scheduled_for":"2017-01-31T20:50:02Z","attempt_number":1,"event":{"id":"24934862-d980-46cb-9402-43c81b0cdba6",` +
			`"type":"charge:created","api_version":"2018-03-22","created_at":"2017-01-31T20:49:02Z","data":{"code":"66BEOV2A",` +
			`"name":"The Sovereign Individual","description":"Mastering the Transition to the Information Age",` +
			`"hosted_url":"https://commerce.coinbase.com/charges/66BEOV2A","created_at":"2017-01-31T20:49:02Z",` +
			`"expires_at":"2017-01-31T21:04:02Z","timeline":[{"time":"2017-01-31T20:49:02Z","status":"NEW"}],"metadata":{},` +
			`"pricing_type":"no_price","payments":[],"addresses":{"bitcoin":"0000000000000000000000000000000000",` +
			`"ethereum":"0x0000000000000000000000000000000000000000","litecoin":"3000000000000000000000000000000000",` +
			`"bitcoincash":"bitcoincash:000000000000000000000000000000000000000000"}}}}`,
	},
	{
		provider: &mollie, by: "SignatureValidator::createSignature of mollie/mollie-api-php",
		secret: "whs_7Gk2mQ9xV4",
		fields: []string{"X-Mollie-Signature", "sha256=90dec359a5f7bcf4c53d8d07a9b341b8606ec6c31916c3afd69d6eb4c7ef2712"},
		body: `{"resource":"event","id":"event_GvJ8WHrp5isUdRub9CJyH","type":"payment-link.paid","entityId":"pl_qng5gbbv8NAZ5gpM5ZYgx",` +
			`"createdAt":"2026-01-01T00:00:00.0Z"}`,
	},
	{
		provider: &cloudpayments, by: "CheckHMac of cloudpayments/CMS-Bitrix-CP",
		secret: "c0a9b3d1e5f7a2b4c6d8e0f1a3b5c7d9",
		fields: []string{"Content-HMAC", "hHg/OeBITmZVTKlEso3ZEez1GsS229UqjQRwPtrGHx8="},
		body: "TransactionId=1504&Amount=10.00&Currency=RUB&DateTime=2026-01-01+00%3A00%3A00&CardFirstSix=424242&CardLastFour=4242" +
			"&Status=Completed&OperationType=Payment&InvoiceId=42&Name=%D0%98%D0%B2%D0%B0%D0%BD",
	},
	{
		provider: &tinkoff, by: "the notification of the page that Doc names",
		secret: "11111111111",
		body: `{"TerminalKey":"1234567890DEMO","OrderId":"000000","Success":true,"Status":"AUTHORIZED","PaymentId":"0000000",` +
			`"ErrorCode":"0","Amount":1111,"CardId":"000000","Pan":"200000******0000","ExpDate":"1111","RebillId":"000000",` +
			`"Token":"1c0964277d0213349243065a0d5b838b8e90d2d25f740d0f2767836e710e80c8","Data":{"route":"TCB"}}`,
	},
	{
		provider: &tinkoff, by: "https://developer.tbank.ru/eacq/intro/developer/token",
		secret: "11111111111111",
		body: `{"TerminalKey":"MerchantTerminalKey","Amount":19200,"OrderId":"00000","Description":"Подарочная карта на 1000 рублей",` +
			`"Token":"72dd466f8ace0a37a1f740ce5fb78101712bc0665d91a8108c7c8a0ccd426db2","DATA":{"Phone":"+71234567890"},"Receipt":{"Items":[]}}`,
	},
	{
		provider: &svix, by: "the page that Doc names, and sign of svix 1.99.1", at: time.Unix(1614265330, 0),
		secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		fields: []string{
			"svix-id", "msg_p5jXN8AQM9LWM0D4loKWxJek", "svix-timestamp", "1614265330",
			"svix-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
		},
		body: `{"test": 2432232314}`,
	},
	{
		provider: &clerk, by: "verifyWebhook of @clerk/backend 3.25.0", at: time.Unix(1795326148, 0),
		secret: "whsec_Q2xlcmsgc2hhcmVkIHNlY3JldCAwMQ==",
		fields: []string{
			"svix-id", "msg_2aQ", "svix-timestamp", "1795326148",
			"svix-signature", "v1,Z5lqaap3nwkm2SlaMcyH1j/iO9BeqkMjCJ3d8XSIO6o=",
		},
		body: `{"data":{"id":"user_29w83sxmDNGwOuEthce5gg56FcC","object":"user"},"object":"event","type":"user.created"}`,
	},
	{
		provider: &microsoftGraph, by: "the example of the page that Doc names",
		secret: "<<--SpecifiedClientState-->>",
		body: `{"value":[{"id":"lsgTZMr9KwAAA","subscriptionId":"7f105c7d-2dc5-4530-97cd-4e7ae6534c07","subscriptionExpirationDateTime":` +
			`"2022-03-20T11:00:00.0000000Z","clientState":"<<--SpecifiedClientState-->>","changeType":"created","resource":"users/1/messages/2"}]}`,
	},
	{
		provider: &docusign, by: "checkHmac of docusign/connect-node-listener-aws",
		secret: "s2Yp3Jq0b7E1kVf8zXc4Rm6Tn9Wd5Ha7",
		fields: []string{"X-DocuSign-Signature-1", "Rgz9btfE6rYl3kdLRKo1J7ZS9Ek3ase+4Ge741KV+No="},
		body: `{"event":"envelope-completed","apiVersion":"v2.1","uri":"/restapi/v2.1/accounts/1703061/envelopes/a9b2","retryCount":0,` +
			`"configurationId":10418598,"generatedDateTime":"2026-01-01T00:00:00.123Z","data":{"accountId":"1703061","envelopeId":"a9b2"}}`,
	},
	{
		provider: &typeform, by: "the code of the page that Doc names",
		secret: "abc123",
		fields: []string{"Typeform-Signature", "sha256=atDw/sfJvdPjEyHpgotiLwx5+pc2DOYcrhtzNxfno3Y="},
		body:   `{"event_id":"01J9XK2MB","event_type":"form_response","form_response":{"form_id":"lT4Z3j","token":"a3a12ec67a1365927098a606107fac15"}}`,
	},
	{
		provider: &zendesk, by: "the code and the secret of the page that Doc names", at: time.Unix(1767225600, 0),
		secret: "dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ==",
		fields: []string{
			"X-Zendesk-Webhook-Signature-Timestamp", "2026-01-01T00:00:00Z",
			"X-Zendesk-Webhook-Signature", "xo/lXiQwW/l41IPk/bN8fK6kUPBptkfrR7x9ry7J2O4=",
		},
		body: `{"type":"zen:event-type:user.created","id":"01GSX","subject":"zen:user:7713"}`,
	},
	{
		provider: &websub, by: "Hub::publish of aaronpk/websub.rocks, the test suite of the specification",
		secret: "hub secret",
		fields: []string{"X-Hub-Signature", "sha256=5c3463a3b4d8e57bb7ae1bb8f418dc27898341c12a0bbfa793fec38f3d8bb644"},
		body:   `<html><body class="h-feed">one</body></html>`,
	},
	{
		provider: &cloudevents, by: "section 3.1 of the specification", secret: "mF_9.B5f-4.1JqM", target: "/resource",
		fields: []string{"Authorization", "Bearer mF_9.B5f-4.1JqM"},
	},
	{
		provider: &cloudevents, by: "section 3.2 of the specification", secret: "mF_9.B5f-4.1JqM", target: "/resource?access_token=mF_9.B5f-4.1JqM&p=q",
		spelling: "the field wins over the parameter",
	},
	{
		provider: &vk, by: "VKCallbackApiServerHandler of VKCOM/vk-php-sdk", secret: "s3cret",
		body: `{"type":"group_join","object":{"user_id":1,"join_type":"approved"},"group_id":1,"secret":"s3cret"}`,
	},
}

func (v vector) request(t *testing.T) *Request {
	target := v.target
	if target == "" {
		target = "/hooks"
	}
	r := request(t, "POST", target, v.body, v.fields...)
	r.Time = v.at
	if v.url != "" {
		r.URL = v.url
	}
	return r
}

// TestProvidersTakeWhatTheirMakersSigned and would have signed it the same way.
func TestProvidersTakeWhatTheirMakersSigned(t *testing.T) {
	for _, v := range vectors {
		r, s := v.request(t), &Setting{Secrets: []string{v.secret}, Params: v.params}
		if f := v.provider.Verify(r, s); f != nil {
			t.Errorf("%s by %s: %v", v.provider.Name, v.by, f)
		}
		if f := v.provider.Verify(r, &Setting{Secrets: []string{v.secret + "A"}, Params: v.params}); f == nil {
			t.Errorf("%s: taken under another secret", v.provider.Name)
		}
		g, err := v.provider.Scheme.Sign(r, s, "")
		if err != nil {
			t.Errorf("%s: sign: %v", v.provider.Name, err)
			continue
		}
		if f := v.provider.Verify(applied(r, g), s); f != nil {
			t.Errorf("%s: signed again: %v", v.provider.Name, f)
		}
		for _, f := range g.Fields {
			if want, _ := r.Head.Fields.Get(f.Name); want != f.Value && v.spelling == "" {
				t.Errorf("%s: %s: %s, theirs is %s", v.provider.Name, f.Name, f.Value, want)
			}
		}
		if g.Body != nil && string(g.Body) != v.body {
			t.Errorf("%s: the body is %s, theirs is %s", v.provider.Name, g.Body, v.body)
		}
	}
}

func TestPagerDutyAgreesWithItsMakers(t *testing.T) {
	const secret = "lDQHScfUeXUKaQRNF8XIiDKZ7XX3itBAYzwU0TAR"
	ours := signedRequest(t, &pagerduty, request(t, "POST", "/", `{"event":{"id":"01BWDW"}}`), &Setting{Secrets: []string{secret}}, "")
	theirs := &http.Request{Header: headerOf(ours), Body: io.NopCloser(strings.NewReader(string(ours.Body)))}
	if err := webhookv3.VerifySignature(theirs, secret); err != nil {
		t.Errorf("theirs refuses ours: %v", err)
	}
}

func TestRazorpayAgreesWithItsMakers(t *testing.T) {
	const secret = "rzp_hook_7Qm2"
	ours := signedRequest(t, &razorpay, request(t, "POST", "/", `{"event":"payment.captured"}`), &Setting{Secrets: []string{secret}}, "")
	signature, _ := ours.Head.Fields.Get("X-Razorpay-Signature")
	if !razorpayutils.VerifyWebhookSignature(string(ours.Body), signature, secret) {
		t.Error("theirs refuses ours")
	}
}

func TestDocuSignIsTakenByTheSignatureOfAnyKey(t *testing.T) {
	body := `{"event":"envelope-completed"}`
	signature := func(secret string) string {
		r := signedRequest(t, &docusign, request(t, "POST", "/", body), &Setting{Secrets: []string{secret}}, "")
		value, _ := r.Head.Fields.Get("X-DocuSign-Signature-1")
		return value
	}
	r := request(t, "POST", "/", body, "X-DocuSign-Signature-1", signature("first"), "X-DocuSign-Signature-2", signature("second"))
	for _, secret := range []string{"first", "second"} {
		if f := docusign.Verify(r, &Setting{Secrets: []string{secret}}); f != nil {
			t.Errorf("%s: %v", secret, f)
		}
	}
	if f := docusign.Verify(r, &Setting{Secrets: []string{"third"}}); f == nil || f.Kind != Mismatch {
		t.Errorf("third: %v", f)
	}
}

func TestMollieIsTakenByEitherOfTwoFieldsWhileSecretsRotate(t *testing.T) {
	body := `{"resource":"event"}`
	field := func(secret string) string {
		r := signedRequest(t, &mollie, request(t, "POST", "/", body), &Setting{Secrets: []string{secret}}, "")
		value, _ := r.Head.Fields.Get("X-Mollie-Signature")
		return value
	}
	r := request(t, "POST", "/", body, "X-Mollie-Signature", field("new"), "X-Mollie-Signature", field("old"))
	for _, secret := range []string{"old", "new"} {
		if f := mollie.Verify(r, &Setting{Secrets: []string{secret}}); f != nil {
			t.Errorf("%s: %v", secret, f)
		}
	}
	if f := mollie.Verify(r, &Setting{Secrets: []string{"other"}}); f == nil || f.Kind != Mismatch {
		t.Errorf("other: %v", f)
	}
}
