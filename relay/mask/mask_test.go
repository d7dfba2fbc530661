package mask

import (
	"encoding/base64"
	stdjson "encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hooktape/hooktape/relay/wire"
)

const token = "abcdefghijklmnop1234" // shown as ****1234

func TestFields(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"Authorization", "Bearer " + token, "Bearer ****1234"},
		{"authorization", "bearer  " + token, "bearer  ****1234"},
		{"Authorization", "Bearer short", "Bearer ****"},
		{"Authorization", "Bearer", "Bearer"},
		{"Authorization", "Basic dXNlcjpwYXNzd29yZC1vZi11c2Vy", "Basic ****"},
		{"Authorization", token, "****1234"},
		{"Authorization", "my secret words are these", "****hese"},
		{"Authorization", "", ""},
		{"Proxy-Authorization", "Token " + token, "Token ****1234"},
		{"X-Api-Key", token, "****1234"}, {"x_api_key", token, "****1234"}, {"X-Gitlab-Token", token, "****1234"}, {"X-Webhook-Secret", token, "****1234"},
		{"X-Telegram-Bot-Api-Secret-Token", token, "****1234"}, {"authToken", token, "****1234"}, {"Ocp-Apim-Subscription-Key", token, "****1234"},
		{"X-Password", token, "****"}, {"X-Session-Id", token, "****1234"},
		{"Cookie", "a=" + token + "; theme=dark;x", "a=****1234; theme=****;****"},
		{"Set-Cookie", "sid=" + token + "; Path=/; HttpOnly", "sid=****1234; Path=/; HttpOnly"},
		{"Referer", "https://a.example/?token=" + token + "&x=1", "https://a.example/?token=****1234&x=1"},
		{"Location", "/cb#access_token=" + token, "/cb#access_token=****1234"},
		// what is no secret
		{"X-Signature", "sha256=" + token, "sha256=" + token}, {"X-Hub-Signature-256", token, token}, {"Idempotency-Key", token, token}, {"Sec-WebSocket-Key", token, token},
		{"WWW-Authenticate", `Bearer realm="x"`, `Bearer realm="x"`}, {"User-Agent", token, token}, {"Content-Type", "a/b", "a/b"}, {"X-Request-Id", token, token},
	} {
		if got := Names(nil).Field(c.name, c.value); got != c.want {
			t.Errorf("%s: %s: %q, want %q", c.name, c.value, got, c.want)
		}
	}
}

