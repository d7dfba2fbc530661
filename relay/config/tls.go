package config

import (
	"cmp"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// TLS is how a listener identifies itself: by a certificate from files, or by those that a CA issues.
type TLS struct {
	Cert, Key   string          // paths of the files that were read; "" if ACME is set
	Certificate tls.Certificate // made from both; its Leaf is set
	ACME        *ACME           // nil: Certificate is used
	Inspect     bool            // the inspect address speaks TLS too
}

var tlsSchema = schema[TLS]{
	place: "tls",
	keys: map[string]func(*decoder, *TLS, *hclsyntax.Attribute){
		"cert": func(d *decoder, t *TLS, a *hclsyntax.Attribute) { d.path(a, &t.Cert) },
		"key":  func(d *decoder, t *TLS, a *hclsyntax.Attribute) { d.path(a, &t.Key) },

		"inspect": func(d *decoder, t *TLS, a *hclsyntax.Attribute) { d.flag(a, &t.Inspect) },
	},
	blocks: map[string]func(*decoder, *TLS, *hclsyntax.Block){"acme": decodeACME},
}

func decodeTLS(d *decoder, c *Config, b *hclsyntax.Block) {
	d.unlabeled(b)
	d.once("tls", b.TypeRange, "a second tls block")
	var t TLS
	before := len(d.diags)
	decodeBody(d, &t, b.Body, &tlsSchema)
	cert, key := b.Body.Attributes["cert"], b.Body.Attributes["key"]
	switch {
	case t.ACME != nil && (cert != nil || key != nil):
		d.fail(cmp.Or(cert, key).NameRange, `"cert" and "key" can't be used with an acme block, which gets its own certificates`)
	case t.ACME == nil && (cert == nil || key == nil):
		d.fail(b.TypeRange, `tls needs "cert" and "key", the files of a certificate and of its private key, or an acme block`)
	}
	if len(d.diags) > before {
		return
	}
	if t.ACME != nil {
		c.TLS = &t
		return
	}
	t.read(d, b, cert, key)
	if len(d.diags) == before {
		c.TLS = &t
	}
}

// read reads the files of a certificate.
func (t *TLS) read(d *decoder, b *hclsyntax.Block, cert, key *hclsyntax.Attribute) {
	before := len(d.diags)
	certText, certErr := d.around.bytes(&t.Cert)
	keyText, keyErr := d.around.bytes(&t.Key)
	if err := cmp.Or(certErr, checkCertificate(certText)); err != nil {
		d.fail(cert.Expr.Range(), "%s", err)
	}
	if err := cmp.Or(keyErr, checkKey(keyText)); err != nil {
		d.fail(key.Expr.Range(), "%s", err)
	}
	if len(d.diags) > before {
		return
	}
	var err error
	if t.Certificate, err = tls.X509KeyPair(certText, keyText); err != nil {
		d.fail(b.TypeRange, "the certificate and the key do not belong together: %s", strings.TrimPrefix(err.Error(), "tls: "))
	}
}

// checkCertificate finds what tls.X509KeyPair would reject in a certificate, and says it in words that help.
func checkCertificate(text []byte) error {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			return nil
		}
	}
	return errors.New(`there is no certificate in it: look for a line "-----BEGIN CERTIFICATE-----"`)
}

func checkKey(text []byte) error {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
			return errors.New("the private key is encrypted, and hooktape can't ask for its password")
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			return nil
		}
	}
	return errors.New(`there is no private key in it: look for a line "-----BEGIN PRIVATE KEY-----"`)
}

// Names are what the certificate is for: host names and addresses, or else its subject. With an acme block, they are
// the names to be certified.
func (t *TLS) Names() []string {
	if t.ACME != nil {
		return t.ACME.Names
	}
	leaf := t.Certificate.Leaf
	names := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		names = append(names, leaf.Subject.String())
	}
	return names
}
