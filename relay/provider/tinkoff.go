package provider

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// tinkoff is T-Bank's acquiring. It repeats for a month until it gets "OK". A payment has one event for each status.
var tinkoff = Provider{
	Name:    "tinkoff",
	Title:   "T-Bank (Tinkoff) acquiring",
	Doc:     "https://developer.tbank.ru/eacq/intro/developer/notification",
	Scheme:  tinkoffToken{},
	Methods: []string{"POST"},
	Event:   "json.Status",
	Dedupe:  `json.PaymentId != null ? "${json.PaymentId} ${json.Status} ${json.Amount}" : null`,
	Acks:    []Ack{{Headers: textType, Body: `"OK"`}},
}

// tinkoffToken is the Token in the body: the SHA-256 of the values of all other members except objects and arrays, and
// of the password as a member Password, in the order of their names. As nothing separates the values, it can't tell
// where one ends and the next begins: that is the bank's design.
type tinkoffToken struct{}

// Verifier implements Scheme.
func (tinkoffToken) Verifier(r *Request, s *Setting) Verifier {
	return &tinkoffVerifier{request: r, setting: s}
}

type tinkoffVerifier struct {
	wholeBody
	request *Request
	setting *Setting
}

// Verify implements Verifier.
func (v *tinkoffVerifier) Verify() *Failure {
	if !anySecret(v.setting) {
		return &Failure{Kind: Unavailable, Reason: errNoKey.Error()}
	}
	values, failure := members(v.request.Body)
	if failure != nil {
		return failure
	}
	token := values["Token"]
	switch given, err := hex.DecodeString(token.Str); {
	case token.Type != gjson.String || token.Str == "":
		return missing("json:Token")
	case err != nil || len(given) != sha256.Size:
		return misshapen("Token of the JSON body is not the hex of %d bytes", sha256.Size)
	}
	var tokens []string
	for _, secret := range v.setting.Secrets {
		if secret != "" {
			tokens = append(tokens, tinkoffSum(values, secret))
		}
	}
	if !sameAsAny(strings.ToLower(token.Str), tokens) {
		return &Failure{Kind: Mismatch, Reason: "Token of the JSON body does not match: expected " + masked(tokens[0]) + ", got " + masked(token.Str)}
	}
	return nil
}

// Sign implements Scheme.
func (tinkoffToken) Sign(r *Request, s *Setting, _ string) (*Signature, error) {
	if len(s.Secrets) == 0 || s.Secrets[0] == "" {
		return nil, errNoKey
	}
	values, failure := members(r.Body)
	if failure != nil {
		return nil, failure
	}
	g := new(Signature)
	return g, place("json:Token").set(g, r, tinkoffSum(values, s.Secrets[0]))
}

func tinkoffSum(values map[string]gjson.Result, password string) string {
	values = maps.Clone(values)
	delete(values, "Token")
	values["Password"] = gjson.Result{Type: gjson.String, Str: password}
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch value := values[name]; value.Type {
		case gjson.Null, gjson.JSON:
		case gjson.String:
			h.Write([]byte(value.Str))
		default: // numbers and booleans, as they are written
			h.Write([]byte(value.Raw))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
