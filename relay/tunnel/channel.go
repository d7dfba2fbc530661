package tunnel

import (
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// lingerTime is how long what was written to a channel may take to leave once it is closed.
const lingerTime = 10 * time.Second

// A Channel is a net.Conn: a connection that a sender has opened to the port of a Forward. Channels of SSH know no
// deadlines, so there is a pipe each way between it and its reader and writer.
type Channel struct {
	in   net.Conn // what the sender sends
	out  net.Conn // what it gets
	from addr
	own  *probe

	once   sync.Once
	closed chan struct{}

	fromSender, toSender net.Conn // the far ends of the pipes
}

// origin is the extra data of a forwarded-tcpip channel (RFC 4254 section 7.2).
type origin struct {
	Addr       string
	Port       uint32
	SenderAddr string
	SenderPort uint32
}

// remote is the sender, as far as the server names it by an address: else is what stands for it otherwise.
func (o *origin) remote(otherwise net.Addr) addr {
	ip, err := netip.ParseAddr(o.SenderAddr)
	if err != nil || o.SenderPort > 1<<16-1 {
		return addr(otherwise.String())
	}
	return addr(net.JoinHostPort(ip.WithZone("").Unmap().String(), strconv.Itoa(int(o.SenderPort))))
}

func newChannel(from addr, own *probe) *Channel {
	c := &Channel{from: from, own: own, closed: make(chan struct{})}
	c.in, c.fromSender = net.Pipe()
	c.toSender, c.out = net.Pipe()
	return c
}

// carry accepts the channel and carries its bytes, until it is closed at both ends or its link has ended.
func (c *Channel) carry(opened ssh.NewChannel, ended <-chan struct{}) {
	defer c.toSender.Close()
	defer c.fromSender.Close()
	ch, requests, err := opened.Accept()
	if err != nil {
		return
	}
	var both sync.WaitGroup
	defer both.Wait()
	both.Go(func() { ssh.DiscardRequests(requests) })
	both.Go(func() {
		_, _ = io.Copy(c.fromSender, ch)
		_ = c.fromSender.Close()
	})
	sent := make(chan struct{})
	both.Go(func() {
		defer close(sent)
		_, _ = io.Copy(ch, c.toSender)
		_ = c.toSender.Close()
		_ = ch.CloseWrite()
	})
	select {
	case <-c.closed:
		linger := time.NewTimer(lingerTime)
		defer linger.Stop()
		select {
		case <-sent:
		case <-ended:
		case <-linger.C: // the sender takes nothing
		}
	case <-ended: // then nobody closes it before all that is under way here has ended
		_ = c.fromSender.Close()
		_ = c.toSender.Close()
	}
	_ = ch.Close()
}

// AnswerTo is what to answer a request with whose path is of this agent's own making: it asks whether its public URL
// leads here.
func (c *Channel) AnswerTo(path string) (answer string, own bool) { return c.own.answerTo(path) }

// Read reads what the sender has sent. The error is io.EOF when it has ended that, or its connection was lost.
func (c *Channel) Read(p []byte) (int, error) { return c.in.Read(p) }

// Write writes to the sender; it waits while that takes nothing.
func (c *Channel) Write(p []byte) (int, error) { return c.out.Write(p) }

// CloseWrite tells the sender that nothing more comes.
func (c *Channel) CloseWrite() error { return c.out.Close() }

// Close closes both directions. What was written still leaves.
func (c *Channel) Close() error {
	c.once.Do(func() {
		_ = c.in.Close()
		_ = c.out.Close()
		close(c.closed)
	})
	return nil
}

// LocalAddr stands for the port of the server.
func (c *Channel) LocalAddr() net.Addr { return addr("ssh") }

// RemoteAddr is the sender, as the server tells.
func (c *Channel) RemoteAddr() net.Addr { return c.from }

// SetDeadline implements net.Conn.
func (c *Channel) SetDeadline(t time.Time) error {
	_ = c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (c *Channel) SetReadDeadline(t time.Time) error { return c.in.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (c *Channel) SetWriteDeadline(t time.Time) error { return c.out.SetWriteDeadline(t) }
