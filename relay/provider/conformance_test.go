package provider

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hooktape/hooktape/relay/wire"
)

// dialect is what the tests of all providers need to know of one besides the provider itself. Most need nothing.
type dialect struct {
	secret, wrong string            // "": a text that any HMAC and token takes
	params        map[string]string //
	// partial says that the signature covers only some of the body, or none: the provider's own test says which.
	partial bool
	// senderOnly says that only the sender can sign, so that nothing here applies: the provider's own test covers everything.
	senderOnly bool
}

var dialects = map[string]dialect{
	"adyen":             {secret: strings.Repeat("0a", 32), wrong: strings.Repeat("0b", 32), partial: true},
	"aws-sns":           {senderOnly: true},
	"clerk":             standardDialect,
	"discord":           {secret: ed25519Secret, wrong: ed25519Wrong},
	"gitlab":            standardDialect, // its signing token; the secret token has a test of its own
	"google-pubsub":     {senderOnly: true},
	"plaid":             {senderOnly: true},
	"sendgrid":          {secret: ecdsaSecret, wrong: ecdsaWrong},
	"standard-webhooks": standardDialect,
	"svix":              standardDialect,
}

var standardDialect = dialect{secret: "whsec_c2hhcmVkIGJ5IGJvdGggc2lkZXM=", wrong: "whsec_b3RoZXIgdGhhbiB0aGUgc2VuZGVyJ3M="}

// Keys of nobody, made for these tests: Ed25519 of the seeds 11... and 22..., and two of P-256.
const (
	ed25519Secret = "1111111111111111111111111111111111111111111111111111111111111111" +
		"d04ab232742bb4ab3a1368bd4615e4e6d0224ab71a016baf8520a332c9778737"
	ed25519Wrong = "2222222222222222222222222222222222222222222222222222222222222222" +
		"a09aa5f47a6759802ff955f8dc2d2a14a5c99d23be97f864127ff9383455a4f0"
	ecdsaSecret = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgcKjOo2xe1gNhQ+/vNYsHVqXXb8E6hmx9W45EQXfFr8ehRANCAASA" +
		"oPzNysef32k10t1Terc/xE6MgSbFokQ4OyD/2UQcUutdXuWc6cWehtNOkNmlya8qic02cO732Y+9F9ERZbZS"
	ecdsaWrong = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgdXSd6DigFSd+anzbByrkmbnRQ+xZXXyv1UlGlM7GqjyhRANCAAQY" +
		"qgUb06jK4ovQqXn6oJU5EcevRTd6oW8e1JnqpIe7/pHm/FW4QFl/+T46VNVCMMUStpsHUE1LzJQ2ML/qXoWC"
)

const (
	usualSecret = "a secret of the tests"
	usualWrong  = "another secret of the tests"
)

func (d dialect) setting(secret string) *Setting {
	return &Setting{Secrets: []string{secret}, Params: d.params, Path: "/hooks"}
}

func (d dialect) right() *Setting { return d.setting(cmp.Or(d.secret, usualSecret)) }
func (d dialect) other() *Setting { return d.setting(cmp.Or(d.wrong, usualWrong)) }

// eachSigned calls test with every provider that signs and requests made of its samples.
func eachSigned(t *testing.T, test func(t *testing.T, p *Provider, d dialect, unsigned *Request)) {
	for _, p := range All() {
		if p.Scheme == nil || dialects[p.Name].senderOnly {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			samples, err := p.Samples(now, "01JSAMPLE")
			if err != nil || len(samples) == 0 {
				t.Fatalf("no samples: %v", err)
			}
			test(t, p, dialects[p.Name], sampleRequest(t, samples[0]))
		})
	}
}

func sampleRequest(t testing.TB, s Sample) *Request {
	var fields []string
	for _, f := range s.Fields {
		fields = append(fields, f.Name, f.Value)
	}
	return request(t, s.Method, "/hooks"+s.Path, string(s.Body), fields...)
}

func TestWhatEachProviderSignsItTakes(t *testing.T) {
	eachSigned(t, func(t *testing.T, p *Provider, d dialect, r *Request) {
		signed := signedRequest(t, p, r, d.right(), "msg_1")
		if f := p.Verify(signed, d.right()); f != nil {
			t.Errorf("refused: %v", f)
		}
		rotated := d.right()
		rotated.Secrets = append(d.other().Secrets, rotated.Secrets...)
		if f := p.Verify(signed, rotated); f != nil {
			t.Errorf("refused though the second secret is right: %v", f)
		}
		again := signedRequest(t, p, signed, d.right(), "msg_2")
		if f := p.Verify(again, d.right()); f != nil {
			t.Errorf("signed again it is refused: %v", f)
		}
	})
}

func TestNoProviderTakesWhatItCannotVerify(t *testing.T) {
	eachSigned(t, func(t *testing.T, p *Provider, d dialect, r *Request) {
		signed := signedRequest(t, p, r, d.right(), "msg_1")
		for _, c := range []struct {
			says    string
			request *Request
			setting *Setting
			kind    FailureKind
		}{
			{"another secret", signed, d.other(), Mismatch},
			{"no secret", signed, &Setting{Params: d.params}, Unavailable},
			{"an empty secret", signed, d.setting(""), Unavailable},
			{"signed with nothing", r, d.right(), Missing},
		} {
			if f := p.Verify(c.request, c.setting); f == nil || f.Kind != c.kind {
				t.Errorf("%s: %v", c.says, f)
			}
		}
		if _, err := p.Scheme.Sign(r, d.setting(""), ""); err == nil {
			t.Error("it signs with an empty secret")
		}
	})
}

