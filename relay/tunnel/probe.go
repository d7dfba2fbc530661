package tunnel

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
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
	// probeTell is the number of rounds without success after which that is told; earlier if they take long.
	probeTell = 3
)

// ErrElsewhere is why a URL that leads somewhere is not the public one.
var ErrElsewhere = errors.New("another server answers there")

// probe is a request that only this agent knows, and the answer that only this agent gives to it.
type probe struct{ asked, answer string }

func newProbe() probe { return probe{asked: rand.Text(), answer: rand.Text()} }

// find looks for the first of these URLs that leads here, until a request to one has come round or ctx ends.
func (p *probe) find(ctx context.Context, clock wall, trust *tls.Config, urls []string, tell func(Change)) {
	client := &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: trust.Clone(), DisableKeepAlives: true},
		Timeout:       probeTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	began, told := time.Now(), false
	for round := 1; ctx.Err() == nil; round++ {
		var failed error
		for _, at := range urls {
			err := p.comesRound(ctx, client, at)
			if err == nil {
				tell(Change{URL: at})
				return
			}
			failed = cmp.Or(failed, fmt.Errorf("%s: %w", at, err))
		}
		if !told && (round >= probeTell || time.Since(began) > probeTime/2) && ctx.Err() == nil {
			tell(Change{Unheard: true, Err: failed})
			told = true
		}
		clock.pause(ctx, backoff(round))
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
func (p *probe) comesRound(ctx context.Context, client *http.Client, at string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at+ProbePath+p.asked, nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(r)
	if err != nil {
		if of, ok := errors.AsType[*url.Error](err); ok {
			err = of.Err // its URL contains what only we know
		}
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, reasonMost))
	if err != nil || string(body) != p.answer {
		return cmp.Or(err, ErrElsewhere)
	}
	return nil
}

// answerTo is the answer to a request for a path, if that is the one that only this agent knows. The path may begin with
// whatever brings requests to this agent.
func (p *probe) answerTo(path string) (answer string, own bool) {
	asked, found := Probed(path)
	if !found || subtle.ConstantTimeCompare([]byte(asked), []byte(p.asked)) != 1 {
		return "", false
	}
	return p.answer, true
}

// Probed is what the path of a probe asks for; ok is false for any other path.
func Probed(path string) (asked string, ok bool) {
	i := strings.LastIndex(path, ProbePath)
	if i < 0 {
		return "", false
	}
	return path[i+len(ProbePath):], true
}
