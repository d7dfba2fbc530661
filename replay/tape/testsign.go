package tape

import (
	"encoding/base64"
	"errors"

	"github.com/hooktape/hooktape/relay/provider"
	"github.com/hooktape/hooktape/relay/wire"
)

// errNoScheme says why something can't be signed.
var errNoScheme = errors.New("its provider signs nothing")

// sign signs a request as its provider does, at the time when it came, with a secret of the file's own. A request that
// can't be signed is left with the fakes that it has.
func (m *Masker) sign(r *Recording, request *message) {
	source, ok := m.sources[r.Source]
	if !ok || m.Unsigned[r.Source] != nil {
		return
	}
	head, err := wire.ParseRequestHead([]byte(request.head))
	if err != nil {
		return
	}
	coded := request.newBody
	if coded == nil { // what is signed is what is sent
		coded = decodedBody(request)
	}
	asked := &provider.Request{Head: head, Body: coded, URL: provider.RequestURL(source.PublicURL, head, r.TLS), Time: r.Time.Time}
	g, err := m.signature(r.Source, source, asked)
	if err == nil {
		err = request.apply(g, head)
	}
	if err != nil {
		m.Unsigned[r.Source] = err
	}
}

// decodedBody is the body without chunks, in its content coding.
func decodedBody(m *message) []byte {
	if !m.chunked {
		return m.raw
	}
	return dechunked(m.raw)
}

// signature signs with the secret of a source, which is made when it is needed first: in one of the forms that schemes take.
func (m *Masker) signature(name string, source *SignedSource, r *provider.Request) (*provider.Signature, error) {
	p, ok := provider.Named(source.Provider)
	if !ok || p.Scheme == nil {
		return nil, errNoScheme
	}
	secrets := []string{source.signing.Secret}
	if secrets[0] == "" {
		key := m.secretOf(name)
		secrets = []string{base64.RawURLEncoding.EncodeToString(key), "whsec_" + base64.StdEncoding.EncodeToString(key)}
	}
	var refusal error
	for _, secret := range secrets {
		setting := &provider.Setting{Secrets: []string{secret}, Params: source.Params, Path: source.Path}
		g, err := p.Scheme.Sign(r, setting, "")
		if err == nil {
			source.signing = Signing{Source: name, Provider: source.Provider, Params: signingParams(source.Params), Secret: secret}
			return g, nil
		}
		refusal = err
	}
	return nil, refusal
}

// signingParams are the params that say how requests are signed: of Azure Event Grid, which parameter has the secret. The
// others serve handshakes, checks and subscriptions, and may be secret under any name.
func signingParams(params map[string]string) map[string]string {
	name, ok := params["query"]
	if !ok {
		return nil
	}
	return map[string]string{"query": name}
}

// apply makes a message what its signature says.
func (m *message) apply(g *provider.Signature, head *wire.RequestHead) error {
	edit := g.Edit(head)
	edit.Length = nil // the framing stays
	changed, err := edit.Head(m.head)
	if err != nil {
		return err
	}
	if m.head = changed; g.Body != nil {
		m.newBody, m.coded = g.Body, "" // it is as it is sent
	}
	return nil
}