func TestSecretsThatCannotBeOneAreTold(t *testing.T) {
	for _, c := range []struct{ provider, secret, want string }{
		{"adyen", "not hex", "the secret is not hex"},
		{"standard-webhooks", "whsec_not base64", "the secret is not base64 behind whsec_"},
		{"standard-webhooks", "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=", ""},
		{"discord", "nothing", "the secret is no key: PEM, hex or base64 is expected"},
		{"discord", ecdsaSecret, "the key is of the wrong kind"},
		{"sendgrid", ecdsaSecret, ""},
		{"github", "anything", ""},
		{"telegram", "anything", ""},
	} {
		p, _ := Named(c.provider)
		got := ""
		if err := p.CheckSecret(c.secret); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.provider, got, c.want)
		}
	}
	eachSigned(t, func(t *testing.T, p *Provider, d dialect, _ *Request) {
		if err := p.CheckSecret(d.right().Secrets[0]); err != nil {
			t.Error(err)
		}
	})
}

// TestHubSpotSignsSomeEscapesAsWhatTheyStandFor: the table of the page that its Doc names.
func TestHubSpotSignsSomeEscapesAsWhatTheyStandFor(t *testing.T) {
	s := &Setting{Secrets: []string{usualSecret}}
	r := signedRequest(t, &hubspot, request(t, "POST", "/hooks?to=a@b.c:d/e&x=%20", "[]"), s, "")
	r.URL = strings.NewReplacer("@", "%40", ":d/", "%3Ad%2f").Replace(r.URL)
	if f := hubspot.Verify(r, s); f != nil {
		t.Errorf("%s: %v", r.URL, f)
	}
}

func TestOldAndFutureTimestampsAreRefused(t *testing.T) {
	eachSigned(t, func(t *testing.T, p *Provider, d dialect, r *Request) {
		scheme, ok := p.Scheme.(*signed)
		if all, isEither := p.Scheme.(either); isEither {
			scheme, ok = all[0].(*signed)
		}
		if !ok || scheme.Stamp.none() || scheme.Stamp.Tolerance == 0 {
			return // it signs no time, or lets every time pass
		}
		signed := signedRequest(t, p, r, d.right(), "msg_1")
		for _, off := range []time.Duration{scheme.Stamp.Tolerance, -scheme.Stamp.Tolerance} {
			signed.Time = now.Add(off)
			if f := p.Verify(signed, d.right()); f != nil {
				t.Errorf("%s off: %v", off, f)
			}
			signed.Time = now.Add(off + off/100)
			if f := p.Verify(signed, d.right()); f == nil || f.Kind != Expired {
				t.Errorf("%s off: %v", off+off/100, f)
			}
		}
	})
}

// TestAnyChangeOfWhatIsSignedIsRefused changes one byte of the body, of the URL where it is signed, or of a field that
// signing set.
func TestAnyChangeOfWhatIsSignedIsRefused(t *testing.T) {
	eachSigned(t, func(t *testing.T, p *Provider, d dialect, r *Request) {
		g, err := p.Scheme.Sign(r, d.right(), "msg_1")
		if err != nil {
			t.Fatal(err)
		}
		signed := applied(r, g)
		alter := map[string]func(t *rapid.T, altered *Request){}
		if !d.partial && signsBody(p.Scheme) && len(r.Body) > 0 {
			alter["body"] = func(t *rapid.T, altered *Request) { altered.Body = []byte(changeByte(t, string(signed.Body))) }
		}
		if signsURL(p.Scheme) {
			alter["url"] = func(t *rapid.T, altered *Request) { altered.URL = changeByte(t, signed.URL) }
		}
		for _, f := range g.Fields {
			alter[f.Name] = func(t *rapid.T, altered *Request) {
				value := changeByte(t, f.Value)
				if strings.EqualFold(f.Value, value) { // hex and "Bearer" may be in either case
					value = ""
				}
				altered.Head = applied(signed, &Signature{Fields: wire.Fields{{Name: f.Name, Value: value}}}).Head
			}
		}
		if len(alter) == 0 {
			t.Skip("the body has it all, and is not signed")
		}
		what := slices.Sorted(maps.Keys(alter))
		rapid.Check(t, func(t *rapid.T) {
			altered := *signed
			alter[rapid.SampledFrom(what).Draw(t, "what")](t, &altered)
			if f := p.Verify(&altered, d.right()); f == nil {
				t.Fatalf("taken: %s %v %s", altered.URL, altered.Head.Fields, altered.Body)
			}
		})
	})
}

// changeByte makes one byte of text another.
func changeByte(t *rapid.T, text string) string {
	b := []byte(text)
	i := rapid.IntRange(0, len(b)-1).Draw(t, "at")
	b[i] ^= byte(rapid.IntRange(1, 255).Draw(t, "by"))
	return string(b)
}

func signsBody(scheme Scheme) bool {
	switch c := scheme.(type) {
	case *signed:
		_, _, body := c.Message.cut()
		return body || c.Compose != nil
	case either:
		return signsBody(c[0])
	}
	return false
}

func signsURL(scheme Scheme) bool {
	switch c := scheme.(type) {
	case *signed:
		return strings.Contains(string(c.Message), "{url}")
	case twilioScheme:
		return true
	}
	return false
}
