package relay

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/tunnel"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// edge is the public end of tunnels: who may open one, and which laptops are connected. The zero value admits nobody.
type edge struct {
	guesses guesses
	running sync.WaitGroup // laptops
	copying sync.Mutex     // held while storing which sources a laptop wants copies of, also during I/O; taken before mu

	// mu guards the fields below. It is held for moments, never during I/O.
	mu      sync.Mutex
	cfg     *config.Edge        // nil: nobody is admitted
	links   map[*laptop]bool    // all that are open, also those whose laptop has not introduced itself yet
	laptops map[string]*laptop  // by tunnel: the one that has it
	probes  map[string][]string // by tunnel: the secret paths that its last laptops probe, the newest last
	arrived chan struct{}       // closed and replaced whenever a laptop begins to take requests; nil: nobody waits
	closed  bool                // the agent has stopped

	tallies map[string]*tunnelTally // of the tunnels in cfg
	refused map[refusedFor]uint64   // how many links
}

var (
	// errAbsent is why nothing can be sent through a tunnel.
	errAbsent    = errors.New("the laptop of this tunnel is not connected")
	errReplaced  = errors.New("another link has taken its place")
	errTakenOver = errors.New("another laptop has taken the tunnel over")
	errRevoked   = errors.New("its token is not valid any more")
	errStopping  = errors.New("the edge is being stopped")
)

// takesTunnel answers a request for a tunnel, and reports whether it is one. Such a request is no record, but a refusal is
// logged.
func (a *Agent) takesTunnel(x *wire.Exchange, trusted []netip.Prefix) bool {
	if x.Head.Path() != tunnel.Path || a.edge.config() == nil {
		return false
	}
	r, err := x.Request()
	if err != nil || !tunnel.Asks(r) {
		return false
	}
	from := senderOf(x.Remote, x.TLS, x.Head, trusted)
	l, no := a.edge.admit(r, from, a.now())
	if no != nil {
		a.edge.refuse(no.kind)
		if no.tell {
			a.log.Warn("tunnel refused", "remote", from.remote, "reason", no.reason)
		}
		_, _ = x.Write(no.answer())
		return true
	}
	conn := x.Hijack()
	if !a.edge.host(func() { a.keepLaptop(conn, r, l) }) {
		_ = conn.Close()
	}
	return true
}

// notAdmitted is why a request for a tunnel is refused.
type notAdmitted struct {
	kind   refusedFor
	status int
	reason string
	tell   bool // log it
}

// answer is what the laptop gets. It tells a stranger nothing of use.
func (n *notAdmitted) answer() []byte {
	fields := wire.Fields{{Name: "Content-Type", Value: "text/plain; charset=utf-8"}}
	for name, values := range tunnel.Fields() {
		fields = append(fields, wire.Field{Name: name, Value: values[0]})
	}
	if n.status == http.StatusTooManyRequests {
		fields = append(fields, wire.Field{Name: "Retry-After", Value: "10"})
	}
	return wire.AppendResponse(nil, wire.Answer{Status: n.status, Fields: fields, Body: []byte("hooktape: " + n.reason + "\n"), Close: true})
}

// admit finds out which tunnel a request is for, by its token.
func (e *edge) admit(r *http.Request, from sender, now time.Time) (*laptop, *notAdmitted) {
	peer := addrOf(from.remote)
	switch mismatch, differs := tunnel.Mismatch(r); {
	case !from.tls && !peer.IsLoopback():
		return nil, &notAdmitted{forPlain, http.StatusForbidden, "tunnels need TLS; if a proxy in front speaks it, list the proxy in trusted_proxies", true}
	case !e.guesses.allowed(peer, now):
		return nil, &notAdmitted{forGuessing, http.StatusTooManyRequests, "too many wrong tokens", false}
	case differs:
		return nil, &notAdmitted{forVersion, http.StatusUpgradeRequired, mismatch.Error() + ": upgrade " + mismatch.Upgrade(), true}
	}
	name, hash, ok := e.owner(tunnel.Token(r))
	if !ok {
		e.guesses.wrong(peer, now)
		return nil, &notAdmitted{forToken, http.StatusUnauthorized, "wrong token", true}
	}
	return &laptop{name: name, hash: hash, remote: from.remote}, nil
}

// owner is the tunnel that a token opens. The token's hash is always compared with all hashes, in constant time.
func (e *edge) owner(token string) (name string, hash [sha256.Size]byte, ok bool) {
	hash = store.HashToken(token)
	cfg := e.config()
	if cfg == nil { // a reload has just removed it
		return "", hash, false
	}
	for _, t := range cfg.Tunnels {
		for _, its := range t.Hashes {
			if subtle.ConstantTimeCompare(hash[:], its[:]) == 1 {
				name, ok = t.Name, true
			}
		}
	}
	return name, hash, ok && token != ""
}

