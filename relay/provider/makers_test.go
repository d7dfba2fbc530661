package provider

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	giteasdk "code.gitea.io/sdk/gitea"
	paddlesdk "github.com/PaddleHQ/paddle-go-sdk/v4"
	"github.com/bwmarrin/discordgo"
	gogithub "github.com/google/go-github/v75/github"
	mailgunsdk "github.com/mailgun/mailgun-go/v4"
	"github.com/sendgrid/sendgrid-go/helpers/eventwebhook"
	slackgo "github.com/slack-go/slack"
	"github.com/stripe/stripe-go/v82/webhook"
	"github.com/tidwall/gjson"
	twilioclient "github.com/twilio/twilio-go/client"
)

// httpRequest is a request as the makers' packages take it.
func httpRequest(r *Request) *http.Request {
	target, err := url.Parse(r.URL)
	if err != nil {
		panic(err) // it is the tests' own
	}
	return &http.Request{Method: r.Head.Method, URL: target, Header: headerOf(r), Body: io.NopCloser(bytes.NewReader(r.Body))}
}

// TestMakersTakeWhatWeSign: each maker's package takes a request that ours signed, and refuses it altered.
func TestMakersTakeWhatWeSign(t *testing.T) {
	const stripeTolerance = time.Hour // on a machine that is busy
	for name, takes := range map[string]func(r *Request, secret string) bool{
		"discord": func(r *Request, secret string) bool {
			k, err := parseKey(secret)
			return err == nil && discordgo.VerifyInteraction(httpRequest(r), k.public.(ed25519.PublicKey))
		},
		"gitea": func(r *Request, secret string) bool {
			ok, err := giteasdk.VerifyWebhookSignature(secret, fieldOf(r, "X-Gitea-Signature"), r.Body)
			return err == nil && ok
		},
		"github": func(r *Request, secret string) bool {
			return gogithub.ValidateSignature(fieldOf(r, "X-Hub-Signature-256"), r.Body, []byte(secret)) == nil
		},
		"mailgun": func(r *Request, secret string) bool {
			mg := mailgunsdk.NewMailgun("example.com", "")
			mg.SetWebhookSigningKey(secret)
			part := func(name string) string { return gjson.GetBytes(r.Body, "signature."+name).String() }
			ok, err := mg.VerifyWebhookSignature(mailgunsdk.Signature{
				TimeStamp: part("timestamp"), Token: part("token"), Signature: part("signature"),
			})
			return err == nil && ok
		},
		"paddle": func(r *Request, secret string) bool {
			ok, err := paddlesdk.NewWebhookVerifier(secret).Verify(httpRequest(r))
			return err == nil && ok
		},
		"sendgrid": func(r *Request, secret string) bool {
			k, err := parseKey(secret)
			if err != nil {
				return false
			}
			ok, err := eventwebhook.VerifySignature(k.public.(*ecdsa.PublicKey), r.Body,
				fieldOf(r, "X-Twilio-Email-Event-Webhook-Signature"), fieldOf(r, "X-Twilio-Email-Event-Webhook-Timestamp"))
			return err == nil && ok
		},
		"slack": func(r *Request, secret string) bool {
			v, err := slackgo.NewSecretsVerifier(headerOf(r), secret)
			if err != nil {
				return false
			}
			v.Write(r.Body)
			return v.Ensure() == nil
		},
		"stripe": func(r *Request, secret string) bool {
			return webhook.ValidatePayloadWithTolerance(r.Body, fieldOf(r, "Stripe-Signature"), secret, stripeTolerance) == nil
		},
		"twilio": func(r *Request, secret string) bool {
			form, err := url.ParseQuery(string(r.Body))
			params := map[string]string{}
			for name := range form {
				params[name] = form.Get(name)
			}
			v := twilioclient.NewRequestValidator(secret)
			return err == nil && v.Validate(r.URL, params, fieldOf(r, "X-Twilio-Signature"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := Named(name)
			d := dialects[name]
			samples, err := p.Samples(now, "01JSAMPLE")
			if err != nil {
				t.Fatal(err)
			}
			r := sampleRequest(t, samples[0])
			r.Time = time.Now() // theirs have no other clock
			secret := d.right().Secrets[0]
			signed := signedRequest(t, p, r, d.right(), "token-of-the-tests")
			if !takes(signed, secret) {
				t.Error("theirs refuses ours")
			}
			if takes(signedRequest(t, p, r, d.other(), "token-of-the-tests"), secret) {
				t.Error("theirs takes another secret: the test proves nothing")
			}
		})
	}
}

func fieldOf(r *Request, name string) string {
	value, _ := r.Head.Fields.Get(name)
	return value
}

func TestStripeTakesWhatItsMakersSign(t *testing.T) {
	body := []byte(`{"id":"evt_1","object":"event","type":"invoice.paid"}`)
	theirs := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: body, Secret: usualSecret, Timestamp: now})
	r := request(t, "POST", "/", string(body), "Stripe-Signature", theirs.Header)
	if f := stripe.Verify(r, &Setting{Secrets: []string{usualSecret}}); f != nil {
		t.Error(f)
	}
}

