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
	sources   []*source
	entrances []entrance     // of sources, in the order of matching
	trusted   []netip.Prefix // proxies that may say who a request is from

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

// entrance is where requests for a source come in.
type entrance struct {
	host, path string // "" takes any host
	source     *source
}

// entrancesOf are the entrances of a source: a tunnel is also below the address of its edge.
func entrancesOf(s *source) []entrance {
	all := []entrance{{s.Host, s.Path, s}}
	if s.Tunnel != "" {
		all = append(all, entrance{path: config.TunnelPath + s.Tunnel, source: s})
	}
	return all
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
	r := &routes{sources: sources, trusted: trusted, followed: make(map[string][]*target)}
	for _, s := range sources {
		r.entrances = append(r.entrances, entrancesOf(s)...)
		for _, t := range s.targets {
			if by := endedBy(t); by != nil {
				r.followed[by.Source] = append(r.followed[by.Source], t)
			}
		}
	}
	slices.SortStableFunc(r.entrances, func(a, b entrance) int {
		if (a.host == "") != (b.host == "") {
			return cmp.Compare(len(b.host), len(a.host))
		}
		return cmp.Compare(len(b.path), len(a.path))
	})
	return r
}

// match finds the source that a request belongs to; nil when there is none.
func (r *routes) match(host, path string) *source {
	host = hostname(host)
	for _, p := range r.entrances {
		if p.host != "" && !strings.EqualFold(p.host, host) {
			continue
		}
		if _, ok := wire.MatchPrefix(path, p.path); ok {
			return p.source
		}
	}
	return nil
}

// checkPath refuses a path that a target of the source could not get rewritten (promise 5). base is Record.Base.
func (s *source) checkPath(h *wire.RequestHead, base string) finding {
	if !strings.ContainsAny(h.Path(), `.%\`) { // most have none of what a dot segment can be written with
		return finding{verdict: store.Accepted}
	}
	for _, t := range s.targets {
		aim := t.aim.Load()
		if aim.Tunnel != "" {
			continue // nothing is rewritten
		}
		if _, err := aim.routeBehind(base).Head(h); err != nil {
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
