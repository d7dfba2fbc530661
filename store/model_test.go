package store_test

import (
	"bytes"
	"cmp"
	"path/filepath"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/hooktape/hooktape/store"
)

// model is what a store should hold, kept in memory.
type model struct {
	s          *store.Store
	path       string
	ids        []store.ID
	records    map[store.ID]*store.Record
	raw        map[store.ID][]byte
	attempts   map[store.ID]int
	deliveries map[deliveryName]store.Delivery
	first      map[lane]deliveryName // the delivery of each key whose turn it is
	spools     []*store.Spool
	sessions   map[string]*modelSession
}

type modelSession struct {
	capturing bool
	in        map[store.ID]bool
}

type deliveryName struct {
	id     store.ID
	target string
}

type lane struct{ target, key string }

var (
	targets = []string{"app", "billing"}
	states  = []store.State{store.Pending, store.Pending, store.Delivered, store.Failed, store.Dropped}
)

func (m *model) open(t *rapid.T) {
	s, err := store.Open(m.path, store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	m.s = s
}

func (m *model) append(t *rapid.T) {
	raw := body(rapid.Uint64().Draw(t, "seed"), rapid.SampledFrom([]int{0, 10, 5000, 70_000, 140_000}).Draw(t, "size"))
	rec := store.Record{
		Time: arrival, Source: rapid.SampledFrom([]string{"", "iiko"}).Draw(t, "source"),
		Verdict: rapid.SampledFrom([]store.Verdict{store.Accepted, store.NoSource}).Draw(t, "verdict"),
		Target:  rapid.String().Draw(t, "path"),
	}
	var deliveries []store.Delivery
	for _, target := range targets {
		if rapid.Bool().Draw(t, target) {
			deliveries = append(deliveries, store.Delivery{
				Target: target, Key: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "key"), Due: drawDue(t), State: store.Pending,
			})
		}
	}
	p := m.s.Spool()
	defer p.Discard()
	p.Write(raw)
	if err := m.s.Append(&rec, p, deliveries, nil).Wait(); err != nil {
		t.Fatal(err)
	}
	rec.Raw.Inline = nil
	for _, session := range m.sessions {
		if session.capturing {
			session.in[rec.ID] = true
		}
	}
	m.ids = append(m.ids, rec.ID)
	m.records[rec.ID], m.raw[rec.ID] = &rec, raw
	for _, d := range deliveries {
		m.put(d)
	}
}

// delete takes a record away, with all that hangs on it.
func (m *model) delete(t *rapid.T) {
	if len(m.ids) == 0 {
		t.Skip("no records")
	}
	id := rapid.SampledFrom(m.ids).Draw(t, "id")
	if _, err := m.s.Delete(id); err != nil {
		t.Fatal(err)
	}
	for _, target := range targets {
		if d, ok := m.deliveries[deliveryName{id, target}]; ok {
			d.State = store.Dropped
			m.put(d)
			delete(m.deliveries, deliveryName{id, target})
		}
	}
	for _, session := range m.sessions {
		delete(session.in, id)
	}
	m.ids = slices.DeleteFunc(m.ids, func(other store.ID) bool { return other == id })
	delete(m.records, id)
	delete(m.raw, id)
	delete(m.attempts, id)
}

