package provider

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

// tokenVector is a token that the maker's own code takes: google-auth-library 10.9.1, and that of Plaid's page.
type tokenVector struct {
	Now    int64           `json:"now"`
	Token  string          `json:"token"`
	Certs  json.RawMessage `json:"certs"`  // Google's
	Body   string          `json:"body"`   // Plaid's
	Answer json.RawMessage `json:"answer"` // Plaid's
}

func readTokenVector(t testing.TB, name string) (v tokenVector) {
	if err := json.Unmarshal(testdata(t, name), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func (v tokenVector) pubSub(t testing.TB) (*Request, *Setting) {
	r := request(t, "POST", "/pubsub", `{"message":{}}`, "Authorization", "Bearer "+v.Token)
	r.Time = time.Unix(v.Now, 0)
	return r, &Setting{
		Params: map[string]string{"email": "pusher@shop-42.iam.gserviceaccount.com"},
		Fetch: func(url string, post []byte) ([]byte, error) {
			if url != "https://www.googleapis.com/oauth2/v3/certs" || post != nil {
				t.Errorf("fetches %s", url)
			}
			return v.Certs, nil
		},
	}
}

func (v tokenVector) plaid(t testing.TB) (*Request, *Setting) {
	r := request(t, "POST", "/plaid", v.Body, "Plaid-Verification", v.Token)
	r.Time = time.Unix(v.Now, 0)
	return r, &Setting{
		Secrets: []string{"secret of the API"},
		Params:  map[string]string{"client_id": "client", "environment": "sandbox"},
		Fetch: func(url string, post []byte) ([]byte, error) {
			const want = `{"client_id":"client","key_id":"bfbd5111-8e33-4643-8ced-b2e642a72f3c","secret":"secret of the API"}`
			if url != "https://sandbox.plaid.com/webhook_verification_key/get" || string(post) != want {
				t.Errorf("posts %s to %s", post, url)
			}
			return v.Answer, nil
		},
	}
}

func TestTokensOfGoogleAndPlaidAreTaken(t *testing.T) {
	r, s := readTokenVector(t, "google-pubsub.json").pubSub(t)
	if f := googlePubSub.Verify(r, s); f != nil {
		t.Errorf("google-pubsub: %v", f)
	}
	r, s = readTokenVector(t, "plaid.json").plaid(t)
	if f := plaid.Verify(r, s); f != nil {
		t.Errorf("plaid: %v", f)
	}
}

func TestAnyChangeOfATokenIsRefused(t *testing.T) {
	google, plaids := readTokenVector(t, "google-pubsub.json"), readTokenVector(t, "plaid.json")
	for i := range len(google.Token) {
		v := google
		v.Token = changedAt(v.Token, i)
		r, s := v.pubSub(t)
		if f := googlePubSub.Verify(r, s); f == nil {
			t.Fatalf("google-pubsub: taken with byte %d changed", i)
		}
	}
	for i := range len(plaids.Token) {
		v := plaids
		v.Token = changedAt(v.Token, i)
		r, s := v.plaid(t)
		s.Fetch = func(string, []byte) ([]byte, error) { return v.Answer, nil } // the id of the key changes too
		if f := plaid.Verify(r, s); f == nil {
			t.Fatalf("plaid: taken with byte %d changed", i)
		}
	}
	for i := range len(plaids.Body) {
		v := plaids
		v.Body = changedAt(v.Body, i)
		r, s := v.plaid(t)
		if f := plaid.Verify(r, s); f == nil || f.Kind != Mismatch {
			t.Fatalf("plaid: byte %d of the body changed: %v", i, f)
		}
	}
}

func changedAt(text string, i int) string {
	c := byte('A')
	if text[i] == c {
		c = 'B'
	}
	return text[:i] + string(c) + text[i+1:]
}

func TestPubSubRefusesTokensThatAreNotForUs(t *testing.T) {
	v := readTokenVector(t, "google-pubsub.json")
	for _, c := range []struct {
		says   string
		change func(r *Request, s *Setting)
		kind   FailureKind
	}{
		{"another service account", func(_ *Request, s *Setting) { s.Params["email"] = "other@shop-42.iam.gserviceaccount.com" }, Mismatch},
		{"no service account is configured", func(_ *Request, s *Setting) { delete(s.Params, "email") }, Unavailable},
		{"another audience", func(_ *Request, s *Setting) { s.Params["audience"] = "shop" }, Mismatch},
		{"another URL", func(r *Request, _ *Setting) { r.URL = "https://hooks.example.com/other" }, Mismatch},
		{"the URL is not known", func(r *Request, _ *Setting) { r.URL = "" }, Unavailable},
		{"expired", func(r *Request, _ *Setting) { r.Time = r.Time.Add(time.Hour + 11*time.Second) }, Expired},
		{"of the future", func(r *Request, _ *Setting) { r.Time = r.Time.Add(-11 * time.Second) }, Expired},
		{"no keys to be had", func(_ *Request, s *Setting) {
			s.Fetch = func(string, []byte) ([]byte, error) { return nil, errors.New("no route") }
		}, Unavailable},
		{"nothing can be fetched", func(_ *Request, s *Setting) { s.Fetch = nil }, Unavailable},
		{"Google has no such key", func(_ *Request, s *Setting) {
			s.Fetch = func(string, []byte) ([]byte, error) { return []byte(`{"keys":[]}`), nil }
		}, Unavailable},
		{"no token", func(r *Request, _ *Setting) { r.Head.Fields = nil }, Missing},
		{"another scheme", func(r *Request, _ *Setting) { r.Head.Fields[len(r.Head.Fields)-1].Value = "Basic eDp5" }, Form},
		{"no token behind Bearer", func(r *Request, _ *Setting) { r.Head.Fields[len(r.Head.Fields)-1].Value = "Bearer a.b" }, Form},
	} {
		r, s := v.pubSub(t)
		c.change(r, s)
		if f := googlePubSub.Verify(r, s); f == nil || f.Kind != c.kind {
			t.Errorf("%s: %v", c.says, f)
		}
	}
}

func TestPlaidRefuses(t *testing.T) {
	v := readTokenVector(t, "plaid.json")
	answer := func(old, new string) func(string, []byte) ([]byte, error) {
		return func(string, []byte) ([]byte, error) {
			return []byte(strings.Replace(string(v.Answer), old, new, 1)), nil
		}
	}
	for _, c := range []struct {
		says   string
		change func(r *Request, s *Setting)
		kind   FailureKind
	}{
		{"old", func(r *Request, _ *Setting) { r.Time = r.Time.Add(5*time.Minute + time.Second) }, Expired},
		{"no secret", func(_ *Request, s *Setting) { s.Secrets = nil }, Unavailable},
		{"no client", func(_ *Request, s *Setting) { delete(s.Params, "client_id") }, Unavailable},
		{"another environment", func(_ *Request, s *Setting) { s.Params["environment"] = "evil.example.com/" }, Unavailable},
		{"another key", func(_ *Request, s *Setting) { s.Fetch = answer("bfbd5111", "bfbd5112") }, Unavailable},
		{"a key that is out of use", func(_ *Request, s *Setting) { s.Fetch = answer(`"expired_at": null`, `"expired_at": 1560466150`) }, Mismatch},
		{"an answer that is none", func(_ *Request, s *Setting) { s.Fetch = answer(`"kty": "EC"`, `"kty": "oct"`) }, Unavailable},
	} {
		r, s := v.plaid(t)
		c.change(r, s)
		if f := plaid.Verify(r, s); f == nil || f.Kind != c.kind {
			t.Errorf("%s: %v", c.says, f)
		}
	}
}

// TestSecretsOfOthersAreNotShownToPlaid while the reason of a mismatch is looked for.
func TestSecretsOfOthersAreNotShownToPlaid(t *testing.T) {
	v := readTokenVector(t, "plaid.json")
	v.Body += "\n"
	r, s := v.plaid(t) // whose Fetch fails the test for another secret
	const want = "the body was changed after it was signed"
	if got := Explain(&plaid, r, s, []Secret{{"other", "secret of another source"}}); !strings.Contains(got, want) {
		t.Errorf("%q", got)
	}
}

// TestATokenHasNoSayInItsAlgorithm: not even "none".
func TestATokenHasNoSayInItsAlgorithm(t *testing.T) {
	v := readTokenVector(t, "google-pubsub.json")
	_, rest, _ := strings.Cut(v.Token, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	for _, header := range []string{
		`{"alg":"none"}`, `{"alg":"HS256","kid":"84e79ac2"}`, `{"alg":"ES256","kid":"84e79ac2"}`,
		`{"alg":"RS256","kid":"84e79ac2","crit":["x"]}`, `{"alg":"RS256","kid":"` + strings.Repeat("x", maxKeyID+1) + `"}`,
	} {
		v.Token = base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + payload + "." + signature
		r, s := v.pubSub(t)
		if f := googlePubSub.Verify(r, s); f == nil || f.Kind != Form {
			t.Errorf("%s: %v", header, f)
		}
	}
}
