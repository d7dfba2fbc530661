package mask

import (
	"encoding/base64"
	stdjson "encoding/json"
	"html"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestFakesKeepLengthAndForm(t *testing.T) {
	fakes := NewFakes(nil, []byte("key"), nil)
	class := func(s string) string {
		return strings.Map(func(r rune) rune {
			switch {
			case '0' <= r && r <= '9':
				return '0'
			case 'a' <= r && r <= 'z':
				return 'a'
			case 'A' <= r && r <= 'Z':
				return 'A'
			case r > 0x7f:
				return 'ж'
			}
			return r
		}, s)
	}
	for _, secret := range []string{
		"Tok-12_ab.CD", "7", "00123", "sk_live_51H8abcdEFGH", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "550e8400-e29b-41d4-a716-446655440000",
		"Пароль1", "密码", "a b\tc", "me@example.com",
	} {
		fake := fakes.Value(secret)
		if fake == secret || len(fake) != len(secret) || class(fake) != class(secret) || !utf8.ValidString(fake) || fake != fakes.Value(secret) {
			t.Errorf("%q became %q", secret, fake)
		}
		if other := NewFakes(nil, []byte("other key"), nil).Value(secret); other == fake && len(secret) > 6 {
			t.Errorf("%q is %q under any key", secret, fake)
		}
	}
	for _, prefix := range []string{"sk_live_", "whsec_"} {
		if fake := fakes.Value(prefix + "abcdefgh12345678"); !strings.HasPrefix(fake, prefix) {
			t.Errorf("%s became %s", prefix, fake)
		}
	}
}

func TestAFakeTokenIsAToken(t *testing.T) {
	encode := base64.RawURLEncoding.EncodeToString
	token := encode([]byte(`{"alg":"HS256"}`)) + "." + encode([]byte(`{"sub":"jo@example.com","exp":1700000000,"n":"\u0041"}`)) + "." + encode([]byte("signature!"))
	fake := NewFakes(nil, []byte("key"), nil).Value(token)
	parts := strings.Split(fake, ".")
	if len(parts) != 3 || len(fake) != len(token) || parts[0] != strings.Split(token, ".")[0] {
		t.Fatal(fake)
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	var c struct {
		Sub string
		Exp int
	}
	if err != nil || stdjson.Unmarshal(claims, &c) != nil || c.Exp != 1700000000 || c.Sub == "jo@example.com" || !strings.Contains(c.Sub, "@") {
		t.Errorf("%s, %v", claims, err)
	}
}

// TestFakesLeaveNothingOfASecret: in all that Names would hide, and everything else is what it was.
func TestFakesLeaveNothingOfASecret(t *testing.T) {
	const secret = "S3cretValue42"
	for _, c := range []struct{ kind, contentType, text string }{
		{"head", "", "POST /in?token=" + secret + "&a=1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + secret + "\r\nCookie: a=" + secret + "; b=" + secret + "\r\n\r\n"},
		{"head", "", "GET http://" + secret + "@h/token/" + secret + secret + " HTTP/1.1\r\nX-Api-Key: " + secret + "\r\n " + secret + "\r\n\r\n"},
		{"body", "application/json", `{"a": {"token" : "` + secret + `", "n":1.50, "password":12345, "auth":{"secret":["` + secret + `"]}}, "text":"{\"apiKey\":\"` + secret + `\"}"}`},
		{"body", "application/x-www-form-urlencoded", "auth[application_token]=" + secret + "&x=1&json=%7B%22token%22%3A%22" + secret + "%22%7D"},
		{"body", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n" + secret + "\r\n--b--\r\n"},
	} {
		found := map[string]string{}
		fakes := NewFakes(nil, []byte("key"), func(secret, fake string) { found[secret] = fake })
		masked := fakes.Head(c.text)
		if c.kind == "body" {
			masked = string(fakes.Body(c.contentType, []byte(c.text)))
		}
		if strings.Contains(masked, secret) || !strings.Contains(masked, found[secret]) && !strings.Contains(c.text, secret+secret) {
			t.Errorf("%s\nbecame\n%s", c.text, masked)
		}
		if c.contentType == "application/json" && (!stdjson.Valid([]byte(masked)) || len(masked) != len(c.text)) {
			t.Errorf("%s\nbecame\n%s", c.text, masked)
		}
	}
}

func TestFakesAreSpelledAsTheSecretsWere(t *testing.T) {
	fakes := NewFakes(nil, []byte("key"), nil)
	plain := fakes.Value("aB 1/ж")
	for raw, undo := range map[string]func(string) string{
		"a%42+1%2f%d0%b6":       unescape,
		`\u0061B 1\/\u0436`:     unquote,
		"aB%201%2F%D0%B6":       unescape,
		`a\u0042\u00201/` + "ж": unquote,
	} {
		fake := fakes.InJSON(raw)
		if strings.Contains(raw, "%") {
			fake = fakes.InURL(raw)
		}
		if len(fake) != len(raw) || undo(fake) != plain {
			t.Errorf("%s became %s, which is %q, want %q", raw, fake, undo(fake), plain)
		}
	}
}

// TestFakesInXMLAreSpelledAsTheSecretsWere: what stands for a character goes on doing so.
func TestFakesInXMLAreSpelledAsTheSecretsWere(t *testing.T) {
	fakes := NewFakes(nil, []byte("key"), nil)
	for raw, says := range map[string]string{
		"a&amp;b&#1078;&#x436;c&lt;": "a&bжжc<", "a&b;c": "a&b;c", "&#65;BC": "ABC", "a&": "a&", "&#x0000000000041;x": "&#x0000000000041;x",
	} {
		body := string(fakes.Body("text/xml", []byte("<a><token>"+raw+"</token><b key='1' token=\""+raw+"\"/></a>")))
		fake, _, _ := strings.Cut(strings.TrimPrefix(body, "<a><token>"), "<")
		if want := fakes.Value(says); html.UnescapeString(fake) != want || body != "<a><token>"+fake+"</token><b key='1' token=\""+fake+"\"/></a>" {
			t.Errorf("%s became %s, want what says %s: %s", raw, fake, want, body)
		}
	}
}

func TestFakesNeverBreakJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := document(t)
		masked := string(NewFakes(nil, []byte("key"), nil).Body("application/json", []byte(body)))
		if strings.Contains(masked, marker) || !stdjson.Valid([]byte(masked)) {
			t.Fatalf("%s\n%s", body, masked)
		}
	})
}
