package provider

import (
	"strings"
	"testing"
)

// TestDeepBodiesAreOnlyRefused: recursion for each level of a body would use up the stack, which ends the process.
func TestDeepBodiesAreOnlyRefused(t *testing.T) {
	const levels = 16 << 20 // of 64 bytes, the least that a call takes, are more than a stack can have
	deep := strings.Repeat("[", levels)
	for _, body := range []string{
		deep,
		`{"value":[{"clientState":"s"}],"notificationItems":[{"NotificationRequestItem":{"additionalData":{"hmacSignature":"s"}}}],"x":` + deep,
	} {
		r := request(t, "POST", "/", body)
		for _, p := range All() {
			s := dialects[p.Name].right()
			s.Params = map[string]string{"topic": "t"}
			if p.Scheme == nil || !p.Scheme.Verifier(r, s).Whole() {
				continue
			}
			if f := p.Verify(r, s); f == nil {
				t.Errorf("%s takes it", p.Name)
			}
		}
	}
}
