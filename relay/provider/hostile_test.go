package provider

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hooktape/hooktape/relay/wire"
)

// TestHostileRequestsAreRefused: what no sender sends fails the check; it is neither accepted nor ends the agent.
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

// TestStrangersAreNotTaken: requests made without the secret, from fields and bodies that providers look at.
func TestStrangersAreNotTaken(t *testing.T) {
	pieces := []string{
		"t=", "ts=", "v0=", "v1=", "v1,", "v1a,", "h1=", "sha1=", "sha256=", "1773500966", "1773500966000", "2026-03-14T15:09:26Z",
		strings.Repeat("00", 32), strings.Repeat("A", 43) + "=", ",", ";", " ", ".", "Bearer ", "Basic ", "{", "}", "[", "]", `"`, ":", "&", "%", "\xff",
	}
	text := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 8).Draw(t, "pieces"), "")
	})
	eachSigned(t, func(t *testing.T, p *Provider, d dialect, r *Request) {
		g, err := p.Scheme.Sign(r, d.right(), "msg_1")
		if err != nil {
			t.Fatal(err)
		}
		signed := applied(r, g)
		rapid.Check(t, func(t *rapid.T) {
			strange := *r
			for _, f := range g.Fields {
				strange.Head = applied(&strange, &Signature{Fields: wire.Fields{{Name: f.Name, Value: text.Draw(t, f.Name)}}}).Head
			}
			if rapid.Bool().Draw(t, "another body") {
				strange.Body = []byte(text.Draw(t, "body"))
			}
			if f := p.Verify(&strange, d.right()); f == nil {
				t.Fatalf("taken: %v %s", strange.Head.Fields, strange.Body)
			}
			if p.Handshake != nil {
				p.Handshake(&strange, d.right())
			}
		})
		if f := p.Verify(signed, d.right()); f != nil {
			t.Errorf("the right one is not taken: %v", f)
		}
	})
}
