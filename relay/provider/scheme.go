package provider

import (
	"io"
	"time"

	"github.com/hooktape/hooktape/relay/wire"
)

// A Scheme is a way of checking who sent a request. Schemes are values that many goroutines use.
type Scheme interface {
	// Verifier begins the check of one request. r and s belong to the Verifier until Verify has returned.
	Verifier(r *Request, s *Setting) Verifier
	// Sign says what to change in a request so that it verifies under the first secret of s: with r.Time if the time is
	// signed, and with id if an id is and id is not "". r.Body must be whole. Errors say what is missing: a secret, a
	// private key, or that only the provider itself can sign.
	Sign(r *Request, s *Setting, id string) (*Signature, error)
}

// A Verifier checks one request. It belongs to one goroutine.
type Verifier interface {
	// The decoded body is written to it while it arrives. Write never fails. A Verifier whose Whole is true ignores it.
	io.Writer
	// Whole says that the check needs all of the decoded body in Request.Body, which is set before Verify is called.
	Whole() bool
	// Verify is called once, when the body is complete, and says what is wrong; nil: the request is the provider's.
	Verify() *Failure
}

// Request is what a provider sees of a request: as it was received, or as it is about to be sent.
type Request struct {
	Head *wire.RequestHead
	Body []byte    // without chunk framing, but with its content coding. See Verifier.Whole
	URL  string    // as the sender has it: the public URL and the target; "": not known
	Time time.Time // of arrival; when signing, of sending
}

// Setting is what a source says about its provider.
type Setting struct {
	Secrets   []string          // the first one signs, any verifies. Public keys too: PEM, hex or base64. Empty ones count as none
	Params    map[string]string // what else the provider needs, such as "verify_token"
	Tolerance time.Duration     // how far a request's time may be from ours, in the past and in the future; 0: the provider's own
	Path      string            // the source's path
	// Fetch gets a public key or a certificate: by GET, or if post is not nil, by a POST of that JSON. It only goes to
	// allowed hosts, keeps each result for a while, and limits how often it asks, because a stranger can name keys that
	// don't exist. It is called while a request waits. Nil: nothing can be fetched, and requests that need it are
	// unverified.
	Fetch func(url string, post []byte) ([]byte, error)

	ring *keyring // nil: keys are made anew for each request
}

// Signature is what signing changes in a request.
type Signature struct {
	Fields wire.Fields // to set: each replaces all fields of its name, in the place of the first, or is added at the end
	Query  wire.Fields // parameters to set in the target's query, in the same way; values are unescaped
	Body   []byte      // nil: as it is
}

// Reply is the answer to a handshake.
type Reply struct {
	Status int
	Fields wire.Fields // besides Content-Length, Date and nosniff
	Body   []byte      // what it echoes of the request is at most 1 KiB
	// Open says that the handshake is answered even though nothing shows who sent it: the provider doesn't sign it. Any
	// other is answered only if the request passes the check.
	Open   bool
	Reason string // why it is refused, for the operator: lower case, no full stop; the provider does not get it
	Fetch  string // a URL to visit before the answer, on an allowed host; "": none. If that fails, the answer is a 502
}

// A Failure says why a request is not accepted as the provider's.
type Failure struct {
	Kind   FailureKind
	Token  bool   // a credential is wrong, not a signature: the verdict is unauthorized instead of invalid_signature
	Reason string // for the operator: lower case, no full stop. It never contains a secret, nor more than the end of a signature
}

func (f *Failure) Error() string { return f.Reason }

// FailureKind tells failures apart by what one could do about them.
type FailureKind string

const (
	Missing     FailureKind = "missing"     // the field with the signature, or something else that is needed, is not there
	Form        FailureKind = "form"        // it is there but can't be a signature: prefix, encoding, length
	Mismatch    FailureKind = "mismatch"    // it is a different signature from ours
	Expired     FailureKind = "expired"     // it is right, but its time is outside the tolerance
	Unavailable FailureKind = "unavailable" // there is no key to check it with: the verdict is unverified
)

// Verify checks a whole request at once. With a nil Scheme there is nothing to check, which is no failure: look at
// p.Scheme if that makes a difference.
func (p *Provider) Verify(r *Request, s *Setting) *Failure {
	if p.Scheme == nil {
		return nil
	}
	return verify(p.Scheme, r, s)
}

// TakesSecret says whether p needs a secret to check requests: there is something to check, and its keys are not
// fetched. It is false for a nil p.
func (p *Provider) TakesSecret() bool { return p != nil && p.Scheme != nil && !p.Keyless }

// CheckSecret says why a secret can't be one of the provider's: "the secret is not hex". nil says that it may be
// one.
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

// judged is the Verifier of a request whose check ended before its body came.
type judged struct{ failure *Failure }

func (judged) Write(p []byte) (int, error) { return len(p), nil }
func (judged) Whole() bool                 { return false }
func (j judged) Verify() *Failure          { return j.failure }
