package acme

import (
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"

	"golang.org/x/crypto/acme"
)

// The ways to prove that a name is ours, in the order in which they are tried.
const (
	overTLS  = "tls-alpn-01" // RFC 8737
	overHTTP = "http-01"     // RFC 8555 section 8.3
)

// question is how the CA checks that a name is ours, and our answer. It stays until the next one about the same name: a
// CA asks from several places, and from some of them only after it has decided.
type question struct {
	cert *tls.Certificate // the answer over TLS; nil: it does not ask that way

	path, answer string // over HTTP; "": it does not ask that way
}

// newQuestion makes the answer to a challenge.
func newQuestion(client *acme.Client, name string, c *acme.Challenge) (q question, err error) {
	if c.Type == overHTTP {
		q.path = client.HTTP01ChallengePath(c.Token)
		q.answer, err = client.HTTP01ChallengeResponse(c.Token)
		return q, err
	}
	cert, err := client.TLSALPN01ChallengeCert(c.Token, name)
	return question{cert: &cert}, err
}

// ways are the ways in which the CA can ask.
func (k *Keeper) ways() []string {
	if k.o.HTTP {
		return []string{overTLS, overHTTP}
	}
	return []string{overTLS}
}

// expect has a question answered from now on, unless its name is no longer wanted.
func (k *Keeper) expect(name string, q question) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if slices.Contains(k.want.Names, name) {
		k.questions[name] = q
	}
}

// errNoQuestion is why a handshake fails that asks for something the CA was not expected to ask.
var errNoQuestion = errors.New("this is no question that the CA was to ask")

// Aside is the configuration for a connection over which a CA asks (TLS-ALPN-01); nil: it is another connection. It is
// for wire.Server.Aside.
func (k *Keeper) Aside(hello *tls.ClientHelloInfo) *tls.Config {
	if len(hello.SupportedProtos) != 1 || hello.SupportedProtos[0] != acme.ALPNProto || len(k.settings().Names) == 0 {
		return nil
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{acme.ALPNProto}, GetCertificate: k.answerOverTLS}
}

func (k *Keeper) answerOverTLS(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if q := k.questions[strings.ToLower(hello.ServerName)]; q.cert != nil {
		return q.cert, nil
	}
	return nil, errNoQuestion
}

// Answer is what the CA wants to see at a path of a host (HTTP-01); ok is false if it did not ask for that.
func (k *Keeper) Answer(host, path string) (answer string, ok bool) {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	q := k.questions[strings.ToLower(host)]
	return q.answer, q.path != "" && q.path == path
}
