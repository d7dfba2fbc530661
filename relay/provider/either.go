package provider

import "errors"

// either is the Scheme of those who sign in several ways, in their order of preference: a request is right when one of
// the schemes says so. A scheme ignores secrets that are not of its kind.
type either []Scheme

// Verifier implements Scheme.
func (c either) Verifier(r *Request, s *Setting) Verifier {
	v := eitherVerifier{make([]Verifier, len(c)), r}
	for i, scheme := range c {
		v.verifiers[i] = scheme.Verifier(r, s)
	}
	return v
}

type eitherVerifier struct {
	verifiers []Verifier
	request   *Request
}

func (v eitherVerifier) Write(p []byte) (int, error) {
	if v.Whole() {
		return len(p), nil
	}
	for _, w := range v.verifiers {
		w.Write(p)
	}
	return len(p), nil
}

func (v eitherVerifier) Whole() bool {
	for _, w := range v.verifiers {
		if w.Whole() {
			return true
		}
	}
	return false
}

// Verify implements Verifier. If some schemes need the whole body, the others get it only now.
func (v eitherVerifier) Verify() *Failure {
	whole := v.Whole()
	var worst *Failure
	for _, w := range v.verifiers {
		if whole && !w.Whole() {
			w.Write(v.request.Body)
		}
		f := w.Verify()
		if f == nil {
			return nil
		}
		if worst == nil || nearness[f.Kind] > nearness[worst.Kind] {
			worst = f
		}
	}
	return worst
}

// nearness orders failures by how near the request was to being right: the nearest one explains most.
var nearness = map[FailureKind]int{Unavailable: 0, Missing: 1, Form: 2, Mismatch: 3, Expired: 4}

// Sign implements Scheme: by the first scheme that the first secret is for.
func (c either) Sign(r *Request, s *Setting, id string) (*Signature, error) {
	err := errors.New("no way to sign")
	for _, scheme := range c {
		var g *Signature
		if g, err = scheme.Sign(r, s, id); err == nil {
			return g, nil
		}
	}
	return nil, err
}

// checkSecret accepts a secret that is right for one of the schemes.
func (c either) checkSecret(secret string) (err error) {
	for i, scheme := range c {
		one := checkSecret(scheme, secret)
		if one == nil {
			return nil
		}
		if i == 0 {
			err = one
		}
	}
	return err
}
