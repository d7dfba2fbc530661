package relay

import (
	"crypto/tls"
	"time"

	"github.com/hooktape/hooktape/relay/config"
)

// expiresSoon is how long before its end a certificate is warned about: renewal programs have acted long before.
const expiresSoon = 7 * 24 * time.Hour

// tls is what listeners speak; nil where cfg has no certificate. Every handshake takes the certificate of the
// configuration that is in force then.
func (a *Agent) tls(cfg *config.Config) *tls.Config {
	if cfg.TLS == nil {
		return nil
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return a.certificate.Load(), nil },
	}
}

// TLS is what the agent's other listeners speak, with the certificate that senders see; nil where there is none.
func (a *Agent) TLS() *tls.Config { return a.server.TLS.Clone() }

// present shows a certificate to senders from now on. Without one the last stays: listeners can't change what they
// speak.
func (a *Agent) present(t *config.TLS) {
	if t == nil || a.server.TLS == nil {
		return
	}
	was := a.certificate.Swap(&t.Certificate)
	leaf := t.Certificate.Leaf
	if was != nil && was.Leaf.Equal(leaf) {
		return
	}
	expires := leaf.NotAfter.Format(time.RFC3339)
	a.log.Info("certificate in use", "file", t.Cert, "names", t.Names(), "expires", expires)
	switch now := a.now(); {
	case leaf.NotAfter.Before(now):
		a.log.Warn("certificate has expired, senders that check it will not come", "file", t.Cert, "expires", expires)
	case leaf.NotAfter.Before(now.Add(expiresSoon)):
		a.log.Warn("certificate expires soon", "file", t.Cert, "expires", expires)
	}
}
