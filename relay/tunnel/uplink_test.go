package tunnel

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// startUplink keeps a link to an edge until the test ends; news are what it tells.
func startUplink(t *testing.T, e *edge, set func(*Uplink)) (u *Uplink, news <-chan Change) {
	u = NewUplink(Dialer{URL: e.url, Token: "token"})
	told := make(chan Change, 100)
	u.Tell = func(c Change) { told <- c }
	set(u)
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- u.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return u, told
}

// welcomes takes the next link of an edge, says what waits, and gives what the laptop wants of it.
func (e *edge) welcomes(t *testing.T, w Welcome) (*Link, Begin) {
	t.Helper()
	link := receive(t, e.links)
	if _, err := link.Hear(); err != nil {
		t.Fatal(err)
	}
	w.Name, w.Domain = "alice", "127.0.0.1"
	begin, err := link.Welcome(w)
	if err != nil {
		t.Fatal(err)
	}
	return link, begin
}

func TestWhatWaitedIsDroppedAlthoughTheLinkBreaksAtThatMoment(t *testing.T) {
	e := newEdge(t, Timing{})
	asked := 0
	u, _ := startUplink(t, e, func(u *Uplink) {
		u.Choose = func(context.Context, Welcome) (Backlog, error) { asked++; return DropBacklog, nil }
	})
	link, begin := e.welcomes(t, Welcome{Waiting: 3, Newest: "old"})
	if want := (Begin{Backlog: DropBacklog, UpTo: "old"}); begin != want {
		t.Fatalf("it wants %+v", begin)
	}
	link.Cut(errors.New("before anything is done")) // for all that the laptop knows
	link, begin = e.welcomes(t, Welcome{Waiting: 5, Newest: "new"})
	if want := (Begin{Backlog: DropBacklog, UpTo: "old"}); begin != want {
		t.Errorf("when nothing came, it wants %+v", begin)
	}
	s, err := link.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	preface, err := (&Preface{Record: "1"}).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(append(preface, get...)); err != nil {
		t.Fatal(err)
	}
	if c, err := u.Accept(); err != nil {
		t.Fatal(err)
	} else {
		_ = c.Close()
	}
	link.Cut(errors.New("behind a request"))
	if _, begin = e.welcomes(t, Welcome{}); begin.Backlog != DeliverBacklog {
		t.Errorf("when a request has come, it wants %+v", begin)
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

func TestALaptopWhoseTunnelIsTakenOverHearsByWhomAndDoesNotComeBack(t *testing.T) {
	e := newEdge(t, Timing{})
	u := NewUplink(Dialer{URL: e.url, Token: "token"})
	ran := make(chan error, 1)
	go func() { ran <- u.Run(t.Context()) }()
	link, _ := e.welcomes(t, Welcome{})
	cause := errors.New("another one has it")
	link.Dismiss(cause, "taken over, from 192.0.2.1")
	err := receive(t, ran)
	if refused, ok := errors.AsType[*RefusedError](err); !ok || *refused != (RefusedError{Taken, "taken over, from 192.0.2.1"}) {
		t.Errorf("it heard %v", err)
	}
	if err := link.Err(); err != cause {
		t.Errorf("the edge noted %v", err)
	}
}

func TestALaptopThatIsSendingHearsTooWhoHasItsTunnel(t *testing.T) {
	e := newEdge(t, Timing{})
	u := NewUplink(Dialer{URL: e.url, Token: "token"})
	ran := make(chan error, 1)
	go func() { ran <- u.Run(t.Context()) }()
	link, _ := e.welcomes(t, Welcome{})
	preface, err := (&Preface{Record: "1"}).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	const streams = 8
	var sending sync.WaitGroup
	defer sending.Wait()
	defer link.Close()
	flowing := make(chan struct{}, streams)
	for range streams {
		s, err := link.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write(preface); err != nil {
			t.Fatal(err)
		}
		c, err := u.Accept()
		if err != nil {
			t.Fatal(err)
		}
		sending.Go(func() { _, _ = io.Copy(c, zeros{}) })
		sending.Go(func() { // which gives the laptop new windows, one after another
			_, _ = io.CopyN(io.Discard, s, 1<<20)
			flowing <- struct{}{}
			_, _ = io.Copy(io.Discard, s)
		})
	}
	for range streams {
		receive(t, flowing)
	}
	link.Dismiss(errors.New("another one has it"), "taken over")
	if refused, ok := errors.AsType[*RefusedError](receive(t, ran)); !ok || refused.Reason != "taken over" {
		t.Errorf("it heard %v", refused)
	}
}

// zeros never end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestAQuestionAboutTheBacklogOutlastsItsLink(t *testing.T) {
	e := newEdge(t, Timing{})
	asked, answer := make(chan Welcome, 1), make(chan Backlog)
	startUplink(t, e, func(u *Uplink) {
		u.Choose = func(ctx context.Context, w Welcome) (Backlog, error) {
			asked <- w
			select {
			case choice := <-answer:
				return choice, nil
			case <-ctx.Done():
				return "", ctx.Err()
			}
		}
	})
	link := receive(t, e.links)
	if _, err := link.Hear(); err != nil {
		t.Fatal(err)
	}
	begun := make(chan error, 1)
	go func() { _, err := link.Welcome(Welcome{Waiting: 200, Newest: "old"}); begun <- err }()
	receive(t, asked)
	link.Cut(errors.New("while somebody thinks"))
	if err := receive(t, begun); err == nil {
		t.Fatal("the laptop began without an answer")
	}
	answer <- HoldBacklog
	if _, begin := e.welcomes(t, Welcome{Waiting: 201, Newest: "new"}); begin != (Begin{Backlog: HoldBacklog, UpTo: "old"}) {
		t.Errorf("it wants %+v", begin)
	}
}

func TestAMachineThatWakesWaitsForNothing(t *testing.T) {
	for name, c := range map[string]struct {
		jump   time.Duration // of the clock on the wall, when 10 seconds have passed
		waited time.Duration
	}{
		"it slept":               {time.Hour, 10 * time.Second},
		"it did not":             {0, time.Minute},
		"its clock is corrected": {wakeSlack - wakeEvery, time.Minute},
		"its clock is set back":  {-time.Hour, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				clock := wall(func() time.Time {
					if time.Since(began) < 10*time.Second {
						return time.Now()
					}
					return time.Now().Add(c.jump)
				})
				clock.pause(t.Context(), time.Minute)
				if waited := time.Since(began); waited < c.waited || waited > c.waited+wakeEvery {
					t.Errorf("it waited for %s", waited)
				}
			})
		})
	}
}

func TestALinkIsMadeAnewWhenTheMachineWakes(t *testing.T) {
	e := newEdge(t, Timing{})
	var slept atomic.Int64
	looked := make(chan bool, 1) // at the clock
	_, news := startUplink(t, e, func(u *Uplink) {
		u.Wall = func() time.Time {
			now := time.Now().Add(time.Duration(slept.Load()))
			select {
			case looked <- true:
			default:
			}
			return now
		}
	})
	e.welcomes(t, Welcome{})
	receive(t, looked)
	slept.Store(int64(time.Hour))
	e.welcomes(t, Welcome{})
	c := receive(t, news)
	for c.Up || c.URL != "" || c.Unheard {
		c = receive(t, news)
	}
	if !errors.Is(c.Err, errWoke) {
		t.Errorf("it was lost because of %v", c.Err)
	}
}
