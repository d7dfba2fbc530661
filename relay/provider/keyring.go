package provider

import (
	"crypto/hmac"
	"slices"
	"sync"
)

// Prepared returns a setting for checking many requests: what schemes make from its secrets is made only once. If its
// secrets are replaced, it is like any other setting.
func (s Setting) Prepared() Setting {
	s.ring = &keyring{secrets: slices.Clone(s.Secrets), made: make(map[*signed][]key)}
	return s
}

// keyring holds the keys that schemes have made from some secrets.
type keyring struct {
	secrets []string

	mu   sync.Mutex // guards made
	made map[*signed][]key
}

// keys returns the keys of a scheme for the secrets of a setting; nil when the ring is for other secrets, or none could
// be made.
func (r *keyring) keys(c *signed, s *Setting) []key {
	if r == nil || !slices.Equal(r.secrets, s.Secrets) {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	keys, known := r.made[c]
	if !known {
		keys, _ = c.makeKeys(s.Secrets) // the caller makes them again, to get the error
		for i, k := range keys {
			if k, ok := k.(hmacKey); ok {
				keys[i] = &keptKey{hmacKey: k}
			}
		}
		r.made[c] = keys
	}
	return keys
}

// keptKey is an hmacKey that reuses its checks, so that the key's own blocks are hashed once rather than for each
// request.
type keptKey struct {
	hmacKey
	spare sync.Pool // of *keptCheck
}

func (k *keptKey) begin() check {
	if c, ok := k.spare.Get().(*keptCheck); ok {
		c.Reset()
		return c
	}
	return &keptCheck{hmacCheck{Hash: hmac.New(k.hash.New, k.bytes)}, k}
}

// keptCheck is a check that goes back to its key after use.
type keptCheck struct {
	hmacCheck
	key *keptKey
}

// done gives the check back. It must not be used afterwards.
func (c *keptCheck) done() { c.key.spare.Put(c) }
