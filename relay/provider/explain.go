package provider

import (
	"fmt"
	"hash/maphash"
	"iter"
	"slices"
	"strings"
)

// A Secret is a secret and the name of the source that it is configured for.
type Secret struct {
	Source string
	Value  string
}

// These bound the work of one explanation to about a second.
const (
	explainBytes = 32 << 20 // of what is checked: bodies and URLs
	explainGuess = 4 << 10  // what a guess costs besides them, so that a stranger's header fields can't cause any number of guesses
	explainBody  = 4 << 20  // the largest body in which changes are undone
)

// Explain says in one sentence why a request fails the check of p: what Verify says and, if the signature is a
// different one, what was done to the request since it was signed, as far as trying can find that out. It is "" for a
// request that is right. r.Body must be whole; others are secrets of other sources. Explain is for a person who asks,
// not for every request that fails. What it finds never makes a request right.
func Explain(p *Provider, r *Request, s *Setting, others []Secret) string {
	failure := p.Verify(r, s)
	if failure == nil {
		return ""
	}
	if failure.Kind != Mismatch {
		return failure.Reason
	}
	left := explainBytes
	for g := range guesses(p, r, s, others, failure.Token) {
		if left -= len(g.request.Body) + len(g.request.URL) + explainGuess; left < 0 {
			break
		}
		if f := p.Verify(g.request, g.setting); f == nil || f.Kind == Expired {
			return g.says
		}
	}
	if failure.Token {
		return failure.Reason
	}
	return failure.Reason + "; no other configured secret and no known change on the way explains it"
}

// A guess is what may have happened to a request, which would be right in the form given here.
type guess struct {
	says    string
	request *Request
	setting *Setting
}

// guesses are all of them, the likely and cheap ones first. token says that a credential is checked, which no change of
// the body or the URL could have altered: then only other secrets are tried.
func guesses(p *Provider, r *Request, s *Setting, others []Secret, token bool) iter.Seq[guess] {
	return func(yield func(guess) bool) {
		if !fetchesKeys(p.Scheme) {
			for g := range guessSecrets(r, s, others) {
				if !yield(g) {
					return
				}
			}
		}
		if token {
			return
		}
		if signsWithURL(p.Scheme) {
			for url := range guessURLs(r) {
				says := fmt.Sprintf("the signature is right for the URL %s, and the request came as %s: public_url says what the provider sees",
					maskQuery(url), maskQuery(r.URL))
				if !yield(guess{says, &Request{r.Head, r.Body, url, r.Time}, s}) {
					return
				}
			}
		}
		if len(r.Body) > explainBody {
			return
		}
		seed, seen := maphash.MakeSeed(), map[uint64]bool{}
		for what, body := range guessBodies(r) {
			sum := maphash.Bytes(seed, body)
			if seen[sum] {
				continue
			}
			seen[sum] = true
			says := "the body was changed after it was signed: the signature is right for " + what
			if !yield(guess{says, &Request{r.Head, body, r.URL, r.Time}, s}) {
				return
			}
		}
	}
}

// guessSecrets tries the secrets of other sources, and our own without what editors and shells leave around them.
func guessSecrets(r *Request, s *Setting, others []Secret) iter.Seq[guess] {
	return func(yield func(guess) bool) {
		with := func(secret string) *Setting {
			other := *s
			other.Secrets = []string{secret}
			return &other
		}
		for i, secret := range s.Secrets {
			bare := strings.Trim(secret, " \t\r\n\"'")
			says := fmt.Sprintf("the secret is right without the spaces or quotes round it (secret %d of %d)", i+1, len(s.Secrets))
			if bare != secret && !yield(guess{says, r, with(bare)}) {
				return
			}
		}
		for _, other := range others {
			if !yield(guess{fmt.Sprintf("the signature is right for the secret of source %q, not for the configured one", other.Source), r, with(other.Value)}) {
				return
			}
		}
	}
}

// fetchesKeys says whether the scheme may send secrets to the provider to get keys: then those of others must not be
// tried.
func fetchesKeys(scheme Scheme) bool {
	switch scheme.(type) {
	case *webToken, snsSignature:
		return true
	}
	return false
}

// signsWithURL says whether the URL is part of what is signed.
func signsWithURL(scheme Scheme) bool {
	c, ok := scheme.(interface{ signsURL() bool })
	return ok && c.signsURL()
}

func (c *signed) signsURL() bool {
	return c.Compose != nil || strings.Contains(string(c.Message), "{url}")
}

func (c either) signsURL() bool { return slices.ContainsFunc(c, signsWithURL) }

// maskQuery leaves out the query, where tokens may be.
func maskQuery(url string) string {
	if before, _, ok := strings.Cut(url, "?"); ok {
		return before + "?…"
	}
	return url
}
