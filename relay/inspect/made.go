package inspect

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"slices"

	"github.com/hooktape/hooktape/relay/mask"
	"github.com/hooktape/hooktape/store"
)

// Setup is the configuration as the control API needs it, of an agent or of
// the command that serves the API. Its methods are called one at a time.
type Setup interface {
	// Plan says what sources made at run time amount to, by name. Those that
	// are not possible are refused, each with a sentence for the user.
	Plan(made []store.Source) (planned map[string]Source, refused map[string]error)
	// Apply takes up the sources and tokens made at run time, as they now are on the tape.
	Apply() error
	// CheckTunnel says why there can be no tunnel of that name; nil: there can.
	CheckTunnel(name string) error
}

// NewSource asks for a source.
type NewSource struct {
	Name     string            `json:"name"`
	Provider string            `json:"provider,omitempty"` // "": the template's
	Template string            `json:"template,omitempty"` // "": the provider's, if there is one
	To       string            `json:"to,omitempty"`       // URL of the target; "": the template's targets
	Path     string            `json:"path,omitempty"`     // "": the id below the template's path
	Params   map[string]string `json:"params,omitempty"`
	Secret   string            `json:"secret,omitempty"` // "": one is made
}

// MadeSource is a source that was just made. Its secret is shown only this once.
type MadeSource struct {
	Name   string `json:"name"`
	ID     string `json:"id"`
	URL    string `json:"url"`
	Secret string `json:"secret"`
}

// SourceState says what a source does at present.
type SourceState string

// The states of sources.
const (
	Active   SourceState = "active"
	Disabled SourceState = "disabled" // its senders get 410
	Template SourceState = "template" // for other sources; it takes no requests itself
	Unusable SourceState = "unusable" // made at run time, but the configuration rules it out
)

// ListedSource is a source of the configuration, or one made at run time.
type ListedSource struct {
	Source
	State   SourceState `json:"state"`
	Reason  string      `json:"reason,omitempty"` // of Unusable
	Created *Time       `json:"created,omitempty"`
	// Subscriptions are its registrations with its provider.
	Subscriptions []store.Registration `json:"subscriptions,omitempty"`
}

// listSources sends all sources, one a line: those of the configuration in
// its order, then those made at run time by their names.
func (s *Server) listSources(w http.ResponseWriter, _ *http.Request) error {
	s.making.Lock()
	defer s.making.Unlock()
	remembered, err := s.sources()
	if err != nil {
		return err
	}
	var listed []ListedSource
	names, err := s.names()
	if err != nil {
		return err
	}
	for _, source := range remembered {
		if !source.Made {
			listed = append(listed, listConfigured(source, names))
		}
	}
	made, damaged := s.Store.Sources()
	listed = append(listed, s.listMade(made, remembered, names)...)
	return sendLines(w, func(line func(any) error) error {
		for _, source := range listed {
			if source.Subscriptions, err = s.Store.Registrations(source.Name); err != nil {
				return err
			}
			if err := line(source); err != nil {
				return err
			}
		}
		return damaged
	})
}

func listConfigured(source Source, names mask.Names) ListedSource {
	listed := ListedSource{Source: source.masked(names), State: Active}
	if source.Template {
		listed.State = Template
	}
	return listed
}

// listMade are the sources made at run time, as the configuration plans them;
// without one, as the last agent had them.
func (s *Server) listMade(made []store.Source, remembered []Source, names mask.Names) []ListedSource {
	planned, refused := map[string]Source{}, map[string]error{}
	for _, source := range remembered {
		if source.Made {
			planned[source.Name] = source
		}
	}
	if s.Setup != nil {
		planned, refused = s.Setup.Plan(made)
	}
	listed := make([]ListedSource, len(made))
	for i, m := range made {
		source, ok := planned[m.Name]
		if !ok || source.ID != m.ID {
			source = Source{Name: m.Name, ID: m.ID, Made: true, Path: m.Path, Provider: m.Provider, Params: m.Params}
		}
		listed[i] = ListedSource{Source: source.masked(names), State: Active, Created: &Time{m.Created}}
		if m.Disabled {
			listed[i].State = Disabled
		}
		if err := refused[m.Name]; err != nil {
			listed[i].State, listed[i].Reason = Unusable, err.Error()
		}
	}
	return listed
}

// apply is Setup.Apply, where there is one.
func (s *Server) apply() error {
	if s.Setup == nil {
		return nil
	}
	return s.Setup.Apply()
}

// masked is a source for people's eyes: secrets in its params and URLs are
// hidden.
func (source Source) masked(names mask.Names) Source {
	params := make(map[string]string, len(source.Params))
	for name, value := range source.Params {
		params[name] = names.Field(name, value)
	}
	source.Params = params
	source.Targets = slices.Clone(source.Targets)
	for i := range source.Targets {
		source.Targets[i].URL = names.Target(source.Targets[i].URL)
	}
	return source
}

