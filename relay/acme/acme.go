// Package acme gets certificates for listed names from a CA that speaks ACME (RFC 8555), and renews them.
//
// The protocol is that of golang.org/x/crypto/acme, and what is kept on disk has the form of its autocert. But its
// autocert.Manager is not used: it orders within handshakes, which then wait for the CA, its goroutines can't be ended, and
// it does not tell why a CA refused. Here only Keep orders, one certificate at a time, and handshakes use what is there.
package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// Settings say which certificates to have.
type Settings struct {
	Names     []string // host names in lower case; nil: none
	Directory string   // URL of the CA. Its terms are accepted
	Email     string   // where the CA may write to; "": nowhere
	Folder    string   // for keys and certificates, with a subfolder for each CA
}

// cache keeps what the CA gave. Each CA has its own, since what a CA for trials gave is useless elsewhere.
func (s Settings) cache() autocert.DirCache {
	_, ca, _ := strings.Cut(s.Directory, "://")
	return autocert.DirCache(filepath.Join(s.Folder, strings.NewReplacer("/", "-", ":", "-", "?", "-").Replace(ca)))
}

// Options are what a Keeper needs from outside. Each is optional.
type Options struct {
	Now    func() time.Time  // nil: time.Now
	Jitter func() float64    // in [0, 1), to spread orders; nil: math/rand/v2
	CA     http.RoundTripper // carries requests to the CA; nil: http.DefaultTransport
	HTTP   bool              // the CA's questions over plain HTTP get to Answer; false: it can only ask over TLS
	Tell   func(Outcome)     // is told of every certificate and every failure, one at a time; nil: nobody is
}

// Outcome is what became of the certificate of a name.
type Outcome struct {
	Name   string
	Leaf   *x509.Certificate // in use from now on, or still; nil: there is none
	Kept   bool              // it was on disk
	Err    error             // why there is no new one, or why it can't be stored; nil: all is well
	Failed int               // failed orders in a row, including this one; 0: it succeeded
	Before int               // failed orders before this one succeeded
	Next   time.Time         // when the next order is made
}

// A Keeper keeps certificates. Its methods may be called from any goroutine, but Keep and Restore only from one.
type Keeper struct {
	o      Options
	wake   chan struct{} // one place: some order need not wait any longer
	client *client       // the account in use; only Keep's goroutine has it

	// mu guards what follows. It is held for moments only, never during I/O.
	mu        sync.RWMutex
	want      Settings
	hurries   int // counts the calls of hurry
	held      map[string]*held
	questions map[string]question // from the CA, by name
}

// held is what is known about a name.
type held struct {
	cert   *tls.Certificate // nil: there is none yet
	from   autocert.DirCache
	failed int       // orders in a row
	next   time.Time // after a failed order: when to try again; otherwise: the earliest time for another order
}

// New makes a Keeper, which does nothing before Want is called.
func New(o Options) *Keeper {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Jitter == nil {
		o.Jitter = rand.Float64
	}
	if o.CA == nil {
		o.CA = http.DefaultTransport
	}
	if o.Tell == nil {
		o.Tell = func(Outcome) {}
	}
	return &Keeper{
		o: o, wake: make(chan struct{}, 1), held: make(map[string]*held), questions: make(map[string]question),
	}
}

// Want makes s the settings. Names that are no longer in them have no certificate from now on; for new ones, and for
// those that failed so far, Keep orders at once. The same settings again change nothing.
func (k *Keeper) Want(s Settings) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if reflect.DeepEqual(k.want, s) {
		return
	}
	k.want = s
	for name := range k.held {
		if !slices.Contains(s.Names, name) {
			delete(k.held, name)
			delete(k.questions, name)
		}
	}
	k.hurry()
}

// Retry has Keep repeat failed orders at once: what was in the way may be gone.
func (k *Keeper) Retry() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.hurry()
}

