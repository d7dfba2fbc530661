package provider

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestTinkoffRefusesAnyChangeOfAValue(t *testing.T) {
	s := &Setting{Secrets: []string{"11111111111"}}
	body := `{"TerminalKey":"1234567890DEMO","OrderId":"17","Success":true,"Amount":1111,"Data":{"route":"TCB"},"Extra":null,"Token":""}`
	r := signedRequest(t, &tinkoff, request(t, "POST", "/", body), s, "")
	if f := tinkoff.Verify(r, s); f != nil {
		t.Fatal(f)
	}
	right := string(r.Body)
	for _, c := range []struct {
		old, new string
		kind     FailureKind
	}{
		{"DEMO", "DEMo", Mismatch},
		{`"17"`, `"18"`, Mismatch},
		{"true", "false", Mismatch},
		{"1111,", "1112,", Mismatch},
		{"null", `"x"`, Mismatch},
		{`{"TerminalKey"`, `{"Added":1,"TerminalKey"`, Mismatch},
		{`"Amount":1111`, `"Amount":1111,"Amount":1`, Form},
		{`"Token":"`, `"Token":"0`, Form},
		{`"Token":`, `"token":`, Missing},
		{"{", "[", Form},
	} {
		altered := request(t, "POST", "/", strings.Replace(right, c.old, c.new, 1))
		if f := tinkoff.Verify(altered, s); f == nil || f.Kind != c.kind {
			t.Errorf("%s → %s: %v", c.old, c.new, f)
		}
	}
}

func TestEachNotificationOfMicrosoftGraphHasToBeOurs(t *testing.T) {
	s := &Setting{Secrets: []string{"new", "old"}}
	for _, c := range []struct {
		body string
		kind FailureKind
	}{
		{`{"value":[{"clientState":"old"},{"clientState":"new"}]}`, ""},
		{`{"value":[{"clientState":"old"},{"clientState":"other"}]}`, Mismatch},
		{`{"value":[{"clientState":"old"},{}]}`, Missing},
		{`{"value":[{"clientState":["old"]}]}`, Missing},
		{`{"value":[]}`, Missing},
		{`{"value":{"clientState":"old"}}`, Missing},
		{`{"value":[{"clientState":"old"}],"value":[{"clientState":"evil"}]}`, Form},
		{`[]`, Form},
	} {
		f := microsoftGraph.Verify(request(t, "POST", "/", c.body), s)
		if (f == nil) != (c.kind == "") || f != nil && f.Kind != c.kind {
			t.Errorf("%s: %v", c.body, f)
		}
	}
}

func TestTheTokenOfEventGridIsWhereTheSettingSays(t *testing.T) {
	for _, c := range []struct {
		target string
		params map[string]string
		taken  bool
	}{
		{"/?code=s3cret", nil, true},
		{"/?key=s3cret", map[string]string{"query": "key"}, true},
		{"/?code=s3cret", map[string]string{"query": "key"}, false},
		{"/?code=other", nil, false},
		{"/", nil, false},
	} {
		f := azureEventGrid.Verify(request(t, "POST", c.target, "[]"), &Setting{Secrets: []string{"s3cret"}, Params: c.params})
		if (f == nil) != c.taken {
			t.Errorf("%s %v: %v", c.target, c.params, f)
		}
	}
}

func TestContentfulHasToSignItsTimeAndTheListOfWhatItSigns(t *testing.T) {
	s := &Setting{Secrets: []string{"secret"}}
	for _, list := range []string{"x-contentful-topic", "x-contentful-timestamp", "x-contentful-signed-headers", ""} {
		r := request(t, "POST", "/", "{}", "X-Contentful-Timestamp", "1773500966000", "X-Contentful-Signed-Headers", list,
			"X-Contentful-Signature", strings.Repeat("0", 64))
		if f := contentful.Verify(r, s); f == nil || f.Kind != Form {
			t.Errorf("%q: %v", list, f)
		}
	}
}

func TestContentfulSignsThePathAsItHasIt(t *testing.T) {
	s := &Setting{Secrets: []string{"secret"}}
	list := "x-contentful-signed-headers,x-contentful-timestamp"
	r := signedRequest(t, &contentful, request(t, "POST", "/hooks/contentful", "{}", "X-Contentful-Signed-Headers", list), s, "")
	behind := request(t, "POST", "/contentful", "{}")
	behind.Head.Fields, behind.URL = r.Head.Fields, r.URL
	if f := contentful.Verify(behind, s); f != nil {
		t.Errorf("behind a proxy that takes off a part of the path: %v", f)
	}
	behind.URL = "https://hooks.example.com/contentful"
	if f := contentful.Verify(behind, s); f == nil || f.Kind != Mismatch {
		t.Errorf("another path: %v", f)
	}
}

