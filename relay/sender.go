package relay

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/hooktape/hooktape/relay/tunnel"
	"github.com/hooktape/hooktape/relay/wire"
)

// sender is who sent a request.
type sender struct {
	remote string // ip:port, or ip alone where a proxy told of it
	proxy  string // ip:port of the trusted proxy that told of it; "": nobody did
	tls    bool   // whether it spoke TLS, as far as is known

	through *tunnel.Preface // what the edge said of it; nil: it came through none
	ssh     bool            // it came through a port of an SSH server
}

// senderOf finds out who sent a request that came from peer. Only where peer is a trusted proxy its word counts.
func senderOf(peer net.Addr, tls bool, head *wire.RequestHead, trusted []netip.Prefix) sender {
	s := sender{remote: peer.String(), tls: tls}
	if len(trusted) == 0 {
		return s
	}
	at, err := netip.ParseAddrPort(s.remote)
	if err != nil || !among(at.Addr(), trusted) {
		return s
	}
	if from := firstUntrusted(at.Addr(), head.Fields.Values("X-Forwarded-For"), trusted); from != at.Addr() {
		s.remote, s.proxy = from.String(), s.remote
	}
	if proto := head.Fields.Values("X-Forwarded-Proto"); len(proto) == 1 {
		s.tls = strings.EqualFold(proto[0], "https") || s.tls && !strings.EqualFold(proto[0], "http")
	}
	return s
}

// firstUntrusted goes back the way of a request, as its X-Forwarded-For fields tell it, from a trusted peer. Each proxy
// puts the address that it was asked from behind what is there already, so the last word of those who are trusted is
// the first address from the end that is not. What stands before it anybody can have written. Behind something that is
// no address the way is lost, and the last known place stands for the sender.
func firstUntrusted(peer netip.Addr, forwarded []string, trusted []netip.Prefix) netip.Addr {
	from := peer
	for _, field := range slices.Backward(forwarded) {
		for last, rest := "", field; rest != ""; {
			rest, last = cutLast(rest)
			if last == "" { // an empty element of a list says nothing (RFC 9110 section 5.6.1)
				continue
			}
			hop, ok := parseHop(last)
			if !ok {
				return from
			}
			if from = hop; !among(hop, trusted) {
				return from
			}
		}
	}
	return from
}

// cutLast takes the last element off a list.
func cutLast(list string) (rest, last string) {
	i := strings.LastIndexByte(list, ',')
	return list[:max(i, 0)], strings.Trim(list[i+1:], " \t")
}

// parseHop reads an address as proxies write it: alone, in brackets, or with a port.
func parseHop(text string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(text)
	if at, withPort := netip.ParseAddrPort(text); withPort == nil {
		addr, err = at.Addr(), nil
	}
	if inner, ok := strings.CutPrefix(text, "["); ok && err != nil {
		addr, err = netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		if !addr.Is6() {
			return netip.Addr{}, false
		}
	}
	return addr.Unmap(), err == nil && addr.Zone() == "" && !addr.IsUnspecified()
}

// among says whether an address is in one of the networks. IPv4 in IPv6 is IPv4.
func among(a netip.Addr, networks []netip.Prefix) bool {
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(a) })
}
