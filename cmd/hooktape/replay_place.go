package main

import (
	"context"
	"net"
	"net/netip"
)

// public says whether a host has an address outside this machine and the
// private networks. One that can't be looked up can't be sent to either.
func public(ctx context.Context, host string) bool {
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return false
	}
	for _, addr := range addrs {
		if !ours(addr.Unmap()) {
			return true
		}
	}
	return false
}

// sharedAddresses are for networks behind a provider's translation (RFC 6598).
var sharedAddresses = netip.MustParsePrefix("100.64.0.0/10")

func ours(addr netip.Addr) bool {
	return addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast() || addr.IsUnspecified() || sharedAddresses.Contains(addr)
}
