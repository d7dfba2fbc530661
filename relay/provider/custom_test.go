package provider

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"testing"
)

// TestCustomSignsAsItIsTold: each key of the description, against HMACs made by hand.
func TestCustomSignsAsItIsTold(t *testing.T) {
	sum := func(m hash.Hash, text string) []byte {
		m.Write([]byte(text))
		return m.Sum(nil)
	}
	key := []byte(usualSecret)
	for _, c := range []struct {
		custom Custom
		want   string
	}{
		{Custom{Algorithm: "sha1", Prefix: "sha1="}, "sha1=" + hex.EncodeToString(sum(hmac.New(sha1.New, key), "{}"))},
		{Custom{Algorithm: "sha384", Encoding: "hex"}, hex.EncodeToString(sum(hmac.New(sha512.New384, key), "{}"))},
		{
			Custom{Algorithm: "sha512", Encoding: "base64", Signed: "{method} {target} {url} {X-Kind}:{query:a}:{body}"},
			base64.StdEncoding.EncodeToString(sum(hmac.New(sha512.New, key), "POST /hooks?a=1 https://hooks.example.com/hooks?a=1 paid:1:{}")),
		},
		{
			Custom{Algorithm: "sha1", Signed: "{id}.{timestamp}.{body}", ID: "X-Id", Timestamp: "X-Time"},
			hex.EncodeToString(sum(hmac.New(sha1.New, key), "msg_1.1773500966.{}")),
		},
	} {
		c.custom.Header = "X-Sig"
		p, err := c.custom.Provider()
		if err != nil {
			t.Fatal(err)
		}
		s := &Setting{Secrets: []string{usualSecret}}
		r := signedRequest(t, p, request(t, "POST", "/hooks?a=1", "{}", "X-Kind", "paid"), s, "msg_1")
		if got := fieldOf(r, "X-Sig"); got != c.want {
			t.Errorf("%+v: %s, want %s", c.custom, got, c.want)
		}
		if f := p.Verify(r, s); f != nil {
			t.Errorf("%+v: %v", c.custom, f)
		}
	}
}

func TestCustomSaysWhatItCanNotBe(t *testing.T) {
	for _, c := range []struct {
		custom Custom
		want   string
	}{
		{Custom{}, "header is not set: the field that has the signature"},
		{Custom{Header: "X", Algorithm: "md5"}, `algorithm "md5" is none of sha1, sha256, sha384, sha512`},
		{Custom{Header: "X", Encoding: "utf8"}, `encoding "utf8" is none of hex, base64`},
		{Custom{Header: "X", Signed: "{body}{body}"}, "signed: {body} comes twice"},
		{Custom{Header: "X", Signed: "{body"}, `signed: "{body" is not closed`},
		{Custom{Header: "X", Signed: "{}"}, `signed: "{}" is no variable`},
		{Custom{Header: "X", Signed: "fixed"}, "signed: it contains nothing of the request, so one signature would be right for every request"},
		{Custom{Header: "X", Signed: "{timestamp}.{body}"}, "signed: {timestamp} needs the name of its field in timestamp"},
		{Custom{Header: "X", Signed: "{id}.{body}"}, "signed: {id} needs the name of its field in id"},
	} {
		if _, err := c.custom.Provider(); err == nil || err.Error() != c.want {
			t.Errorf("%+v: %v, want %s", c.custom, err, c.want)
		}
	}
}