// changeSession does something to one of two sessions.
func (m *model) changeSession(t *rapid.T) {
	name := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "session")
	session, exists := m.sessions[name]
	var err error
	switch rapid.SampledFrom([]string{"start", "begin anew", "stop", "add", "delete"}).Draw(t, "verb") {
	case "start":
		if err = m.s.ResumeSession(name); !exists {
			m.sessions[name] = &modelSession{in: map[store.ID]bool{}}
		}
		m.sessions[name].capturing = true
	case "begin anew":
		err = m.s.StartSession(name, true)
		m.sessions[name] = &modelSession{in: map[store.ID]bool{}, capturing: true}
	case "stop":
		if !exists || !session.capturing {
			t.Skip("it does not capture")
		}
		err = m.s.StopSession(name)
		session.capturing = false
	case "add":
		if !exists || len(m.ids) == 0 {
			t.Skip("nothing to add, or nowhere to add it to")
		}
		id := rapid.SampledFrom(m.ids).Draw(t, "id")
		err = m.s.AddToSession(name, id)
		session.in[id] = true
	case "delete":
		if !exists {
			t.Skip("no session")
		}
		err = m.s.DeleteSession(name)
		delete(m.sessions, name)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// checkSessions compares which records are in which session, both ways.
func (m *model) checkSessions(t *rapid.T) {
	all, err := m.s.Sessions()
	if err != nil || len(all) != len(m.sessions) {
		t.Fatalf("%d sessions, want %d, %v", len(all), len(m.sessions), err)
	}
	for _, got := range all {
		want := m.sessions[got.Name]
		if want == nil || got.Capturing() != want.capturing || int(got.Records) != len(want.in) {
			t.Fatalf("%+v, want %+v", got, want)
		}
		n := 0
		for r, err := range m.s.Records(store.Query{Session: got.Name, NoRaw: true}) {
			if err != nil || !want.in[r.ID] || !slices.Contains(r.Session, got.Name) {
				t.Fatalf("session %s: %+v %v", got.Name, r, err)
			}
			n++
		}
		if n != len(want.in) {
			t.Fatalf("session %s has %d records, want %d", got.Name, n, len(want.in))
		}
	}
}

func drawDue(t *rapid.T) time.Time {
	return arrival.Add(time.Duration(rapid.IntRange(0, 9).Draw(t, "due")) * time.Second)
}

// put changes a delivery, and with it whose turn it is in its key.
func (m *model) put(d store.Delivery) {
	name, l := deliveryName{d.Record, d.Target}, lane{d.Source + "/" + d.Target, d.Key}
	m.deliveries[name] = d
	if d.Key == "" {
		return
	}
	if head, ok := m.first[l]; d.State == store.Pending && !ok {
		m.first[l] = name
	} else if d.State != store.Pending && head == name {
		delete(m.first, l)
		for _, next := range m.ids {
			other, ok := m.deliveries[deliveryName{next, d.Target}]
			if ok && other.Source == d.Source && other.Key == d.Key && other.State == store.Pending {
				m.first[l] = deliveryName{next, d.Target}
				return
			}
		}
	}
}

func (m *model) settle(t *rapid.T) {
	if len(m.ids) == 0 {
		t.Skip("no records")
	}
	id := rapid.SampledFrom(m.ids).Draw(t, "id")
	var o store.Outcome
	for _, target := range targets {
		if d, ok := m.deliveries[deliveryName{id, target}]; ok && rapid.Bool().Draw(t, target) {
			d.State, d.Due = rapid.SampledFrom(states).Draw(t, "state"), drawDue(t)
			o.Deliveries = append(o.Deliveries, d)
		}
	}
	if rapid.Bool().Draw(t, "attempt") {
		m.attempts[id]++
		o.Attempt = &store.Attempt{Status: m.attempts[id]}
	}
	if rapid.Bool().Draw(t, "answer") {
		o.Answer = &store.Answer{Status: rapid.IntRange(200, 599).Draw(t, "status")}
	}
	settled := m.s.Settle(id, o)
	if rapid.Bool().Draw(t, "wait") {
		if err := settled.Wait(); err != nil {
			t.Fatal(err)
		}
		if o.Attempt != nil && o.Attempt.Number != m.attempts[id] {
			t.Fatalf("attempt %d, want %d", o.Attempt.Number, m.attempts[id])
		}
	}
	if o.Answer != nil {
		m.records[id].Answer = o.Answer
	}
	for _, d := range o.Deliveries {
		m.put(d)
	}
}

// spool begins a body whose record never comes.
func (m *model) spool(t *rapid.T) {
	p := m.s.Spool()
	p.Write(body(1, rapid.IntRange(0, 200_000).Draw(t, "size")))
	m.spools = append(m.spools, p)
}

func (m *model) discard(*rapid.T) {
	for _, p := range m.spools {
		p.Discard()
	}
	m.spools = nil
}

func (m *model) reopen(t *rapid.T) {
	if err := m.s.Close(); err != nil {
		t.Fatal(err)
	}
	m.spools = nil
	m.open(t)
}

// check compares all that can be read, after most steps but not all: a step must also work when nothing has waited for the
// one before it.
func (m *model) check(t *rapid.T) {
	if rapid.IntRange(0, 2).Draw(t, "go on") == 0 {
		return
	}
	if err := m.s.Sync(); err != nil {
		t.Fatal(err)
	}
	i := 0
	for r, err := range m.s.Records(store.Query{NoRaw: true}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range r.Session {
			if session := m.sessions[name]; session == nil || !session.in[r.ID] {
				t.Fatalf("record %s is in session %q", r.ID, name)
			}
		}
		r.Session = nil
		if diff := gocmp.Diff(m.records[m.ids[i]], r); diff != "" {
			t.Fatal(diff)
		}
		i++
	}
	if i != len(m.ids) || int(m.s.Stats().Records) != i {
		t.Fatalf("%d records, want %d", i, len(m.ids))
	}
	if i > 0 {
		m.checkRecord(t, rapid.SampledFrom(m.ids).Draw(t, "look"))
	}
	m.checkSessions(t)
	for _, source := range []string{"", "iiko"} {
		for _, target := range targets {
			m.checkTarget(t, source, target)
		}
	}
}

func (m *model) checkRecord(t *rapid.T, id store.ID) {
	r, err := m.s.Get(id)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := m.s.Open(r.Raw).WriteTo(&b); err != nil || !bytes.Equal(b.Bytes(), m.raw[id]) {
		t.Fatal("other bytes came back", err)
	}
	attempts, err := m.s.Attempts(id)
	if err != nil || len(attempts) != m.attempts[id] {
		t.Fatalf("%d attempts, want %d, %v", len(attempts), m.attempts[id], err)
	}
}

func (m *model) checkTarget(t *rapid.T, source, target string) {
	var want []store.Delivery
	pending := 0
	for name, d := range m.deliveries {
		if d.Source != source || d.Target != target || d.State != store.Pending {
			continue
		}
		pending++
		if d.Key == "" || m.first[lane{source + "/" + target, d.Key}] == name {
			want = append(want, d)
		}
	}
	slices.SortFunc(want, func(a, b store.Delivery) int {
		return cmp.Or(a.Due.Compare(b.Due), a.Record.Compare(b.Record))
	})
	got, _, err := m.s.Ready(source, target, arrival.Add(time.Hour), 1000, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		got[i].Created = time.Time{}
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	if n, _, err := m.s.Pending(source, target); err != nil || n != pending {
		t.Fatalf("%d pending, want %d, %v", n, pending, err)
	}
}

func TestTheStoreBehavesLikeAMap(t *testing.T) {
	folder := t.TempDir()
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		m := &model{
			path:    filepath.Join(folder, "tape", string(rune('a'+run%26)), time.Duration(run).String()),
			records: map[store.ID]*store.Record{}, raw: map[store.ID][]byte{}, attempts: map[store.ID]int{},
			deliveries: map[deliveryName]store.Delivery{}, first: map[lane]deliveryName{},
			sessions: map[string]*modelSession{},
		}
		m.open(t)
		defer func() { m.s.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"append": m.append, "append again": m.append, "settle": m.settle, "settle again": m.settle, "delete": m.delete, "session": m.changeSession,
			"spool": m.spool, "discard": m.discard, "reopen": m.reopen, "": m.check,
		})
	})
}