// Addresses that SecurityHelper of yoomoney/yookassa-sdk-php trusts, the first and last of each network, and their
// neighbours.
func TestYooKassaIsWhereItsMakersSay(t *testing.T) {
	from := func(address string) bool {
		return slices.ContainsFunc(yookassa.Allow, func(n string) bool { return netip.MustParsePrefix(n).Contains(netip.MustParseAddr(address)) })
	}
	for _, address := range []string{
		"185.71.76.0", "185.71.76.31", "185.71.77.0", "185.71.77.31", "77.75.153.0", "77.75.153.127", "77.75.154.128", "77.75.154.255",
		"77.75.156.11", "77.75.156.35", "2a02:5180:0:1509::", "2a02:5180:0:2655::1", "2a02:5180:0:1533::1", "2a02:5180:0:2669:ffff:ffff:ffff:ffff",
	} {
		if !from(address) {
			t.Errorf("%s is not taken", address)
		}
	}
	for _, address := range []string{
		"185.71.75.255", "185.71.76.32", "185.71.77.32", "77.75.153.128", "77.75.154.127", "77.75.156.10", "77.75.156.12", "77.75.156.36", "2a02:5181::",
	} {
		if from(address) {
			t.Errorf("%s is taken", address)
		}
	}
}

func TestAddressesOfProvidersAreNetworks(t *testing.T) {
	for _, p := range All() {
		for _, address := range p.Allow {
			if n, err := netip.ParsePrefix(address); err != nil || n != n.Masked() {
				t.Errorf("%s: %s: %v", p.Name, address, err)
			}
		}
	}
}

// signedAdyen is a notification of two items that passes the check.
func signedAdyen(t *testing.T) (*Request, *Setting) {
	t.Helper()
	item := func(reference string) string {
		return `{"NotificationRequestItem":{"additionalData":{"hmacSignature":""},"amount":{"currency":"EUR","value":1130},` +
			`"eventCode":"AUTHORISATION","merchantAccountCode":"Shop","merchantReference":"` + reference + `","pspReference":"79140","success":"true"}}`
	}
	s := &Setting{Secrets: []string{strings.Repeat("0a", 32)}}
	body := `{"live":"false","notificationItems":[` + item("one") + "," + item("two") + "]}"
	r := signedRequest(t, &adyen, request(t, "POST", "/", body), s, "")
	if f := adyen.Verify(r, s); f != nil {
		t.Fatal(f)
	}
	return r, s
}

func TestAdyenRefusesAnyChangeOfASignedValue(t *testing.T) {
	for _, change := range [][2]string{
		{`"reference":`, `"reference":`}, // none: the signed request is right
		{`"one"`, `"ona"`},
		{`"two"`, `"twa"`},
		{`1130`, `1131`},
		{`"EUR"`, `"EUS"`},
		{`AUTHORISATION`, `AUTHORISATIOM`},
		{`"success":"true"`, `"success":"false"`},
		{`"pspReference":"79140"`, `"pspReference":"79140","success":"false"`}, // parsers take the first or the last
		{`"live":"false"`, `"live":"false","notificationItems":[]`},
		{`"hmacSignature":"`, `"hmacSignature":"A`},
		{`"hmacSignature"`, `"hmacsignature"`},
	} {
		r, s := signedAdyen(t)
		r.Body = []byte(strings.Replace(string(r.Body), change[0], change[1], 1))
		f := adyen.Verify(r, s)
		if same := change[0] == change[1]; same != (f == nil) {
			t.Errorf("%s to %s: %v", change[0], change[1], f)
		}
	}
}

func TestMailgunSignsItsTimeAndToken(t *testing.T) {
	s := &Setting{Secrets: []string{usualSecret}}
	const body = `{"signature":{"token":"","timestamp":"","signature":""},"event-data":{"event":"opened"}}`
	r := signedRequest(t, &mailgun, request(t, "POST", "/", body), s, "a1b2c3")
	if f := mailgun.Verify(r, s); f != nil {
		t.Fatal(f)
	}
	for _, name := range []string{"token", "timestamp", "signature"} {
		was, _ := place("json:signature." + name).get(r)
		for i := range was {
			altered := []byte(was)
			altered[i] ^= 1
			g := new(Signature)
			if err := place("json:signature."+name).set(g, r, string(altered)); err != nil {
				t.Fatal(err)
			}
			if f := mailgun.Verify(applied(r, g), s); f == nil {
				t.Errorf("taken with %s %s", name, altered)
			}
		}
	}
}

// TestLinearKeepsItsTimeANumber when it is signed again: makers read it as one.
func TestLinearKeepsItsTimeANumber(t *testing.T) {
	s := &Setting{Secrets: []string{usualSecret}}
	r := signedRequest(t, &linear, request(t, "POST", "/", `{"type":"Issue","webhookTimestamp":1}`), s, "")
	if want := `{"type":"Issue","webhookTimestamp":1773500966000}`; string(r.Body) != want {
		t.Errorf("%s, want %s", r.Body, want)
	}
}
