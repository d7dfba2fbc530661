package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sample is a tape of many records, and what lies on which of its pages.
type sample struct {
	bytes   []byte
	high    uint64
	free    map[uint64]bool
	empty   map[uint64]bool // pages that may be empty: leaves that hold all of their bucket, and the list of free pages
	inner   map[uint64]bool // pages that hold nothing but the middle of one long value
	raw     map[ID][]byte
	pages   map[ID]map[uint64]bool // of the record itself
	replies map[ID]map[uint64]bool // of its pieces, attempts and deliveries
	members map[uint64]bool        // pages that say which records are in which session
}

func newSample(t *testing.T) *sample {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tape.db")
	s, err := Open(path, Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	sm := &sample{members: map[uint64]bool{}, empty: map[uint64]bool{}, inner: map[uint64]bool{}, raw: map[ID][]byte{}, pages: map[ID]map[uint64]bool{}, replies: map[ID]map[uint64]bool{}}
	pieces := map[ID]ID{}
	var last ID
	if err := s.StartSession("qa", false); err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		raw := bytes.Repeat([]byte{byte(i)}, 80*i)
		if i%30 == 29 {
			raw = bytes.Repeat([]byte{byte(i)}, 150<<10)
		}
		rec := Record{Source: fmt.Sprint("source", i%3), Verdict: Accepted}
		if i%5 == 0 {
			rec.Verdict = NoSource
		}
		p := s.Spool()
		p.Write(raw)
		if err := s.Append(&rec, p, []Delivery{{Target: "app", Key: fmt.Sprint(i % 7)}}, nil).Wait(); err != nil {
			t.Fatal(err)
		}
		p.Discard()
		if err := s.Settle(rec.ID, Outcome{Attempt: &Attempt{Status: 500, Response: InlineRaw(raw[:min(len(raw), 3000)])}}).Wait(); err != nil {
			t.Fatal(err)
		}
		sm.raw[rec.ID] = raw
		if rec.Raw.Pieces != (ID{}) {
			pieces[rec.Raw.Pieces] = rec.ID
		}
		last = rec.ID
	}
	if _, err := s.Delete(last); err != nil {
		t.Fatal(err)
	}
	delete(sm.raw, last)
	if err := s.PutMeta("sources", []byte("[]")); err != nil {
		t.Fatal(err)
	}
	if err := s.PutSource(Source{Name: "crm", Secret: "s"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	sm.locate(t, path, pieces)
	return sm
}

// locate finds out what lies where.
func (sm *sample) locate(t *testing.T, path string, pieces map[ID]ID) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := openPages(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	sm.bytes, sm.high = b[:p.meta.high*pageSize], p.meta.high
	if sm.free, err = p.free(); err != nil {
		t.Fatal(err)
	}
	sm.empty[p.meta.freelist] = true
	w := &pageWalk{pages: p, seen: map[uint64]bool{}, damaged: func(err error) { t.Error(err) }}
	if err := p.leaves(p.meta.root, depthMax, func(root *page) error {
		sm.locateIn(p, w, root, pieces)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(sm.pages) != len(sm.raw) {
		t.Fatalf("%d of %d records were found", len(sm.pages), len(sm.raw))
	}
}

// locateIn finds out what lies where in the buckets of a list.
func (sm *sample) locateIn(p *pages, w *pageWalk, root *page, pieces map[ID]ID) {
	note := func(in map[ID]map[uint64]bool, id ID, g *page) {
		if in[id] == nil {
			in[id] = map[uint64]bool{}
		}
		for n := range 1 + g.overflow {
			in[id][g.id+n] = true
		}
	}
	for i := range root.count {
		name := string(root.key(i))
		id, small, err := inline(root.value(i))
		if err != nil || small != nil {
			continue
		}
		if g, err := p.read(id); err == nil && g.flags == flagLeaf {
			sm.empty[id] = true
		}
		w.tree(name, id, nil, nil, depthMax, func(g *page) {
			for n := uint64(2); n < g.overflow; n++ {
				sm.inner[g.id+n] = true
			}
			for i := range g.count {
				if !checksummed(name, g.key(i)) || len(g.key(i)) < len(ID{}) {
					continue
				}
				owner := ID(g.key(i)[:len(ID{})])
				switch name {
				case string(bucketRecords):
					note(sm.pages, owner, g)
				case string(bucketMembers):
					sm.members[g.id] = true
				case string(bucketPieces):
					note(sm.replies, pieces[owner], g)
				default:
					note(sm.replies, owner, g)
				}
			}
		})
	}
}

// damages are what can become of a page. bbolt takes a page for what was written as long as the right number stands in it.
var damages = map[string]func(b []byte, id, high, seed uint64){
	"zeroed": func(b []byte, _, _, _ uint64) { clear(b) },
	"noise": func(b []byte, _, _, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 5))
		for i := pageHead; i < len(b); i++ {
			b[i] = byte(r.Uint32())
		}
	},
	"one bit": func(b []byte, _, _, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 4))
		b[r.IntN(200)] ^= 1 << r.IntN(8)
	},
	"another page":    func(b []byte, _, _, _ uint64) { b[0]++ },
	"another kind":    func(b []byte, _, _, _ uint64) { b[8] ^= flagBranch | flagLeaf },
	"too many":        func(b []byte, _, _, _ uint64) { b[10], b[11] = 0xff, 0x7f },
	"none":            func(b []byte, _, _, _ uint64) { b[10], b[11] = 0, 0 },
	"goes on":         func(b []byte, _, _, _ uint64) { b[12]++ },
	"goes on for all": func(b []byte, _, _, _ uint64) { b[12], b[13], b[14], b[15] = 0xff, 0xff, 0xff, 0x7f },
	"leads to itself": func(b []byte, id, _, _ uint64) { leadTo(b, func(uint64) uint64 { return id }) },
	"leads elsewhere": func(b []byte, _, high, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 6))
		leadTo(b, func(uint64) uint64 { return 2 + r.Uint64N(high-2) })
	},
	"leads to one page": func(b []byte, _, _, _ uint64) {
		first := binary.LittleEndian.Uint64(b[pageHead+8:])
		leadTo(b, func(uint64) uint64 { return first })
	},
}