func (e *edge) config() *config.Edge {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.cfg
}

// apply makes cfg the configuration, and cuts off laptops that it no longer admits.
func (e *edge) apply(cfg *config.Edge) {
	e.mu.Lock()
	e.cfg = cfg
	e.follow(cfg)
	var gone []*laptop
	for l := range e.links {
		if !cfg.Admits(l.name, l.hash) {
			gone = append(gone, l)
		}
	}
	e.mu.Unlock()
	for _, l := range gone {
		l.link.Cut(errRevoked)
	}
}

// enter registers a link, so that apply and close can cut it. The error says why its laptop is no longer admitted.
func (e *edge) enter(l *laptop) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	l.tally = e.tally(l.name)
	if err := e.bars(l); err != nil {
		return err
	}
	if e.links == nil {
		e.links = make(map[*laptop]bool)
	}
	e.links[l] = true
	return nil
}

// exit removes a link that has ended, and reports whether it had the tunnel.
func (e *edge) exit(l *laptop, now time.Time) (had bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.links[l] {
		l.tally.ended(l, now)
	}
	delete(e.links, l)
	if had = e.laptops[l.name] == l; had {
		delete(e.laptops, l.name)
	}
	return had
}

// bars says why a laptop is no longer admitted; nil: it is. The caller holds mu.
func (e *edge) bars(l *laptop) error {
	switch {
	case e.closed:
		return errStopping
	case !e.cfg.Admits(l.name, l.hash):
		return errRevoked
	}
	return nil
}

// host runs keep, which serves a laptop, on a goroutine of its own; or returns false if the agent has stopped.
func (e *edge) host(keep func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.running.Go(keep)
	return true
}

// close ends all tunnels.
func (e *edge) close() {
	e.mu.Lock()
	e.closed = true
	all := slices.Collect(maps.Keys(e.links))
	e.mu.Unlock()
	for _, l := range all {
		_ = l.link.Close()
	}
	e.running.Wait()
}

// has reports whether a laptop still has its tunnel.
func (e *edge) has(l *laptop) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.laptops[l.name] == l
}

// at is the laptop that has a tunnel and takes requests; nil if none is connected.
func (e *edge) at(name string) *laptop {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l := e.laptops[name]; l != nil && l.begun && l.link.Err() == nil { // the link may have ended a moment before exit is called
		return l
	}
	return nil
}

// arrival is closed when the next laptop begins to take requests.
func (e *edge) arrival() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.arrived == nil {
		e.arrived = make(chan struct{})
	}
	return e.arrived
}

// held is the last record whose delivery through a tunnel must wait, since its laptop wants only newer ones; zero: none.
func (e *edge) held(name string) store.ID {
	if l := e.at(name); l != nil {
		return l.hold
	}
	return store.ID{}
}

const (
	// guessEvery and guessBurst limit the wrong tokens of an address; nobody mistypes more often than that in a row.
	guessEvery = 2 * time.Second
	guessBurst = 5
	// guessersMost limits how many addresses are remembered.
	guessersMost = 4096
)

// guesses limits the wrong tokens of an address, or of a network for IPv6. The zero value has seen none.
type guesses struct {
	mu sync.Mutex // guards by, for moments
	by map[netip.Prefix]*rate.Limiter
}

func (g *guesses) allowed(from netip.Addr, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.by[networkOf(from)]
	return l == nil || l.TokensAt(now) >= 1
}

func (g *guesses) wrong(from netip.Addr, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	network := networkOf(from)
	if g.by == nil || len(g.by) >= guessersMost {
		g.by = make(map[netip.Prefix]*rate.Limiter) // an attacker with so many addresses can't be slowed down like this anyway
	}
	if g.by[network] == nil {
		g.by[network] = rate.NewLimiter(rate.Every(guessEvery), guessBurst)
	}
	g.by[network].AllowN(now, 1)
}

// networkOf is the network that is likely to belong to one party as a whole: an IPv4 address, or an IPv6 /64.
func networkOf(a netip.Addr) netip.Prefix {
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits) // the zero Prefix for the zero Addr
	return p
}

// addrOf is the address of ip:port, or of ip alone.
func addrOf(remote string) netip.Addr {
	a, _ := netip.ParseAddr(hostname(remote))
	return a.Unmap().WithZone("")
}
