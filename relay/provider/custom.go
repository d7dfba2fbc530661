package provider

import (
	"crypto"
	_ "crypto/sha1" // the hashes of Algorithm
	_ "crypto/sha256"
	_ "crypto/sha512"
	"errors"
	"fmt"
	"strings"
)

// Custom describes how a sender signs that is not among the providers: with an HMAC in a header field. Except for
// Header, every field may be zero.
type Custom struct {
	Header    string // the field with the signature
	Prefix    string // in front of the signature: "sha256="
	Algorithm string // "sha1", "sha256" (or empty), "sha384", "sha512"
	Encoding  string // "hex" (or empty), "base64"
	// Signed is what is signed: text with the variables {body}, {timestamp}, {id}, {method}, {url} and {target}, header
	// fields as {X-Name}, and {query:name}, {json:path} and {form:name}. Empty means "{body}".
	Signed    string
	Timestamp string // the field with the time in Unix seconds; empty: none
	ID        string // the field with the id of the delivery; empty: none
}

// Provider returns the provider "hmac" of that description. The error says which part of it is not possible.
func (c Custom) Provider() (*Provider, error) {
	if c.Header == "" {
		return nil, errors.New("header is not set: the field that has the signature")
	}
	hash, ok := hashes[c.Algorithm]
	if !ok {
		return nil, fmt.Errorf("algorithm %q is none of sha1, sha256, sha384, sha512", c.Algorithm)
	}
	encoding, ok := encodings[c.Encoding]
	if !ok {
		return nil, fmt.Errorf("encoding %q is none of hex, base64", c.Encoding)
	}
	if err := c.checkSigned(); err != nil {
		return nil, fmt.Errorf("signed: %w", err)
	}
	scheme := &signed{
		At: place(c.Header), Prefix: c.Prefix, Encoding: encoding, Algorithm: hmacOf{hash: hash},
		Message: message(c.Signed), ID: place(c.ID),
	}
	if c.Timestamp != "" {
		scheme.Stamp = stamp{At: place(c.Timestamp), Tolerance: usualTolerance}
	}
	return &Provider{Name: "hmac", Title: "HMAC", Scheme: scheme}, nil
}

// checkSigned refuses messages that can't be made, and those that would be the same for every request.
func (c Custom) checkSigned() error {
	if err := message(c.Signed).check(); err != nil {
		return err
	}
	switch {
	case c.Signed != "" && !strings.Contains(c.Signed, "{"):
		return errors.New("it contains nothing of the request, so one signature would be right for every request")
	case c.Timestamp == "" && strings.Contains(c.Signed, "{timestamp}"):
		return errors.New("{timestamp} needs the name of its field in timestamp")
	case c.ID == "" && strings.Contains(c.Signed, "{id}"):
		return errors.New("{id} needs the name of its field in id")
	}
	return nil
}

var hashes = map[string]crypto.Hash{
	"": crypto.SHA256, "sha1": crypto.SHA1, "sha256": crypto.SHA256, "sha384": crypto.SHA384, "sha512": crypto.SHA512,
}

var encodings = map[string]encoding{"": hexLower, "hex": hexLower, "base64": base64Padded}
