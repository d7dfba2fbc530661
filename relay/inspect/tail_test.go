package inspect

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hooktape/hooktape/store"
)

// tailed reads a tail line by line.
type tailed struct {
	t    testing.TB
	next func() (TailLine, error, bool)
}

func (d *deck) tail(t testing.TB, q TailQuery) *tailed {
	t.Helper()
	next, stop := iter.Pull2(d.Tail(t.Context(), q))
	t.Cleanup(stop)
	return &tailed{t, next}
}

// look reads up to the next cursor, and returns the paths of the records before it.
func (x *tailed) look() (paths string, cursor store.ID) {
	x.t.Helper()
	var got []string
	for {
		line, err, ok := x.next()
		if err != nil || !ok {
			x.t.Fatalf("the tail ended: %v", err)
		}
		if line.Cursor != nil {
			return strings.Join(got, " "), *line.Cursor
		}
		got = append(got, line.Record.Path)
	}
}

func (x *tailed) want(paths string, cursor store.ID) {
	x.t.Helper()
	if got, at := x.look(); got != paths || at != cursor {
		x.t.Errorf("got %q up to %s, want %q up to %s", got, at, paths, cursor)
	}
}

// come records a request; answered says that it is answered already.
func (d *deck) come(path string, answered bool) store.ID {
	d.t.Helper()
	rec := store.Record{Method: "GET", Target: path}
	if answered {
		rec.Answer = &store.Answer{Status: 200, Time: t0, Raw: store.InlineRaw([]byte("HTTP/1.1 200 OK\r\n\r\n"))}
	}
	return d.put(rec, "GET "+path+" HTTP/1.1\nHost: x\n\n")
}

func tailDeck(t testing.TB) *deck { return newDeck(t, newFakeAgent()) }

func TestATailBeginsWithTheNewestAndGoesOn(t *testing.T) {
	d := tailDeck(t)
	var last store.ID
	for i := range 5 {
		last = d.come(fmt.Sprint("/", i), true)
	}
	x := d.tail(t, TailQuery{Last: 2})
	x.want("/3 /4", last)
	id := d.come("/5", true)
	d.agent.events <- Event{Record: id}
	x.want("/5", id)
}

// A damaged record does not hide what comes after it.
func TestATailGoesOnPastWhatIsDamaged(t *testing.T) {
	d := tailDeck(t)
	first := d.come("/first", true)
	d.come("/spoilt", true)
	third := d.come("/third", true)
	d.spoil("/spoilt")
	t.Run("from the newest", func(t *testing.T) { d.tail(t, TailQuery{Last: 10}).want("/first /third", third) })
	x := d.tail(t, TailQuery{After: &first})
	x.want("/third", third)
	open := d.come("/spoils", false)
	d.agent.events <- Event{Record: third}
	x.want("", previous(open))
	d.spoil("/spoils")
	d.agent.events <- Event{Record: open}
	x.want("", open)
}

// spoil changes bytes of the tape on disk.
func (d *deck) spoil(text string) {
	d.t.Helper()
	f, err := os.OpenFile(d.store.Path(), os.O_RDWR, 0)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil || !bytes.Contains(b, []byte(text)) {
		d.t.Fatalf("it is not on the disk: %v", err)
	}
	spoilt := bytes.ReplaceAll(b, []byte(text), bytes.Repeat([]byte("x"), len(text)))
	if _, err := f.WriteAt(spoilt, 0); err != nil {
		d.t.Fatal(err)
	}
}

func TestATailOfAnEmptyTapeGivesTheFirstRecord(t *testing.T) {
	d := tailDeck(t)
	x := d.tail(t, TailQuery{Last: 10})
	x.want("", store.ID{})
	id := d.come("/first", true)
	d.agent.events <- Event{Record: id}
	x.want("/first", id)
}

