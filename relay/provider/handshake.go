package provider

import (
	"encoding/hex"
	"encoding/json"

	"github.com/hooktape/hooktape/relay/wire"
)

// maxEcho bounds, in bytes, what a handshake echoes of what a stranger sent: challenges have under a hundred.
const maxEcho = 1 << 10

// echo answers a challenge with itself, to anybody, as text that no browser takes for a page.
func echo(challenge string) *Reply {
	if len(challenge) > maxEcho {
		return refusal(400, longChallenge)
	}
	return &Reply{
		Status: 200,
		Fields: wire.Fields{{Name: "Content-Type", Value: "text/plain; charset=utf-8"}},
		Body:   []byte(challenge),
		Open:   true,
	}
}

// echoJSON is echo for those who want it in JSON.
func echoJSON(answer map[string]string) *Reply {
	size := 0
	for _, value := range answer {
		size += len(value)
	}
	body, err := json.Marshal(answer)
	if err != nil || size > maxEcho {
		return refusal(400, longChallenge)
	}
	return &Reply{Status: 200, Fields: wire.Fields{{Name: "Content-Type", Value: "application/json"}}, Body: body, Open: true}
}

// signText signs a text with the first secret, in hex: some senders ask for that to see that we have the secret.
func signText(text string, s *Setting) (string, bool) {
	if len(s.Secrets) == 0 || len(text) > maxEcho {
		return "", false
	}
	k, err := sha256HMAC.key(s.Secrets[0])
	if err != nil {
		return "", false
	}
	sum, err := k.sign([]byte(text))
	return hex.EncodeToString(sum), err == nil
}

const longChallenge = "the challenge is longer than 1 KiB"

// refusal is a no, given to anybody.
func refusal(status int, reason string) *Reply {
	return &Reply{Status: status, Open: true, Reason: reason}
}

// checked makes it the answer only to a request that passes the check.
func (r *Reply) checked() *Reply {
	r.Open = false
	return r
}
