package provider

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"hash"
	"io"
	"strings"
)

// An algorithm makes keys from secrets.
type algorithm interface {
	// key reads a secret. The error says what it should be, but reveals nothing of what it is.
	key(secret string) (key, error)
	// size is how many bytes a signature has; 0: that varies.
	size() int
	// whole says that all of what is signed is needed at once: a large message can't be checked while it arrives.
	whole() bool
}

// A key signs and checks.
type key interface {
	begin() check
	// sign signs a message; the error is errPublic for a key that can't.
	sign(message []byte) ([]byte, error)
}

// A check is one message being checked under one key. What is signed is written to it.
type check interface {
	io.Writer
	// right says whether one of the signatures is right for what was written. It is called once. As far as that matters
	// for guessing one, its time does not depend on them.
	right(signatures [][]byte) bool
	// want returns the right signature, once right was called; nil where only the sender can make it.
	want() []byte
}

var (
	errPublic = errors.New("a public key can't sign, give the private key as the first secret")
	errNoKey  = errors.New("no secret is configured")
)

var sha256HMAC = hmacOf{hash: crypto.SHA256}

// hmacOf is HMAC (RFC 2104).
type hmacOf struct {
	hash   crypto.Hash
	decode func(secret string) ([]byte, error) // nil: the secret's bytes are the key
}

func (a hmacOf) size() int   { return a.hash.Size() }
func (a hmacOf) whole() bool { return false }

func (a hmacOf) key(secret string) (key, error) {
	k := hmacKey{a.hash, []byte(secret)}
	if a.decode != nil {
		var err error
		if k.bytes, err = a.decode(secret); err != nil {
			return nil, err
		}
	}
	if len(k.bytes) == 0 {
		return nil, errNoKey // anybody could sign with an empty key
	}
	return k, nil
}

type hmacKey struct {
	hash  crypto.Hash
	bytes []byte
}

func (k hmacKey) begin() check { return &hmacCheck{Hash: hmac.New(k.hash.New, k.bytes)} }

func (k hmacKey) sign(message []byte) ([]byte, error) {
	m := hmac.New(k.hash.New, k.bytes)
	m.Write(message)
	return m.Sum(nil), nil
}

type hmacCheck struct {
	hash.Hash
	sum []byte
}

func (c *hmacCheck) right(signatures [][]byte) (ok bool) {
	c.sum = c.Sum(c.sum[:0])
	for _, s := range signatures {
		ok = hmac.Equal(s, c.sum) || ok
	}
	return ok
}

func (c *hmacCheck) want() []byte { return c.sum }

// publicKey is for signatures that anybody can check: Ed25519, and ECDSA (ASN.1) and RSA (PKCS #1 v1.5) over a hash.
// The key decides which. Ed25519 keys may be in hex or base64; all others are PEM or the base64 of the DER.
type publicKey struct {
	hash crypto.Hash // 0: Ed25519
}

func (a publicKey) size() int {
	if a.hash == 0 {
		return ed25519.SignatureSize
	}
	return 0
}

func (a publicKey) whole() bool { return a.hash == 0 } // Ed25519 reads the message twice

func (a publicKey) key(secret string) (key, error) {
	k, err := parseKey(secret)
	if err != nil {
		return nil, err
	}
	if _, ok := k.public.(ed25519.PublicKey); ok != (a.hash == 0) {
		return nil, errors.New("the key is of the wrong kind")
	}
	k.hash = a.hash
	return k, nil
}

type pair struct {
	hash    crypto.Hash
	public  crypto.PublicKey
	private crypto.Signer // nil: it can't sign
}

func (k *pair) begin() check {
	if k.hash == 0 {
		return &publicCheck{pair: k, Writer: new(bytes.Buffer)}
	}
	h := k.hash.New()
	return &publicCheck{pair: k, Writer: h}
}

func (k *pair) sign(message []byte) ([]byte, error) {
	if k.private == nil {
		return nil, errPublic
	}
	if k.hash != 0 {
		h := k.hash.New()
		h.Write(message)
		message = h.Sum(nil)
	}
	return k.private.Sign(rand.Reader, message, k.hash)
}

type publicCheck struct {
	io.Writer // *bytes.Buffer or hash.Hash
	pair      *pair
}

func (c *publicCheck) want() []byte { return nil }

func (c *publicCheck) right(signatures [][]byte) bool {
	var message []byte
	switch w := c.Writer.(type) {
	case *bytes.Buffer:
		message = w.Bytes()
	case hash.Hash:
		message = w.Sum(nil)
	}
	for _, s := range signatures {
		if c.pair.verify(message, s) {
			return true
		}
	}
	return false
}

// verify checks a signature of a message, or of its hash if the algorithm has one.
func (k *pair) verify(message, signature []byte) bool {
	switch public := k.public.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(public, message, signature)
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(public, message, signature)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(public, k.hash, message, signature) == nil
	}
	return false
}

var errNotKey = errors.New("the secret is no key: PEM, hex or base64 is expected")

// parseKey reads a public or private key, or a certificate.
func parseKey(secret string) (*pair, error) {
	secret = strings.TrimSpace(secret)
	if secret == "" {
		return nil, errNoKey
	}
	if block, _ := pem.Decode([]byte(secret)); block != nil {
		return parseDER(block.Bytes)
	}
	b, err := hex.DecodeString(secret)
	if err != nil {
		b, err = base64.StdEncoding.DecodeString(secret)
	}
	if err != nil {
		return nil, errNotKey
	}
	switch len(b) {
	case ed25519.PublicKeySize: // 32 bytes could also be a seed, but providers hand out public keys
		return &pair{public: ed25519.PublicKey(b)}, nil
	case ed25519.PrivateKeySize:
		private := ed25519.PrivateKey(b)
		return &pair{public: private.Public(), private: private}, nil
	}
	return parseDER(b)
}

// parseDER reads the forms that keys are stored in.
func parseDER(der []byte) (*pair, error) {
	if public, err := x509.ParsePKIXPublicKey(der); err == nil {
		return &pair{public: public}, nil
	}
	if certificate, err := x509.ParseCertificate(der); err == nil {
		return &pair{public: certificate.PublicKey}, nil
	}
	if private, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		if signer, ok := private.(crypto.Signer); ok {
			return &pair{public: signer.Public(), private: signer}, nil
		}
	}
	if private, err := x509.ParseECPrivateKey(der); err == nil {
		return &pair{public: private.Public(), private: private}, nil
	}
	if private, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return &pair{public: private.Public(), private: private}, nil
	}
	return nil, errNotKey
}
