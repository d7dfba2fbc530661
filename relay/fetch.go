package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	neturl "net/url"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
)

const (
	// fetchPatience is how long a fetch may take: a sender waits for it.
	fetchPatience = 10 * time.Second
	// fetchMax is how many bytes a key, a list of keys or a certificate can have.
	fetchMax = 1 << 20
	// keepFetched is for how long what was fetched is used without asking again; while asking again fails, it is used
	// for keepStale. A failure is believed for keepFailure.
	keepFetched, keepStale, keepFailure = time.Hour, 24 * time.Hour, 10 * time.Second
	// fetchRate and fetchBurst are how many fetches there may be in a second, and at once: strangers name keys.
	fetchRate, fetchBurst = 1, 20
	// fetchedMax is how many answers are kept.
	fetchedMax = 256
)

var (
	errFetchedTooOften = errors.New("keys were asked for too often")
	errNotPublic       = errors.New("it is not a public address")
)

// fetcher gets what providers need from their own hosts: public keys, certificates. Which hosts these are the providers
// know; here it is made sure that no name leads to a network of our own.
type fetcher struct {
	client http.Client
	now    func() time.Time
	pace   *rate.Limiter
	asking singleflight.Group

	mu   sync.Mutex // guards kept
	kept map[string]fetched
}

// fetched is what came of a fetch.
type fetched struct {
	body []byte
	err  error
	at   time.Time // when the body was had
	next time.Time // when to ask again
}

// usable says whether it is a body that may be used although asking again fails.
func (d fetched) usable(now time.Time) bool { return d.err == nil && now.Sub(d.at) < keepStale }

// newFetcher makes a fetcher; transport nil is one that reaches public addresses only.
func newFetcher(transport http.RoundTripper, now func() time.Time) *fetcher {
	if transport == nil {
		dialer := &net.Dialer{Timeout: dialTimeout, Control: publicOnly}
		transport = &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}
	}
	f := &fetcher{now: now, pace: rate.NewLimiter(fetchRate, fetchBurst), kept: make(map[string]fetched)}
	f.client = http.Client{
		Transport: transport, Timeout: fetchPatience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return f
}

// FetchKeys returns a provider.Setting.Fetch for those who check a request or two: it reaches public addresses only.
func FetchKeys(now func() time.Time) func(url string, post []byte) ([]byte, error) {
	return newFetcher(nil, now).get
}

// publicOnly refuses connections into networks that a stranger has no business in.
func publicOnly(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !isPublic(at.Addr()) {
		return errNotPublic
	}
	return nil
}

// special are the networks that the IANA registries of special-purpose addresses (RFC 6890) don't count as reachable by
// all, and that netip has no name for: shared by a carrier's or cloud's hosts, for benchmarks, or standing for others.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"),
}

// isPublic says whether an address is one that everybody may reach.
func isPublic(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsGlobalUnicast() && !a.IsPrivate() &&
		!slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) })
}

// get is provider.Setting.Fetch.
func (f *fetcher) get(url string, post []byte) ([]byte, error) {
	key := url + "\x00" + string(post)
	f.mu.Lock()
	was, known := f.kept[key]
	f.mu.Unlock()
	if known && f.now().Before(was.next) {
		return was.body, was.err
	}
	got, err, _ := f.asking.Do(key, func() (any, error) {
		known := known && was.usable(f.now())
		body, err := f.ask(context.Background(), url, post, known)
		d := fetched{body: body, err: err, at: f.now(), next: f.now().Add(keepFetched)}
		if err != nil {
			d.next = f.now().Add(keepFailure)
			if known {
				d.body, d.err, d.at = was.body, nil, was.at
			}
		}
		f.keep(key, d)
		return d.body, d.err
	})
	body, _ := got.([]byte)
	return body, err
}

// keep makes room, when it has to, by forgetting what failed: what strangers had us ask for.
func (f *fetcher) keep(key string, d fetched) {
	if errors.Is(d.err, errFetchedTooOften) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.kept) >= fetchedMax {
		maps.DeleteFunc(f.kept, func(_ string, d fetched) bool { return d.err != nil })
	}
	if len(f.kept) >= fetchedMax {
		clear(f.kept)
	}
	f.kept[key] = d
}

// ask gets a URL, or posts JSON to it when post is not nil. What was had before is known, and
// need not wait for its turn among what strangers name.
func (f *fetcher) ask(ctx context.Context, url string, post []byte, known bool) ([]byte, error) {
	if !known && !f.pace.AllowN(f.now(), 1) {
		return nil, errFetchedTooOften
	}
	method, body := http.MethodGet, io.Reader(http.NoBody)
	if post != nil {
		method, body = http.MethodPost, bytes.NewReader(post)
	}
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	if post != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return answerTo(&f.client, r)
}

// answerTo is the body of the answer to a question. Only a 2xx is an answer.
func answerTo(client *http.Client, r *http.Request) ([]byte, error) {
	if r.Header.Get("User-Agent") == "" {
		r.Header.Set("User-Agent", userAgent)
	}
	response, err := client.Do(r)
	if failed, ok := errors.AsType[*neturl.Error](err); ok {
		return nil, fmt.Errorf("ask %s: %w", r.URL.Host, failed.Err) // the rest of the URL may have a token in it
	}
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s answered %s", r.URL.Host, response.Status)
	}
	got, err := io.ReadAll(io.LimitReader(response.Body, fetchMax+1))
	if err == nil && len(got) > fetchMax {
		err = fmt.Errorf("%s sent more than %d bytes", r.URL.Host, fetchMax)
	}
	return got, err
}