func TestFromSixteenCharactersTheLastFourStay(t *testing.T) {
	for value, want := range map[string]string{
		"": "", "x": "****", "fifteencharacte": "****", "sixteencharacter": "****cter", "двадцатьбуквплюсещё": "****сещё", strings.Repeat("я", 15): "****", "\xff\xfe" + token: "****1234",
	} {
		if got := secret(value); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}

func TestTargets(t *testing.T) {
	for target, want := range map[string]string{
		"/a/b?x=1": "/a/b?x=1", "*": "*", "": "", "/?": "/?", "/?token": "/?token", "/?token=": "/?token=",
		"/?token=" + token + "&x=" + token:                                     "/?token=****1234&x=" + token,
		"/?access%5Ftoken=" + token:                                            "/?access%5Ftoken=****1234",
		"/?%74oken=" + token:                                                   "/?%74oken=****1234",
		"/?auth[application_token]=" + token + "&auth[domain]=a.b":             "/?auth[application_token]=****1234&auth[domain]=a.b",
		"/?auth%5Baccess_token%5D=" + token:                                    "/?auth%5Baccess_token%5D=****1234",
		"/?token[]=" + token + "&secret[a][b]=" + token:                        "/?token[]=****1234&secret[a][b]=****1234",
		"/?key=" + token + "&api_key=" + token:                                 "/?key=****1234&api_key=****1234",
		"/?code=" + token + "&clientState=" + token:                            "/?code=****1234&clientState=****1234",
		"/?password=" + token:                                                  "/?password=****",
		"/?token=abcdefghijklmnopqrs%2B+%20":                                   "/?token=****",
		"/?x=1;token=" + token + ";y=2":                                        "/?x=1;token=****",
		"/?token=abc;def":                                                      "/?token=****",
		"/?a=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJ;token=" + token: "/?a=%2A%2A%2A%2AxwRJ;token=****1234",
		"/bot123456:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/getMe":                  "/bot123456:****Dsaw/getMe",
		"/token/" + token + "/x":                                               "/token/****1234/x",
		"/token/refresh":                                                       "/token/refresh",
		"/services/T00000000/B00000000/XXXXxxxx1111XXXXxxxx1111":               "/services/T00000000/B00000000/****1111",
		"/v1/eyJhbGciOi.eyJzdWIiOi.SflKxwRJ":                                   "/v1/****xwRJ",
		"/o/550e8400-e29b-41d4-a716-446655440000":                              "/o/550e8400-e29b-41d4-a716-446655440000",
		"/o/01J9ZQ3W5X7Y8Z9A0B1C2D3E4F":                                        "/o/01J9ZQ3W5X7Y8Z9A0B1C2D3E4F",
		"/o/9e107d9d372bb6826bd81d3542a419d6":                                  "/o/9e107d9d372bb6826bd81d3542a419d6",
		"/v1/payment_intents/pi_3MtwBwLkdIwHu7ix28a3tqPa":                      "/v1/payment_intents/pi_3MtwBwLkdIwHu7ix28a3tqPa",
		"/x/sk_live_3MtwBwLkdIwHu7ix28a3tqPa":                                  "/x/****tqPa",
		"https://user:hunter2@a.example:8443/x?token=short":                    "https://****@a.example:8443/x?token=****",
		"user:hunter2@a.example:8443/x?token=short":                            "****@a.example:8443/x?token=****",
		"//user:hunter2@a.example":                                             "//****@a.example",
		"/user:me@a.example":                                                   "/user:me@a.example",
		"http://u:hun/ter2@a.example/x":                                        "http://****@a.example/x",
		"http://u:hun?ter2@a.example:80":                                       "http://****@a.example:80",
		"http://u:hun#t@er2@a.example":                                         "http://****@a.example",
		"u:hun/ter2@a.example":                                                 "****@a.example",
		"cb?token=" + token + "&next=http://a.example/b":                       "cb?token=****1234&next=http://a.example/b",
		"u:hunter2@a.example/x?next=http://b.example":                          "****@a.example/x?next=http://b.example",
		"u:hun://ter2@a.example":                                               "****@a.example",
		"http://a.example:80/@x":                                               "http://a.example:80/@x",
		"http://[::1]/@x":                                                      "http://[::1]/@x",
		"/token/" + token + "/http://a":                                        "/token/****1234/http://a",
		"http://a.example":                                                     "http://a.example",
		"/cb#access_token=" + token + "&state=1":                               "/cb#access_token=****1234&state=1",
		"/?payload=%7B%22token%22%3A%22" + token + "%22%7D":                    "/?payload=" + url.QueryEscape(`{"token":"****1234"}`),
	} {
		if got := Names(nil).Target(target); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
}

func TestHeads(t *testing.T) {
	for raw, want := range map[string]string{
		"POST /?token=" + token + " HTTP/1.1\r\nHost: a\r\nauthToken:  " + token + " \r\nX-A: 1\r\n\r\n": "POST /?token=****1234 HTTP/1.1\r\nHost: a\r\nauthToken:  ****1234 \r\nX-A: 1\r\n\r\n",
		"\r\nGET / HTTP/1.1\nCookie: a=b\n\n":                                         "\r\nGET / HTTP/1.1\nCookie: a=****\n\n",
		"HTTP/1.1 302 Found\r\nLocation: /?token=" + token + "\r\n\r\n":               "HTTP/1.1 302 Found\r\nLocation: /?token=****1234\r\n\r\n",
		"GET / HTTP/1.1\r\nAuthorization: Bearer\r\n " + token + "\r\n x\r\nA: b\r\n": "GET / HTTP/1.1\r\nAuthorization: Bearer\r\n ****\r\n ****\r\nA: b\r\n",
		"GET / HTTP/1.1\r\nX-A: 1\rAuthorization: Bearer " + token:                    "GET / HTTP/1.1\r\nX-A: 1\rAuthorization: Bearer ****1234",
		"GET / HTTP/1.1\r\nAuthorization : " + token + "\r\n":                         "GET / HTTP/1.1\r\nAuthorization : ****1234\r\n",
		"GET /?token=" + token:                      "GET /?token=****1234",
		"/?token=" + token:                          "/?token=****1234",
		"GET /a b?token=" + token + " HTTP/1.1\r\n": "GET /a b?token=****1234 HTTP/1.1\r\n",
		"\x16\x03\x01\x02\x00":                      "\x16\x03\x01\x02\x00",
		"":                                          "",
	} {
		if got := Names(nil).Head(raw); got != want {
			t.Errorf("%q:\n got %q\nwant %q", raw, got, want)
		}
	}
}

func TestBodies(t *testing.T) {
	const jsonType, formType = "application/json", "application/x-www-form-urlencoded"
	for _, c := range []struct{ contentType, body, want string }{
		{jsonType, `{ "token" :  "` + token + `", "a":[1, 2] }`, `{ "token" :  "****1234", "a":[1, 2] }`},
		{jsonType, `{"a":{"client_secret":"short","b":null}}`, `{"a":{"client_secret":"****","b":null}}`},
		{jsonType, `{"token":12345,"secret":true,"password":null,"pin":0}`, `{"token":"****","secret":true,"password":null,"pin":"****"}`},
		{jsonType, `{"tokens":["` + token + `",{"a":"x","b":[5]}],"c":"d"}`, `{"tokens":["****1234",{"a":"****","b":["****"]}],"c":"d"}`},
		{jsonType, `{"auth":{"domain":"a.b","access_token":"` + token + `"}}`, `{"auth":{"domain":"a.b","access_token":"****1234"}}`},
		{jsonType, `{"to\u006ben":"` + token + `"}`, `{"to\u006ben":"****1234"}`},
		{jsonType, `{"token":"abcdefghijklmnopqr\u0041\"\\"}`, `{"token":"****"}`},
		{jsonType, `{"token":"` + token, `{"token":"****1234`},
		{jsonType, `{"token":"abc\`, `{"token":"****`},
		{jsonType, `{"token":`, `{"token":`},
		{jsonType, `{"a":"x" "token":"` + token + `"}`, `{"a":"x" "token":"****1234"}`},
		{jsonType, `" {"token":"` + token + `"}`, `" {"token":"****1234"}`},
		{jsonType, `{"payload":"{\"token\":\"` + token + `\",\"a\":1}"}`, `{"payload":"{\"token\":\"****1234\",\"a\":1}"}`},
		{jsonType, `{"token_type":"bearer","expires":5,"signature":"` + token + `","csrf":1}`, `{"token_type":"bearer","expires":5,"signature":"` + token + `","csrf":1}`},
		{jsonType, `["token","` + token + `"]`, `["token","` + token + `"]`},
		{"", `{"token":"` + token + `"}`, `{"token":"****1234"}`},
		{"text/plain", `got {"token": "` + token + `"} from it`, `got {"token": "****1234"} from it`},
		{formType, "a=1&token=" + token + "&b=2", "a=1&token=****1234&b=2"},
		{formType + "; charset=utf-8", "auth[application_token]=" + token + "&auth[domain]=x", "auth[application_token]=****1234&auth[domain]=x"},
		{formType, "auth%5Bapplication_token%5D=" + token, "auth%5Bapplication_token%5D=****1234"},
		{formType, `payload={"token":"` + token + `"}&x=1`, "payload=" + url.QueryEscape(`{"token":"****1234"}`) + "&x=1"},
		{formType, `payload={"a":";","token":"` + token + `"}`, "payload=" + url.QueryEscape(`{"a":";","token":"****1234"}`)},
		{formType, "payload=%7B%22token%22%3A%22" + token + "%22%7D", "payload=" + url.QueryEscape(`{"token":"****1234"}`)},
		{formType, `{"token":"` + token + `"}`, `{"token":"****1234"}`},
		{formType, "[a]=1&token=" + token, "[a]=1&token=****1234"},
		{"", "a=1&token=" + token, "a=1&token=****1234"},
		{`multipart/form-data; boundary=B`, "--B\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n" + token + "\r\n--B\r\nContent-Disposition: form-data; name=\"j\"\r\n\r\n{\"secret\":\"x\"}\r\n--B--\r\n",
			"--B\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n****1234\r\n--B\r\nContent-Disposition: form-data; name=\"j\"\r\n\r\n{\"secret\":\"****\"}\r\n--B--\r\n"},
		{`multipart/form-data`, "--B\r\nContent-Disposition: form-data; filename=\"a\"; name=token\r\n\r\n" + token + "\r\n--B--\r\n",
			"--B\r\nContent-Disposition: form-data; filename=\"a\"; name=token\r\n\r\n****1234\r\n--B--\r\n"},
		{"image/png", "\x89PNG\r\n\x1a\n\x00\"\"", "\x89PNG\r\n\x1a\n\x00\"\""},
		{"", "", ""},
	} {
		before := strings.Clone(c.body)
		body := []byte(c.body)
		if got := string(Names(nil).Body(c.contentType, body)); got != c.want {
			t.Errorf("%s: %s:\n got %s\nwant %s", c.contentType, c.body, got, c.want)
		}
		if string(body) != before {
			t.Errorf("the body was changed: %s", body)
		}
	}
}

func TestMaskedJSONIsStillJSONAndElseTheSame(t *testing.T) {
	body := `{"a":1.50,"token":"` + token + `","n":{"password":5,"tokens":[true,null,{"x":-1e5}]},"z":"é\n"}`
	masked := Names(nil).Body("application/json", []byte(body))
	if !stdjson.Valid(masked) {
		t.Errorf("%s", masked)
	}
	for _, kept := range []string{`{"a":1.50,`, `,"z":"é\n"}`, `[true,null,`} {
		if !strings.Contains(string(masked), kept) {
			t.Errorf("%s is not in %s", kept, masked)
		}
	}
}

func TestAuth(t *testing.T) {
	jwt := func(claims string) string {
		return "eyJhbGciOiJIUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2lnbmF0dXJl"
	}
	for _, c := range []struct {
		fields wire.Fields
		want   Credentials
	}{
		{nil, Credentials{}},
		{wire.Fields{{Name: "Cookie", Value: "a=b"}, {Name: "X-Signature", Value: "x"}}, Credentials{}},
		{wire.Fields{{Name: "X-Api-Key", Value: "k"}, {Name: "authorization", Value: "bearer " + token}}, Credentials{Scheme: "bearer", Present: true, Masked: "bearer ****1234"}},
		{wire.Fields{{Name: "authToken", Value: token}}, Credentials{Present: true, Masked: "****1234"}},
		{wire.Fields{{Name: "Authorization", Value: ""}}, Credentials{Present: true}},
		{wire.Fields{{Name: "Authorization", Value: "Bearer " + jwt(`{"exp":1767225600}`)}},
			Credentials{Scheme: "Bearer", Present: true, Masked: "Bearer ****dXJl", Expires: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}},
		{wire.Fields{{Name: "Authorization", Value: "Bearer " + jwt(`{"exp":1e300}`)}}, Credentials{Scheme: "Bearer", Present: true, Masked: "Bearer ****dXJl"}},
		{wire.Fields{{Name: "Authorization", Value: "Bearer " + jwt(`{"exp":"soon"}`)}}, Credentials{Scheme: "Bearer", Present: true, Masked: "Bearer ****dXJl"}},
		{wire.Fields{{Name: "Authorization", Value: "Bearer a.!.c"}}, Credentials{Scheme: "Bearer", Present: true, Masked: "Bearer ****"}},
	} {
		if got := Auth(c.fields); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.fields, got, c.want)
		}
	}
}

// marked is a secret that would be seen wherever it leaks: its middle never stays.
const marker = "S3CR3TMARK"

func secretValue() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		around := rapid.StringOf(rapid.RuneFrom([]rune(`abcXYZ019-_.+/=& ;"\{}[]:,é` + "\n")))
		return around.Draw(t, "before") + marker + around.Draw(t, "after") + "tail"
	})
}

