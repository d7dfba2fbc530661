package tunnel

import (
	"context"
	"fmt"
	"net"
	"sync"

	"github.com/hashicorp/yamux"
)

// streams are those that an end has opened and that are not over: one keeps its place until both ends have closed it, or one
// has cut it off. For so long the other end has it, too, and the edge never opens more than that end takes. All of this is
// seen in the frames that go to and fro.
type streams struct {
	mu    sync.Mutex // guards the fields below, for moments
	taken <-chan struct{}
	open  map[uint32]*openStream
}

// openStream is a stream that is not over.
type openStream struct {
	place        <-chan struct{} // what is received from it gives the place back
	ours, theirs bool            // which ends have closed it
}

// take has the next stream that is opened be one that has a place.
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

// settle gives the place of a stream back that is over with a frame. Callers hold mu.
func (s *streams) settle(o *openStream, h frameHeader) {
	if o.ours && o.theirs || h.flags()&flagRST != 0 {
		delete(s.open, h.stream())
		<-o.place
	}
}

// opening is a stream that has its place and is to be opened.
type opening struct {
	ctx   context.Context
	place <-chan struct{}
	open  chan<- *Stream // taken from until ctx ends
}

// Open is for the edge: it opens a stream for requests, each of which goes behind its preface (Preface.Bytes). It waits while
// as many are open as may be. The error wraps ErrFull and the cause of ctx when that has ended, or ErrLost.
func (l *Link) Open(ctx context.Context) (net.Conn, error) { return l.open(ctx, l.places) }

// OpenProbe is Open for a probe. There is a place for that also when requests have taken theirs.
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

// openStreams opens the streams that are wanted. While the line takes nothing yamux waits, whatever becomes of those who want
// them: so they wait apart from it.
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
			if err != yamux.ErrSessionShutdown { // the session knows better why it ended
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