// leadTo changes where the links of a branch lead, and the roots of buckets on a leaf.
func leadTo(b []byte, to func(uint64) uint64) {
	g, err := parseHead(b)
	if err != nil || g.check() != nil {
		return
	}
	le := binary.LittleEndian
	for i := range g.count {
		switch {
		case g.flags == flagBranch:
			le.PutUint64(b[pageHead+i*elementSize+8:], to(g.child(i)))
		case g.flags == flagLeaf && g.isBucket(i) && len(g.value(i)) == bucketHead:
			le.PutUint64(g.value(i), to(le.Uint64(g.value(i))))
		}
	}
}

// TestEveryPageDamagedInTurn is the promise about damaged disks: no panic, no hang, recording goes on, and whatever lies on
// other pages can be salvaged.
func TestEveryPageDamagedInTurn(t *testing.T) {
	sm := newSample(t)
	step := uint64(5)
	if os.Getenv("HOOKTAPE_ALL_TESTS") == "1" {
		step = 3
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for id := range sm.high {
				if id > 8 && (id+uint64(len(name)))%sm.step(name, id, step) != 0 {
					continue // but each page gets some kinds of damage
				}
				path := filepath.Join(t.TempDir(), "tape.db")
				b := bytes.Clone(sm.bytes)
				damage(b[id*pageSize:][:pageSize], id, sm.high, id)
				if bytes.Equal(b, sm.bytes) {
					continue
				}
				if err := os.WriteFile(path, b, 0o600); err != nil {
					t.Fatal(err)
				}
				r, err := Verify(path)
				if err != nil {
					t.Fatal(err)
				}
				if id > 1 && r.Damaged == 0 && !sm.free[id] && name != "one bit" && !(name == "none" && sm.empty[id]) {
					t.Errorf("page %d: %s was not noticed", id, name)
				}
				sm.checkSalvage(t, path, id)
				recordOn(t, path, id)
				if t.Failed() {
					return
				}
			}
		})
	}
}

// step says that of pages like this one, one in so many is damaged. Fewer of those that are free or in the middle of a
// value, since they all behave alike; each of those with links, since there are few.
func (sm *sample) step(name string, id, step uint64) uint64 {
	switch {
	case strings.HasPrefix(name, "leads "):
		return 1
	case sm.free[id] || sm.inner[id]:
		return 8 * step
	}
	return step
}

func (sm *sample) checkSalvage(t *testing.T, path string, id uint64) {
	t.Helper()
	to := path + ".salvaged"
	done, err := Salvage(path, to, Options{NoSync: true})
	if err != nil {
		t.Errorf("page %d: salvage: %v", id, err)
		return
	}
	s, err := Open(to, Options{NoSync: true})
	if err != nil {
		t.Errorf("page %d: salvaged tape: %v", id, err)
		return
	}
	defer s.Close()
	if st := s.Stats(); int(st.Records) != done.Records || st.Pending != done.Pending {
		t.Errorf("page %d: %+v, but told %+v", id, st, done)
	}
	kept := 0
	for rec, raw := range sm.raw {
		if sm.pages[rec][id] {
			continue
		}
		got, err := s.Get(rec)
		if err != nil {
			t.Errorf("page %d: record %s is lost: %v", id, rec, err)
			return
		}
		kept++
		if sm.replies[rec][id] {
			continue
		}
		var b bytes.Buffer
		if _, err := s.Open(got.Raw).WriteTo(&b); err != nil || !bytes.Equal(b.Bytes(), raw) {
			t.Errorf("page %d: record %s has other bytes: %v", id, rec, err)
		}
		attempts, _ := s.Attempts(rec)
		deliveries, _ := s.Deliveries(rec)
		if len(attempts) != 1 || len(deliveries) != 1 || deliveries[0].Key == "" && id != 0 || len(got.Session) != 1 && !sm.members[id] {
			t.Errorf("page %d: record %s has %d attempts, %d deliveries, sessions %q", id, rec, len(attempts), len(deliveries), got.Session)
		}
	}
	n := 0
	members := map[string]int64{}
	for r, err := range s.Records(Query{}) {
		if err != nil || r == nil {
			t.Errorf("page %d: %v", id, err)
			return
		}
		for _, name := range r.Session {
			members[name]++
		}
		n++
	}
	if all, err := s.Sessions(); err != nil || len(all) > 0 && all[0].Records != members[all[0].Name] {
		t.Errorf("page %d: sessions %+v %v, but %v", id, all, err, members)
	}
	if n != done.Records || kept == 0 {
		t.Errorf("page %d: %d records in the list of %d, %d kept", id, n, done.Records, kept)
	}
}

