package provider

import (
	"net/netip"
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

func TestAddressesOfProvidersAreNetworks(t *testing.T) {
	for _, p := range All() {
		for _, address := range p.Allow {
			if n, err := netip.ParsePrefix(address); err != nil || n != n.Masked() {
				t.Errorf("%s: %s: %v", p.Name, address, err)
			}
		}
	}
}