func secretName() *rapid.Generator[string] {
	return rapid.SampledFrom([]string{
		"token", "access_token", "refreshToken", "client_secret", "SECRET", "api_key", "apiKey", "x-api-key", "authToken", "application_token", "password", "Authorization", "sessionId", "credentials",
	})
}

// document draws JSON with a secret at some depth.
func document(t *rapid.T) string {
	var value any = secretValue().Draw(t, "value")
	switch rapid.IntRange(0, 3).Draw(t, "shape") {
	case 1:
		value = []any{value, 1}
	case 2:
		value = map[string]any{"a": value, "b": []any{value}}
	}
	value = map[string]any{secretName().Draw(t, "name"): value, "other": rapid.String().Draw(t, "other")}
	for range rapid.IntRange(0, 4).Draw(t, "depth") {
		if rapid.Bool().Draw(t, "array") {
			value = []any{rapid.String().Draw(t, "noise"), value}
		} else {
			value = map[string]any{rapid.String().Draw(t, "key"): value}
		}
	}
	b, err := stdjson.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestNoValueOfASecretKeyGetsThrough(t *testing.T) {
	t.Run("json", rapid.MakeCheck(func(t *rapid.T) {
		body := document(t)
		masked := string(Names(nil).Body("application/json", []byte(body)))
		if strings.Contains(masked, marker) || !stdjson.Valid([]byte(masked)) {
			t.Fatalf("%s\n%s", body, masked)
		}
	}))
	t.Run("json cut short", rapid.MakeCheck(func(t *rapid.T) {
		body := document(t)
		cut := rapid.IntRange(0, len(body)).Draw(t, "cut")
		if masked := string(Names(nil).Body("", []byte(body[:cut]))); strings.Contains(masked, marker) {
			t.Fatalf("%s\n%s", body[:cut], masked)
		}
	}))
	t.Run("json in json", rapid.MakeCheck(func(t *rapid.T) {
		inner, err := stdjson.Marshal(map[string]string{"payload": document(t)})
		if err != nil {
			t.Fatal(err)
		}
		if masked := string(Names(nil).Body("application/json", inner)); strings.Contains(masked, marker) {
			t.Fatalf("%s\n%s", inner, masked)
		}
	}))
	t.Run("form", rapid.MakeCheck(func(t *rapid.T) {
		name := secretName().Draw(t, "name")
		name = rapid.SampledFrom([]string{name, "a[" + name + "]", name + "[]", name + "[x][y]"}).Draw(t, "nested")
		form := url.Values{name: {secretValue().Draw(t, "value")}, rapid.String().Draw(t, "other"): {rapid.String().Draw(t, "value")}, "payload": {document(t)}}
		text := form.Encode()
		for _, masked := range []string{string(Names(nil).Body("application/x-www-form-urlencoded", []byte(text))), Names(nil).Target("/x?" + text), Names(nil).Head("GET /x?" + text + " HTTP/1.1\r\n\r\n")} {
			if strings.Contains(masked, marker) {
				t.Fatalf("%s\n%s", text, masked)
			}
		}
	}))
	t.Run("fields", rapid.MakeCheck(func(t *rapid.T) {
		name, value := secretName().Draw(t, "name"), strings.ReplaceAll(secretValue().Draw(t, "value"), "\n", "")
		scheme := rapid.SampledFrom([]string{"", "Bearer ", "Basic ", "Token ", "bearer\t"}).Draw(t, "scheme")
		head := "GET / HTTP/1.1\r\n" + name + rapid.SampledFrom([]string{":", ": ", " :\t"}).Draw(t, "colon") + scheme + value + "\r\n\r\n"
		if masked := Names(nil).Head(head); strings.Contains(masked, marker) {
			t.Fatalf("%q\n%q", head, masked)
		}
	}))
}

// TestWhatIsNestedBelowASecretNameIsHiddenInXML, up to where its element ends.
func TestWhatIsNestedBelowASecretNameIsHiddenInXML(t *testing.T) {
	const text = `<a><x:credentials><user>ann</user><n v="1" value="bob"/><p> 77 </p></x:credentials><user>ann</user><secret/><user>eve</user><passwords><p>1`
	const want = `<a><x:credentials><user>****</user><n v="1" value="****"/><p> **** </p></x:credentials><user>ann</user><secret/><user>eve</user><passwords><p>****`
	if got := string(Names(nil).Body("text/xml", []byte(text))); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestXMLIsHiddenInAnyScript, and what stays of a secret breaks no entity.
func TestXMLIsHiddenInAnyScript(t *testing.T) {
	const text = `<å><пароль>secret</пароль><x токен='secret'/><token>0123456789abcdef&amp;</token></å>`
	const want = `<å><пароль>****</пароль><x токен='****'/><token>****</token></å>`
	if got := string(Names{"пароль", "токен"}.Body("text/xml", []byte(text))); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAKeyInsideOfASegmentIsHidden(t *testing.T) {
	if got, want := Names(nil).Target("/cb:sk_live_0123456789abcdef/x"), "/cb:****cdef/x"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestLargeBodiesTakeLinearTime: each of these would take minutes if a part were looked at again for every other.
func TestLargeBodiesTakeLinearTime(t *testing.T) {
	for _, piece := range []string{"\"", "\\\"", "{", "[\"token\":", ";", ";a=", "a={;", "&", "\" \"", "\"{", "{\"token\":[", "%7B%22", "a: b\r\n", "/bot1:", "\r", " ", "<a>", "<a b=\"", "<token>", "a://b?c=", "eyJ"} {
		text := strings.Repeat(piece, (1<<17)/len(piece))
		for _, contentType := range []string{"application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=B"} {
			_ = Names(nil).Body(contentType, []byte(text))
		}
		_ = Names(nil).Head(text)
		_ = Names(nil).Target("/?" + text)
		_ = Names(nil).Target(text)
	}
}

func FuzzMaskingNeverPanics(f *testing.F) {
	f.Add("application/json", `{"token":"\ud800\u12","auth":{"x":[`)
	f.Add("multipart/form-data; boundary=B", "--B\r\n\r\n--B")
	f.Add("application/x-www-form-urlencoded", "%&;=[]&token=%4&a[b=1")
	f.Add("", "GET http://@/?;token=1;#token=x HTTP/1.1\r\n \r\n:\r\nCookie:=;;=")
	f.Fuzz(func(t *testing.T, contentType, text string) {
		_ = Names(nil).Body(contentType, []byte(text))
		_ = Names(nil).Head(text)
		_ = Names(nil).Target(text)
		_ = Names(nil).Field(contentType, text)
		_ = Names(nil).Field("Authorization", text)
		_ = Names(nil).Field("Cookie", text)
		_ = Auth(wire.Fields{{Name: "Authorization", Value: text}, {Name: contentType, Value: text}})
		if stdjson.Valid([]byte(text)) {
			if masked := Names(nil).Body("application/json", []byte(text)); !stdjson.Valid(masked) && !looksLikeForm(text) {
				t.Errorf("%s became %s", text, masked)
			}
		}
	})
}

func TestNamesAreHiddenBesideTheDefaults(t *testing.T) {
	names := Names{"phone", "Customer-ID", "Телефон", "auth"}
	for _, c := range []struct{ got, want string }{
		{names.Target("/in?Phone=79990001122&page=2"), "/in?Phone=****&page=2"},
		{names.Target("/in?customer%5Bphones%5D=79990001122"), "/in?customer%5Bphones%5D=****"},
		{names.Field("X-Token", "abc"), "****"},
		{names.Field("CUSTOMER_ID", "12345678901234567890"), "****7890"},
		{names.Field("X-Customer-ID", "1234"), "1234"},
		{names.Head("POST /?customerId=1 HTTP/1.1\r\nphone: 79990001122\r\nA: b\r\n\r\n"), "POST /?customerId=**** HTTP/1.1\r\nphone: ****\r\nA: b\r\n\r\n"},
		{string(names.Body("application/json", []byte(`{"a":[{"customer_id":7,"ТЕЛЕФОН":"1","phoned":"2"}]}`))), `{"a":[{"customer_id":"****","ТЕЛЕФОН":"****","phoned":"2"}]}`},
		{string(names.Body("application/json", []byte(`{"phone":{"home":"1"},"auth":{"domain":"x"}}`))), `{"phone":{"home":"****"},"auth":{"domain":"****"}}`},
		{string(names.Body("application/x-www-form-urlencoded", []byte("phone=1&data={\"phone\":\"1\"}"))), "phone=****&data=%7B%22phone%22%3A%22%2A%2A%2A%2A%22%7D"},
		{string(names.Body("multipart/form-data; boundary=b", []byte("--b\r\nContent-Disposition: form-data; name=\"phone\"\r\n\r\n1\r\n--b--"))),
			"--b\r\nContent-Disposition: form-data; name=\"phone\"\r\n\r\n****\r\n--b--"},
	} {
		if c.got != c.want {
			t.Errorf("got  %s\nwant %s", c.got, c.want)
		}
	}
}
