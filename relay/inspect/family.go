package inspect

import (
	"crypto/sha256"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/hooktape/hooktape/relay/trace"
	"github.com/hooktape/hooktape/store"
)

const (
	// familyBefore and familyAfter bound how long before and after a record the others of its family came.
	familyBefore, familyAfter = time.Hour, 24 * time.Hour
	// familyMax is the most records in a family: the first of them, in the order of the tape.
	familyMax = 1000
	// causesMax bounds the steps from a record back to what began it all.
	causesMax = 16
)

// Traced is a record among those that belong together.
type Traced struct {
	Record
	Depth    int       `json:"depth"`               // 0: the record that began it all
	RepeatOf *store.ID `json:"repeat_of,omitempty"` // an earlier call that says the same, apart from ids and times
}

// family sends the records that belong together with one, itself included: outbound calls below the record that caused
// them, otherwise in the order of their times, one a line.
func (s *Server) family(w http.ResponseWriter, r *http.Request) error {
	rec, err := s.find(r)
	if err != nil {
		return err
	}
	line := s.lineage(rec)
	var lost damage
	members, err := s.relatives(line[len(line)-1], &lost)
	if err != nil {
		return err
	}
	members = withAll(members, line)
	reveal := r.URL.Query().Get("reveal") == "true"
	repeats := repeated{}
	return sendLines(w, func(send func(any) error) error {
		for _, m := range inTree(members) {
			shown, err := s.show(m.rec, reveal)
			if err := lost.passOver(err); err != nil {
				return err
			}
			if err := send(Traced{*shown, m.depth, repeats.of(m.rec)}); err != nil {
				return err
			}
		}
		return lost.err()
	})
}

// lineage is rec, what caused it, what caused that, and so on back to what began it all.
func (s *Server) lineage(rec *store.Record) []*store.Record {
	line := []*store.Record{rec}
	for rec.Cause != (store.ID{}) && len(line) < causesMax {
		cause, err := s.Store.Get(rec.Cause)
		if err != nil {
			break // it is no longer on the tape
		}
		rec = cause
		line = append(line, rec)
	}
	return line
}

// withAll adds the records of a lineage that are missing: they came too long after what began it all.
func withAll(members, line []*store.Record) []*store.Record {
	for _, rec := range line {
		if !slices.ContainsFunc(members, func(m *store.Record) bool { return m.ID == rec.ID }) {
			members = append(members, rec)
		}
	}
	return members
}

// relatives are the records that first caused, and those with its trace. Records come in the order of the tape, so that
// a cause is known before what it caused. lost is told of damaged ones: they may belong here.
func (s *Server) relatives(first *store.Record, lost *damage) (members []*store.Record, err error) {
	known := map[store.ID]bool{first.ID: true}
	window := store.Query{Since: first.Time.Add(-familyBefore), Until: first.Time.Add(familyAfter), NoRaw: true}
	for rec, err := range s.Store.Records(window) {
		if err := lost.passOver(err); err != nil {
			return nil, err
		}
		if err != nil {
			continue
		}
		if !known[rec.ID] && !known[rec.Cause] && !trace.Belongs(rec.Trace, first.Trace) {
			continue
		}
		known[rec.ID] = true
		if rec, err = s.Store.Get(rec.ID); err != nil {
			continue // deleted just now
		}
		if members = append(members, rec); len(members) == familyMax {
			break
		}
	}
	return members, nil
}

// member is a record with its place in the tree.
type member struct {
	rec   *store.Record
	depth int
}

// inTree puts records below those that caused them.
func inTree(records []*store.Record) (tree []member) {
	here := map[store.ID]bool{}
	for _, rec := range records {
		here[rec.ID] = true
	}
	below := map[store.ID][]*store.Record{}
	for _, rec := range records {
		cause := rec.Cause
		if !here[cause] || cause == rec.ID {
			cause = store.ID{}
		}
		below[cause] = append(below[cause], rec)
	}
	var add func(of store.ID, depth int)
	add = func(of store.ID, depth int) {
		slices.SortStableFunc(below[of], func(a, b *store.Record) int { return a.Time.Compare(b.Time) })
		for _, rec := range below[of] {
			tree = append(tree, member{rec, depth})
			add(rec.ID, depth+1)
		}
	}
	add(store.ID{}, 0)
	return tree
}

// repeated remembers what calls said.
type repeated map[[sha256.Size]byte]store.ID

// varying is what differs between calls that say the same: ids, numbers and times.
var varying = regexp.MustCompile(`[0-9a-fA-F]{8,}(-[0-9a-fA-F]{4,})*|[0-9]+`)

// of is the first call that said the same as an outbound record; nil if that is the first, or no outbound call. Bodies in
// pieces are not compared.
func (r repeated) of(rec *store.Record) *store.ID {
	if rec.Cause == (store.ID{}) || rec.Raw.Inline == nil {
		return nil
	}
	body := rec.Raw.Inline[min(rec.HeadSize, len(rec.Raw.Inline)):]
	said := append([]byte(rec.Source+"\n"+rec.Method+" "+rec.Target+"\n"), body...)
	sum := sha256.Sum256(varying.ReplaceAll(said, []byte("#")))
	first, known := r[sum]
	if !known {
		r[sum] = rec.ID
		return nil
	}
	return &first
}
