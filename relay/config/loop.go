package config

import (
	"net"
	"net/url"

	"github.com/hooktape/hooktape/relay/wire"
)

// LeadsTo says whether requests to a URL reach the listener, which is at an address of this machine.
func LeadsTo(listen string, u *url.URL) bool {
	host, port, err := net.SplitHostPort(listen)
	if err != nil || port != u.Port() || port == "0" {
		return false
	}
	here := func(h string) bool {
		ip := net.ParseIP(h)
		return h == "localhost" || h == "" || ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
	}
	return here(host) && here(u.Hostname())
}

// checkLoops finds targets whose requests come back to their source: each request would make the next, until the tape
// is full. Targets with conditions or computed paths are left alone, since these may end the loop.
func (d *decoder) checkLoops(c *Config) {
	for i := range c.Sources {
		s := &c.Sources[i]
		for _, t := range s.Targets {
			if c.comesTo(s, &t, map[*Source]bool{}) {
				d.fail(d.urls[s.Name+" "+t.Name], "this leads back to source %q, so each request would cause another one: give the address of the app", s.Name)
			}
		}
	}
}

// comesTo says whether all requests to a target end up at s, by way of sources that are not in seen.
func (c *Config) comesTo(s *Source, t *Target, seen map[*Source]bool) bool {
	if t.URL == nil || t.When != nil || t.Rewrite != nil || !LeadsTo(c.Listen, t.URL) {
		return false
	}
	next := c.taking(t.URL)
	if next == nil || next == s || seen[next] {
		return next == s
	}
	seen[next] = true
	for _, t := range next.Targets {
		if c.comesTo(s, &t, seen) {
			return true
		}
	}
	return false
}

// taking is the source that takes requests to a URL that leads here; nil when none does whatever the host.
func (c *Config) taking(u *url.URL) (taking *Source) {
	for i := range c.Sources {
		s := &c.Sources[i]
		_, ok := wire.MatchPrefix(u.EscapedPath(), s.Path)
		if ok && s.Path != "" && s.Host == "" && !s.Template && (taking == nil || len(s.Path) > len(taking.Path)) {
			taking = s
		}
	}
	return taking
}
