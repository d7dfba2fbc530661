package provider

import (
	"strings"

	"github.com/hooktape/hooktape/relay/wire"
)

// Recognise returns the provider that a request seems to be from, by its header fields; nil if none is recognised. Of
// several that match, the one that requires the most fields wins; the specification that others follow comes last.
func Recognise(head *wire.RequestHead) *Provider {
	weight := func(p *Provider) int {
		if p == nil || p.Name == standardwebhooks.Name {
			return 0
		}
		return len(p.Headers)
	}
	var best *Provider
	for _, p := range table {
		if (best == nil || weight(p) > weight(best)) && p.givenAway(head.Fields) {
			best = p
		}
	}
	return best
}

// givenAway says whether all the fields are there that identify the provider.
func (p *Provider) givenAway(fields wire.Fields) bool {
	for _, wanted := range p.Headers {
		name, text, _ := strings.Cut(wanted, ": ")
		value, ok := fields.Get(name)
		if !ok || !strings.Contains(strings.ToLower(value), text) {
			return false
		}
	}
	return len(p.Headers) > 0
}
