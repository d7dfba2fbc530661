package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/replay/tape"
	"github.com/hooktape/hooktape/store"
)

// Mock answers requests with what was recorded. For an app under test it stands for the other side: for an API that the app
// calls, or for the app itself. Where a request was recorded several times, its responses are given in their order, and
// after that the last one again and again.
//
// It is a http.RoundTripper and a http.Handler, and Serve is for a wire.Server, where the responses keep their bytes. It
// may be used by several goroutines.
type Mock struct {
	tape  *Tape
	index *index
	o     MockOptions
	own   *wire.Client // for what is missing, when MockOptions names none; else nil
	left  int          // recordings without a response

	adding sync.Mutex // held while a recording is added to the tape
	mu     sync.Mutex // guards index, and what follows
	ids    []store.ID // of the recordings, by their number in the index
}

// MockOptions are what a Mock does. The zero MockOptions answer at once.
type MockOptions struct {
	Match []string // parts by which requests are told apart, as NewMatching takes them
	Rules *Rules   // what does not count, beside what a masked tape hides; nil: nothing
	// Latency is how much of the time that the first byte of a response took then it takes now: 1 is all, 0 none.
	Latency float64
	// Told, unless it is nil, is told of each request once it is answered.
	Told func(Told)
	// Missing, unless it is nil, is where requests go that were not recorded. What comes back is added to the tape, and
	// given to Keep.
	Missing *Aim
	Keep    func(*tape.Recording) error
	Client  *wire.Client // for Missing; nil: one of its own, whose connections Close closes
}

// Told says how a request was answered.
type Told struct {
	Time     time.Time
	Method   string
	Target   string
	Status   int
	Size     int64         // bytes of the response
	Duration time.Duration // until it was answered
	ID       string        // of the recording; "": it was missing
	Missing  bool
	Err      error // why it could not be answered, or not in full
}

// NewMock answers with what is on a tape, which it does not close. Refused requests, those that were cut short, and those
// that never got a response answer nothing.
func NewMock(t *Tape, o MockOptions) (*Mock, error) {
	var err error
	if t.info.Masked {
		if o.Rules, err = o.Rules.Masked(t.info.Hidden); err != nil {
			return nil, err
		}
	}
	matching, err := NewMatching(o.Match, o.Rules)
	if err != nil {
		return nil, err
	}
	m := &Mock{tape: t, index: newIndex(matching), o: o}
	if o.Missing != nil && o.Client == nil {
		m.own = new(wire.Client)
		m.o.Client = m.own
	}
	for id, r := range t.each() {
		if r.err != nil {
			return nil, r.err
		}
		if err := m.add(id, r.Recording); errors.Is(err, errNoAnswer) {
			m.left++
		} else if err != nil {
			return nil, fmt.Errorf("recording %s: %w", r.ID, err)
		}
	}
	return m, nil
}

// Close closes the connections that the Mock has kept of requests that it passed on. It answers as before, and keeps none
// from then on. The tape, and a client that MockOptions named, are their owner's to close. The error is always nil.
func (m *Mock) Close() error {
	if m.own != nil {
		m.own.Close()
	}
	return nil
}

// Recordings is how many recordings answer, and left how many of the tape can't.
func (m *Mock) Recordings() (answering, left int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.ids), m.left
}

// errNoAnswer says that a recording is no request that got a response.
var errNoAnswer = errors.New("it has no response")

// add takes a recording of the tape into the index.
func (m *Mock) add(id store.ID, r *tape.Recording) error {
	if !r.Whole() || store.Verdict(r.Verdict).Refused() {
		return errNoAnswer
	}
	if _, ok := responseOf(r); !ok {
		return errNoAnswer
	}
	request, err := Load(r.Request.Open)
	if errors.Is(err, ErrNoRequest) {
		return errNoAnswer
	}
	if err != nil {
		return err
	}
	print, err := m.index.print(request)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.index.add(print, lineOf(request), len(m.ids))
	m.ids = append(m.ids, id)
	return nil
}

