package provider

import (
	"encoding/hex"
	"errors"
	"strconv"

	"github.com/tidwall/gjson"
)

// adyen signs some fields of each item of a notification, under a key in hex. It repeats until it is answered
// [accepted].
var adyen = Provider{
	Name:    "adyen",
	Title:   "Adyen",
	Doc:     "https://docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures/",
	Scheme:  adyenScheme{},
	Methods: []string{"POST"},
	Event:   "[for item in json.notificationItems : item.NotificationRequestItem.eventCode]",
	Dedupe:  `"${json.notificationItems[0].NotificationRequestItem.eventCode} ${json.notificationItems[0].NotificationRequestItem.pspReference}"`,
	Acks:    []Ack{{Headers: []Header{{"Content-Type", `"text/plain"`}}, Body: `"[accepted]"`}},
}

type adyenScheme struct{}

// Where the items are; what of an item is signed, in this order; and its signature.
const (
	adyenItems     = "notificationItems.#.NotificationRequestItem"
	adyenSignature = "additionalData.hmacSignature"
)

var (
	adyenSigned = []string{
		"pspReference", "originalReference", "merchantAccountCode", "merchantReference",
		"amount.value", "amount.currency", "eventCode", "success",
	}
	adyenHMAC = hmacOf{hash: sha256HMAC.hash, decode: hexSecret}
)

func hexSecret(secret string) ([]byte, error) {
	key, err := hex.DecodeString(secret)
	if err != nil {
		return nil, errors.New("the secret is not hex")
	}
	return key, nil
}

// adyenMessage is what is signed of an item.
func adyenMessage(item gjson.Result) (message []byte) {
	for i, name := range adyenSigned {
		if i > 0 {
			message = append(message, ':')
		}
		message = append(message, item.Get(name).String()...)
	}
	return message
}

func (adyenScheme) checkSecret(secret string) error {
	_, err := hexSecret(secret)
	return err
}

// one is the scheme for a single item.
func (adyenScheme) one(item gjson.Result) *signed {
	return &signed{
		At: place("json:" + adyenSignature), Encoding: base64Padded, Algorithm: adyenHMAC,
		Compose: func(*Request, *Setting) ([]byte, error) { return adyenMessage(item), nil },
	}
}

// Verifier implements Scheme.
func (c adyenScheme) Verifier(r *Request, s *Setting) Verifier {
	return &adyenVerifier{request: r, setting: s}
}

type adyenVerifier struct {
	wholeBody
	request *Request
	setting *Setting
}

// Verify implements Verifier: every item must be right.
func (v *adyenVerifier) Verify() *Failure {
	if !anySecret(v.setting) {
		return &Failure{Kind: Unavailable, Reason: errNoKey.Error()}
	}
	items := gjson.GetBytes(v.request.Body, adyenItems).Array()
	switch {
	case len(items) == 0:
		return &Failure{Kind: Missing, Reason: "the body has no notificationItems"}
	case !oneMeaning(v.request.Body):
		return misshapen("the body is JSON that parsers can take for different things")
	}
	for _, item := range items {
		one := &Request{Head: v.request.Head, Body: []byte(item.Raw), Time: v.request.Time}
		if f := verify(adyenScheme{}.one(item), one, v.setting); f != nil {
			return f
		}
	}
	return nil
}

// Sign implements Scheme.
func (c adyenScheme) Sign(r *Request, s *Setting, id string) (*Signature, error) {
	body := r.Body
	items := gjson.GetBytes(body, adyenItems).Array()
	if len(items) == 0 {
		return nil, errors.New("the body has no notificationItems")
	}
	for i, item := range items {
		g, err := c.one(item).Sign(&Request{Head: r.Head, Body: []byte(item.Raw)}, s, id)
		if err != nil {
			return nil, err
		}
		path := "notificationItems." + strconv.Itoa(i) + ".NotificationRequestItem." + adyenSignature
		if body, err = setJSON(body, path, gjson.GetBytes(g.Body, adyenSignature).String()); err != nil {
			return nil, err
		}
	}
	return &Signature{Body: body}, nil
}
