package provider

import (
	"strings"
	"testing"
)

// TestHostileRequestsAreRefused: what no sender sends is a failure, never an acceptance or the end of the agent.
func TestHostileRequestsAreRefused(t *testing.T) {
	values := []string{
		"", " ", ",", "=", "v1=", "v1,", "t=,v1=", "t=1", "ts=;h1=", "sha256=", "sha256=zz", "Basic", "Basic ", "Basic Og==", "Bearer ",
		strings.Repeat("v1=00,", 100), strings.Repeat("a", 5000), "t=99999999999999999999,v1=00", "t=-1,v1=" + strings.Repeat("0", 64), "\xff\xfe",
	}
	bodies := []string{"", "{", "[]", "[null]", "null", `{"signature":[]}`, `{"signature":{"signature":{}}}`, "\x00", "a=%zz", "a;b", "=&=&=", strings.Repeat("[", 5000)}
	eachSigned(t, func(t *testing.T, p *Provider, d dialect, r *Request) {
		g, err := p.Scheme.Sign(r, d.right(), "msg_1")
		if err != nil {
			t.Fatal(err)
		}
		if g.Fields == nil && g.Body == nil {
			t.Skip("its token is in the URL")
		}
		for _, value := range values {
			for _, body := range bodies {
				hostile := applied(r, g)
				hostile.Body = []byte(body)
				for i := range g.Fields {
					set(g.Fields[i].Name, value)(hostile)
				}
				if f := p.Verify(hostile, d.right()); f == nil {
					t.Errorf("taken: %v %q", hostile.Head.Fields, body)
				}
				if p.Handshake != nil {
					p.Handshake(hostile, d.right())
				}
			}
		}
	})
}
