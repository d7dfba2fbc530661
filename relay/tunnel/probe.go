package tunnel

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

const (
	// probeTime is how long a request may take to come round.
	probeTime = 10 * time.Second
	// probeTell is after how many rounds it is told that none has.
	probeTell = 3
)

// findURL looks for the URL under which the laptop is reached, until a request has come round or ctx ends.
func (u *Uplink) findURL(ctx context.Context, welcome Welcome) {
	client := &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: u.Dialer.TLS.Clone(), DisableKeepAlives: true},
		Timeout:       probeTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for round := 1; ctx.Err() == nil; round++ {
		var failed error
		for _, at := range publicURLs(u.Dialer.URL, welcome) {
			err := u.comesRound(ctx, client, at)
			if err == nil {
				u.tell(Change{URL: at})
				return
			}
			failed = cmp.Or(failed, notRound(at, err))
		}
		if round == probeTell && ctx.Err() == nil {
			u.tell(Change{Unheard: true, Err: failed})
		}
		u.pause(ctx, backoff(round))
	}
}

// publicURLs are where a tunnel may be reached, the best first: its own host, which needs a wildcard in the DNS and in
// the certificate, or else a path of the edge.
func publicURLs(edge *url.URL, w Welcome) (all []string) {
	if _, err := netip.ParseAddr(w.Domain); err != nil && w.Domain != "localhost" {
		host := w.Name + "." + w.Domain
		if port := edge.Port(); port != "" {
			host = net.JoinHostPort(host, port)
		}
		all = append(all, edge.Scheme+"://"+host)
	}
	return append(all, strings.TrimRight(edge.String(), "/")+"/t/"+w.Name)
}

// comesRound sends a request to a URL and says why it did not come here; nil: it did.
func (u *Uplink) comesRound(ctx context.Context, client *http.Client, at string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at+ProbePath+u.Hello.Probe, nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(r)
	if err != nil {
		if of, ok := errors.AsType[*url.Error](err); ok {
			err = of.Err // its URL has what only we know
		}
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, reasonMost))
	if err != nil || string(body) != u.Dialer.Answer {
		return cmp.Or(err, errNotRound)
	}
	return nil
}
