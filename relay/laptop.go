package relay

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/tunnel"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

const (
	// answerTime is how long a laptop may take to answer a probe, when another one wants its tunnel.
	answerTime = 5 * time.Second
	// refusedTime is how long a refused laptop has to read why, and hang up.
	refusedTime = 10 * time.Second
	// probeMost limits the answer to a probe, in bytes.
	probeMost = 1 << 10
	// probesKept is how many laptops of a tunnel are remembered by their probes: the probe of one that has just been
	// replaced may still be on its way, and must not reach the app of the next.
	probesKept = 8
)

// laptop is the far end of a tunnel, for as long as one link lasts.
type laptop struct {
	name     string // of the tunnel
	hash     [32]byte
	remote   string
	link     *tunnel.Link
	instance string
	probe    string // the secret path that it probes its public URL with
	kept     string // wire.Outgoing.Kept of its streams; "": it takes one request on each stream

	tally *tunnelTally // of the tunnel; set by edge.enter
	crowd crowd

	// edge.mu guards the fields below.
	begun bool     // it takes requests
	hold  store.ID // deliveries of this record and older ones wait on
}

// keepLaptop serves one link, from its upgrade to its end.
func (a *Agent) keepLaptop(conn net.Conn, r *http.Request, l *laptop) {
	link, err := tunnel.Upgrade(conn, r, a.tunnels)
	if err != nil {
		a.log.Warn("tunnel could not be opened", "tunnel", l.name, "remote", l.remote, "error", err)
		return
	}
	l.link = link
	defer func() { a.client.Forget(l.kept) }() // its idle streams would keep the link in memory
	defer link.Close()
	defer a.partFrom(l)
	if err := a.edge.enter(l); err != nil {
		link.Cut(err)
	}
	hello, err := link.Hear()
	if err == nil && !a.greet(l, hello) {
		return
	}
	<-link.Done()
	a.tellEnd(l)
}

// greet gives the laptop its tunnel, if it may have it. It returns false if the laptop was refused, once it has had time to
// read why.
func (a *Agent) greet(l *laptop, hello tunnel.Hello) bool {
	l.instance, l.probe = hello.Instance, hello.Probe
	if hello.Keeps {
		l.kept = rand.Text()
	}
	welcome, err := a.welcome(l, hello)
	if err != nil {
		l.link.Cut(err)
		return true
	}
	begin, err := l.link.Welcome(welcome)
	if welcome.Refused != "" {
		a.edge.refuse(refusedFor(welcome.Refused))
		a.log.Warn("tunnel refused", "tunnel", l.name, "remote", l.remote, "reason", welcome.Reason)
		select {
		case <-l.link.Done():
		case <-time.After(refusedTime):
		}
		return false
	}
	if err == nil {
		a.begin(l, begin)
		a.log.Info("tunnel is open", "tunnel", l.name, "remote", l.remote, "version", hello.Version, "waiting", welcome.Waiting,
			"backlog", string(begin.Backlog))
	}
	return true
}

// welcome decides whether a laptop gets its tunnel. An error means that the link ends without a word, since the laptop is no
// longer admitted. The copies that it asks for take effect only once the tunnel is its own.
func (a *Agent) welcome(l *laptop, hello tunnel.Hello) (w tunnel.Welcome, err error) {
	cfg := a.cfg.Load()
	if !cfg.Edge.Admits(l.name, l.hash) {
		return w, errRevoked
	}
	w = tunnel.Welcome{Name: l.name, Domain: cfg.Edge.Domain}
	copies, err := copiesFor(cfg, l.name, hello.Copies)
	if err != nil {
		w.Refused, w.Reason = tunnel.NoCopy, err.Error()
		return w, nil
	}
	other, err := a.claim(l, hello.TakeOver)
	if err != nil {
		return w, err
	}
	if other != nil {
		w.Refused, w.Reason = tunnel.Taken, fmt.Sprintf("tunnel %q is open already, from %s", l.name, other.remote)
		return w, nil
	}
	switch err := a.copyTo(l, copies); {
	case errors.Is(err, errReplaced):
		return w, err
	case err != nil:
		w.Refused, w.Reason = tunnel.NoCopy, err.Error()
		return w, nil
	}
	for _, t := range a.tunnelTargets(l.name) {
		w.Waiting += t.pending()
		if id := t.newest().String(); id > w.Newest {
			w.Newest = id
		}
	}
	return w, nil
}

