package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// pair is a certificate and its key, in PEM.
type pair struct{ cert, key string }

func newPair(t *testing.T, names ...string) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "test"},
		DNSNames: names, NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{inPEM("CERTIFICATE", cert), inPEM("PRIVATE KEY", pkcs8)}
}

func inPEM(kind string, b []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
}

func writePair(t *testing.T, dir string, p pair) {
	t.Helper()
	write(t, filepath.Join(dir, "cert.pem"), p.cert)
	write(t, filepath.Join(dir, "key.pem"), p.key)
}

// loadTLS loads a config with a tls block, beside the files of a pair.
func loadTLS(t *testing.T, p pair) (*Config, error) {
	t.Helper()
	dir := t.TempDir()
	writePair(t, dir, p)
	path := filepath.Join(dir, "c.hcl")
	write(t, path, "tls {\n  cert = \"cert.pem\"\n  key  = \"key.pem\"\n}\n")
	return Load(path, environment)
}

func TestACertificateIsReadBesideTheFileAndWatched(t *testing.T) {
	cfg, err := loadTLS(t, newPair(t, "hooks.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Scheme() != "https" || !slices.Equal(cfg.TLS.Names(), []string{"hooks.example.com"}) {
		t.Errorf("%s, %v", cfg.Scheme(), cfg.TLS.Names())
	}
	var watched []string
	for _, f := range cfg.Files {
		watched = append(watched, filepath.Base(f.Path))
	}
	if !slices.Equal(watched, []string{"c.hcl", "cert.pem", "key.pem"}) {
		t.Errorf("watched: %v", watched)
	}
	if cfg, err := loadTLS(t, newPair(t)); err != nil || !slices.Equal(cfg.TLS.Names(), []string{"CN=test"}) {
		t.Errorf("without names: %v", err)
	}
}

func TestABadPairIsShownWithItsPlaceAndWatched(t *testing.T) {
	one, other := newPair(t, "a"), newPair(t, "b")
	rsa := inPEM("RSA PRIVATE KEY", []byte("hush hush"))
	for name, c := range map[string]struct {
		pair
		place, message string
		more           int // problems beside it
	}{
		"another's key":        {pair{one.cert, other.key}, "c.hcl:1,1: ", "the certificate and the key do not belong together: private key does not match public key", 0},
		"files exchanged":      {pair{one.key, one.cert}, "c.hcl:2,10: ", "there is no certificate in it", 1},
		"no PEM":               {pair{"x", one.key}, "c.hcl:2,10: ", "there is no certificate in it", 0},
		"empty key":            {pair{one.cert, ""}, "c.hcl:3,10: ", "there is no private key in it", 0},
		"nonsense in the key":  {pair{one.cert, rsa}, "c.hcl:1,1: ", "the certificate and the key do not belong together: ", 0},
		"nonsense in the cert": {pair{inPEM("CERTIFICATE", []byte("x")), one.key}, "c.hcl:1,1: ", "the certificate and the key do not belong together: ", 0},
		"a password":           {pair{one.cert, inPEM("ENCRYPTED PRIVATE KEY", []byte("x"))}, "c.hcl:3,10: ", "the private key is encrypted", 0},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadTLS(t, c.pair)
			diags, ok := errors.AsType[*Diagnostics](err)
			if !ok || len(diags.Problems) != 1+c.more {
				t.Fatalf("%v", err)
			}
			if got := diags.Error(); !strings.Contains(got, c.place+c.message) || strings.Contains(got, "hush") {
				t.Errorf("got %s", got)
			}
			if len(diags.Files) != 3 {
				t.Errorf("watched: %v", diags.Files)
			}
		})
	}
}
