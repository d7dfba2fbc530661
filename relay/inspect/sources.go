package inspect

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hooktape/hooktape/relay/mask"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// Source is what the tape remembers of a configured source, so that its
// records can be replayed when no agent runs.
type Source struct {
	Name     string            `json:"name"`
	Path     string            `json:"path"`
	Host     string            `json:"host"`
	URL      string            `json:"url"`          // as senders have it
	Made     bool              `json:"made"`         // at run time
	ID       string            `json:"id,omitempty"` // if it was made at run time
	Template bool              `json:"template,omitempty"`
	Provider string            `json:"provider,omitempty"`
	Params   map[string]string `json:"params,omitempty"`
	Targets  []Target          `json:"targets"`
	// Secret says that its requests are checked with a secret. Only Setup.Plan sets it.
	Secret bool `json:"-"`
}

// Target is what the tape remembers of a configured target.
type Target struct {
	Name      string       `json:"name"`
	URL       string       `json:"url"`
	KeepHost  bool         `json:"keep_host"`
	Forwarded bool         `json:"forwarded"`
	IDHeader  string       `json:"id_header"`  // "": not sent
	Timeout   Milliseconds `json:"timeout_ms"` // of each wait for the target; 0: the client's defaults
	When      string       `json:"when"`       // the expression as it was written; "": always
	Rewrites  bool         `json:"rewrites"`   // it gets something other than what was recorded
}

// sourcesKey is the name under which the store keeps the sources.
const sourcesKey = "sources"

// SaveSources puts the configured sources onto the tape. The agent calls it at
// start and at every reload.
func SaveSources(s *store.Store, sources []Source) error {
	text, err := json.Marshal(sources)
	if err != nil {
		return err
	}
	return s.PutMeta(sourcesKey, text)
}

// LoadSources reads what SaveSources wrote; none when there was no agent yet.
func LoadSources(s *store.Store) ([]Source, error) {
	return remembered[[]Source](s, sourcesKey)
}

// remembered reads what the tape keeps as JSON under a key; the zero value when it keeps nothing.
func remembered[T any](s *store.Store, key string) (v T, err error) {
	text, err := s.Meta(key)
	if errors.Is(err, store.ErrNotFound) {
		return v, nil
	}
	if err != nil {
		return v, err
	}
	if err = json.Unmarshal(text, &v); err != nil {
		return v, fmt.Errorf("read %q on the tape: %w", key, err)
	}
	return v, nil
}

// Known is what a configuration says of sources, and what is masked besides the defaults.
type Known struct {
	Sources []Source
	Mask    mask.Names
}

// sources are those that are configured, as far as is known.
func (s *Server) sources() ([]Source, error) {
	if s.Known != nil {
		return s.Known.Sources, nil
	}
	return LoadSources(s.Store)
}

// RecordTarget is a target of a record's source, and the path that the target's
// path replaces.
type RecordTarget struct {
	Target
	Prefix string      `json:"prefix"`
	Add    wire.Fields `json:"add"` // what the target's forwarded and id_header ask for
}

// added are the fields that a target gets besides the recorded ones, the same as
// when the agent delivers.
func added(t Target, rec *store.Record) wire.Fields {
	var add wire.Fields
	if t.Forwarded {
		add = wire.Forwarded(rec.Peer(), rec.Host, rec.TLS)
	}
	if t.IDHeader != "" {
		add = append(add, wire.Field{Name: t.IDHeader, Value: rec.IDForApp().String()})
	}
	return add
}
