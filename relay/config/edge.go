package config

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/store"
)

// Edge makes the agent the public end of tunnels.
type Edge struct {
	Domain  string // in lower case, without a port
	Tunnels []Tunnel
}

// Tunnel is the way to an agent that nobody else can reach: a laptop. Its requests come in at NAME.Domain, and below
// TunnelPath + NAME at any host.
type Tunnel struct {
	Name     string
	Hashes   [][sha256.Size]byte // of the tokens that open it; nil: no token does
	Respond  Respond
	Patience time.Duration
	Sources  []string // names of the sources that the laptop may have copies from
}

// TunnelPath comes before the name of a tunnel in paths.
const TunnelPath = "/t/"

const (
	// tunnelPatience is how long the sender of a request for a laptop waits. A laptop takes longer than a server, and
	// its app may be at a breakpoint.
	tunnelPatience = 10 * time.Second
	// tunnelTimeout is longer than a laptop waits for its app, whose answer it passes on.
	tunnelTimeout = 6 * time.Minute
)

var edgeSchema = schema[Edge]{
	place: "edge",
	keys: map[string]func(*decoder, *Edge, *hclsyntax.Attribute){
		"domain": func(d *decoder, e *Edge, a *hclsyntax.Attribute) { d.host(a, &e.Domain) },
	},
	blocks: map[string]func(*decoder, *Edge, *hclsyntax.Block){"tunnel": decodeTunnel},
}

var tunnelSchema = schema[Tunnel]{
	place: "tunnel",
	keys: map[string]func(*decoder, *Tunnel, *hclsyntax.Attribute){
		"token_hash": decodeTokenHash,
		"respond": func(d *decoder, t *Tunnel, a *hclsyntax.Attribute) {
			if text, ok := d.oneOf(a, string(RespondAck), string(RespondTarget)); ok {
				t.Respond = Respond(text)
			}
		},
		"patience": func(d *decoder, t *Tunnel, a *hclsyntax.Attribute) { d.duration(a, 0, &t.Patience) },
		"sources": func(d *decoder, t *Tunnel, a *hclsyntax.Attribute) {
			d.texts(a, func(name string, at hcl.Range) {
				t.Sources = append(t.Sources, name)
				d.seen["copied "+name] = at
			})
		},
	},
}

func decodeEdge(d *decoder, c *Config, b *hclsyntax.Block) {
	d.unlabeled(b)
	d.once("edge", b.TypeRange, "a second edge block")
	c.Edge = new(Edge)
	decodeBody(d, c.Edge, b.Body, &edgeSchema)
	if b.Body.Attributes["domain"] == nil {
		d.fail(b.TypeRange, `edge needs a domain, by which laptops are reached: domain = "hooks.example.com"`)
	}
}

func decodeTunnel(d *decoder, e *Edge, b *hclsyntax.Block) {
	name, at := d.label(b)
	d.once("source "+name, at, "a source or tunnel of that name is there already")
	t := newTunnel(name)
	decodeBody(d, &t, b.Body, &tunnelSchema)
	e.Tunnels = append(e.Tunnels, t)
}

func newTunnel(name string) Tunnel {
	return Tunnel{Name: name, Respond: RespondTarget, Patience: tunnelPatience}
}

func decodeTokenHash(d *decoder, t *Tunnel, a *hclsyntax.Attribute) {
	text, ok := d.text(a)
	if !ok {
		return
	}
	hash, err := store.ParseTokenHash(text)
	if err != nil {
		d.fail(a.Expr.Range(), "%q is none: %s; hooktape token new %s --json prints one", a.Name, err, t.Name)
		return
	}
	t.Hashes = append(t.Hashes, hash)
}

// decodeTargetTunnel makes the target a tunnel.
func decodeTargetTunnel(d *decoder, t *Target, a *hclsyntax.Attribute) {
	if d.textInto(a, &t.Tunnel); t.Tunnel != "" {
		t.URL = tunnelURL(t.Tunnel)
		d.seen["tunnel "+t.Tunnel] = a.Expr.Range()
	}
}

// tunnelTarget is a target with only its name and tunnel given. Deliveries go one at a time, and so in the order of
// their records; the timeout is longer than the laptop waits for its app.
func tunnelTarget(name, tunnel string) Target {
	t := DefaultTarget(name, tunnelURL(tunnel))
	t.Tunnel, t.Timeout, t.Concurrency = tunnel, tunnelTimeout, 1
	return t
}

// tunnelURL represents a tunnel where a URL is shown.
func tunnelURL(name string) *url.URL { return &url.URL{Scheme: "tunnel", Host: name} }

// onLaptop are the keys and blocks that a target can't have if it is a tunnel: what goes through one is not changed.
var onLaptop = []string{"url", "host", "forwarded", "id_header", "rewrite", "follow"}

// checkTunnel finds keys that a target which is a tunnel can't have.
func (d *decoder) checkTunnel(b *hclsyntax.Block) {
	for _, name := range onLaptop {
		var at hcl.Range
		if a := b.Body.Attributes[name]; a != nil {
			at = a.NameRange
		} else if i := slices.IndexFunc(b.Body.Blocks, func(inner *hclsyntax.Block) bool { return inner.Type == name }); i >= 0 {
			at = b.Body.Blocks[i].TypeRange
		} else {
			continue
		}
		d.fail(at, "%q can't be used with \"tunnel\": requests go through a tunnel as they came, and the laptop's agent sends them on", name)
	}
}