// Twilio signs the URL with or without its port: "sig generation on back-end is inconsistent" (twilio-go's validator).
func TestTwilioMaySignTheURLWithItsPortOrWithout(t *testing.T) {
	s := &Setting{Secrets: []string{usualSecret}}
	for _, c := range []struct {
		signed, ours string
		right        bool
	}{
		{"https://example.com/a?b=c", "https://example.com:443/a?b=c", true},
		{"https://example.com:443/a?b=c", "https://example.com/a?b=c", true},
		{"http://example.com:80/a", "http://example.com/a", true},
		{"https://example.com/a", "https://example.com:8443/a", true},
		{"https://[::1]:443/a", "https://[::1]/a", true},
		{"https://example.com:8443/a", "https://example.com/a", false},
		{"https://example.com:80/a", "https://example.com/a", false},
		{"http://example.com:80/a", "https://example.com/a", false},
		{"https://example.com:443/a:443", "https://example.com/a", false},
	} {
		r := request(t, "POST", "/a", "A=1&B=2", "Content-Type", "application/x-www-form-urlencoded")
		r.URL = c.signed
		signed := signedRequest(t, &twilio, r, s, "")
		signed.URL = c.ours
		if f := twilio.Verify(signed, s); (f == nil) != c.right {
			t.Errorf("signed for %s, checked for %s: %v", c.signed, c.ours, f)
		}
		v := twilioclient.NewRequestValidator(usualSecret)
		if theirs := v.Validate(c.ours, map[string]string{"A": "1", "B": "2"}, fieldOf(signed, "X-Twilio-Signature")); theirs != c.right {
			t.Errorf("signed for %s, checked for %s: Twilio's validator says %v", c.signed, c.ours, theirs)
		}
	}
}

// TestTwilioSignsTheHashOfWhatIsNoForm: https://www.twilio.com/docs/usage/security#validating-requests
func TestTwilioSignsTheHashOfWhatIsNoForm(t *testing.T) {
	s := &Setting{Secrets: []string{usualSecret}}
	r := request(t, "POST", "/hooks?bodySHA256=", `{"hello":"tape"}`, "Content-Type", "application/json")
	signed := signedRequest(t, &twilio, r, s, "")
	v := twilioclient.NewRequestValidator(usualSecret)
	if !v.ValidateBody(signed.URL, signed.Body, fieldOf(signed, "X-Twilio-Signature")) {
		t.Error("theirs refuses ours")
	}
	if f := twilio.Verify(signed, s); f != nil {
		t.Error(f)
	}
	signed.Body = []byte(`{"hello":"type"}`)
	if f := twilio.Verify(signed, s); f == nil || f.Kind != Mismatch {
		t.Errorf("an altered body: %v", f)
	}
}

// TestTwilioSignsEachParameter of a form: a change of one that changes what it says is refused.
func TestTwilioSignsEachParameter(t *testing.T) {
	s := &Setting{Secrets: []string{usualSecret}}
	const body = "Body=hello+tape&From=%2B15005550006&MessageSid=SM1"
	signed := signedRequest(t, &twilio, request(t, "POST", "/", body, "Content-Type", "application/x-www-form-urlencoded"), s, "")
	was, _ := url.ParseQuery(body)
	for i := range len(body) {
		for by := 1; by < 256; by++ {
			altered := []byte(body)
			altered[i] ^= byte(by)
			if is, err := url.ParseQuery(string(altered)); err == nil && is.Encode() == was.Encode() {
				continue
			}
			signed.Body = altered
			if f := twilio.Verify(signed, s); f == nil {
				t.Errorf("taken: %q", altered)
			}
		}
	}
}
