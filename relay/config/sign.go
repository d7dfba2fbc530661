package config

import (
	"fmt"

	"github.com/hooktape/hooktape/relay/provider"
)

// Sign says what to change of a request so that it is as the sender of the source would send it at r.Time, with a fresh
// id. s is Setting, complete. The error is provider.ErrUnsigned where nobody does.
func (s *Source) Sign(setting *provider.Setting, r *provider.Request) (*provider.Signature, error) {
	if s.Provider == nil {
		return nil, fmt.Errorf("source %q has no provider: %w", s.Name, provider.ErrUnsigned)
	}
	return s.Provider.Sign(setting, r)
}
