package tunnel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// ChannelsMost is how many channels of a Forward should be open at once: each may hold 2 MiB that its sender has
	// sent and nobody has read, which x/crypto does not let us choose.
	ChannelsMost = 128
	// channelsWaiting is how many connections may wait to become channels, and how many more to be turned away. They cost
	// little: their bytes wait at the server.
	channelsWaiting = 1024
	// channelsCarried is how many channels may be carried at once, including those that their readers have closed.
	channelsCarried = 4 * ChannelsMost
	// channelsDismissed is how many of those turned away may still be unclosed by the server: until it closes one, it can
	// send as much through it as through any other. More have to wait.
	channelsDismissed = 32
)

var (
	errUnasked   = fmt.Errorf("%w: it opened a channel that was not asked for", ErrBroken)
	errNotClosed = fmt.Errorf("%w: it does not close what was closed here", ErrBroken)
	errFlood     = fmt.Errorf("%w: it opens channels faster than they can be turned away", ErrBroken)
)

// sshLink is a connection to an SSH server that has let us in. It owns its goroutines; they have ended when close returns.
type sshLink struct {
	conn     ssh.Conn
	sock     *watched
	timing   Timing
	knocks   chan ssh.NewChannel // from senders; nobody has let them in yet
	unwanted chan ssh.NewChannel // to be turned away
	port     atomic.Uint32       // the forwarded one; 0: none yet
	carried  atomic.Int32
	running  sync.WaitGroup
	done     chan struct{}

	mu  sync.Mutex // guards err
	err error      // why the link ended: the first reason
}

func newSSHLink(sock *watched, conn ssh.Conn, opened <-chan ssh.NewChannel, requests <-chan *ssh.Request, timing Timing) *sshLink {
	l := &sshLink{
		conn: conn, sock: sock, timing: timing, done: make(chan struct{}),
		knocks: make(chan ssh.NewChannel, channelsWaiting), unwanted: make(chan ssh.NewChannel, channelsWaiting),
	}
	l.running.Go(func() { ssh.DiscardRequests(requests) })
	l.running.Go(func() { l.take(opened) })
	l.running.Go(l.dismiss)
	l.running.Go(l.ping)
	l.running.Go(l.listen)
	l.running.Go(func() {
		l.end(hungUp(conn.Wait()))
		close(l.done)
	})
	return l
}

// hungUp says errHungUp for io.EOF, which nobody would understand.
func hungUp(err error) error {
	if errors.Is(err, io.EOF) {
		return errHungUp
	}
	return err
}

// end notes why the link ends, if nothing was noted before.
func (l *sshLink) end(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = cause
	}
}

// cause is why the link has ended; nil: it has not.
func (l *sshLink) cause() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// cut ends the link. It does not wait for its goroutines.
func (l *sshLink) cut(cause error) {
	l.end(cause)
	_ = l.sock.Close() // and not conn, which would tell the server and wait for that
}

// close ends the link and waits for its goroutines.
func (l *sshLink) close() {
	l.cut(ErrClosed)
	l.running.Wait()
}

// ping asks for signs of life. listen waits for them, and any byte counts as one.
func (l *sshLink) ping() {
	l.everyPing(func() bool {
		_, _, err := l.conn.SendRequest("keepalive@openssh.com", true, nil)
		return err == nil
	})
}

// listen ends the link when nothing comes any more.
func (l *sshLink) listen() {
	l.everyPing(func() bool {
		silent := l.sock.quiet() > l.timing.Silence
		if silent {
			l.cut(fmt.Errorf("%w for %s", errSilent, l.timing.Silence))
		}
		return !silent
	})
}

// everyPing calls do at the time of each ping, until it returns false or the link has ended.
func (l *sshLink) everyPing(do func() bool) {
	tick := time.NewTicker(l.timing.Ping)
	defer tick.Stop()
	for {
		select {
		case <-l.done:
			return
		case <-tick.C:
		}
		if !do() {
			return
		}
	}
}

