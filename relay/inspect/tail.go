package inspect

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/hooktape/hooktape/store"
)

// TailQuery asks for records as they come.
type TailQuery struct {
	Filter
	Last   int       // how many of the newest to begin with
	After  *store.ID // instead of Last: goes on after this cursor; the zero id is before all
	Reveal bool
}

func (q TailQuery) values() url.Values {
	v := q.Filter.values()
	v.Set("last", strconv.Itoa(q.Last))
	if q.After != nil {
		v.Set("after", q.After.String())
	}
	reveal(v, q.Reveal)
	return v
}

// TailLine is one line of a tail: a record, or the cursor to go on from when the
// stream breaks. Records come when they are answered, which is not always the order
// of their ids: all up to the cursor have been sent, and perhaps some after
// it.
type TailLine struct {
	Record *Record   `json:"record,omitempty"`
	Cursor *store.ID `json:"cursor,omitempty"`
}

const (
	// tailEvents is how many events may wait for a slow tail. Records whose events
	// are lost are found by reading the tape.
	tailEvents = 256
	// tailLookBack is how many records a tail looks at to find those that it begins
	// with: a tail is about what comes, and must not read a whole tape first.
	tailLookBack = 20000
	// tailPatience is how long a tail waits for a record's answer before it
	// shows the record without. Agents answer within seconds or not at all.
	tailPatience = 15 * time.Minute
)

// tail sends records as they are answered, until the reader goes away or the
// agent stops.
func (s *Server) tail(w http.ResponseWriter, r *http.Request) error {
	if s.Agent == nil {
		return refuse(Misused, "no agent is running")
	}
	p := parser{Values: r.URL.Query()}
	q := TailQuery{Filter: p.filter(), Last: p.number("last", 10), Reveal: p.bool("reveal")}
	if p.Has("after") {
		after := p.id("after")
		q.After = &after
	}
	chosen, err := s.choose(q.Filter)
	if err := errors.Join(p.err, err); err != nil {
		return err
	}
	events, stop := s.Agent.Watch(tailEvents)
	defer stop()
	return sendLines(w, func(line func(any) error) error {
		t := &tailer{server: s, chosen: chosen, reveal: q.Reveal, line: line, open: map[store.ID]bool{}}
		if err := t.begin(q); err != nil {
			return err
		}
		for {
			if err := http.NewResponseController(w).Flush(); err != nil {
				return err
			}
			select {
			case <-r.Context().Done():
				return nil
			case e := <-events:
				if err := t.follow(drain(e, events)); err != nil {
					return err
				}
			}
		}
	})
}

// news is what several events say together.
type news struct {
	settled map[store.ID]bool
	lost    bool
}

// drain takes what waits in events along with e, so that one look at the store serves all.
func drain(e Event, events <-chan Event) news {
	n := news{settled: map[store.ID]bool{}}
	for {
		n.settled[e.Record] = true
		n.lost = n.lost || e.Lost > 0
		select {
		case e = <-events:
		default:
			return n
		}
	}
}

// tailer reads the tape after the events of an agent. Ids grow in the order of
// commits, so what comes after cursor is new; a record that was seen before its
// answer stays in open until an event says that it is settled. Damaged records are
// skipped: lists name them, and what comes after them must be seen.
type tailer struct {
	server *Server
	chosen *choice
	reveal bool
	line   func(any) error

	floor, cursor store.ID // the records looked at: from floor to cursor
	open          map[store.ID]bool
}

// begin sends what is on the tape already.
func (t *tailer) begin(q TailQuery) error {
	if err := t.server.Store.Sync(); err != nil {
		return err
	}
	if q.After != nil {
		t.cursor = *q.After
		return t.follow(news{})
	}
	var last []*store.Record
	looked := 0
	for rec, err := range t.server.Store.Records(store.Query{Newest: true}) {
		if errors.Is(err, store.ErrDamaged) {
			continue
		}
		if err != nil {
			return err
		}
		if looked == 0 {
			t.cursor, t.floor = rec.ID, next(rec.ID)
		}
		if looked++; len(last) == q.Last || looked > tailLookBack {
			break
		}
		t.floor = rec.ID
		if !t.settled(rec, false) {
			t.open[rec.ID] = true
		} else if t.chosen.takes(rec) {
			last = append(last, rec)
		}
	}
	for _, rec := range slices.Backward(last) {
		if err := t.send(rec); err != nil {
			return err
		}
	}
	return t.mark()
}

// follow sends what has come and what was settled since the last look.
func (t *tailer) follow(n news) error {
	if err := t.server.Store.Sync(); err != nil {
		return err
	}
	for _, id := range t.due(n) {
		rec, err := t.server.Store.Get(id)
		if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrDamaged) {
			delete(t.open, id)
			continue
		}
		if err != nil {
			return err
		}
		if err := t.look(rec, n.settled[id]); err != nil {
			return err
		}
	}
	for rec, err := range t.server.Store.Records(store.Query{After: t.cursor}) {
		if errors.Is(err, store.ErrDamaged) {
			continue
		}
		if err != nil {
			return err
		}
		if err := t.look(rec, n.settled[rec.ID]); err != nil {
			return err
		}
		t.cursor = rec.ID
	}
	return t.mark()
}

// due are the records to look at again: open ones that are settled now, or may
// be when events were lost, and those before the floor that were never looked at.
func (t *tailer) due(n news) []store.ID {
	var due []store.ID
	old := store.ID{}
	_ = old.SetTime(uint64(max(0, t.server.now().Add(-tailPatience).UnixMilli())))
	for id := range t.open {
		if n.lost || n.settled[id] || id.Compare(old) < 0 {
			due = append(due, id)
		}
	}
	for id := range n.settled {
		if id.Compare(t.floor) < 0 {
			due = append(due, id)
		}
	}
	slices.SortFunc(due, store.ID.Compare)
	return due
}

// look sends a record, or keeps it open until it is settled.
func (t *tailer) look(rec *store.Record, settled bool) error {
	if !t.settled(rec, settled) {
		t.open[rec.ID] = true
		return nil
	}
	delete(t.open, rec.ID)
	if !t.chosen.takes(rec) {
		return nil
	}
	return t.send(rec)
}

// settled says whether everything that its line shows is known about a record. One
// from before the agent began will not be answered any more.
func (t *tailer) settled(rec *store.Record, told bool) bool {
	return told || rec.Answer != nil || rec.Verdict.Refused() || rec.Time.Before(t.server.Started) ||
		t.server.now().Sub(rec.Time) > tailPatience
}

func (t *tailer) send(rec *store.Record) error {
	shown, err := t.server.show(rec, t.reveal)
	if err != nil && !errors.Is(err, store.ErrDamaged) {
		return err
	}
	return t.line(TailLine{Record: shown})
}

// mark sends the cursor: everything up to it has been sent.
func (t *tailer) mark() error {
	cursor := t.cursor
	for id := range t.open {
		if before := previous(id); before.Compare(cursor) < 0 {
			cursor = before
		}
	}
	return t.line(TailLine{Cursor: &cursor})
}

// previous and next are the neighbours of an id in the order of ids.
func previous(id store.ID) store.ID {
	for i := len(id) - 1; i >= 0; i-- {
		id[i]--
		if id[i] != 0xff {
			break
		}
	}
	return id
}

func next(id store.ID) store.ID {
	for i := len(id) - 1; i >= 0; i-- {
		id[i]++
		if id[i] != 0 {
			break
		}
	}
	return id
}
