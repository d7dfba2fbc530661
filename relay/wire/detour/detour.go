// Package detour stands in the place of a network between two agents in tests: an address of its own that leads to another
// one, which may change as a name in the DNS does, and connections that end, or pass nothing any more and do not end.
package detour

import (
	"net"
	"sync"
)

// Detour passes connections on. It owns its goroutines; they have ended when Close returns. Its methods may be called from
// any goroutine.
type Detour struct {
	Addr string // 127.0.0.1:port, where it takes connections

	listener net.Listener
	running  sync.WaitGroup
	led      chan struct{} // closed by the first Lead
	open     func()        // closes it

	mu   sync.Mutex // guards the fields below
	to   string
	ways map[*way]bool
}

// way is one connection, from its client to its server.
type way struct {
	mute  bool // Detour.mu guards it
	conns []net.Conn
}

// New takes connections, which wait until Lead says where they go.
func New() (*Detour, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	led := make(chan struct{})
	d := &Detour{
		Addr: l.Addr().String(), listener: l, ways: make(map[*way]bool), led: led, open: sync.OnceFunc(func() { close(led) }),
	}
	d.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			d.running.Go(func() { d.pass(c) })
		}
	})
	return d, nil
}

// Lead ends all connections, and passes new ones on to an address; "": nobody is there.
func (d *Detour) Lead(to string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.to = to
	d.open()
	for w := range d.ways {
		w.end()
	}
}

// Mute lets nothing pass any more of the connections that there are, not even their end. New ones lead nowhere.
func (d *Detour) Mute() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.to = ""
	for w := range d.ways {
		w.mute = true
	}
}

// Close ends all connections, and takes no more.
func (d *Detour) Close() {
	_ = d.listener.Close()
	d.Lead("")
	d.running.Wait()
}

func (w *way) end() {
	for _, c := range w.conns {
		_ = c.Close()
	}
}

// pass is the life of a connection.
func (d *Detour) pass(from net.Conn) {
	<-d.led
	w := &way{conns: []net.Conn{from}}
	at := d.enter(w)
	defer d.exit(w)
	if at == "" {
		return
	}
	to, err := net.Dial("tcp", at)
	if err != nil || !d.join(w, to, at) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { d.copy(w, to, from) })
	both.Go(func() { d.copy(w, from, to) })
	both.Wait()
}

// enter keeps a way in mind, and says where it may go.
func (d *Detour) enter(w *way) (to string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ways[w] = true
	return d.to
}

// join adds the connection to the server, unless the way there has changed meanwhile.
func (d *Detour) join(w *way, to net.Conn, at string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	w.conns = append(w.conns, to)
	return d.to == at
}

func (d *Detour) exit(w *way) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.ways, w)
	w.end()
}

// copy passes bytes until one end closes, and then closes the other.
func (d *Detour) copy(w *way, to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if d.passes(w) {
			if _, werr := to.Write(buf[:n]); err == nil {
				err = werr
			}
		}
		if err != nil {
			break
		}
	}
	if d.passes(w) {
		_ = from.Close()
		_ = to.Close()
	}
}

func (d *Detour) passes(w *way) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !w.mute
}