// recordOn opens a damaged tape as an agent does, and records.
func recordOn(t *testing.T, path string, id uint64) {
	t.Helper()
	s, err := Open(path, Options{NoSync: true, SetAside: true})
	if err != nil {
		t.Errorf("page %d: open: %v", id, err)
		return
	}
	defer s.Close()
	for range 3 { // the damage may show only now
		_, c := appendBytes(s, make([]byte, 100<<10), Delivery{Target: "app", Key: "1"})
		if c.Wait() == nil {
			break
		}
	}
	mustAppend(t, s)
	for r := range s.Records(Query{}) {
		if r != nil {
			s.Open(r.Raw).WriteTo(io.Discard)
		}
	}
	aside, err := SetAside(path)
	if err != nil || len(aside) != int(s.Stats().SetAside) {
		t.Errorf("page %d: set aside: %v, %v, %+v", id, aside, err, s.Stats())
	}
}

func TestAWholeTapeIsFoundWhole(t *testing.T) {
	sm := newSample(t)
	path := filepath.Join(t.TempDir(), "tape.db")
	if err := os.WriteFile(path, sm.bytes, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Verify(path)
	if err != nil || r.Damaged != 0 || r.Records != int64(len(sm.raw)) || r.Free == 0 {
		t.Errorf("%+v %v", r, err)
	}
	whole, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	weight := weightOfMembers(t, whole)
	if err := whole.Close(); err != nil {
		t.Fatal(err)
	}
	done, err := Salvage(path, path+".salvaged", Options{})
	if err != nil || done.Lost != 0 || done.Incomplete != 0 || done.Records != len(sm.raw) {
		t.Errorf("%+v %v", done, err)
	}
	s, err := Open(path+".salvaged", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n := weightOfMembers(t, s); n != weight || n == 0 {
		t.Errorf("the records of sessions weigh %d, before %d", n, weight)
	}
	if v, err := s.Meta("sources"); err != nil || string(v) != "[]" {
		t.Errorf("meta %q %v", v, err)
	}
	if made, err := s.Sources(); err != nil || len(made) != 1 || made[0].Secret != "s" {
		t.Errorf("sources %+v %v", made, err)
	}
	if _, err := Salvage(path, path+".salvaged", Options{}); err == nil {
		t.Error("a file was written over")
	}
	if left, _ := filepath.Glob(path + ".salvaged.*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestATapeThatIsDamagedWhileItIsOpenIsSetAside(t *testing.T) {
	h := &heard{}
	path := filepath.Join(t.TempDir(), "tape.db")
	s, err := Open(path, Options{Log: h.log, SetAside: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 50 {
		mustAppend(t, s, Delivery{Target: "app"})
	}
	if err := s.PutMeta("sources", []byte("[]")); err != nil {
		t.Fatal(err)
	}
	if err := s.PutSource(Source{Name: "crm"}); err != nil {
		t.Fatal(err)
	}
	if err := s.StartSession("qa", false); err != nil {
		t.Fatal(err)
	}
	info, err := s.file.os.Stat()
	if err != nil {
		t.Fatal(err)
	}
	p, err := openPages(s.file.os, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	for id := uint64(2); id < p.meta.high; id++ { // the meta pages stay
		if g, err := p.read(id); err == nil && (g.flags != flagLeaf || g.count > 20) {
			if _, err := s.file.os.WriteAt(make([]byte, pageSize), int64(id)*pageSize); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 3 {
		if _, c := appendBytes(s, []byte("bytes")); c.Wait() == nil {
			break
		}
	}
	mustAppend(t, s)
	if st := s.Stats(); st.SetAside != 1 || st.Pending != 0 {
		t.Errorf("%+v", st)
	}
	if made, err := s.Sources(); err != nil || len(made) != 1 {
		t.Errorf("the sources did not come along: %+v %v", made, err)
	}
	if qa, err := s.Session("qa"); err != nil || !qa.Capturing() || qa.Records == 0 {
		t.Errorf("the session does not go on: %+v %v", qa, err)
	}
	aside, err := SetAside(path)
	if err != nil || len(aside) != 1 {
		t.Fatalf("%v %v", aside, err)
	}
	t.Log(h.all())
	done, err := Salvage(aside[0], path+".salvaged", Options{})
	if err != nil {
		t.Error(err)
	}
	t.Logf("%+v", done)
}
