package inspect

import (
	"cmp"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/hooktape/hooktape/relay/provider"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// Signer signs requests as the senders of sources do. It may be called by many
// goroutines at once.
type Signer interface {
	// Sign says what to change in a request so that it is as the source's sender
	// would send it now. body is the decoded one.
	Sign(source string, head *wire.RequestHead, body []byte) (*provider.Signature, error)
}

// signMax bounds a request that is to be signed, in bytes: it has to be in memory.
const signMax = 65 << 20

// Verifier checks requests as the sources do. It may be called by many
// goroutines at once.
type Verifier interface {
	// Verify checks a request as one of the source that came at a given time; at the
	// zero time its age is not checked. body is the decoded one, sawTLS says how its
	// sender came. The error says why nothing can be checked.
	Verify(source string, head *wire.RequestHead, body []byte, at time.Time, sawTLS bool) (Verified, error)
}

// Verified is the result of checking who sent a request.
type Verified struct {
	Provider string `json:"provider"`
	Right    bool   `json:"right"`
	Kind     string `json:"kind,omitempty"` // of the failure: see provider.FailureKind
	Reason   string `json:"reason,omitempty"`
	Title    string `json:"title"` // of the provider, for people
}

// sign says how to sign a request of a source. What is posted is its head, then the
// decoded body. Secrets do not leave the agent.
func (s *Server) sign(w http.ResponseWriter, r *http.Request) error {
	head, body, err := posted(w, r)
	if err != nil {
		return err
	}
	g, err := s.signature(r.PathValue("name"), r.URL.Query().Get("record"), head, body)
	if err != nil {
		return err
	}
	return reply(w, g)
}

// signature signs as the configuration says or, where that says nothing, as in the
// tape file that the record was imported from. The Problem is Unsigned where either
// says that the sender does not sign.
func (s *Server) signature(source, record string, head *wire.RequestHead, body []byte) (*provider.Signature, error) {
	refused := error(errNoSecrets)
	if s.Signer != nil {
		g, err := s.Signer.Sign(source, head, body)
		switch {
		case err == nil:
			return g, nil
		case errors.Is(err, provider.ErrUnsigned):
			refused = refuse(Unsigned, "%s", err)
		default:
			refused = refuse(Failed, "%s", err)
		}
	}
	signing, err := s.signingOf(source, record)
	if err != nil || signing == nil {
		return nil, cmp.Or(err, refused)
	}
	p, ok := provider.Named(signing.Provider)
	if !ok {
		return nil, refuse(Failed, "the tape file was signed for provider %q, which is not known", signing.Provider)
	}
	setting := &provider.Setting{Secrets: []string{signing.Secret}, Params: signing.Params}
	g, err := p.Sign(setting, &provider.Request{Head: head, Body: body, URL: provider.RequestURL("", head, false), Time: s.now()})
	if err != nil {
		return nil, refuse(Failed, "%s", err)
	}
	return g, nil
}

// signingOf is how the requests of a source are signed, by a session that has the
// record; nil when none says so. If a session says it only of other sources, and
// the record was never checked, then the source's sender does not sign: the Problem
// is Unsigned.
func (s *Server) signingOf(source, record string) (*store.Signing, error) {
	if record == "" {
		return nil, nil
	}
	id, err := s.Store.Find(record)
	if err != nil {
		return nil, notFound(record, err)
	}
	rec, err := s.Store.Get(id)
	if err != nil {
		return nil, notFound(record, err)
	}
	others := false
	for _, name := range rec.Session {
		session, err := s.Store.Session(name)
		if err != nil {
			return nil, sessionProblem(name, err)
		}
		others = others || len(session.Signing) > 0
		for _, signing := range session.Signing {
			if signing.Source == source {
				return &signing, nil
			}
		}
	}
	if others && !rec.Verified && rec.Reason == "" {
		return nil, refuse(Unsigned, "source %q: %s", source, provider.ErrUnsigned)
	}
	return nil, nil
}

// verify checks a request as one of a source. It is posted as for sign.
func (s *Server) verify(w http.ResponseWriter, r *http.Request) error {
	if s.Verifier == nil {
		return errNoSecrets
	}
	p := parser{Values: r.URL.Query()}
	at, sawTLS := p.time("time"), p.bool("tls")
	if p.err != nil {
		return p.err
	}
	head, body, err := posted(w, r)
	if err != nil {
		return err
	}
	found, err := s.Verifier.Verify(r.PathValue("name"), head, body, at, sawTLS)
	if err != nil {
		return refuse(Misused, "%s", err)
	}
	return reply(w, found)
}

var errNoSecrets = refuse(Failed, "no agent is running that knows the secrets, and neither a config nor a secret is given")

// posted is the request that a question is about: its head, then the decoded
// body.
func posted(w http.ResponseWriter, r *http.Request) (head *wire.RequestHead, body []byte, err error) {
	message, err := io.ReadAll(http.MaxBytesReader(w, r.Body, signMax))
	if err == nil {
		head, err = wire.ParseRequestHead(message)
	}
	if err != nil {
		return nil, nil, refuse(Misused, "read the request: %s", err)
	}
	return head, message[len(head.Raw):], nil
}
