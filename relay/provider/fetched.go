package provider

import "fmt"

// fetched gets what a check needs: by GET, or by a POST of JSON. If it can't be had, that is our failure, not the
// request's.
func fetched(s *Setting, url string, post []byte) ([]byte, *Failure) {
	if s.Fetch == nil {
		return nil, &Failure{Kind: Unavailable, Reason: "the key has to be fetched from " + url + ", and nothing can be fetched here"}
	}
	b, err := s.Fetch(url, post)
	if err != nil {
		return nil, &Failure{Kind: Unavailable, Reason: fmt.Sprintf("the key can't be had: %v", err)}
	}
	return b, nil
}
