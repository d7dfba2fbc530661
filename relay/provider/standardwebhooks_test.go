package provider

import (
	"net/http"
	"strings"
	"testing"
	"time"

	makers "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/hooktape/hooktape/relay/wire"
)

// headerOf is what net/http makes of the fields: what the makers' packages take.
func headerOf(r *Request) http.Header {
	h := http.Header{}
	for _, f := range r.Head.Fields {
		h.Add(f.Name, f.Value)
	}
	return h
}

func TestStandardWebhooksAgreesWithItsMakers(t *testing.T) {
	const secret = "whsec_c2hhcmVkIGJ5IGJvdGggc2lkZXM="
	s := &Setting{Secrets: []string{secret}}
	theirs, err := makers.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	body := `{"type":"contact.created"}`
	r := request(t, "POST", "/", body)
	r.Time = time.Now() // theirs has no other clock
	ours := signedRequest(t, &standardwebhooks, r, s, "msg_1")
	if err := theirs.Verify(ours.Body, headerOf(ours)); err != nil {
		t.Errorf("theirs refuses ours: %v", err)
	}
	signature, err := theirs.Sign("msg_2", now, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	stamp := standardStamp(now)
	r = request(t, "POST", "/", body, "webhook-id", "msg_2", "webhook-timestamp", stamp, "webhook-signature", signature)
	if f := standardwebhooks.Verify(r, s); f != nil {
		t.Errorf("ours refuses theirs: %v", f)
	}
}

func standardStamp(t time.Time) string { return stamp{}.format(t) }

// The vector of the asymmetric scheme is that of test_asymmetric_key_signing in
// https://github.com/svix/svix-webhooks/blob/main/server/svix-server/src/worker.rs, whose makers wrote the
// specification; Ed25519 signatures are deterministic.
const (
	vectorPrivate   = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
	vectorPublic    = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
	vectorID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorTime      = 1614265330
	vectorBody      = `{"test": 2432232314}`
	vectorSignature = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
)

func TestStandardWebhooksSignsAsymmetricallyAsItsMakers(t *testing.T) {
	r := request(t, "POST", "/", vectorBody)
	r.Time = time.Unix(vectorTime, 0)
	signed := signedRequest(t, &standardwebhooks, r, &Setting{Secrets: []string{vectorPrivate}}, vectorID)
	if got, _ := signed.Head.Fields.Get("webhook-signature"); got != vectorSignature {
		t.Errorf("signature %s", got)
	}
	for _, key := range []string{vectorPublic, vectorPrivate} {
		if f := standardwebhooks.Verify(signed, &Setting{Secrets: []string{key}}); f != nil {
			t.Errorf("%.5s refuses it: %v", key, f)
		}
	}
	signed.Body = []byte(strings.Replace(vectorBody, "2", "3", 1))
	if f := standardwebhooks.Verify(signed, &Setting{Secrets: []string{vectorPublic}}); f == nil || f.Kind != Mismatch {
		t.Errorf("an altered body: %v", f)
	}
	if _, err := standardwebhooks.Scheme.Sign(r, &Setting{Secrets: []string{vectorPublic}}, ""); err == nil {
		t.Error("a public key signs")
	}
}

// TestStandardWebhooksRotates: while secrets change, senders sign with both, in both ways or in ways yet unknown.
func TestStandardWebhooksRotates(t *testing.T) {
	const older, newer = "whsec_b2xkZXIgc2VjcmV0", "whsec_bmV3ZXIgc2VjcmV0"
	r := request(t, "POST", "/", "{}")
	signatures := []string{"v2,unknown", "v1,bm90IGEgc2lnbmF0dXJl"}
	var signed *Request
	for _, secret := range []string{older, vectorPrivate, newer} {
		signed = signedRequest(t, &standardwebhooks, r, &Setting{Secrets: []string{secret}}, "msg_1")
		one, _ := signed.Head.Fields.Get("webhook-signature")
		signatures = append(signatures, one)
	}
	all := wire.Fields{{Name: "webhook-signature", Value: strings.Join(signatures, " ")}}
	signed = applied(signed, &Signature{Fields: all})
	for _, secret := range []string{older, newer, vectorPublic} {
		if f := standardwebhooks.Verify(signed, &Setting{Secrets: []string{secret}}); f != nil {
			t.Errorf("%s does not verify: %v", secret, f)
		}
	}
	if f := standardwebhooks.Verify(signed, &Setting{Secrets: []string{"whsec_b3RoZXIgc2VjcmV0"}}); f == nil || f.Kind != Mismatch {
		t.Errorf("another secret: %v", f)
	}
}

// GitLab signs with a signing token as the specification has it, and sends a secret token as it is.
func TestGitLabSignsOrSendsItsToken(t *testing.T) {
	const token, body = "Z2l0bGFiIHNlY3JldA==", `{"object_kind":"push"}` // which is base64, and no signing token
	signing := standardDialect.secret
	r := request(t, "POST", "/", body, "X-Gitlab-Event", "Push Hook")
	r.Time = time.Now()
	signed := signedRequest(t, &gitlab, r, &Setting{Secrets: []string{signing}}, "msg_1")
	theirs, err := makers.NewWebhook(signing)
	if err != nil {
		t.Fatal(err)
	}
	if err := theirs.Verify([]byte(body), headerOf(signed)); err != nil {
		t.Error(err)
	}
	if p := Recognise(signed.Head); p != &gitlab {
		t.Errorf("it is taken for %v", p)
	}
	sent := signedRequest(t, &gitlab, r, &Setting{Secrets: []string{token}}, "")
	if fieldOf(sent, "X-Gitlab-Token") != token || fieldOf(sent, "webhook-signature") != "" {
		t.Errorf("sent as %s", sent.Head.Raw)
	}
	for what, c := range map[string]struct {
		request *Request
		secret  string
		want    FailureKind // "": right
	}{
		"signed":                              {signed, signing, ""},
		"the token":                           {sent, token, ""},
		"signed, where a token is asked for":  {signed, token, Missing},
		"the token, where it is to be signed": {sent, signing, Mismatch},
		"another token":                       {sent, "another", Mismatch},
		"neither":                             {r, signing, Missing},
	} {
		f := gitlab.Verify(c.request, &Setting{Secrets: []string{c.secret}})
		if c.want == "" && f != nil || c.want != "" && (f == nil || f.Kind != c.want) {
			t.Errorf("%s: %v, want %q", what, f, c.want)
		}
	}
}