// hurry ends all waiting after failures, also for an order that is under way now and fails later. Callers hold mu.
func (k *Keeper) hurry() {
	k.hurries++
	for _, h := range k.held {
		h.next = time.Time{}
	}
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Restore takes up what is on disk, so that nobody has to wait for Keep.
func (k *Keeper) Restore() {
	s := k.settings()
	for _, name := range s.Names {
		if k.at(name).from == s.cache() {
			continue
		}
		if cert, err := kept(s.cache(), name); err == nil {
			k.take(s, name, cert, time.Time{})
			k.o.Tell(Outcome{Name: name, Leaf: cert.Leaf, Kept: true, Next: k.due(s, name)})
		}
	}
}

// longest is how long Keep sleeps at most: the clock may be changed, and its timers stand still while the machine sleeps.
const longest = time.Hour

// Keep orders certificates for names that have none, and renews them before they end, until ctx does.
func (k *Keeper) Keep(ctx context.Context) {
	defer (&http.Client{Transport: k.o.CA}).CloseIdleConnections()
	for ctx.Err() == nil {
		timer := time.NewTimer(k.round(ctx))
		select {
		case <-ctx.Done():
		case <-k.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// round orders what is due, and says for how long nothing will be. It ends early when its settings may be outdated.
func (k *Keeper) round(ctx context.Context) (quiet time.Duration) {
	k.Restore()
	begun := k.hurried() // before the settings are read
	s := k.settings()
	quiet = longest
	for _, name := range s.Names {
		if k.hurried() != begun {
			return 0
		}
		if ctx.Err() == nil && !k.due(s, name).After(k.o.Now()) {
			k.renew(ctx, s, name, begun)
		}
		quiet = min(quiet, max(0, k.due(s, name).Sub(k.o.Now())))
	}
	return quiet
}

// renew orders one certificate. begun is how often hurry had been called when its settings were read.
func (k *Keeper) renew(ctx context.Context, s Settings, name string, begun int) {
	text, err := k.obtain(ctx, s, name)
	if ctx.Err() != nil {
		return
	}
	var cert *tls.Certificate
	if err == nil {
		cert, err = parse(name, text)
	}
	if err != nil {
		k.client = nil // the CA may have forgotten the account
		k.o.Tell(k.putOff(name, err, begun))
		return
	}
	before := k.at(name).failed
	k.take(s, name, cert, k.o.Now().Add(respite(cert.Leaf)))
	err = s.cache().Put(ctx, name, text)
	if err != nil {
		err = fmt.Errorf("keep it in %s: %w", s.cache(), err)
	}
	k.o.Tell(Outcome{Name: name, Leaf: cert.Leaf, Err: err, Before: before, Next: k.due(s, name)})
}

// take has a certificate shown from now on, unless its name is no longer wanted. It is not replaced before
// next.
func (k *Keeper) take(s Settings, name string, cert *tls.Certificate, next time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if slices.Contains(k.want.Names, name) {
		k.held[name] = &held{cert: cert, from: s.cache(), next: next}
	}
}

// putOff notes that an order failed. begun is how often hurry had been called when its settings were read: if it was called
// since, the order is repeated at once, as those settings may be outdated.
func (k *Keeper) putOff(name string, err error, begun int) Outcome {
	k.mu.Lock()
	defer k.mu.Unlock()
	h := k.held[name]
	if h == nil {
		h = new(held)
	}
	h.failed++
	h.next = k.o.Now()
	if begun == k.hurries {
		asked, _ := acme.RateLimit(err)
		h.next = h.next.Add(pause(h.failed, asked, k.o.Jitter()))
	}
	out := Outcome{Name: name, Err: err, Failed: h.failed, Next: h.next}
	if h.cert != nil {
		out.Leaf = h.cert.Leaf
	}
	if slices.Contains(k.want.Names, name) {
		k.held[name] = h
	}
	return out
}

// hurried is how often hurry was called.
func (k *Keeper) hurried() int {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.hurries
}

func (k *Keeper) settings() Settings {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.want
}

// at is what is known about a name; the zero value when nothing is.
func (k *Keeper) at(name string) held {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if h := k.held[name]; h != nil {
		return *h
	}
	return held{}
}

// due is when to order a certificate for a name.
func (k *Keeper) due(s Settings, name string) time.Time {
	switch h := k.at(name); {
	case h.failed > 0:
		return h.next
	case h.cert == nil || h.from != s.cache():
		return time.Time{}
	default:
		return later(renewal(h.cert.Leaf), h.next)
	}
}

// Certificate is that of the name which a ClientHello asks for; if it names none, that of the first name that has one. The
// error says why there is none. It is for tls.Config.GetCertificate.
func (k *Keeper) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	for _, listed := range k.want.Names {
		if name != "" && name != listed {
			continue
		}
		if h := k.held[listed]; h != nil && h.cert != nil {
			return h.cert, nil
		} else if name != "" {
			return nil, fmt.Errorf("there is no certificate for %q yet", name)
		}
	}
	if name == "" {
		return nil, errors.New("there is no certificate yet")
	}
	return nil, fmt.Errorf("there is no certificate for %q, which is not among acme's names", name)
}

// Leaves are the certificates in use, for all names; nil: there is none yet.
func (k *Keeper) Leaves() map[string]*x509.Certificate {
	k.mu.RLock()
	defer k.mu.RUnlock()
	leaves := make(map[string]*x509.Certificate)
	for _, name := range k.want.Names {
		leaves[name] = nil
		if h := k.held[name]; h != nil && h.cert != nil {
			leaves[name] = h.cert.Leaf
		}
	}
	return leaves
}
