package relay

import (
	"crypto/tls"
	"crypto/x509"
	"time"

	"github.com/hooktape/hooktape/relay/acme"
	"github.com/hooktape/hooktape/relay/config"
)

// expiresSoon is how long before its end a certificate is warned about: renewal programs have acted long before.
const expiresSoon = 7 * 24 * time.Hour

// tls is what listeners speak; nil where cfg has no certificate.
func (a *Agent) tls(cfg *config.Config) *tls.Config {
	if cfg.TLS == nil {
		return nil
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: a.shown}
}

// TLS is what the agent's other listeners speak, with the certificate that senders see; nil where there is none.
func (a *Agent) TLS() *tls.Config { return a.server.TLS.Clone() }

// shown is the certificate for a handshake: of the configuration that is in force then. One of files stays until a CA has
// given another for the name.
func (a *Agent) shown(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	file := a.certificate.Load()
	if file != nil && !a.asksCA() {
		return file, nil
	}
	cert, err := a.keeper.Certificate(hello)
	if err != nil && file != nil && file.Leaf.VerifyHostname(hello.ServerName) == nil {
		return file, nil
	}
	return cert, err
}

// asksCA says whether certificates come from a CA.
func (a *Agent) asksCA() bool {
	t := a.cfg.Load().TLS
	return t != nil && t.ACME != nil
}

// present shows certificates to senders from now on. Without any the last stay: listeners can't change what they speak.
func (a *Agent) present(cfg *config.Config) {
	if cfg.TLS == nil || a.server.TLS == nil {
		return
	}
	a.keeper.Want(cfg.Certificates())
	if cfg.TLS.ACME == nil {
		a.presentFile(cfg.TLS)
	}
}

// presentFile is present for a certificate of files.
func (a *Agent) presentFile(t *config.TLS) {
	was := a.certificate.Swap(&t.Certificate)
	leaf := t.Certificate.Leaf
	if was != nil && was.Leaf.Equal(leaf) {
		return
	}
	expires := leaf.NotAfter.Format(time.RFC3339)
	a.log.Info("certificate in use", "file", t.Cert, "names", t.Names(), "expires", expires)
	switch now := a.now(); {
	case leaf.NotAfter.Before(now):
		a.log.Warn("certificate has expired, senders that check it will refuse to connect", "file", t.Cert, "expires", expires)
	case leaf.NotAfter.Before(now.Add(expiresSoon)):
		a.log.Warn("certificate expires soon", "file", t.Cert, "expires", expires)
	}
}

// RetryCertificates has the CA asked at once for what it has refused.
func (a *Agent) RetryCertificates() { a.keeper.Retry() }

// certified tells what became of a certificate that a CA was asked for. Of failures in a row the first is told, then their
// end.
func (a *Agent) certified(o acme.Outcome) {
	line := []any{"name", o.Name}
	if o.Leaf != nil {
		line = append(line, "expires", o.Leaf.NotAfter.Format(time.RFC3339))
	}
	switch {
	case o.Kept:
		a.log.Info("certificate in use", line...)
		return
	case o.Failed > 0:
		a.metrics.ordersFailed.Add(1)
		a.tellUncertified(o, append(line, "next", o.Next.Format(time.RFC3339), "error", o.Err))
		return
	}
	a.metrics.ordersDone.Add(1)
	if o.Before > 0 {
		line = append(line, "failed-before", o.Before)
	}
	a.log.Info("certificate from the CA in use", line...)
	if o.Err != nil {
		a.log.Error("certificate can't be stored, after a restart another one is ordered", "name", o.Name, "error", o.Err)
	}
}

// tellUncertified tells of an order that failed.
func (a *Agent) tellUncertified(o acme.Outcome, line []any) {
	switch {
	case o.Failed > 1:
		a.log.Debug("still no new certificate", append(line, "failed", o.Failed)...)
	case o.Leaf != nil:
		a.log.Error("certificate can't be renewed, will try again, the old one stays in use", line...)
	default:
		a.log.Error("no certificate for this name, will try again, senders can't connect to it", line...)
	}
}

// certificates are those that senders see; those of names that have none yet are nil.
func (a *Agent) certificates() (leaves []*x509.Certificate) {
	if c := a.certificate.Load(); c != nil && !a.asksCA() {
		return []*x509.Certificate{c.Leaf}
	}
	for _, leaf := range a.keeper.Leaves() {
		leaves = append(leaves, leaf)
	}
	return leaves
}
