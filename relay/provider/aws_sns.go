package provider

import (
	"crypto"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// awsSNS is Amazon SNS, but not its raw message delivery, which is not signed. Amazon signs the messages of all its
// customers alike, so a signature alone proves little: params.topic lists the topics that are ours, separated by
// blanks.
var awsSNS = Provider{
	Name:      "aws-sns",
	Title:     "Amazon SNS",
	Doc:       "https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html",
	Scheme:    snsSignature{},
	Keyless:   true,
	Needs:     []string{"topic"},
	Methods:   []string{"POST"},
	Event:     "header.x-amz-sns-message-type",
	Dedupe:    "json.MessageId",
	Handshake: snsConfirmation,
	Headers:   []string{"x-amz-sns-message-type"},
}

// snsHost matches the hosts of SNS, which serve certificates and confirmations. The pattern is from Amazon's own
// validator.
var snsHost = regexp.MustCompile(`^sns\.[a-zA-Z0-9-]{3,}\.amazonaws\.com(\.cn)?$`)

// snsCertificate matches the paths of certificates, so that a stranger can't have us fetch anything else.
var snsCertificate = regexp.MustCompile(`^/SimpleNotificationService-[0-9a-zA-Z]{1,64}\.pem$`)

// snsSignature is RSA over some members of the body, with a certificate that the message names.
type snsSignature struct{}

// Sign implements Scheme. It always fails.
func (snsSignature) Sign(*Request, *Setting, string) (*Signature, error) {
	return nil, onlySender("Amazon SNS")
}

// onlySender is the error of signing where only the sender has the private key.
func onlySender(title string) error {
	return fmt.Errorf("only %s can sign: it keeps the private key", title)
}

// Verifier implements Scheme.
func (snsSignature) Verifier(r *Request, s *Setting) Verifier {
	return &snsVerifier{request: r, setting: s}
}

type snsVerifier struct {
	wholeBody
	request *Request
	setting *Setting
}

// Verify implements Verifier.
func (v *snsVerifier) Verify() *Failure {
	topics := strings.Fields(v.setting.Params["topic"])
	if len(topics) == 0 {
		return &Failure{Kind: Unavailable, Reason: "params.topic is not set: Amazon SNS signs the messages of all its customers"}
	}
	if raw, _ := v.request.Head.Fields.Get("x-amz-sns-rawdelivery"); raw == "true" {
		return &Failure{Kind: Missing, Reason: "raw message delivery is not signed"}
	}
	m, failure := members(v.request.Body)
	if failure != nil {
		return failure
	}
	if !slices.Contains(topics, m["TopicArn"].Str) { // before a certificate is fetched for it
		return &Failure{Kind: Mismatch, Token: true, Reason: fmt.Sprintf("the topic %.200q is not in params.topic", m["TopicArn"].Str)}
	}
	return verifySNS(m, v.setting)
}

var snsHashes = map[string]crypto.Hash{"1": crypto.SHA1, "2": crypto.SHA256}

func verifySNS(m map[string]gjson.Result, s *Setting) *Failure {
	hash, ok := snsHashes[m["SignatureVersion"].Str]
	if !ok {
		return misshapen("SignatureVersion is neither 1 nor 2")
	}
	signature, err := base64.StdEncoding.Strict().DecodeString(m["Signature"].Str)
	if err != nil || len(signature) == 0 {
		return misshapen("Signature of the JSON body is not base64")
	}
	message, failure := snsMessage(m)
	if failure != nil {
		return failure
	}
	public, failure := snsKey(m["SigningCertURL"].Str, s)
	if failure != nil {
		return failure
	}
	h := hash.New()
	h.Write([]byte(message))
	if rsa.VerifyPKCS1v15(public, hash, h.Sum(nil), signature) != nil {
		return &Failure{Kind: Mismatch, Reason: "Signature of the JSON body does not match: got " + masked(m["Signature"].Str)}
	}
	return nil
}

// Members that are signed, in this order.
var (
	snsNotification = []string{"Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"}
	snsSubscription = []string{"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"}
)

// snsMessage is what is signed: the name and value of each member, on lines of their own.
func snsMessage(m map[string]gjson.Result) (string, *Failure) {
	names := snsSubscription
	switch m["Type"].Str {
	case "Notification":
		names = snsNotification
	case "SubscriptionConfirmation", "UnsubscribeConfirmation":
	default:
		return "", misshapen("Type of the JSON body is not one of Amazon SNS's")
	}
	var b strings.Builder
	for _, name := range names {
		value := m[name]
		switch {
		case !value.Exists() && name == "Subject":
			continue
		case value.Type != gjson.String:
			return "", missing(place("json:" + name))
		}
		fmt.Fprintf(&b, "%s\n%s\n", name, value.Str)
	}
	return b.String(), nil
}

// snsKey fetches the certificate that a message names, but only from Amazon.
func snsKey(at string, s *Setting) (*rsa.PublicKey, *Failure) {
	u, ok := snsURL(at)
	if !ok || !snsCertificate.MatchString(u.EscapedPath()) || u.RawQuery != "" {
		return nil, misshapen("SigningCertURL is not on a host of Amazon SNS")
	}
	pem, failure := fetched(s, at, nil)
	if failure != nil {
		return nil, failure
	}
	certificate, err := parseKey(string(pem))
	if err != nil {
		return nil, &Failure{Kind: Unavailable, Reason: "what SigningCertURL leads to is not a certificate"}
	}
	public, ok := certificate.public.(*rsa.PublicKey)
	if !ok {
		return nil, &Failure{Kind: Unavailable, Reason: "the certificate at SigningCertURL has no RSA key"}
	}
	return public, nil
}

// snsURL parses a URL that is on a host of SNS.
func snsURL(text string) (*url.URL, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.User != nil || !snsHost.MatchString(u.Host) {
		return nil, false
	}
	return u, true
}

// snsConfirmation visits the URL that confirms a subscription.
func snsConfirmation(r *Request, _ *Setting) *Reply {
	if kind, _ := place("json:Type").get(r); kind != "SubscriptionConfirmation" {
		return nil
	}
	visit, _ := place("json:SubscribeURL").get(r)
	if _, ok := snsURL(visit); !ok {
		return refusal(400, "SubscribeURL is not on a host of Amazon SNS").checked()
	}
	return &Reply{Status: 200, Fetch: visit}
}
