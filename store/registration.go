package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Registration is what is known of one of a source's subscriptions at its provider. There is one for each combination of
// values of a block of the configuration.
type Registration struct {
	Name  string            `json:"name"`           // of its block
	Each  map[string]string `json:"each,omitempty"` // the values
	State RegistrationState `json:"state"`
	// URL is what the provider calls, as far as is known; "": nothing.
	URL      string    `json:"url,omitempty"`
	ID       string    `json:"id,omitempty"`     // by which the provider knows it; "": it needs none
	Time     time.Time `json:"time,omitzero"`    // of the last call
	Record   ID        `json:"record,omitzero"`  // of the last call
	Status   int       `json:"status,omitempty"` // of the response to it; 0: there was none
	Error    string    `json:"error,omitempty"`
	Failures int       `json:"failures,omitempty"` // since the last success
	Next     time.Time `json:"next,omitzero"`      // it is not tried before
	Off      bool      `json:"off,omitempty"`      // somebody has unsubscribed it: so it stays until somebody subscribes it
	Told     string    `json:"-"`                  // a digest of what the provider was told, with secrets in it; "": not known
}

// Label names the registration for people: its block, and its values in the order of their names.
func (r *Registration) Label() string {
	label := r.Name
	for _, key := range slices.Sorted(maps.Keys(r.Each)) {
		label += " " + r.Each[key]
	}
	return label
}

// RegistrationState says how far a registration is.
type RegistrationState string

// The states of registrations.
const (
	Waiting      RegistrationState = "waiting"      // nothing was called yet; Error says what it waits for
	Subscribed   RegistrationState = "subscribed"   // the provider has taken it
	Unregistered RegistrationState = "failed"       // the last call failed, and is tried again at Next
	Unsubscribed RegistrationState = "unsubscribed" // it is off
	Abandoned    RegistrationState = "orphaned"     // its block has left the configuration: nobody knows how to take it back
)

// registrationsKey stands before the name of a source, among the keys of PutMeta.
const registrationsKey = "registrations."

// keptRegistration is a registration as it is stored: with Told, which no other JSON may show.
type keptRegistration struct {
	Registration
	Told string `json:"told,omitempty"`
}

// PutRegistrations keeps all registrations of a source, in the place of those before, and returns when they are on the
// disk.
func (s *Store) PutRegistrations(source string, all []Registration) error {
	kept := make([]keptRegistration, len(all))
	for i, r := range all {
		kept[i] = keptRegistration{r, r.Told}
	}
	text, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	return s.PutMeta(registrationsKey+source, text)
}

// Registrations returns what PutRegistrations has put; nil where there is nothing. The error wraps ErrDamaged when it can't
// be read.
func (s *Store) Registrations(source string) ([]Registration, error) {
	text, err := s.Meta(registrationsKey + source)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var kept []keptRegistration
	if err := json.Unmarshal(text, &kept); err != nil {
		return nil, fmt.Errorf("registrations of source %q: %w: %w", source, ErrDamaged, err)
	}
	all := make([]Registration, len(kept))
	for i, k := range kept {
		all[i] = k.Registration
		all[i].Told = k.Told
	}
	return all, nil
}
