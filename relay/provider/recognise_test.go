package provider

import (
	"slices"
	"testing"
)

// TestSendersAreRecognisedByWhatTheySend: a sample as its provider would send it gives the provider away, unless it has
// nothing of its own.
func TestSendersAreRecognisedByWhatTheySend(t *testing.T) {
	eachSigned(t, func(t *testing.T, p *Provider, d dialect, r *Request) {
		got := Recognise(signedRequest(t, p, r, d.right(), "msg_1").Head)
		if p.Headers != nil && got != p && (got == nil || !slices.Equal(got.Headers, p.Headers)) { // svix signs for its customers
			t.Errorf("it is taken for %v", got)
		}
	})
}

func TestNobodyIsRecognisedInARequestOfABrowser(t *testing.T) {
	r := request(t, "POST", "/", "{}", "User-Agent", "Mozilla/5.0", "Content-Type", "application/json", "Authorization", "Bearer x")
	if p := Recognise(r.Head); p != nil {
		t.Errorf("it is taken for %s", p.Name)
	}
}
