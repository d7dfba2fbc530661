// Package tunnel brings requests from an edge to an agent that can't be reached from outside: a laptop.
//
// The laptop opens one websocket to the edge and keeps it open; requests come back through it. It carries yamux streams.
// Each stream stands for a connection: a preface, then a plain HTTP/1.1 request, then its response.
//
//	edge                                                             laptop
//	relay: match, record                                             relay: match, record, pass to the app
//	   │                                                                ▲
//	wire.Client ─ Outgoing.Dial                                      wire.Server ─ Run(listener)
//	   │                                                                │
//	Link.Open ── preface ┐                                   ┌ preface ── Link.Accept
//	             yamux   ├── websocket (hooktape.1, TLS) ────┤   yamux
//	             stream ─┘                                   └── stream
//
// So neither end needs a second HTTP implementation: to the edge the tunnel is a dialer for its wire.Client, to the laptop a
// listener for its wire.Server, and the bytes between them are those that the edge has recorded. The edge changes nothing in
// a request, not even hop-by-hop fields; only the laptop does, when it passes the request to the app.
//
// # Streams
//
// A stream carries one request at a time, and its preface says who sent it. Opening a stream costs no round trip: its first
// frame, the preface and the request leave together. A window of 256 KiB limits the data that a stream's reader has not taken
// yet, so that a slow request holds up only itself. The laptop opens a single stream, the first one, on which both ends
// introduce themselves (Hello, Welcome, Begin).
//
// The number of streams that an edge opens is limited; a stream counts until both ends have closed it (open.go). When an app
// hangs, the edge has to wait for places: what arrives then waits at the edge or becomes a delivery, and the link lives on.
//
// As with a connection of HTTP/1.1, a stream whose response is complete can take the next request, behind a preface of its
// own, if the laptop's Hello says that it knows this (Keeps): opening and closing a stream costs both ends more than a
// request does. The edge's wire.Client keeps such streams. If the laptop has closed one meanwhile, the request is sent again
// on another; by the id in the preface the laptop recognises a request that it has seen.
//
// yamux writes the header of a frame and its data separately, and sends frames of their own to say that a stream was opened
// or accepted. The carrier below it gathers them: a message of the websocket consists of whole frames, as many as arrived
// while the previous message was being written, and a frame that nobody waits for goes with the next one that matters.
//
// # Life and death
//
// Both ends send a ping every 5 s, whatever else they send. A link on which nothing arrives for 15 s counts as dead; until
// then a write to a stream may have to wait, whatever its deadline, since yamux waits for the line. Nobody waits for pongs:
// behind a large body on a slow line they would come late, while the body itself is proof of life. A message that takes a
// minute to be written also ends the link. An end that sends pings but reads nothing thus holds up writes for a minute, only
// those of its own tunnel. Err gives the first cause.
//
// When a link ends, so do its streams, each with io.ErrUnexpectedEOF: yamux would call that io.EOF, and a response that
// lasts until the end of its connection would seem to be whole.
//
// # What the other end may do
//
// Each end assumes that the other is hostile until the token has been checked, and that it may be broken afterwards. Each of
// these ends the link, and Err says which it was: a malformed frame, a text message, a message that is too large, a preface
// that is malformed, too long or missing, more streams than the edge may open, a second stream of the laptop.
//
// # Without an edge
//
// A Forward receives connections from a port of any SSH server; no hooktape is needed there. It is kept open like an Uplink
// (keep.go), and in the same way a request to its own URL shows whether that is public (probe.go).
//
// # Versions
//
// The websocket's subprotocol names the version. An edge answers a version that it does not speak with its own, so that the
// laptop can say which end to upgrade (MismatchError). New fields in the preface and the messages need no new version: an end
// ignores those that it does not know.
package tunnel

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/hashicorp/yamux"
)

// Path is where an edge takes tunnels.
const Path = "/.hooktape/tunnel"

// ProbePath is before what a laptop asks for at its own public URL, to see whether that leads to itself.
const ProbePath = "/.hooktape/probe/"

// version is that of the protocol that this program speaks.
const version = 1