// take queues the channels that the server opens. It never waits: everything else would wait with it.
func (l *sshLink) take(opened <-chan ssh.NewChannel) {
	for c := range opened {
		if c.ChannelType() != "forwarded-tcpip" {
			l.cut(errUnasked)
			continue
		}
		select {
		case l.knocks <- c:
		default:
			l.turnAway(c)
		}
	}
}

// turnAway queues a channel that nobody takes to be ended. It never waits.
func (l *sshLink) turnAway(c ssh.NewChannel) {
	select {
	case l.unwanted <- c:
	default:
		l.cut(errFlood)
	}
}

// dismiss ends the channels that nobody takes, only a few at once, since each may wait for the line. It does not reject
// them: a rejected one would stay in the memory of its link.
func (l *sshLink) dismiss() {
	places := make(chan struct{}, channelsDismissed)
	for {
		select {
		case <-l.done:
			return
		case places <- struct{}{}:
		}
		select {
		case <-l.done:
			return
		case c := <-l.unwanted:
			l.running.Go(func() {
				end(c)
				<-places
			})
		}
	}
}

// end opens a channel and closes it, then waits until the server has closed it too, or the link has ended.
func end(c ssh.NewChannel) {
	ch, requests, err := c.Accept()
	if err != nil {
		return
	}
	_ = ch.Close()
	ssh.DiscardRequests(requests)
}

// hand gives the channels to f.Accept, until the link ends.
func (l *sshLink) hand(f *Forward) {
	for {
		select {
		case <-l.done:
			return
		case opened := <-l.knocks:
			l.letIn(f, opened)
		}
	}
}

// letIn turns what the server has opened into a Channel, and waits until somebody accepts it.
func (l *sshLink) letIn(f *Forward, opened ssh.NewChannel) {
	var from origin
	if err := ssh.Unmarshal(opened.ExtraData(), &from); err != nil || from.Port != l.port.Load() {
		l.turnAway(opened)
		return
	}
	c := newChannel(from.remote(l.sock.RemoteAddr()), &f.probe)
	select {
	case f.channels <- c:
	case <-f.closed:
		l.turnAway(opened)
		return
	case <-l.done:
		return
	}
	if l.carried.Add(1) > channelsCarried {
		l.cut(errNotClosed)
	}
	l.running.Go(func() {
		defer l.carried.Add(-1)
		c.carry(opened, l.done)
	})
}

// forward asks the server for a port (0: any), and returns which it got; ok is false when the server refuses.
func (l *sshLink) forward(port int) (got int, ok bool, err error) {
	// An empty address means all of them, if the server lets us choose (RFC 4254 section 7.1, GatewayPorts of sshd).
	ask := struct {
		Addr string
		Port uint32
	}{"", uint32(port)}
	ok, answer, err := l.conn.SendRequest("tcpip-forward", true, ssh.Marshal(&ask))
	if err != nil {
		l.cut(hungUp(err))
		return 0, false, l.cause()
	}
	if ok && port == 0 && len(answer) == 4 {
		ask.Port = binary.BigEndian.Uint32(answer)
	}
	if ok && (ask.Port == 0 || ask.Port > 1<<16-1) {
		return 0, false, fmt.Errorf("%w: it forwards port %d", ErrBroken, ask.Port)
	}
	if ok {
		l.port.Store(ask.Port)
	}
	return int(ask.Port), ok, nil
}

// watched is a connection that knows how long nothing has come, and whose writes have a time limit.
type watched struct {
	net.Conn
	since time.Time    // when it was made; last counts from here
	last  atomic.Int64 // when something last came, in nanoseconds after since
}

func newWatched(c net.Conn) *watched { return &watched{Conn: c, since: time.Now()} }

// quiet is how long nothing has come.
func (w *watched) quiet() time.Duration { return time.Since(w.since) - time.Duration(w.last.Load()) }

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.last.Store(int64(time.Since(w.since)))
	return n, err
}

func (w *watched) Write(p []byte) (int, error) {
	_ = w.SetWriteDeadline(time.Now().Add(writeTime))
	return w.Conn.Write(p)
}
