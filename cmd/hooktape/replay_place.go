package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
)

// mayGo makes sure that a replay does not go to strangers by a slip of the
// pen: captured webhooks hold people's data. A name that can't be resolved may
// lead anywhere a moment later: unresolved keeps that, and nothing is sent.
func (r *replayer) mayGo(ctx context.Context) error {
	for _, to := range []*url.URL{r.to, r.judge.beside} {
		if to == nil || r.flags.yes || r.configured(to) {
			continue
		}
		addrs, err := r.targets.resolve(ctx, to.Hostname())
		if err != nil {
			r.unresolved = cannot("check the name; --wait 30s waits until it can be resolved", "send to %s: %s can't be resolved: %w", r.shownURL(to.String()), to.Hostname(), err)
			return nil
		}
		if !slices.ContainsFunc(addrs, public) {
			continue
		}
		about := to.Host + " is a public address that the configuration does not name"
		sure, asked := r.env.confirm(about + ": send recorded requests there?")
		switch {
		case !asked:
			return misused("add --yes if that is what you want", "%s", about)
		case !sure:
			fmt.Fprintln(r.env.stderr, "nothing sent")
			return notSo()
		}
	}
	return nil
}

// configured says whether a source has a target on the host that we send to.
func (r *replayer) configured(to *url.URL) bool {
	for _, source := range r.sources {
		for _, target := range source.Targets {
			if u, err := url.Parse(target.URL); err == nil && u.Scheme == to.Scheme && u.Host == to.Host {
				return true
			}
		}
	}
	return false
}

// resolve looks up the addresses of a host, which is waited for as others are.
func (a *awaiting) resolve(ctx context.Context, host string) (addrs []netip.Addr, err error) {
	err = a.until(ctx, host, func(ctx context.Context) (err error) {
		addrs, err = net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		return err
	})
	if failed, ok := errors.AsType[*net.DNSError](err); ok {
		err = errors.New(failed.Err) // the rest of it are the name once more, and who was asked
	}
	return addrs, err
}

// sharedAddresses are for networks behind a provider's translation (RFC 6598).
var sharedAddresses = netip.MustParsePrefix("100.64.0.0/10")

// public says whether an address is outside this machine and the private networks.
func public(addr netip.Addr) bool {
	addr = addr.Unmap()
	return !(addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast() || addr.IsUnspecified() || sharedAddresses.Contains(addr))
}