const (
	// maxStreams is how many streams an edge opens at once.
	maxStreams = 512
	// maxProbes is how many more it opens for probes, so that it can find out whether a laptop is there although requests
	// take all places.
	maxProbes = 16
	// streamSlack is how many more streams the laptop may have at that moment: it forgets a stream slightly later than it
	// tells the edge that it has closed it. Besides, older edges count a stream only until they have closed their own end.
	streamSlack = 256
	// backlog is how many streams may be open and not accepted.
	backlog = maxStreams + streamSlack
	// stallTime is how long yamux lets a frame wait to be written; the carrier gives up earlier.
	stallTime = 5 * time.Minute
	// closeTime is how long a stream that the edge has closed waits for the laptop to close it too, before it is reset: it
	// takes a place until then, and nobody reads what comes. The laptop has no such limit: an edge that has not closed a
	// stream may still be reading its last bytes.
	closeTime = 10 * time.Second
	// prefaceTime is how long the line may be silent while a preface is awaited.
	prefaceTime = 10 * time.Second
)

// MaxKept is how many idle streams of a link are kept: half of all, so that others can be opened at any time.
const MaxKept = maxStreams / 2

var (
	// ErrClosed is the cause when this end has closed the link.
	ErrClosed = errors.New("the link was closed")
	// ErrBroken is the cause when the other end has violated the protocol.
	ErrBroken = errors.New("the other end is broken")
	// ErrLost is what Open and streams fail with once the link has ended, together with the cause.
	ErrLost = errors.New("the link is lost")
	// ErrFull is what Open fails with when its context ends first, together with that cause: all streams are in use, or the
	// line is blocked.
	ErrFull = errors.New("the tunnel takes no more at the moment")

	errTooManyStreams = fmt.Errorf("%w: more than %d streams at once", ErrBroken, backlog)
	errUninvited      = fmt.Errorf("%w: it opened a stream, which only the edge may", ErrBroken)
)

// Timing says how often an end gives a sign of life, and when it takes the other for dead. A zero field means its default.
type Timing struct {
	Ping    time.Duration // between signs of life; 5 s
	Silence time.Duration // without anything from the other end; 15 s, in which older versions give at least one sign, too

	closing time.Duration // closeTime
}

func (t Timing) withDefaults() Timing {
	if t.Ping == 0 {
		t.Ping = 5 * time.Second
	}
	if t.Silence == 0 {
		t.Silence = 15 * time.Second
	}
	if t.closing == 0 {
		t.closing = closeTime
	}
	return t
}

// A Link is one websocket between an edge and a laptop. Its methods may be called from any goroutine. It owns its
// goroutines; they have ended when Close returns.
type Link struct {
	carrier *carrier
	session *yamux.Session
	running sync.WaitGroup
	done    chan struct{}

	places   chan struct{} // holds a value for each open stream of this end that is for requests
	probing  chan struct{} // the same for probes
	openings chan opening  // for openStreams
	accepted chan *Stream  // opened by the other end, those of the edge with their preface read

	talk   *Stream // for messages; belongs to the goroutine that introduces the ends to each other
	answer string  // to probes

	// mu guards the fields below; it is held for moments only.
	mu    sync.Mutex
	cause error // why it ended: the first
}

// side is the end of a link that this is.
type side bool

const (
	edgeSide   side = false
	laptopSide side = true
)

// newLink makes a link of a websocket, which it owns from now on. answer is what a laptop answers to probes.
func newLink(ws *websocket.Conn, s side, timing Timing, answer string) (*Link, error) {
	c := newCarrier(ws, timing.withDefaults())
	l := &Link{
		carrier: c, done: make(chan struct{}), accepted: make(chan *Stream), answer: answer,
		places: make(chan struct{}, maxStreams), probing: make(chan struct{}, maxProbes), openings: make(chan opening),
	}
	begin, wait := yamux.Server, c.timing.closing
	if s == laptopSide {
		begin, wait = yamux.Client, 0
	}
	session, err := begin(c, &yamux.Config{
		AcceptBacklog: backlog, KeepAliveInterval: time.Hour, // which is not enabled: the carrier sees to it
		ConnectionWriteTimeout: stallTime, StreamCloseTimeout: wait, MaxStreamWindowSize: 256 << 10, LogOutput: io.Discard,
	})
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	l.session = session
	l.running.Go(l.watch)
	if s == laptopSide {
		l.running.Go(l.acceptStreams)
	} else {
		l.running.Go(l.acceptTalk)
		l.running.Go(l.openStreams)
	}
	return l, nil
}

