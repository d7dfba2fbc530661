package tunnel

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"
)

// opened is a stream that at has opened, and that the laptop has.
func opened(t *testing.T, at, laptop *Link) (edge, far net.Conn) {
	t.Helper()
	edge = open(t, at)
	preface, err := new(Preface).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := edge.Write(preface); err != nil {
		t.Fatal(err)
	}
	s, err := laptop.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return edge, s
}

func open(t *testing.T, at *Link) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := at.Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// isFull has Open find out that there is no place, which it does when its context ends.
func isFull(t *testing.T, at *Link) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := at.Open(ctx); !errors.Is(err, ErrFull) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestAStreamHasItsPlaceUntilBothEndsHaveClosedIt(t *testing.T) {
	at, laptop := ends(t, Timing{closing: time.Hour})
	var edges, fars []net.Conn
	for range maxStreams {
		edge, far := opened(t, at, laptop)
		edges, fars = append(edges, edge), append(fars, far)
	}
	isFull(t, at)
	for _, s := range edges { // as when the app hangs
		_ = s.Close()
	}
	isFull(t, at)
	probing, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := at.OpenProbe(probing); err != nil {
		t.Errorf("whether the laptop is there can't be asked: %v", err)
	}
	_ = fars[0].Close()
	edge, far := opened(t, at, laptop)
	isFull(t, at)
	_ = far.Close() // the other way round
	isFull(t, at)
	_ = edge.Close()
	open(t, at)
	for _, l := range []*Link{at, laptop} {
		if err := l.Err(); err != nil {
			t.Errorf("the link has ended: %v", err)
		}
	}
}

func TestAStreamThatTheLaptopDoesNotCloseIsCutOff(t *testing.T) {
	at, laptop := ends(t, Timing{closing: time.Millisecond})
	for range 2 * maxStreams {
		edge, far := opened(t, at, laptop)
		_ = edge.Close()
		t.Cleanup(func() { _ = far.Close() })
	}
	open(t, at)
	if err := laptop.Err(); err != nil {
		t.Errorf("the link has ended: %v", err)
	}
}

func TestAStuckLineIsNotWaitedForBeyondTheContext(t *testing.T) {
	e := newEdge(t, Timing{Silence: time.Hour})
	socket(t, e.url) // nobody reads from it
	at := receive(t, e.links)
	var writing sync.WaitGroup
	for n := 0; ; n++ {
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		s, err := at.Open(ctx)
		cancel()
		if took := time.Since(began); took > patience/2 {
			t.Errorf("it was waited for %s", took)
		}
		if err != nil {
			if !errors.Is(err, ErrFull) || n == maxStreams {
				t.Errorf("after %d streams: %v", n, err)
			}
			break
		}
		taken := make(chan struct{})
		writing.Go(func() {
			defer close(taken)
			_, _ = s.Write(make([]byte, 256<<10))
		})
		select {
		case <-taken:
		case <-time.After(100 * time.Millisecond): // the line is stuck, or just slow: then the next stream opens, too
		}
	}
	_ = at.Close()
	writing.Wait()
}
