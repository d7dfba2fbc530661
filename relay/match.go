package relay

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/wire"
)

// routes is one configuration as requests meet it: its sources in the order in which they are asked.
// It is never changed once made; a reload makes another, and requests under way finish on theirs.
type routes struct {
	sources []*source
	trusted []netip.Prefix // proxies that may say who a request is from
}

// source is a configured source with the workers of its targets.
type source struct {
	config.Source
	targets []*target // as Source.Targets
}

// primary is the target whose response is the answer: the one marked so, or else the first.
// It is nil where the source has no target.
func (s *source) primary() *target {
	for _, t := range s.targets {
		if t.config().Primary {
			return t
		}
	}
	if len(s.targets) == 0 {
		return nil
	}
	return s.targets[0]
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
	return &routes{sources: sources, trusted: trusted}
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

// hostname is the host of an authority, without its port.
func hostname(authority string) string {
	if host, _, err := net.SplitHostPort(authority); err == nil {
		return host
	}
	return strings.Trim(authority, "[]")
}
