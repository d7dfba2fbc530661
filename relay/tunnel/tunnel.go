// Package tunnel brings requests from an edge to an agent that nobody can reach: a laptop.
//
// The laptop opens one websocket to the edge and keeps it open; requests come back through it. It carries yamux streams,
// and each stream is what a connection would be: a preface, then a plain HTTP/1.1 request, then its response.
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
// So neither end has a second HTTP implementation: the edge's end is a dialer for its wire.Client, the laptop's end is a
// listener for its wire.Server, and the bytes between them are those that the edge has recorded. The edge changes nothing
// of a request, not even the fields of its connection; only the laptop rewrites, when it passes the request to the app.
//
// # Streams
//
// A stream takes one request at a time, and its preface says whose request it is. Opening one costs no round trip: its
// first frame, the preface and the request leave together. Data that a stream's reader has not taken is bounded by its
// window, 256 KiB, so that a slow request holds up itself alone. A laptop opens one stream, the first: on it both ends say
// who they are (Hello, Welcome, Begin) and the edge later what has changed.
//
// An edge opens so many streams and no more: one counts until both ends have closed it (open.go). An app that hangs has the
// edge wait for places, and what then comes waits at the edge or becomes its delivery; the link itself lives on.
//
// As with a connection of HTTP/1.1, a stream whose response came to its end can take the next request, behind a preface of
// its own, where the laptop's Hello says that it knows that (Keeps): to open and close a stream costs both ends more than a
// request. The edge's wire.Client keeps such streams. Should the laptop have closed one, the request goes out again on
// another; by the id in its preface the laptop knows it from one that it has seen.
//
// yamux writes the header of a frame and its data apart, and says with frames of their own that a stream was opened and
// that it was accepted. The carrier below it gathers: a message of the websocket has whole frames, as many as came while
// the one before was being written, and frames that nobody waits for go with the next one that somebody does.
//
// # Life and death
//
// Both ends send a ping every 5 s, whatever else they send, and take a link from which nothing came for 15 s for dead: for
// so long whoever writes to a stream may have to wait, whatever its deadline, since yamux waits for the line. Pongs are not
// waited for: behind a large body on a slow line they would come late, while the body itself is proof of life. A message
// that takes a minute to be written ends the link, too. The first cause is kept and told by Err.
//
// When a link ends, so do its streams, each with io.ErrUnexpectedEOF: yamux would call that io.EOF, and a response that
// lasts until the end of its connection would seem to be whole.
//
// # What the other end may do
//
// Both ends take the other for hostile until it has shown its token, and for broken afterwards. Each of these ends the
// link, and Err says which it was: a frame that is none, a message that is text or larger than messages get, a preface
// that is too long, is none, or does not come, more streams than the edge may open, a second stream of the laptop.
//
// # Without an edge
//
// A Forward has connections come from a port of any SSH server, where there is no hooktape. It is kept as an Uplink is
// (keep.go), and a request to its own URL shows in the same way whether it is public (probe.go).
//
// # Versions
//
// The subprotocol of the websocket has the version. An edge answers a version that it does not speak with its own, so
// that the laptop can tell which end is to be upgraded (MismatchError). Fields can be added to the preface and the
// messages without a new version: what an end does not know it ignores.
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
	// maxProbes is how many more it opens for probes: whether a laptop is there shows also when requests take all places.
	maxProbes = 16
	// streamSlack is how many more the laptop may have when the edge has that many: it has said of a stream that it is closed
	// a moment before it forgets it. An edge of before counted a stream only until its own end had closed it.
	streamSlack = 256
	// backlog is how many streams may be open and not accepted.
	backlog = maxStreams + streamSlack
	// stallTime is how long a frame may wait to be written while nothing else is: the carrier notices earlier.
	stallTime = 5 * time.Minute
	// closeTime is how long a stream that the edge has closed waits for the laptop to close it too, before it is cut off: it
	// keeps a place until then, and nobody reads what comes. The laptop waits for as long as it takes: an edge that has not
	// closed a stream may be reading its last bytes yet.
	closeTime = 10 * time.Second
	// prefaceTime is how long nothing may come at all while a stream is to say what it is for.
	prefaceTime = 10 * time.Second
)

// MaxKept is how many streams of a link are kept that carry nothing: half of all, so that others can be opened at any time.
const MaxKept = maxStreams / 2

var (
	// ErrClosed is why a link ended that this end has closed.
	ErrClosed = errors.New("the link was closed")
	// ErrBroken is why a link ended whose other end did what none does.
	ErrBroken = errors.New("the other end is broken")
	// ErrLost is what Open and the streams of a link that has ended fail with, beside the cause.
	ErrLost = errors.New("the link is lost")
	// ErrFull is what Open fails with, beside the cause, when its context ends first: all streams are in use, or the line takes
	// nothing.
	ErrFull = errors.New("the tunnel takes no more at the moment")

	errTooManyStreams = fmt.Errorf("%w: more than %d streams at once", ErrBroken, backlog)
	errUninvited      = fmt.Errorf("%w: it opened a stream, which only the edge may", ErrBroken)
)

// Timing says how often an end gives a sign of life, and when it takes the other for dead. The zero value of each is its
// default.
type Timing struct {
	Ping    time.Duration // between signs of life; 5 s
	Silence time.Duration // for which nothing came at all; 15 s, in which an end of before gives one sign at least

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

	places   chan struct{} // of streams for requests that this end opens: one for each that is not over
	probing  chan struct{} // and of those for probes
	openings chan opening  // that are to be made
	accepted chan *Stream  // that the other end opened, and nobody has taken yet; those of the edge with their preface

	talk   *Stream // for messages; of the one goroutine that introduces the ends
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

// newLink makes a link of a websocket, which answers probes. It owns ws.
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
	for range backlog + 1 { // yamux tells the cause to who accepts, but streams that were not accepted yet may come before
		if cause != nil && cause != yamux.ErrSessionShutdown {
			break
		}
		_, cause = l.session.AcceptStream()
	}
	if l.carrier.failure() == nil && cause != yamux.ErrSessionShutdown { // then yamux has found it
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

// Dismiss is Cut for a laptop whose tunnel another one has from now on. The laptop is told the reason, as a RefusedError that
// it was taken, and does not come back; one that does not hear it in time is refused when it does.
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
	Streams        int   // for requests that this end has opened and that are not over, with those that are kept
}

// Traffic is that of the link until now, or its end.
func (l *Link) Traffic() Traffic {
	return Traffic{Sent: l.carrier.sent.Load(), Received: l.carrier.received.Load(), Streams: len(l.places)}
}

// ends says whether the link has ended, or is about to: nothing comes and nothing goes any more.
func (l *Link) ends() bool { return l.session.IsClosed() || l.carrier.failure() != nil }

// lost is the error of what needed the link. Where that ends, the cause is known first.
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

// isGivenUp says whether the edge thought better of a stream before its preface was whole: it has closed it, or cut it off
// because this end did not close it in time (closeTime).
func isGivenUp(err error) bool {
	return err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, yamux.ErrConnectionReset)
}

// reply answers a probe: that says that this end is there, whatever it is busy with.
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
