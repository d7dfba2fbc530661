package config

import (
	"fmt"

	"github.com/oklog/ulid/v2"

	"github.com/hooktape/hooktape/relay/provider"
)

// Sign says what to change of a request so that it is as the sender of the source would send it at r.Time, with a fresh
// id. s is Setting, complete.
func (s *Source) Sign(setting *provider.Setting, r *provider.Request) (*provider.Signature, error) {
	switch {
	case s.Provider == nil:
		return nil, fmt.Errorf("source %q has no provider, which says how to sign", s.Name)
	case s.Provider.Scheme == nil:
		return nil, fmt.Errorf("%s signs nothing", s.Provider.Title)
	}
	g, err := s.Provider.Scheme.Sign(r, setting, ulid.Make().String())
	if err != nil {
		return nil, fmt.Errorf("sign as %s: %w", s.Provider.Title, err)
	}
	return g, nil
}
