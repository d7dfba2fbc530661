package replay

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"

	"github.com/hooktape/hooktape/relay/expr"
)

// Matching says by which of its parts a request is taken for one that was recorded. Parts are the same by what Compare
// calls the same: JSON by what it says, the query by its parameters. It may be used by several goroutines.
type Matching struct {
	parts [][]string // paths
	rules *Rules
	seed  maphash.Seed
}

// matchable are the parts of requests that can be matched, and whether a path leads on into them, and must.
var matchable = map[string]struct{ deep, must bool }{
	"method": {}, "path": {}, "query": {deep: true}, "body": {}, "header": {true, true}, "json": {deep: true}, "form": {deep: true},
}

// NewMatching matches these parts: method, path, query, query.page, body, header.x-tenant, json.order.id, form.event.
// Without any they are method, path, query and body. What rules leave out is the same in all requests.
func NewMatching(parts []string, rules *Rules) (*Matching, error) {
	if len(parts) == 0 {
		parts = []string{"method", "path", "query", "body"}
	}
	m := &Matching{rules: rules, seed: maphash.MakeSeed()}
	for _, part := range parts {
		names, err := expr.ParsePath(part)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", part, err)
		}
		switch known, ok := matchable[names[0]]; {
		case !ok:
			return nil, fmt.Errorf("%q can't be matched: method, path, query, body, header.X, json.a.b and form.a can", names[0])
		case known.must && len(names) != 2:
			return nil, fmt.Errorf("%q: name one field, as in header.x-tenant", part)
		case !known.deep && len(names) > 1:
			return nil, fmt.Errorf("%q: there is nothing below %s", part, names[0])
		case names[0] == "header":
			names[1] = strings.ToLower(names[1])
		}
		m.parts = append(m.parts, names)
	}
	return m, nil
}

// print has a hash for each of the parts. Requests that say the same have the same print.
func (m *Matching) print(r *Request) ([]uint64, error) {
	said := saying{Request: r}
	print := make([]uint64, len(m.parts))
	for i, names := range m.parts {
		var err error
		if print[i], err = m.part(&said, names); err != nil {
			return nil, err
		}
	}
	return print, nil
}

// saying is a request whose body is read when a part of it is asked for, once.
type saying struct {
	*Request
	read  bool
	body  content
	plain []byte
	tree  *tree // nil: it is no JSON
	large bool  // it is known by its digest alone
}

func (s *saying) look(rules *Rules) (err error) {
	if s.read {
		return nil
	}
	s.read = true
	if s.body, err = s.content(); err != nil {
		return err
	}
	if s.plain, err = s.body.plain(); err != nil {
		s.large = true // or can't be decoded: what was sent is all there is to go by
		return nil
	}
	s.plain = rules.blanked(s.body, s.plain)
	s.tree = parseTree(s.plain)
	return nil
}

func (m *Matching) part(s *saying, names []string) (uint64, error) {
	switch path, query := m.rules.target(s.Head); names[0] {
	case "method":
		return m.text(s.Head.Method, names), nil
	case "path":
		return m.text(path, names), nil
	case "query":
		return m.form(readForm("query", query), names), nil
	case "header":
		return m.text(strings.Join(m.rules.field(names[1], s.Head.Fields.Values(names[1])), "\x00"), names), nil
	}
	if err := s.look(m.rules); err != nil {
		return 0, err
	}
	switch names[0] {
	case "json":
		return m.json(s, names), nil
	case "form":
		return m.form(s.form(), names), nil
	}
	return m.whole(s), nil
}

// form is the body as a form, whatever it says that it is.
func (s *saying) form() formValues {
	if f, ok := s.body.form(s.plain); ok {
		return f
	}
	if !hasFewFields(s.plain) {
		return newForm()
	}
	return readForm("form", string(s.plain))
}

// text is a part that is taken as it is.
func (m *Matching) text(value string, names []string) uint64 {
	if m.rules.at(names...).ignored() {
		return 0
	}
	return maphash.String(m.seed, value)
}

// whole is the body by what it says.
func (m *Matching) whole(s *saying) uint64 {
	switch {
	case m.rules.at("body").ignored():
		return 0
	case s.large:
		return maphash.Bytes(m.seed, s.body.digest[:])
	case s.tree != nil:
		return m.json(s, []string{"json"})
	}
	if f, ok := s.body.form(s.plain); ok {
		return m.form(f, []string{"form"})
	}
	return maphash.Bytes(m.seed, s.plain)
}

