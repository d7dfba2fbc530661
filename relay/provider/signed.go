package provider

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// signed is the Scheme of most providers: a signature of a message that is made from the request, under a key that both
// sides have.
type signed struct {
	At        place     // where the signature stands
	Separator string    // between the parts of what stands there; "": there is one part
	Prefix    string    // how a part that is a signature begins: "sha256=". Other parts are ignored
	Encoding  encoding  //
	Algorithm algorithm // nil: HMAC-SHA256
	Message   message   // what is signed
	Stamp     stamp     //
	ID        place     // where the id of the delivery stands; "": there is none
	// URL is how the sender spells the URL that it signs; nil: as it is.
	URL func(url string) string
	// Compose makes the message if Message can't. Its error is a *Failure.
	Compose func(r *Request, s *Setting) ([]byte, error)
}

// maxSignatures bounds what one request can make us check: rotation takes two or three.
const maxSignatures = 16

func (c *signed) algorithm() algorithm {
	if c.Algorithm == nil {
		return sha256HMAC
	}
	return c.Algorithm
}

func (c *signed) whole() bool {
	return c.Compose != nil || c.algorithm().whole() || c.Message.inBody() ||
		c.At.inBody() || c.Stamp.At.inBody() || c.ID.inBody()
}

// Verifier implements Scheme.
func (c *signed) Verifier(r *Request, s *Setting) Verifier {
	v := &signedVerifier{scheme: c, request: r, setting: s, whole: c.whole()}
	if !v.whole {
		v.begin()
	}
	return v
}

// signedVerifier checks one request: begin, the body, end.
type signedVerifier struct {
	scheme  *signed
	request *Request
	setting *Setting
	whole   bool

	failure error // what begin found
	letter  letter
	after   string // the part of the message after the body
	body    bool   // the body is part of the message
	checks  []check
}

func (v *signedVerifier) Whole() bool { return v.whole }

func (v *signedVerifier) Write(p []byte) (int, error) {
	if v.body && !v.whole {
		v.write(p)
	}
	return len(p), nil
}

func (v *signedVerifier) write(p []byte) {
	for _, c := range v.checks {
		c.Write(p)
	}
}

func (v *signedVerifier) values() values {
	return v.scheme.values(v.request, v.letter)
}

func (c *signed) values(r *Request, l letter) values {
	v := values{request: r, url: r.URL, timestamp: l.stamp, id: l.id}
	if c.URL != nil {
		v.url = c.URL(r.URL)
	}
	return v
}

// begin reads what the request says of its signature and writes the message up to the body.
func (v *signedVerifier) begin() {
	c := v.scheme
	var keys []key
	if keys, v.failure = c.keys(v.setting); v.failure != nil {
		return
	}
	if v.letter, v.failure = c.read(v.request); v.failure != nil {
		return
	}
	checks := make([]check, len(keys))
	for i, k := range keys {
		checks[i] = k.begin()
	}
	if c.Compose != nil {
		message, err := c.Compose(v.request, v.setting)
		v.checks, v.failure = checks, err
		v.write(message)
		return
	}
	var before string
	before, v.after, v.body = c.Message.cut()
	v.checks = checks
	v.failure = v.values().write(writers(checks), c.Message, before)
	if v.failure != nil {
		v.body = false
	}
}

// Verify implements Verifier.
func (v *signedVerifier) Verify() *Failure {
	defer v.end()
	if v.whole {
		v.begin()
		if v.body {
			v.write(v.request.Body)
		}
	}
	if v.failure == nil {
		v.failure = v.values().write(writers(v.checks), v.scheme.Message, v.after)
	}
	if v.failure != nil {
		return asFailure(v.failure)
	}
	ok := false
	for _, c := range v.checks { // all of them, so that the time does not tell which secret it was
		ok = c.right(v.letter.signatures) || ok
	}
	if !ok {
		return v.mismatch()
	}
	if v.scheme.Stamp.none() {
		return nil
	}
	return v.scheme.Stamp.judge(v.letter.at, v.request.Time, v.setting.Tolerance)
}

