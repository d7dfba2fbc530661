package provider

import (
	"io"
	"time"

	"github.com/hooktape/hooktape/relay/wire"
)

// A Scheme is a way of telling that a request is from who it says it is. Schemes are values that many goroutines use.
type Scheme interface {
	// Verifier begins the check of one request. Request and Setting are the Verifier's until Verify has returned.
	Verifier(r *Request, s *Setting) Verifier
	// Sign says what to change of a request so that it verifies under the first secret of s: with r.Time where a time
	// is part of it, and with id where an id is and id is not empty. r.Body must be whole. Errors say what is missing:
	// a secret, a private key, or that only the provider itself can sign.
	Sign(r *Request, s *Setting, id string) (*Signature, error)
}

// A Verifier checks one request. It belongs to one goroutine.
type Verifier interface {
	// The decoded body is written to it while it comes. Write never fails. A Verifier whose Whole is true ignores it.
	io.Writer
	// Whole says that the check needs all of the decoded body in Request.Body, which is set before Verify is called.
	Whole() bool
	// Verify is called once, when the body has come, and says what is wrong: nil when the request is the provider's.
	Verify() *Failure
}

// Request is what a provider sees of a request: as it was received, or as it is about to be sent.
type Request struct {
	Head *wire.RequestHead
	Body []byte    // decoded: without chunk framing, content codings as they are. See Verifier.Whole
	URL  string    // as the sender has it: the public URL and the target; "": not known
	Time time.Time // of arrival; of sending where it is signed
}

// Setting is what a source says about its provider.
type Setting struct {
	Secrets   []string          // the first one signs, any verifies. Public keys too: PEM, hex or base64. Empty ones count as none
	Params    map[string]string // what else the provider needs: "verify_token"
	Tolerance time.Duration     // how far a request's time may be from ours, in the past and in the future; 0: the provider's own
	Path      string            // the source's path
	// Fetch gets a public key or a certificate: by GET, or by a POST of the JSON when post is not nil. It goes to allowed
	// hosts only, keeps what it got for each url and post for a while, limits how often it asks, because a stranger can
	// name keys that don't exist, and is called while a request waits. Nil: nothing can be fetched, and what needs it is
	// unverifiable.
	Fetch func(url string, post []byte) ([]byte, error)

	ring *keyring // nil: keys are made for each request
}

// Signature is what signing changes of a request.
type Signature struct {
	Fields wire.Fields // to set: each replaces those of its name, in the place of the first, else goes behind all others
	Query  wire.Fields // parameters to set in the target's query, in the same way; values are not yet escaped
	Body   []byte      // nil: as it is
}

// Reply is the answer to a handshake.
type Reply struct {
	Status int
	Fields wire.Fields // beside Content-Length, Date and nosniff
	Body   []byte      // what it echoes of the request is at most 1 KiB
	// Open says that the handshake is answered though nothing shows who it is from: the provider doesn't sign it. Any
	// other is answered only if the request passes the check.
	Open   bool
	Reason string // why it is a no, for the operator: lower case, no full stop; the provider does not get it
	Fetch  string // a URL to visit, on an allowed host, before the answer; "": none. When that fails the answer is a 502
}

// A Failure says why a request can't be taken for the provider's.
type Failure struct {
	Kind   FailureKind
	Token  bool   // it is about a credential, not a signature: the verdict is unauthorized instead of invalid_signature
	Reason string // for the operator: lower case, no full stop. It never has a secret, nor more than the end of a signature
}

func (f *Failure) Error() string { return f.Reason }

// FailureKind tells failures apart by what could be done about them.
type FailureKind string

const (
	Missing     FailureKind = "missing"     // the field that has the signature, or something else it needs, is not there
	Form        FailureKind = "form"        // it is there and can't be a signature: prefix, encoding, length
	Mismatch    FailureKind = "mismatch"    // it is another signature than ours
	Expired     FailureKind = "expired"     // it is right, and its time is outside the tolerance
	Unavailable FailureKind = "unavailable" // there is no key to check it with: the verdict is unverified
)

// Verify checks a whole request at once. A nil Scheme has nothing to check, which is no failure: ask for p.Scheme where
// that makes a difference.
func (p *Provider) Verify(r *Request, s *Setting) *Failure {
	if p.Scheme == nil {
		return nil
	}
	return verify(p.Scheme, r, s)
}

// TakesSecret says whether a secret is needed to check its requests: there is something to check, and its keys are not
// fetched. That of no provider is not.
func (p *Provider) TakesSecret() bool { return p != nil && p.Scheme != nil && !p.Keyless }

// CheckSecret says what is wrong with a secret that can't be one of the provider's: "the secret is not hex". nil says
// that it may be one.
func (p *Provider) CheckSecret(secret string) error { return checkSecret(p.Scheme, secret) }

func checkSecret(scheme Scheme, secret string) error {
	if c, ok := scheme.(interface{ checkSecret(string) error }); ok {
		return c.checkSecret(secret)
	}
	return nil
}

func verify(scheme Scheme, r *Request, s *Setting) *Failure {
	v := scheme.Verifier(r, s)
	if !v.Whole() {
		v.Write(r.Body)
	}
	return v.Verify()
}

// judged is the Verifier of a request whose check is over before its body has come.
type judged struct{ failure *Failure }

func (judged) Write(p []byte) (int, error) { return len(p), nil }
func (judged) Whole() bool                 { return false }
func (j judged) Verify() *Failure          { return j.failure }