// recordedAnswer is the response that a recording has for whoever asks again.
type recordedAnswer struct {
	id     string
	method string // of the request
	block  tape.Block
	wait   time.Duration // until its first byte
}

// responseOf is the response that a recording answers with: the last one that was accepted; else the target's response that
// the sender got; else the last response of a target to a delivery, not to a replay; else the agent's own answer.
func responseOf(r *tape.Recording) (found recordedAnswer, ok bool) {
	found.id, found.method = r.ID, r.Method
	if i := baseline(r); i >= 0 {
		found.block, found.wait = r.Attempts[i].Response, time.Duration(r.Attempts[i].FirstByte)
	} else if a := r.Answer; a != nil && a.Status != 0 {
		found.block, found.wait = a.Response, time.Duration(a.Duration)
	}
	return found, found.block.Size > 0
}

// baseline is the index of the attempt whose response that is; -1: there is none.
func baseline(r *tape.Recording) int {
	best, found := 0, -1
	for i := range r.Attempts {
		a := &r.Attempts[i]
		rank := 1
		switch {
		case !a.IsBaseline():
			continue
		case a.Accepted:
			rank = 3
		case r.Answer != nil && r.Answer.FromAttempt == a.Number:
			rank = 2
		}
		if rank >= best {
			best, found = rank, i
		}
	}
	return found
}

// answer is what a request gets, when it is time for that: what was recorded of it, or what comes of passing it on. missing
// says that nothing was; the error is a *Miss when nothing else came of it either.
func (m *Mock) answer(ctx context.Context, r *Request, kept *Kept, began time.Time) (found recordedAnswer, missing bool, err error) {
	print, err := m.index.print(r)
	if err != nil {
		return found, false, err
	}
	if id, ok := m.turn(print); ok {
		recording, err := m.tape.recording(id)
		if err != nil {
			return found, false, err
		}
		found, _ = responseOf(recording)
		return found, false, m.wait(ctx, found.wait, began)
	}
	if m.o.Missing != nil {
		found, err = m.pass(ctx, r, kept, began)
		if !errors.Is(err, wire.ErrOutsidePrefix) {
			return found, true, err
		}
	}
	return found, true, m.miss(r, print)
}

// turn is the recording whose turn it is to answer; ok is false where there is none.
func (m *Mock) turn(print []uint64) (id store.ID, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.index.find(print)
	if t == nil {
		return id, false
	}
	return m.ids[t.take()], true
}

// wait waits as long as a response took to begin, counted from when its request came now.
func (m *Mock) wait(ctx context.Context, recorded time.Duration, began time.Time) error {
	if m.o.Latency == 0 {
		return nil
	}
	timer := time.NewTimer(time.Until(began.Add(seconds(recorded.Seconds() * m.o.Latency))))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// tell tells of a request.
func (m *Mock) tell(t Told, began time.Time) {
	if m.o.Told != nil {
		t.Time, t.Duration = began, time.Since(began)
		m.o.Told(t)
	}
}

// response is the head of a recorded response, without interim ones before it, and its body as it was on the wire.
func (a *recordedAnswer) response() (*wire.ResponseHead, io.ReadCloser, error) {
	start, before, err := a.start()
	if err != nil {
		return nil, nil, err
	}
	head, err := wire.ParseResponseHead(start[before:], a.method)
	if err != nil {
		return nil, nil, fmt.Errorf("the recorded response: %w", err)
	}
	body, err := openBehind(a.block.Open, before+len(head.Raw))
	return head, body, err
}

// start is how a recorded response begins, and how many bytes of it are interim ones.
func (a *recordedAnswer) start() (start []byte, before int, err error) {
	start, err = a.block.Start(inMemory)
	return start, wire.Interim(start), err
}

// notRecorded is the status of a miss.
const notRecorded = http.StatusNotFound
