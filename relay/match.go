package relay

import (
	"cmp"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/provider"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// routes is one configuration as requests meet it: its sources in the order in which they are asked.
// It is never changed once made; a reload makes another, and requests under way finish on theirs.
type routes struct {
	sources []*source
	trusted []netip.Prefix // proxies that may say who a request is from

	followed map[string][]*target // by the source whose requests tell what they promised
}

// source is a configured source with the workers of its targets.
type source struct {
	config.Source
	targets []*target // as Source.Targets
	limiter *limiter  // nil: any number of requests

	setting   provider.Setting // as Source.Setting, complete but for what key holds; settings has all
	key       *handedKey       // nil: no secret is handed out
	publicURL string           // "": not known
}

// named is the source of a name; nil when there is none.
func (r *routes) named(name string) *source {
	for _, s := range r.sources {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// secretsBut are the secrets of all sources but one.
func (r *routes) secretsBut(name string) (others []provider.Secret) {
	for _, s := range r.sources {
		if s.Name == name {
			continue
		}
		for _, secret := range s.settings().Secrets {
			others = append(others, provider.Secret{Source: s.Name, Value: secret})
		}
	}
	return others
}

// newRoutes puts sources in the order of matching: those that name a host before those that take any, longer paths
// before shorter.
func newRoutes(sources []*source, trusted []netip.Prefix) *routes {
	slices.SortStableFunc(sources, func(a, b *source) int {
		if (a.Host == "") != (b.Host == "") {
			return cmp.Compare(len(b.Host), len(a.Host))
		}
		return cmp.Compare(len(b.Path), len(a.Path))
	})
	r := &routes{sources: sources, trusted: trusted, followed: make(map[string][]*target)}
	for _, s := range sources {
		for _, t := range s.targets {
			if by := endedBy(t); by != nil {
				r.followed[by.Source] = append(r.followed[by.Source], t)
			}
		}
	}
	return r
}

// match finds the source that a request belongs to; nil when there is none.
func (r *routes) match(host, path string) *source {
	host = hostname(host)
	for _, s := range r.sources {
		if s.Host != "" && !strings.EqualFold(s.Host, host) {
			continue
		}
		if _, ok := wire.MatchPrefix(path, s.Path); ok {
			return s
		}
	}
	return nil
}

// checkPath refuses a path that a target of the source could not get rewritten (promise 5).
func (s *source) checkPath(h *wire.RequestHead) finding {
	if !strings.ContainsAny(h.Path(), `.%\`) { // most have none of what a dot segment can be written with
		return finding{verdict: store.Accepted}
	}
	for _, t := range s.targets {
		if _, err := t.aim.Load().route.Head(h); err != nil {
			return finding{verdict: store.Malformed, reason: err.Error(), status: http.StatusBadRequest}
		}
	}
	return finding{verdict: store.Accepted}
}

// hostname is the host of an authority, without its port.
func hostname(authority string) string {
	if !strings.Contains(authority, ":") {
		return authority
	}
	if host, _, err := net.SplitHostPort(authority); err == nil {
		return host
	}
	return strings.Trim(authority, "[]")
}
