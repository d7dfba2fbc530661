package tunnel

import (
	"context"
	"fmt"
	"net"
	"sync"

	"github.com/hashicorp/yamux"
)

// streams are those that an end has opened and that are not over. A stream keeps its place until both ends have closed it, or
// one has reset it. The other end has it for as long, so the edge never opens more than the other end accepts. All this is
// read off the frames that go to and fro.
type streams struct {
	mu    sync.Mutex // guards the fields below, for moments
	taken <-chan struct{}
	open  map[uint32]*openStream
}

// openStream is a stream that is not over.
type openStream struct {
	place        <-chan struct{} // receiving from it gives the place back
	ours, theirs bool            // which ends have closed it
}

// take gives the next stream that is opened its place.
func (s *streams) take(place <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = place
}

// went notes what a frame that was written says of its stream.
func (s *streams) went(h frameHeader) {
	if h.flags()&(flagSYN|flagFIN|flagRST) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.flags()&flagSYN != 0 && s.taken != nil {
		if s.open == nil {
			s.open = make(map[uint32]*openStream)
		}
		s.open[h.stream()] = &openStream{place: s.taken}
		s.taken = nil
	}
	if o := s.open[h.stream()]; o != nil {
		o.ours = o.ours || h.flags()&flagFIN != 0
		s.settle(o, h)
	}
}

// came notes what a frame of the other end says of its stream.
func (s *streams) came(h frameHeader) {
	if h.flags()&(flagFIN|flagRST) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.open[h.stream()]; o != nil {
		o.theirs = o.theirs || h.flags()&flagFIN != 0
		s.settle(o, h)
	}
}

// settle gives a stream's place back if the frame ends it. The caller holds mu.
func (s *streams) settle(o *openStream, h frameHeader) {
	if o.ours && o.theirs || h.flags()&flagRST != 0 {
		delete(s.open, h.stream())
		<-o.place
	}
}

// opening asks for a stream, which has its place already.
type opening struct {
	ctx   context.Context
	place <-chan struct{}
	open  chan<- *Stream // gets the stream, unless ctx ends first
}

// Open is for the edge. It opens a stream for requests, each behind its preface (Preface.Bytes), and waits while no place is
// free. The error wraps ErrFull and the cause of ctx if that has ended, or else ErrLost.
func (l *Link) Open(ctx context.Context) (net.Conn, error) { return l.open(ctx, l.places) }

// OpenProbe is Open for a probe. Probes have places of their own, which requests can't take.
func (l *Link) OpenProbe(ctx context.Context) (net.Conn, error) { return l.open(ctx, l.probing) }

func (l *Link) open(ctx context.Context, places chan struct{}) (net.Conn, error) {
	select {
	case places <- struct{}{}:
	case <-ctx.Done():
		return nil, full(ctx)
	case <-l.done:
		return nil, l.lost()
	}
	opened := make(chan *Stream)
	select {
	case l.openings <- opening{ctx, places, opened}:
	case <-ctx.Done():
		<-places
		return nil, full(ctx)
	case <-l.done:
		return nil, l.lost()
	}
	select {
	case s := <-opened:
		return s, nil
	case <-ctx.Done():
		return nil, full(ctx)
	case <-l.done:
		return nil, l.lost()
	}
}

func full(ctx context.Context) error { return fmt.Errorf("%w: %w", ErrFull, context.Cause(ctx)) }

// openStreams opens streams for Open. While the line is blocked, yamux waits regardless of anybody's context; so it does that
// here, and whoever wants a stream can give up.
func (l *Link) openStreams() {
	for {
		var o opening
		select {
		case o = <-l.openings:
		case <-l.done:
			return
		}
		l.carrier.streams.take(o.place)
		inner, err := l.session.OpenStream()
		if err != nil {
			if err != yamux.ErrSessionShutdown { // else watch finds the cause
				l.cut(fmt.Errorf("no stream could be opened: %w", err))
			}
			return
		}
		s := &Stream{Stream: inner, link: l}
		select {
		case o.open <- s:
		case <-o.ctx.Done():
			_ = s.Close()
		case <-l.done:
			return
		}
	}
}
