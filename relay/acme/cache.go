package acme

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"golang.org/x/crypto/acme/autocert"
)

// accountName is the name under which the account's key is kept, as in autocert.
const accountName = "acme_account+key"

// accountKey is the account's key; a new one if none is kept.
func accountKey(ctx context.Context, cache autocert.Cache) (*ecdsa.PrivateKey, error) {
	text, err := cache.Get(ctx, accountName)
	if errors.Is(err, autocert.ErrCacheMiss) {
		return newAccountKey(ctx, cache)
	}
	if err != nil {
		return nil, fmt.Errorf("read the key of the account: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("the key of the account is not valid: delete " + accountName + ", and a new account is made")
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read the key of the account: %w", err)
	}
	return key, nil
}

func newAccountKey(ctx context.Context, cache autocert.Cache) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	text, err := encode(key, nil)
	if err != nil {
		return nil, err
	}
	if err := cache.Put(ctx, accountName, text); err != nil {
		return nil, fmt.Errorf("keep the key of the account: %w", err)
	}
	return key, nil
}

// encode is a key and its certificate chain in PEM.
func encode(key *ecdsa.PrivateKey, chain [][]byte) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = pem.Encode(&b, &pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	for _, cert := range chain {
		err = errors.Join(err, pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: cert}))
	}
	return b.Bytes(), err
}

// parse reads what encode or autocert has written. The error says why it can't be used for the name.
func parse(name string, text []byte) (*tls.Certificate, error) {
	cert, err := tls.X509KeyPair(text, text)
	if err != nil {
		return nil, err
	}
	if err := cert.Leaf.VerifyHostname(name); err != nil {
		return nil, err
	}
	return &cert, nil
}

// kept is the certificate of a name on disk.
func kept(cache autocert.Cache, name string) (*tls.Certificate, error) {
	text, err := cache.Get(context.Background(), name)
	if err != nil {
		return nil, err
	}
	return parse(name, text)
}

// Kept are the certificates on disk, by name.
func Kept(s Settings) map[string]*x509.Certificate {
	leaves := make(map[string]*x509.Certificate)
	for _, name := range s.Names {
		if cert, err := kept(s.cache(), name); err == nil {
			leaves[name] = cert.Leaf
		}
	}
	return leaves
}
