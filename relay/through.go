package relay

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/provider"
	"github.com/hooktape/hooktape/relay/tunnel"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// through is the message as a tunnel takes it: as it came. What the laptop could not know is said before it.
func (a *Agent) through(to *aim, m message) (*wire.Outgoing, error) {
	p := to.preface(m)
	preface, err := p.Bytes()
	if err != nil {
		return nil, err
	}
	out := &wire.Outgoing{URL: to.URL, Preface: preface, Head: m.head.Raw, Method: m.head.Method, Timeouts: to.timeouts}
	a.carry(out, m.raw, m.bodyAt())
	a.lead(out, a.edge.at(to.Tunnel))
	return out, nil
}

// preface is what the laptop is told of a message.
func (a *aim) preface(m message) tunnel.Preface {
	p := tunnel.Preface{
		Record: m.rec.ID.String(), Target: a.source + "/" + a.Name, Remote: m.rec.Remote, Scheme: "http", Attempt: m.attempt,
		Base: a.base(m.rec, m.head),
	}
	if m.rec.TLS {
		p.Scheme = "https"
	}
	if len(m.rec.Host) <= tunnel.MaxHost {
		p.Host = m.rec.Host
	}
	return p
}

// Through opens a connection to the laptop of a tunnel that is a target, for one request: that of a record, to be sent again
// as a replay. The laptop is told so: it has not seen it yet, though it may have the record.
func (a *Agent) Through(ctx context.Context, id store.ID, source, name string) (net.Conn, error) {
	t := a.targetOf(targetKey{source, name})
	if t == nil || t.config().Tunnel == "" {
		return nil, fmt.Errorf("source %q has no target %q that is a tunnel", source, name)
	}
	to := t.aim.Load()
	l := a.edge.at(to.Tunnel)
	if l == nil {
		return nil, errAbsent
	}
	m, err := a.load(id)
	if err != nil {
		return nil, err
	}
	p := to.preface(m)
	p.Target += "/replay/" + rand.Text()
	preface, err := p.Bytes()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := l.link.Open(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(preface); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// lead has a request sent through the link of a laptop; nil: it is not there.
func (a *Agent) lead(out *wire.Outgoing, l *laptop) {
	if l == nil {
		out.Dial = func(context.Context) (net.Conn, error) { return nil, errAbsent }
		return
	}
	l.tally.requests.Add(1)
	a.noteRoom(l)
	out.Dial = func(ctx context.Context) (net.Conn, error) { return a.openFor(ctx, l) }
	out.Kept, out.MaxKept, out.KeptUntil = l.kept, tunnel.MaxKept, l.link.Done()
	out.Known = true // by the record that its preface names
}

// base is the beginning of a request's path that named the tunnel where its own address is below that of the edge.
func (a *aim) base(rec *store.Record, head *wire.RequestHead) string {
	base := config.TunnelPath + a.own
	if a.own == "" || strings.EqualFold(hostname(rec.Host), a.host) {
		return ""
	}
	if _, ok := wire.MatchPrefix(head.Path(), base); !ok {
		return ""
	}
	return base
}

// urlOf is the URL that a sender has of a request. The name of a tunnel stands in its public URL, and in the path too.
func (s *source) urlOf(head *wire.RequestHead, sawTLS bool) string {
	public := s.publicURL
	if i := strings.LastIndex(public, config.TunnelPath); i >= 0 {
		if _, ok := wire.MatchPrefix(head.Path(), public[i:]); ok {
			public = public[:i]
		}
	}
	return provider.RequestURL(public, head, sawTLS)
}

// came puts what is known of the way of a request into its sender: of what came through a tunnel, the edge knows who it is.
func (s sender) came(c net.Conn) sender {
	switch c := c.(type) {
	case *tunnel.Stream:
		p := c.Preface()
		return sender{remote: p.Remote, tls: p.Scheme == "https", through: &p}
	case *tunnel.Channel:
		s.ssh = true
	}
	return s
}

// via is Record.Via of what a sender has sent.
func (s *sender) via() string {
	switch {
	case s.through != nil:
		return "tunnel"
	case s.ssh:
		return "ssh"
	}
	return "direct"
}

// answersProbe answers a request with which the agent asks whether the port of its SSH server leads here, and says whether
// it is one. It is no record: only the agent knows what to ask for.
func answersProbe(x *wire.Exchange) bool {
	c, ok := x.Conn.(*tunnel.Channel)
	if !ok {
		return false
	}
	answer, own := c.AnswerTo(x.Head.Path())
	if own {
		_, _ = x.Write(wire.AppendResponse(nil, wire.Answer{Status: http.StatusOK, Proto: x.Head.Proto, Body: []byte(answer), Close: true}))
	}
	return own
}

// edge is Record.Edge of it, and base its Record.Base.
func (s *sender) edge() string {
	if s.through != nil {
		return s.through.Record
	}
	return ""
}

func (s *sender) base() string {
	if s.through != nil {
		return s.through.Base
	}
	return ""
}

// behind is a path without the base that named a tunnel.
func behind(base, path string) string {
	if rest, ok := wire.MatchPrefix(path, base); ok && base != "" {
		return rest
	}
	return path
}
