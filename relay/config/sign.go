package config

import (
	"fmt"

	"github.com/hooktape/hooktape/relay/provider"
)

// Sign says what to change in a request so that it is as the source's sender would send it at r.Time, with a fresh id.
// The setting is the source's, complete. The error is provider.ErrUnsigned if the sender does not sign.
func (s *Source) Sign(setting *provider.Setting, r *provider.Request) (*provider.Signature, error) {
	if s.Provider == nil {
		return nil, fmt.Errorf("source %q has no provider: %w", s.Name, provider.ErrUnsigned)
	}
	return s.Provider.Sign(setting, r)
}