// watch notes why the link ended, once it has.
func (l *Link) watch() {
	<-l.session.CloseChan()
	cause := l.carrier.failure()
	for range backlog + 1 { // yamux gives the cause to whoever accepts, but perhaps streams not accepted yet before it
		if cause != nil && cause != yamux.ErrSessionShutdown {
			break
		}
		_, cause = l.session.AcceptStream()
	}
	if l.carrier.failure() == nil && cause != yamux.ErrSessionShutdown { // then it was yamux that gave up
		cause = fmt.Errorf("%w: %w", ErrBroken, cause)
	}
	l.end(cause)
	close(l.done)
}

// end notes the cause, if it is the first.
func (l *Link) end(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cause == nil {
		l.cause = cause
	}
}

// cut ends the link. It does not wait for its goroutines.
func (l *Link) cut(cause error) {
	l.end(cause)
	_ = l.session.Close()
}

// Close ends the link and all its streams, and waits for its goroutines.
func (l *Link) Close() error {
	l.cut(ErrClosed)
	l.running.Wait()
	return nil
}

// Cut is Close with a cause for Err.
func (l *Link) Cut(cause error) {
	l.cut(cause)
	l.running.Wait()
}

// Dismiss is Cut for a laptop whose tunnel another one has taken over. The laptop gets the reason as a RefusedError (Taken), and
// does not come back. If it does not hear that in time, it comes back and is refused then.
func (l *Link) Dismiss(cause error, reason string) {
	l.end(cause)
	l.carrier.dismiss(reason)
	select {
	case <-l.done: // it hangs up
	case <-time.After(dismissTime):
	}
	l.Cut(cause)
}

// Done is closed when the link has ended.
func (l *Link) Done() <-chan struct{} { return l.done }

// Err is why the link ended: ErrClosed when this end has closed it; nil while it has not ended.
func (l *Link) Err() error {
	select {
	case <-l.done:
	default:
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cause
}

// Traffic is what goes through a link.
type Traffic struct {
	Sent, Received int64 // bytes so far
	Streams        int   // open ones for requests that this end has opened, idle ones included
}

// Traffic is that of the link until now, or its end.
func (l *Link) Traffic() Traffic {
	return Traffic{Sent: l.carrier.sent.Load(), Received: l.carrier.received.Load(), Streams: len(l.places)}
}

// ends reports whether the link has ended or is about to: nothing goes through it any more.
func (l *Link) ends() bool { return l.session.IsClosed() || l.carrier.failure() != nil }

// lost is the error for whoever needs the link. If the link is just ending, it waits until the cause is known.
func (l *Link) lost() error {
	if l.ends() {
		<-l.done
	}
	if err := l.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	return ErrLost
}

// Accept returns the next stream that the edge opened, once its preface has come.
func (l *Link) Accept() (*Stream, error) {
	select {
	case s := <-l.accepted:
		return s, nil
	case <-l.done:
		return nil, l.lost()
	}
}

// acceptStreams takes streams of the edge, each in a goroutine of its own until its preface has come.
func (l *Link) acceptStreams() {
	for {
		inner, err := l.session.AcceptStream()
		if err != nil {
			return
		}
		if l.session.NumStreams() > backlog {
			l.cut(errTooManyStreams)
			return
		}
		s := &Stream{Stream: inner, link: l, begins: true}
		l.running.Go(func() { l.introduce(s) })
	}
}

// introduce reads the preface of a stream and hands it to Accept, unless it is that of a probe.
func (l *Link) introduce(s *Stream) {
	if err := s.awaitPreface(); err != nil {
		_ = s.Close()
		if !isGivenUp(err) || l.session.IsClosed() {
			l.cut(fmt.Errorf("%w: preface: %w", ErrBroken, err))
		}
		return
	}
	if s.preface.Probe {
		l.reply(s)
		return
	}
	_ = s.SetReadDeadline(time.Time{})
	select {
	case l.accepted <- s:
	case <-l.done:
		_ = s.Close()
	}
}

// isGivenUp reports whether the edge has abandoned a stream before its preface was complete: it has closed it, or reset it
// because this end did not close it in time (closeTime).
func isGivenUp(err error) bool {
	return err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, yamux.ErrConnectionReset)
}

// reply answers a probe, without the agent: it shows that this end is there, however busy it is.
func (l *Link) reply(s *Stream) {
	defer s.Close()
	_ = s.SetDeadline(time.Now().Add(prefaceTime))
	_, _ = io.WriteString(s, "HTTP/1.1 200 OK\r\nContent-Length: "+strconv.Itoa(len(l.answer))+"\r\n\r\n"+l.answer)
	_, _ = io.Copy(io.Discard, io.LimitReader(s, maxMessage))
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}