// copiesFor checks what a laptop wants copies of: it must be allowed all of them. One asked for twice comes once.
func copiesFor(cfg *config.Config, name string, wanted []tunnel.Copy) (copies []store.Copy, err error) {
	for _, c := range wanted {
		if err := cfg.CheckCopy(name, store.Copy(c)); err != nil {
			return nil, err
		}
		i := slices.IndexFunc(copies, func(before store.Copy) bool { return before.Source == c.Source })
		switch {
		case i < 0:
			copies = append(copies, store.Copy(c))
		case copies[i].Where != c.Where:
			return nil, fmt.Errorf("source %q is asked for twice, with different filters", c.Source)
		}
	}
	return copies, nil
}

// copyTo gives the tunnel of a laptop copies of sources, and stores that for the next start of the agent. The error is
// errReplaced if another laptop has the tunnel by now: what that one wants must not be overwritten.
func (a *Agent) copyTo(l *laptop, copies []store.Copy) error {
	a.edge.copying.Lock()
	defer a.edge.copying.Unlock()
	name := l.name
	if !a.edge.has(l) {
		return errReplaced
	}
	before, _ := a.store.Copies() // what can't be read is written anew
	if slices.Equal(before[name], copies) {
		return nil
	}
	if err := a.store.PutCopies(name, copies); err != nil {
		return fmt.Errorf("the copies that it asks for could not be stored: %w", err)
	}
	if a.renew == nil {
		return nil
	}
	return a.renew()
}

// claim makes l the laptop of its tunnel, and ends an older link of the same instance. If another instance has the tunnel,
// claim returns that as other, unless l takes it over or the other gives no sign of life. The error says why l is no
// longer admitted.
func (a *Agent) claim(l *laptop, takeOver bool) (other *laptop, err error) {
	for {
		before, err := a.edge.replace(nil, l)
		if before == nil || err != nil {
			return nil, err
		}
		if before.instance != l.instance && !takeOver && a.answers(before) {
			return before, nil
		}
		was, err := a.edge.replace(before, l)
		if err != nil {
			return nil, err
		}
		switch {
		case was != before:
		case before.instance == l.instance:
			before.link.Cut(errReplaced)
			return nil, nil
		default:
			before.link.Dismiss(errTakenOver, fmt.Sprintf("tunnel %q was taken over, from %s", l.name, l.remote))
			return nil, nil
		}
	}
}

// expectProbe remembers what a laptop will ask for at its public URL. The caller holds mu.
func (e *edge) expectProbe(l *laptop) {
	if l.probe == "" {
		return
	}
	if e.probes == nil {
		e.probes = make(map[string][]string)
	}
	known := slices.DeleteFunc(e.probes[l.name], func(p string) bool { return p == l.probe })
	e.probes[l.name] = append(known[max(0, len(known)-probesKept+1):], l.probe)
}

// probedBy reports whether asked is the probe of a laptop of a tunnel, and which laptop has the tunnel now; nil: none.
func (e *edge) probedBy(name, asked string) (l *laptop, its bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, probe := range e.probes[name] {
		if subtle.ConstantTimeCompare([]byte(asked), []byte(probe)) == 1 {
			its = true
		}
	}
	return e.laptops[name], its
}

// replace gives l the tunnel if the laptop before still has it (nil: nobody has), and returns who had it. The error says why l
// is no longer admitted.
func (e *edge) replace(before, l *laptop) (was *laptop, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.bars(l); err != nil {
		return nil, err
	}
	if was = e.laptops[l.name]; was == before {
		if e.laptops == nil {
			e.laptops = make(map[string]*laptop)
		}
		e.laptops[l.name] = l
		e.expectProbe(l)
	}
	return was, nil
}