// checkEdge finds names of tunnels and sources that do not exist.
func (d *decoder) checkEdge(c *Config) {
	if c.Edge == nil {
		for _, s := range c.Sources {
			for _, t := range s.Targets {
				if t.Tunnel != "" {
					d.fail(d.seen["tunnel "+t.Tunnel], `tunnels need an edge block: edge { domain = "hooks.example.com" }`)
				}
			}
		}
		return
	}
	for _, t := range c.Edge.Tunnels {
		for _, name := range t.Sources {
			if c.Source(name) == nil {
				d.fail(d.seen["copied "+name], "there is no source %q", name)
			}
		}
	}
}

// WithTunnels is the configuration with a source for each tunnel, with tunnels that have a token but no block, and with
// the targets that laptops have asked for; c itself is not changed. What is not possible is left out; refused says why,
// by the name of the tunnel.
func (c *Config) WithTunnels(tokens []store.Token, copies map[string][]store.Copy) (with *Config, refused map[string]error) {
	refused = make(map[string]error)
	if c.Edge == nil {
		return c, refused
	}
	copied := *c
	copied.Edge = &Edge{Domain: c.Edge.Domain, Tunnels: slices.Clone(c.Edge.Tunnels)}
	copied.Sources = slices.Clone(c.Sources)
	for _, token := range tokens {
		copied.Edge.admit(token)
	}
	copied.Edge.Tunnels = slices.DeleteFunc(copied.Edge.Tunnels, func(t Tunnel) bool {
		s := copied.tunnelSource(t)
		if err := copied.standsAgainst(&s); err != nil {
			refused[t.Name] = err
			return true
		}
		copied.Sources = append(copied.Sources, s)
		return false
	})
	for _, t := range copied.Edge.Tunnels {
		for _, want := range copies[t.Name] {
			if err := copied.addCopy(t, want); err != nil {
				refused[t.Name] = err
			}
		}
	}
	return &copied, refused
}

// admit lets a token open the tunnel of its name, which is made if there is none.
func (e *Edge) admit(token store.Token) {
	i := slices.IndexFunc(e.Tunnels, func(t Tunnel) bool { return t.Name == token.Name })
	if i < 0 {
		i = len(e.Tunnels)
		e.Tunnels = append(e.Tunnels, newTunnel(token.Name))
	}
	t := &e.Tunnels[i]
	t.Hashes = append(slices.Clone(t.Hashes), token.Hash)
}

// tunnelSource is where requests for a tunnel come in.
func (c *Config) tunnelSource(t Tunnel) Source {
	s := DefaultSource(t.Name, "/")
	s.Tunnel, s.Host = t.Name, t.Name+"."+c.Edge.Domain
	s.Respond, s.Patience, s.MaxBody = t.Respond, t.Patience, c.Limits.MaxBody
	s.PublicURL = cmp.Or(c.PublicURL, "https://"+c.Edge.Domain) + TunnelPath + t.Name
	s.Targets = []Target{tunnelTarget(t.Name, t.Name)}
	return s
}

// CheckCopy says why a laptop can't have a copy; nil: it can. c must come from WithTunnels.
func (c *Config) CheckCopy(tunnel string, want store.Copy) error {
	i := slices.IndexFunc(c.Edge.Tunnels, func(t Tunnel) bool { return t.Name == tunnel })
	if i < 0 {
		return errors.New("there is no such tunnel")
	}
	_, _, err := c.planCopy(c.Edge.Tunnels[i], want)
	return err
}

// planCopy finds the source of a copy, and makes its target.
func (c *Config) planCopy(t Tunnel, want store.Copy) (*Source, Target, error) {
	s := c.Source(want.Source)
	if s == nil || !slices.Contains(t.Sources, want.Source) { // which of the two is nobody's business
		return nil, Target{}, fmt.Errorf("this tunnel may not have copies of source %q", want.Source)
	}
	target := tunnelTarget(copyName(s, t.Name), t.Name)
	target.Copy = true
	if want.Where == "" {
		return s, target, nil
	}
	var err error
	if target.When, err = expr.ParseWhere(want.Where); err != nil {
		return nil, Target{}, fmt.Errorf("the expression for source %q is not valid: %w", want.Source, err)
	}
	return s, target, nil
}

// copyName is the name of a copy's target: the tunnel's, with "-copy" behind it if the configuration has such a target.
func copyName(s *Source, tunnel string) string {
	name := tunnel
	for slices.ContainsFunc(s.Targets, func(t Target) bool { return t.Name == name && !t.Copy }) {
		name += "-copy"
	}
	return name
}

// addCopy gives a source the target that a laptop has asked for, unless it has it already. c's sources are its own, but
// their lists of targets are shared, and so are cloned first.
func (c *Config) addCopy(t Tunnel, want store.Copy) error {
	s, target, err := c.planCopy(t, want)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(s.Targets, func(t Target) bool { return t.Copy && t.Name == target.Name }) {
		return fmt.Errorf("source %q is asked for twice", want.Source)
	}
	s.Targets = append(slices.Clone(s.Targets), target)
	return nil
}

// Admits says whether a token with that hash opens a tunnel. Without an edge, none does.
func (e *Edge) Admits(tunnel string, hash [sha256.Size]byte) bool {
	return e != nil && slices.ContainsFunc(e.Tunnels, func(t Tunnel) bool { return t.Name == tunnel && slices.Contains(t.Hashes, hash) })
}
