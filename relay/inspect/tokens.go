package inspect

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"slices"

	"github.com/hooktape/hooktape/store"
)

// tokenPrefix begins every token, so that people and scanners see what it is.
const tokenPrefix = "htk_"

// NewToken is a token that was just made. It is shown only this once.
type NewToken struct {
	Name  string `json:"name"`
	Token string `json:"token"`
	Hash  string `json:"token_hash"` // as the config takes it
}

// Token is a token that was made earlier: it can't be shown again.
type Token struct {
	Name    string `json:"name"`
	Hash    string `json:"token_hash"`
	Created Time   `json:"created"`

	Laptop *Laptop `json:"laptop,omitempty"` // the one that uses it; nil: no agent runs, or it has no such tunnel
}

// Laptop is the far end of a tunnel, as the edge sees it.
type Laptop struct {
	Up      bool   `json:"up"`                 // it takes requests
	Remote  string `json:"remote,omitempty"`   // where it comes from, while it is up
	Seen    Time   `json:"last_seen,omitzero"` // when it was last up, since the agent began; zero: never
	Waiting int    `json:"waiting"`            // deliveries
}

// listTokens sends all tokens, one a line, by their names.
func (s *Server) listTokens(w http.ResponseWriter, _ *http.Request) error {
	tokens, damaged := s.Store.Tokens()
	return sendLines(w, func(line func(any) error) error {
		for _, t := range tokens {
			if err := line(Token{t.Name, t.HashText(), Time{t.Created}, s.laptop(t.Name)}); err != nil {
				return err
			}
		}
		return damaged
	})
}

// createToken makes a token. It can be used by the time the answer is sent.
func (s *Server) createToken(w http.ResponseWriter, r *http.Request) error {
	var q struct {
		Name string `json:"name"`
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		return refuse(Misused, "read the question: %s", err)
	}
	s.making.Lock()
	defer s.making.Unlock()
	tokens, err := s.Store.Tokens()
	if err != nil {
		return err
	}
	if slices.ContainsFunc(tokens, func(t store.Token) bool { return t.Name == q.Name }) {
		return refuse(Misused, "there is a token %q already: revoke it, and its laptop is out until it has the new one", q.Name)
	}
	if s.Setup != nil {
		if err := s.Setup.CheckTunnel(q.Name); err != nil {
			return refuse(Misused, "%s", err)
		}
	}
	text := tokenPrefix + NewSecrets()[0]
	token := store.Token{Name: q.Name, Hash: store.HashToken(text), Created: s.now()}
	if err := s.Store.PutToken(token); err != nil {
		return err
	}
	if err := s.apply(); err != nil {
		return err
	}
	return reply(w, NewToken{q.Name, text, token.HashText()})
}

// revokeToken forgets a token: whoever used it is cut off by the time the answer is sent.
func (s *Server) revokeToken(w http.ResponseWriter, r *http.Request) error {
	s.making.Lock()
	defer s.making.Unlock()
	tokens, err := s.Store.Tokens()
	i := slices.IndexFunc(tokens, func(t store.Token) bool { return t.Name == r.PathValue("name") })
	switch {
	case i < 0 && err != nil:
		return err
	case i < 0:
		return refuse(Unknown, "there is no token %q on the tape", r.PathValue("name"))
	}
	if err := s.Store.DeleteToken(tokens[i].Name); err != nil {
		return err
	}
	if err := s.apply(); err != nil {
		return err
	}
	return reply(w, Token{Name: tokens[i].Name, Hash: tokens[i].HashText(), Created: Time{tokens[i].Created}})
}

// laptop is the one of a tunnel; nil if nobody knows.
func (s *Server) laptop(tunnel string) *Laptop {
	if s.Agent == nil {
		return nil
	}
	return s.Agent.Laptop(tunnel)
}

// Tokens are those on the tape.
func (c *Client) Tokens(ctx context.Context) iter.Seq2[Token, error] {
	return lines[Token](func() (*http.Response, error) { return c.get(ctx, "/v1/tokens", nil) })
}

// NewToken makes a token. If an agent runs, it can be used when this returns.
func (c *Client) NewToken(ctx context.Context, name string) (NewToken, error) {
	return object[NewToken](c.post(ctx, "/v1/tokens", map[string]string{"name": name}))
}

// RevokeToken forgets a token.
func (c *Client) RevokeToken(ctx context.Context, name string) (Token, error) {
	return object[Token](c.do(ctx, http.MethodPost, "/v1/tokens/"+segment(name)+"/revoke", "", nil))
}
