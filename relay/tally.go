package relay

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/tunnel"
)

// refusedFor is why a link was refused.
type refusedFor string

// The reasons; those of tunnel.Refusal count as well.
const (
	forToken    refusedFor = "token"
	forGuessing refusedFor = "too many tokens" // wrong ones, from the same address
	forVersion  refusedFor = "version"
	forPlain    refusedFor = "no tls"
)

var refusals = []refusedFor{forToken, forGuessing, forVersion, forPlain, refusedFor(tunnel.Taken), refusedFor(tunnel.NoCopy)}

// tunnelTally counts what goes through a tunnel.
type tunnelTally struct {
	requests atomic.Uint64 // attempts that were given to a link

	// edge.mu guards the fields below.
	links          uint64    // that took requests
	sent, received int64     // bytes, of links that have ended
	seen           time.Time // when the last link that took requests ended; zero: none did
}

// ended adds what a link has carried. edge.mu is held.
func (t *tunnelTally) ended(l *laptop, now time.Time) {
	through := l.link.Traffic()
	t.sent += through.Sent
	t.received += through.Received
	if l.begun {
		t.seen = now
	}
}

// follow has a tally for each tunnel of a configuration, and for no other. Callers hold mu.
func (e *edge) follow(cfg *config.Edge) {
	before := e.tallies
	e.tallies = make(map[string]*tunnelTally)
	if cfg == nil {
		return
	}
	for _, t := range cfg.Tunnels {
		if e.tallies[t.Name] = before[t.Name]; e.tallies[t.Name] == nil {
			e.tallies[t.Name] = new(tunnelTally)
		}
	}
}

// tally is that of a tunnel. One that is not in the configuration any more is counted for nobody. Callers hold mu.
func (e *edge) tally(name string) *tunnelTally {
	if t := e.tallies[name]; t != nil {
		return t
	}
	return new(tunnelTally)
}

// refuse counts a link that was refused.
func (e *edge) refuse(why refusedFor) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.refused == nil {
		e.refused = make(map[refusedFor]uint64)
	}
	e.refused[why]++
}

var (
	descTunnelUp       = desc("tunnel_up", "1 while the laptop of a tunnel takes requests.", tunnelLabels...)
	descTunnelLinks    = desc("tunnel_links_total", "Links that laptops have opened, and that took requests.", tunnelLabels...)
	descTunnelSeen     = desc("tunnel_last_seen_timestamp_seconds", "When the laptop was there last: now, while it is; absent until it was.", tunnelLabels...)
	descTunnelStreams  = desc("tunnel_streams", "Streams that are open, with those that are kept for further requests.", tunnelLabels...)
	descTunnelRequests = desc("tunnel_requests_total", "Requests given to a link, each attempt counted.", tunnelLabels...)
	descTunnelSent     = desc("tunnel_sent_bytes_total", "Bytes sent through its links.", tunnelLabels...)
	descTunnelReceived = desc("tunnel_received_bytes_total", "Bytes that came back through them.", tunnelLabels...)
	descTunnelPending  = desc("tunnel_deliveries_pending", "Deliveries that wait for a laptop, of all sources.", tunnelLabels...)
	descTunnelRefused  = desc("tunnel_refused_total", "Links that were refused, by why.", "reason")

	descUplinkUp    = desc("uplink_up", "1 while there is a link to the edge, or to the SSH server.")
	descUplinkLinks = desc("uplink_links_total", "Links to it that were brought up.")
	descUplinkSince = desc("uplink_since_timestamp_seconds", "Since when uplink_up is what it is.")
)

var tunnelLabels = []string{"tunnel"}

// tunnelView is a tunnel as the metrics show it.
type tunnelView struct {
	name     string
	up       bool
	remote   string // of the laptop that is up
	links    uint64
	seen     time.Time
	requests uint64
	through  tunnel.Traffic
}

// Laptop is the far end of a tunnel.
type Laptop struct {
	Up      bool      // it takes requests
	Remote  string    // where it comes from; "": it is not there
	Seen    time.Time // when it was up last, since the agent was made; zero: it was not
	Waiting int       // deliveries
}

// Laptop is that of a tunnel; not ok: the configuration has no such tunnel.
func (a *Agent) Laptop(tunnel string) (l Laptop, ok bool) {
	views, _ := a.edge.tunnels(a.now())
	for _, v := range views {
		if v.name == tunnel {
			return Laptop{Up: v.up, Remote: v.remote, Seen: v.seen, Waiting: a.waitingFor(tunnel)}, true
		}
	}
	return Laptop{}, false
}

// waitingFor is how many deliveries wait for a tunnel.
func (a *Agent) waitingFor(tunnel string) (n int) {
	for _, t := range a.tunnelTargets(tunnel) {
		n += t.pending()
	}
	return n
}

// tunnels shows each tunnel of the configuration, and how many links were refused.
func (e *edge) tunnels(now time.Time) (views []tunnelView, refused map[refusedFor]uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for name, t := range e.tallies {
		v := tunnelView{name: name, links: t.links, seen: t.seen, requests: t.requests.Load()}
		v.through.Sent, v.through.Received = t.sent, t.received
		for l := range e.links {
			if l.tally == t {
				through := l.link.Traffic()
				v.through.Sent += through.Sent
				v.through.Received += through.Received
				v.through.Streams += through.Streams
			}
		}
		if l := e.laptops[name]; l != nil && l.begun {
			v.up, v.remote, v.seen = true, l.remote, now
		}
		views = append(views, v)
	}
	refused = make(map[refusedFor]uint64)
	for _, why := range refusals {
		refused[why] = e.refused[why]
	}
	return views, refused
}

// tunnels is about laptops: nothing where there is no edge.
func (g *gauges) tunnels(out figures) {
	if g.agent.edge.config() == nil {
		return
	}
	views, refused := g.agent.edge.tunnels(g.agent.now())
	for _, v := range views {
		out.gauge(descTunnelUp, oneIf(v.up), v.name)
		out.count(descTunnelLinks, v.links, v.name)
		out.gauge(descTunnelStreams, float64(v.through.Streams), v.name)
		out.count(descTunnelRequests, v.requests, v.name)
		out.count(descTunnelSent, uint64(v.through.Sent), v.name)
		out.count(descTunnelReceived, uint64(v.through.Received), v.name)
		if !v.seen.IsZero() {
			out.time(descTunnelSeen, v.seen, v.name)
		}
		out.gauge(descTunnelPending, float64(g.agent.waitingFor(v.name)), v.name)
	}
	for why, n := range refused {
		out.count(descTunnelRefused, n, strings.ReplaceAll(string(why), " ", "_"))
	}
}

// uplink is about the way to an edge or through an SSH server: nothing where there is none.
func (g *gauges) uplink(out figures) {
	up, ok := g.agent.uplink.(interface{ State() tunnel.State })
	if !ok {
		return
	}
	s := up.State()
	out.gauge(descUplinkUp, oneIf(s.Up))
	out.count(descUplinkLinks, uint64(s.Links))
	if !s.Since.IsZero() {
		out.time(descUplinkSince, s.Since)
	}
}