func TestARecordIsSentOnceItIsAnsweredAndHoldsUpNoOther(t *testing.T) {
	d := tailDeck(t)
	d.come("/first", true)
	slow := d.come("/slow", false)
	x := d.tail(t, TailQuery{Last: 10})
	x.want("/first", previous(slow)) // the cursor stays before the open one
	fast := d.come("/fast", true)
	d.agent.events <- Event{Record: fast}
	x.want("/fast", previous(slow))
	d.answer(slow, 200, "HTTP/1.1 200 OK\r\n\r\n")
	d.agent.events <- Event{Record: slow}
	x.want("/slow", fast)
}

func TestARecordBeforeTheFirstShownIsSentWhenItIsAnswered(t *testing.T) {
	d := tailDeck(t)
	slow := d.come("/slow", false)
	last := d.come("/last", true)
	x := d.tail(t, TailQuery{Last: 1})
	x.want("/last", last)
	d.answer(slow, 200, "HTTP/1.1 200 OK\r\n\r\n")
	d.agent.events <- Event{Record: slow}
	x.want("/slow", last)
}

func TestAnEventAboutARecordAlreadySentSendsNothing(t *testing.T) {
	d := tailDeck(t)
	id := d.come("/a", true)
	x := d.tail(t, TailQuery{Last: 10})
	x.want("/a", id)
	d.agent.events <- Event{Record: id}
	x.want("", id)
}

func TestWhatNoEventToldOfIsFoundOnTheTape(t *testing.T) {
	d := tailDeck(t)
	open := d.come("/open", false)
	x := d.tail(t, TailQuery{Last: 10})
	x.want("", previous(open))
	d.answer(open, 200, "HTTP/1.1 200 OK\r\n\r\n")
	d.come("/lost", true)
	id := d.come("/told", true)
	d.agent.events <- Event{Record: id, Lost: 2}
	x.want("/open /lost /told", id)
}

func TestATailGoesOnBehindItsCursor(t *testing.T) {
	d := tailDeck(t)
	first := d.come("/1", true)
	d.come("/2", true)
	last := d.come("/3", true)
	d.tail(t, TailQuery{After: &first}).want("/2 /3", last)
	d.tail(t, TailQuery{After: new(store.ID)}).want("/1 /2 /3", last)
}

func TestARecordThatAnEarlierAgentNeverAnsweredIsSent(t *testing.T) {
	d := tailDeck(t)
	d.server.Started = t0.Add(time.Second) // the record is older
	id := d.come("/killed", false)
	d.tail(t, TailQuery{Last: 10}).want("/killed", id)
}

func TestARefusedRecordNeedsNoAnswer(t *testing.T) {
	d := tailDeck(t)
	id := d.put(store.Record{Target: "/cut", Verdict: store.Incomplete}, "GET /cut HTTP/1.1\nHost: x\n\n")
	d.tail(t, TailQuery{Last: 10}).want("/cut", id)
}

func TestATailShowsOnlyWhatIsChosen(t *testing.T) {
	d := tailDeck(t)
	d.come("/no", true)
	d.come("/yes/1", true)
	last := d.come("/no", true)
	x := d.tail(t, TailQuery{Last: 5, Filter: Filter{Where: `path != "/no"`}})
	x.want("/yes/1", last)
	id := d.come("/no", true)
	d.agent.events <- Event{Record: id}
	x.want("", id)
}

func TestNeighboursOfAnID(t *testing.T) {
	id := store.ID{1, 0, 0xff}
	if next(previous(id)) != id || previous(next(id)) != id {
		t.Errorf("%x %x", previous(id), next(id))
	}
	if got := next(store.ID{15: 0xff}); got != (store.ID{14: 1}) {
		t.Errorf("next %x", got)
	}
	if got := previous(store.ID{14: 1}); got != (store.ID{15: 0xff}) {
		t.Errorf("previous %x", got)
	}
}

func TestATailEndsWithItsReader(t *testing.T) {
	d := tailDeck(t)
	d.come("/a", true)
	for line, err := range d.Tail(t.Context(), TailQuery{Last: 1}) {
		if err != nil || line.Record == nil {
			t.Fatal(line, err)
		}
		break // the handler ends: goleak watches
	}
}