// json is a value of the body; 0 where there is none.
func (m *Matching) json(s *saying, names []string) uint64 {
	if s.tree == nil {
		return 0
	}
	n, ok := s.tree.find(names[1:])
	if !ok {
		return 0
	}
	h := hashes{tree: s.tree, seed: m.seed}
	return h.of(m.rules.at(names...), n)
}

// form are the fields at a path, and below it, whatever their order.
func (m *Matching) form(f formValues, names []string) uint64 {
	var h maphash.Hash
	h.SetSeed(m.seed)
	for _, where := range slices.Sorted(maps.Keys(f.values)) {
		field := f.fields[where]
		if !slices.Equal(names, field.names[:min(len(names), len(field.names))]) || m.rules.at(field.names...).ignored() {
			continue
		}
		for _, value := range f.values[where] {
			h.WriteString(where + "\x00" + value + "\x00")
		}
	}
	return h.Sum64()
}

// covers says whether a place in a request, as Change.Where has it, is in one of the parts.
func (m *Matching) covers(where string) bool {
	return slices.ContainsFunc(m.parts, func(names []string) bool { return covers(names, where) })
}

// covers says whether a place is in a part.
func covers(names []string, where string) bool {
	if names[0] == "body" {
		return !slices.ContainsFunc([]string{"method", "path", "query", "header"}, func(part string) bool { return within(where, part) })
	}
	return within(where, expr.FormatPath(names...))
}

// within says whether a path is another one, or below it.
func within(path, above string) bool {
	rest, ok := strings.CutPrefix(path, above)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// turns are the recordings of equal requests, which are given in their order.
type turns struct {
	print        []uint64
	method, path string
	recordings   []int
	next         int
}

// take is the recording whose turn it is. When all had their turn, it is the last one again and again.
func (t *turns) take() int {
	n := t.recordings[min(t.next, len(t.recordings)-1)]
	t.next++
	return n
}

// index finds recordings by what their requests say.
type index struct {
	*Matching
	all []*turns
	by  map[uint64]*turns
}

func newIndex(m *Matching) *index { return &index{Matching: m, by: map[uint64]*turns{}} }

// add puts a recording behind those before.
func (x *index) add(print []uint64, head requestLine, recording int) {
	key := x.key(print)
	t := x.by[key]
	if t == nil {
		t = &turns{print: print, method: head.method, path: head.path}
		x.by[key], x.all = t, append(x.all, t)
	}
	t.recordings = append(t.recordings, recording)
}

// find is what was recorded of a request; nil: nothing.
func (x *index) find(print []uint64) *turns { return x.by[x.key(print)] }

// requestLine is what tells a near request from one that has nothing to do with it.
type requestLine struct{ method, path string }

func lineOf(r *Request) requestLine { return requestLine{r.Head.Method, r.Head.Path()} }

func (x *index) key(print []uint64) (key uint64) {
	for _, one := range print {
		key = maphash.Comparable(x.seed, [2]uint64{key, one})
	}
	return key
}

// nearest are the recordings that come closest to a request, the best first: the same path counts most, then how few parts
// differ, then how far the paths begin alike.
func (x *index) nearest(print []uint64, line requestLine, most int) []*turns {
	type candidate struct {
		*turns
		elsewhere bool
		differ    int
		likeness  int // bytes that its path begins with alike
	}
	var all []candidate
	better := func(a, b candidate) int {
		return cmp.Or(boolCompare(a.elsewhere, b.elsewhere), cmp.Compare(a.differ, b.differ), cmp.Compare(b.likeness, a.likeness))
	}
	for _, t := range x.all {
		c := candidate{turns: t, elsewhere: t.path != line.path, likeness: sameStart(t.path, line.path)}
		for i := range print {
			if print[i] != t.print[i] {
				c.differ++
			}
		}
		at, _ := slices.BinarySearchFunc(all, c, func(a, b candidate) int { return cmp.Or(better(a, b), -1) }) // behind its equals
		if at < most {
			all = slices.Insert(all, at, c)
			all = all[:min(len(all), most)]
		}
	}
	near := make([]*turns, len(all))
	for i := range all {
		near[i] = all[i].turns
	}
	return near
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