// begin lets the laptop have requests.
func (a *Agent) begin(l *laptop, b tunnel.Begin) {
	upTo, err := store.ParseID(b.UpTo)
	targets := a.tunnelTargets(l.name)
	if err == nil && b.Backlog == tunnel.DropBacklog {
		for _, t := range targets {
			t.shed(store.Dropped, "the laptop did not want what had waited", func(d store.Delivery) (yes, more bool) {
				return d.Record.Compare(upTo) <= 0, d.Record.Compare(upTo) < 0
			})
		}
	}
	a.edge.mu.Lock()
	if err == nil && b.Backlog == tunnel.HoldBacklog {
		l.hold = upTo
	}
	l.begun = true
	l.tally.links++
	if a.edge.arrived != nil {
		close(a.edge.arrived)
		a.edge.arrived = nil
	}
	a.edge.mu.Unlock()
	for _, t := range targets {
		t.reached()
		t.rouse()
	}
}

// partFrom removes a laptop that has gone, and notes that its targets are away.
func (a *Agent) partFrom(l *laptop) {
	if !a.edge.exit(l, a.now()) {
		return
	}
	for _, t := range a.tunnelTargets(l.name) {
		t.missed(sent{away: true})
	}
}

// tellEnd logs why a link has ended.
func (a *Agent) tellEnd(l *laptop) {
	err := l.link.Err()
	switch {
	case errors.Is(err, tunnel.ErrBroken):
		a.log.Warn("tunnel was cut off", "tunnel", l.name, "remote", l.remote, "error", err)
	case !errors.Is(err, tunnel.ErrClosed):
		a.log.Info("tunnel has ended", "tunnel", l.name, "remote", l.remote, "error", err)
	}
}

// tunnelTargets are the targets that lead through a tunnel.
func (a *Agent) tunnelTargets(name string) (all []*target) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range a.targets {
		if t.config().Tunnel == name {
			all = append(all, t)
		}
	}
	return all
}

// newest is the record of the newest pending delivery; zero: there is none.
func (t *target) newest() store.ID {
	query := store.DeliveryQuery{Source: t.key.source, Target: t.key.name, State: store.Pending, Newest: true}
	for d, err := range t.agent.store.AllDeliveries(query) {
		if err == nil {
			return d.Record
		}
	}
	return store.ID{}
}

// answers reports whether a laptop answers a probe.
func (a *Agent) answers(l *laptop) bool {
	ctx, cancel := context.WithTimeout(a.ctx, answerTime)
	defer cancel()
	_, err := a.ask(ctx, l)
	return err == nil
}

// ask sends a laptop a probe, which no app sees, and returns its answer.
func (a *Agent) ask(ctx context.Context, l *laptop) ([]byte, error) {
	preface, err := (&tunnel.Preface{Probe: true}).Bytes()
	if err != nil {
		return nil, err
	}
	r, err := a.client.Do(ctx, &wire.Outgoing{
		Preface: preface, Head: "GET / HTTP/1.1\r\nHost: " + l.name + "\r\n\r\n", Method: http.MethodGet,
		Timeouts: wire.Timeouts{FirstByte: answerTime}, Dial: l.link.OpenProbe,
	})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, probeMost))
}

// probed answers a request by which a laptop finds out whether its public URL leads to itself, and reports whether it is one.
// Such a request is no record. Only the laptop knows what to ask for.
func (a *Agent) probed(x *wire.Exchange, src *source) bool {
	if src == nil || src.Tunnel == "" {
		return false
	}
	asked, found := tunnel.Probed(x.Head.Path())
	if !found {
		return false
	}
	l, its := a.edge.probedBy(src.Tunnel, asked)
	if !its {
		return false
	}
	answer := wire.Answer{Status: http.StatusBadGateway, Proto: x.Head.Proto, Close: true, Date: a.now()}
	if l != nil {
		if body, err := a.ask(a.ctx, l); err == nil {
			answer.Status, answer.Body = http.StatusOK, body
		}
	}
	_, _ = x.Write(wire.AppendResponse(nil, answer))
	return true
}
