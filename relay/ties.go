package relay

import (
	"sync"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/trace"
	"github.com/hooktape/hooktape/store"
)

const (
	// tracesMax is how many traces of inbound records are remembered: apps make their calls within moments.
	tracesMax = 16384
	// tracesRead is how many of the newest records are searched for traces after a start.
	tracesRead = 4096
)

// ties finds the inbound record that an outbound call belongs to. The zero value knows none.
type ties struct {
	mu      sync.Mutex // guards what follows
	byTrace map[string]store.ID
	oldest  []string         // traces in the order in which they came
	working map[store.ID]int // how many attempts are under way for each inbound record
	loading sync.Once
}

// note remembers the trace of an inbound record.
func (t *ties) note(trace string, id store.ID) {
	if trace == "" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byTrace == nil {
		t.byTrace = make(map[string]store.ID)
	}
	if _, known := t.byTrace[trace]; !known {
		t.oldest = append(t.oldest, trace)
	}
	t.byTrace[trace] = id
	if len(t.oldest) > tracesMax {
		delete(t.byTrace, t.oldest[0])
		t.oldest = t.oldest[1:]
	}
}

// begin notes that an app is working on an inbound record, and end that it no longer is.
func (t *ties) begin(id store.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.working == nil {
		t.working = make(map[store.ID]int)
	}
	t.working[id]++
}

func (t *ties) end(id store.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.working[id]--; t.working[id] == 0 {
		delete(t.working, id)
	}
}

// cause is the inbound record that an outbound call with a trace belongs to: the one with the same trace, apart from a suffix;
// or else, if an app is working on exactly one record, that one. by says which of the two; "": no record is known.
func (t *ties) cause(id string) (cause store.ID, by store.CauseBy) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if id != "" {
		for _, candidate := range []string{id, trace.Base(id)} {
			if found, ok := t.byTrace[candidate]; ok {
				return found, store.ByTrace
			}
		}
	}
	if len(t.working) != 1 {
		return store.ID{}, ""
	}
	for only := range t.working {
		cause = only
	}
	return cause, store.ByTime
}

// loadTies remembers the traces of the newest records on the tape, once.
func (a *Agent) loadTies() {
	a.ties.loading.Do(func() {
		var newest []*store.Record
		seen := 0
		for rec, err := range a.store.Records(store.Query{Newest: true, NoRaw: true}) {
			if seen++; seen > tracesRead {
				break
			}
			if err != nil {
				continue // what can't be read ties nothing
			}
			if src := a.routes.Load().named(rec.Source); rec.Trace != "" && src != nil && src.Direction != config.Outbound {
				newest = append(newest, rec)
			}
		}
		for i := len(newest) - 1; i >= 0; i-- {
			a.ties.note(newest[i].Trace, newest[i].ID)
		}
	})
}

// noteTrace remembers the trace of an inbound request, with the id of the record that the app works on.
func (r *reception) noteTrace(id store.ID) {
	if r.src != nil && r.src.Direction != config.Outbound && r.rec.Verdict == store.Accepted {
		r.ties.note(r.rec.Trace, id)
	}
}

// tie finds the trace of the request and, for an outbound call, the record that it belongs to.
func (r *reception) tie() {
	r.rec.Trace = trace.Of(r.x.Head.Fields)
	if by := r.src.Trace; by != nil {
		text, err := by.String(r.view)
		r.failed(by, err)
		if text != "" {
			r.rec.Trace = trace.Clip(text)
		}
	}
	if r.rec.Outbound = r.src.Direction == config.Outbound; r.rec.Outbound {
		r.loadTies()
		r.rec.Cause, r.rec.CauseBy = r.ties.cause(r.rec.Trace)
		return
	}
	if id, follower := r.awaited(); follower != nil && r.found.verdict == store.Accepted {
		r.ended, r.rec.Cause, r.rec.CauseBy = follower, id, store.ByKey
	}
}