// end lets go of the checks.
func (v *signedVerifier) end() {
	for _, c := range v.checks {
		if kept, ok := c.(*keptCheck); ok {
			kept.done()
		}
	}
	v.checks = nil
}

func (v *signedVerifier) mismatch() *Failure {
	c := v.scheme
	got := c.Prefix + masked(c.Encoding.encode(v.letter.signatures[0]))
	reason := fmt.Sprintf("%s does not match: got %s", c.At, got)
	if want := v.checks[0].want(); want != nil {
		reason = fmt.Sprintf("%s does not match: expected %s, got %s", c.At, c.Prefix+masked(c.Encoding.encode(want)), got)
	}
	return &Failure{Kind: Mismatch, Reason: reason}
}

// keys returns the keys of all secrets that are valid.
func (c *signed) keys(s *Setting) ([]key, error) {
	if keys := s.ring.keys(c, s); keys != nil {
		return keys, nil
	}
	return c.makeKeys(s.Secrets)
}

func (c *signed) makeKeys(secrets []string) ([]key, error) {
	var keys []key
	reason := errNoKey
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		k, err := c.algorithm().key(secret)
		if err != nil {
			reason = err
			continue
		}
		keys = append(keys, k)
	}
	if keys == nil {
		return nil, &Failure{Kind: Unavailable, Reason: reason.Error()}
	}
	return keys, nil
}

// checkSecret says why a secret can't be one of this scheme.
func (c *signed) checkSecret(secret string) error {
	_, err := c.algorithm().key(secret)
	return err
}

// Sign implements Scheme.
func (c *signed) Sign(r *Request, s *Setting, id string) (*Signature, error) {
	if len(s.Secrets) == 0 || s.Secrets[0] == "" {
		return nil, errNoKey
	}
	k, err := c.algorithm().key(s.Secrets[0])
	if err != nil {
		return nil, err
	}
	g := new(Signature)
	var l letter
	if l, err = c.stamp(g, r, id); err != nil {
		return nil, err
	}
	text, err := c.compose(applied(r, g), s, l)
	if err != nil {
		return nil, err
	}
	signature, err := k.sign(text)
	if err != nil {
		return nil, err
	}
	return g, c.At.set(g, r, c.write(l.stamp, signature))
}

// stamp adds the time and the id to what changes in r.
func (c *signed) stamp(g *Signature, r *Request, id string) (l letter, err error) {
	if !c.Stamp.none() {
		l.stamp = c.Stamp.format(r.Time)
	}
	if c.Stamp.At != "" {
		if err := c.Stamp.At.set(g, r, l.stamp); err != nil {
			return l, err
		}
	}
	switch {
	case c.ID == "":
	case id == "":
		l.id, _ = c.ID.get(r)
	default:
		l.id = id
		err = c.ID.set(g, r, id)
	}
	return l, err
}

// compose returns what is signed of r.
func (c *signed) compose(r *Request, s *Setting, l letter) ([]byte, error) {
	if c.Compose != nil {
		return c.Compose(r, s)
	}
	var b bytes.Buffer
	values := c.values(r, l)
	before, after, body := c.Message.cut()
	if err := values.write(&b, c.Message, before); err != nil {
		return nil, err
	}
	if body {
		b.Write(r.Body)
	}
	err := values.write(&b, c.Message, after)
	return b.Bytes(), err
}

// write returns what stands in the signature's place: the inverse of read.
func (c *signed) write(stamp string, signature []byte) string {
	text := c.Prefix + c.Encoding.encode(signature)
	if c.Stamp.Prefix != "" {
		return c.Stamp.Prefix + stamp + c.Separator + text
	}
	return text
}

// asFailure returns the Failure that err is, or one of kind Form.
func asFailure(err error) *Failure {
	if f, ok := errors.AsType[*Failure](err); ok {
		return f
	}
	return &Failure{Kind: Form, Reason: err.Error()}
}

// writers writes to all checks at once.
type writers []check

func (w writers) Write(p []byte) (int, error) {
	for _, c := range w {
		c.Write(p)
	}
	return len(p), nil
}

func (w writers) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

var _ io.StringWriter = writers(nil)
