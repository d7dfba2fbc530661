package provider

import (
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
)

// twilio signs the URL, together with the sorted parameters of a form; of any other body it signs the hash, as a
// parameter of the URL.
var twilio = Provider{
	Name:  "twilio",
	Title: "Twilio",
	Doc:   "https://www.twilio.com/docs/usage/security#validating-requests",
	Scheme: twilioScheme{&signed{
		At: "X-Twilio-Signature", Encoding: base64Padded, Algorithm: hmacOf{hash: crypto.SHA1},
		Compose: twilioMessage,
	}},
	Methods: []string{"GET", "POST"},
	Event:   "form.CallStatus != null ? form.CallStatus : form.MessageStatus != null ? form.MessageStatus : form.SmsStatus",
	Dedupe:  "header.i-twilio-idempotency-token",
	Headers: []string{"x-twilio-signature"},
}

// bodyHash is the parameter of the URL with the hash of a body that is not a form.
const bodyHash = place("query:bodySHA256")

// twilioScheme puts the hash of a body into the URL before signing it, and accepts the URL with and without its port,
// as Twilio's own validators do: which one Twilio signs varies.
type twilioScheme struct{ *signed }

// Verifier implements Scheme.
func (c twilioScheme) Verifier(r *Request, s *Setting) Verifier {
	v := twilioVerifier{c.signed.Verifier(r, s), nil}
	if other, ok := otherPort(r.URL); ok {
		again := *r
		again.URL = other
		v.other = func() Verifier {
			again.Body = r.Body // it is whole by then
			return c.signed.Verifier(&again, s)
		}
	}
	return v
}

type twilioVerifier struct {
	Verifier
	other func() Verifier // for the URL with the other port; nil: there is none
}

// Verify implements Verifier.
func (v twilioVerifier) Verify() *Failure {
	failure := v.Verifier.Verify()
	if failure == nil || failure.Kind != Mismatch || v.other == nil || v.other().Verify() != nil {
		return failure
	}
	return nil
}

// otherPort is the URL without its port or, if it has none, with the default port of its scheme.
func otherPort(text string) (string, bool) {
	scheme, rest, ok := strings.Cut(text, "://")
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	host, path := rest[:end], rest[end:]
	colon := strings.LastIndexByte(host, ':')
	switch {
	case !ok || host == "":
		return "", false
	case colon > strings.LastIndexByte(host, ']'):
		return scheme + "://" + host[:colon] + path, true
	case scheme == "https":
		return scheme + "://" + host + ":443" + path, true
	}
	return scheme + "://" + host + ":80" + path, true
}

// Sign implements Scheme.
func (c twilioScheme) Sign(r *Request, s *Setting, id string) (*Signature, error) {
	g := new(Signature)
	if _, ok := bodyHash.get(r); ok {
		sum := sha256.Sum256(r.Body)
		if err := bodyHash.set(g, r, hex.EncodeToString(sum[:])); err != nil {
			return nil, err
		}
		r = applied(r, g)
	}
	signature, err := c.signed.Sign(r, s, id)
	if err != nil {
		return nil, err
	}
	signature.Query = g.Query
	return signature, nil
}

// twilioMessage is what is signed: the URL, then the name and value of each parameter of the form, sorted.
func twilioMessage(r *Request, _ *Setting) ([]byte, error) {
	target, err := values{request: r, url: r.URL}.of("url")
	if err != nil {
		return nil, err
	}
	if sent, ok := bodyHash.get(r); ok {
		if sum := sha256.Sum256(r.Body); !strings.EqualFold(sent, hex.EncodeToString(sum[:])) {
			return nil, &Failure{Kind: Mismatch, Reason: "bodySHA256 in the URL is not the hash of the body"}
		}
		return []byte(target), nil
	}
	form, err := twilioForm(string(r.Body))
	if err != nil {
		return nil, err
	}
	message := []byte(target)
	for _, name := range sortedKeys(form) {
		values := slices.Clone(form[name])
		slices.Sort(values)
		for _, value := range slices.Compact(values) {
			message = append(append(message, name...), value...)
		}
	}
	return message, nil
}

// twilioForm reads a form. Names and values are signed with nothing in between, so a name without a "=" could pass for
// a value: Twilio sends none.
func twilioForm(body string) (url.Values, error) {
	for pair := range strings.SplitSeq(body, "&") {
		if body != "" && !strings.Contains(pair, "=") {
			return nil, misshapen("the body has a parameter without a value")
		}
	}
	form, err := url.ParseQuery(body)
	if err != nil {
		return nil, misshapen("the body is no form: %w", err)
	}
	return form, nil
}

func sortedKeys(form url.Values) []string {
	names := make([]string, 0, len(form))
	for name := range form {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