// createSource makes a source with an id and a secret of its own. It takes
// requests by the time the answer is sent.
func (s *Server) createSource(w http.ResponseWriter, r *http.Request) error {
	var q NewSource
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		return refuse(Misused, "read the question: %s", err)
	}
	s.making.Lock()
	defer s.making.Unlock()
	made, err := s.Store.Sources()
	if err != nil {
		return err
	}
	if slices.ContainsFunc(made, func(other store.Source) bool { return other.Name == q.Name }) {
		return refuse(Misused, "there is a source %q already", q.Name)
	}
	source := store.Source{
		Name: q.Name, ID: newSourceID(), Provider: q.Provider, Template: q.Template, Path: q.Path, To: q.To,
		Secret: q.Secret, Params: q.Params, Created: s.now(),
	}
	planned, err := s.planNew(made, &source)
	if err != nil {
		return err
	}
	if err := s.Store.PutSource(source); err != nil {
		return err
	}
	if err := s.apply(); err != nil {
		return err
	}
	return reply(w, MadeSource{Name: source.Name, ID: source.ID, URL: planned.URL, Secret: source.Secret})
}

// planNew plans a source beside the existing ones. If it has no secret, it gets
// one, in the form that its provider takes.
func (s *Server) planNew(made []store.Source, source *store.Source) (Source, error) {
	if s.Setup == nil {
		return Source{}, refuse(Misused, "no agent is running, and no config is given that says which URL the source gets")
	}
	given := source.Secret
	secrets := []string{given}
	if given == "" {
		secrets = NewSecrets()
	}
	var refusal error
	for _, source.Secret = range secrets {
		planned, refused := s.Setup.Plan(append(made[:len(made):len(made)], *source))
		if err := refused[source.Name]; err != nil {
			refusal = cmp.Or(refusal, err)
			continue
		}
		switch checked := planned[source.Name].Secret; {
		case !checked && given != "":
			return Source{}, refuse(Misused, "a secret is given, and its requests are not checked with one")
		case !checked:
			source.Secret = "" // nobody would check with it
		}
		return planned[source.Name], nil
	}
	return Source{}, refuse(Misused, "%s", refusal)
}

// newSourceID is a random UUID (RFC 9562 section 5.4).
func newSourceID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// NewSecrets is 256 random bits in two forms: in letters that never need escaping,
// which most providers take, and as in Standard Webhooks. Providers that take
// neither make their own keys.
func NewSecrets() []string {
	var b [32]byte
	rand.Read(b[:])
	return []string{base64.RawURLEncoding.EncodeToString(b[:]), "whsec_" + base64.StdEncoding.EncodeToString(b[:])}
}

// sourceChanges are what can be done to a source that was made at run time.
var sourceChanges = map[string]func(*store.Store, *store.Source) error{
	"enable":  func(t *store.Store, s *store.Source) error { s.Disabled = false; return t.PutSource(*s) },
	"disable": func(t *store.Store, s *store.Source) error { s.Disabled = true; return t.PutSource(*s) },
	"delete":  func(t *store.Store, s *store.Source) error { return t.DeleteSource(s.Name) },
}

// changeSource enables, disables or deletes a source, and sends it as it is
// afterwards, or as it was before it was deleted.
func (s *Server) changeSource(w http.ResponseWriter, r *http.Request) error {
	change, ok := sourceChanges[r.PathValue("verb")]
	if !ok {
		return refuse(Unknown, "sources can be enabled, disabled and deleted, not %q", r.PathValue("verb"))
	}
	s.making.Lock()
	defer s.making.Unlock()
	remembered, err := s.sources()
	if err != nil {
		return err
	}
	source, err := s.madeSource(r.PathValue("name"), remembered)
	if err != nil {
		return err
	}
	names, err := s.names()
	if err != nil {
		return err
	}
	if err := change(s.Store, &source); err != nil {
		return err
	}
	if err := s.apply(); err != nil {
		return err
	}
	return reply(w, s.listMade([]store.Source{source}, remembered, names)[0])
}

// madeSource finds a source that was made at run time.
func (s *Server) madeSource(name string, remembered []Source) (store.Source, error) {
	made, err := s.Store.Sources()
	if i := slices.IndexFunc(made, func(source store.Source) bool { return source.Name == name }); i >= 0 {
		return made[i], nil
	}
	if err != nil {
		return store.Source{}, err
	}
	if slices.ContainsFunc(remembered, func(source Source) bool { return source.Name == name && !source.Made }) {
		return store.Source{}, refuse(Misused, "source %q is in the config file: change it there", name)
	}
	return store.Source{}, refuse(Unknown, "there is no source %q", name)
}

// ListSources are all sources, each with its state.
func (c *Client) ListSources(ctx context.Context) iter.Seq2[ListedSource, error] {
	return lines[ListedSource](func() (*http.Response, error) { return c.get(ctx, "/v1/sources", nil) })
}

// CreateSource makes a source. If an agent runs, it takes requests when this returns.
func (c *Client) CreateSource(ctx context.Context, q NewSource) (MadeSource, error) {
	return object[MadeSource](c.post(ctx, "/v1/sources", q))
}

// EnableSource lets a source that was made at run time take requests again.
func (c *Client) EnableSource(ctx context.Context, name string) (ListedSource, error) {
	return c.changeSource(ctx, name, "enable")
}

// DisableSource makes a source that was made at run time refuse all requests.
func (c *Client) DisableSource(ctx context.Context, name string) (ListedSource, error) {
	return c.changeSource(ctx, name, "disable")
}

// DeleteSource forgets a source that was made at run time. Its records stay.
func (c *Client) DeleteSource(ctx context.Context, name string) (ListedSource, error) {
	return c.changeSource(ctx, name, "delete")
}

func (c *Client) changeSource(ctx context.Context, name, verb string) (ListedSource, error) {
	return object[ListedSource](c.do(ctx, http.MethodPost, "/v1/sources/"+segment(name)+"/"+verb, "", nil))
}
