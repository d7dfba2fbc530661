package replay

import (
	"hash/maphash"
	"strconv"
	"strings"
	"unicode/utf8"
)

// documents compares JSON by what it says.
func (c *comparison) documents(then, now *tree) {
	seed := maphash.MakeSeed()
	j := &documents{comparison: c, then: hashes{then, seed, nil}, now: hashes{now, seed, nil}}
	j.values(c.rules.at("json"), root, root)
}

// documents are two of JSON that are being compared. All is done in time that is
// linear in their size, and their depth is bounded.
type documents struct {
	*comparison
	then, now hashes
}

// values compares two values at a path.
func (d *documents) values(p path, x, y uint32) {
	if string(d.then.raw(x)) == string(d.now.raw(y)) || p.ignored() {
		return
	}
	kind := d.then.kind(x)
	switch {
	case kind != d.now.kind(y):
	case kind == '{':
		d.objects(p, x, y)
		return
	case kind == '[':
		d.arrays(p, x, y)
		return
	case kind == '0':
		a, okA := number(string(d.then.raw(x)))
		b, okB := number(string(d.now.raw(y)))
		if a == b && okA && okB {
			return
		}
	case kind == '"':
		a, b := d.then.str(x), d.now.str(y)
		if a == b && !strings.ContainsRune(a, utf8.RuneError) { // which stands for any half of a surrogate pair
			return
		}
	}
	d.unlike(jsonPlace(p), text(compact(d.then.raw(x))), text(compact(d.now.raw(y))))
}

// gone and came are what one of them has alone.
func (d *documents) gone(p path, x uint32) {
	if !p.ignored() {
		d.unlike(jsonPlace(p), text(compact(d.then.raw(x))), nil)
	}
}

func (d *documents) came(p path, y uint32) {
	if !p.ignored() {
		d.unlike(jsonPlace(p), nil, text(compact(d.now.raw(y))))
	}
}

func (d *documents) objects(p path, x, y uint32) {
	keys, then := d.then.object(x)
	more, now := d.now.object(y)
	for _, key := range keys {
		if value, both := now[key]; both {
			d.values(p.below(key), then[key], value)
		} else {
			d.gone(p.below(key), then[key])
		}
	}
	for _, key := range more {
		if _, both := then[key]; !both {
			d.came(p.below(key), now[key])
		}
	}
}

func (d *documents) arrays(p path, x, y uint32) {
	var then, now []uint32
	for n := range d.then.elements(x) {
		then = append(then, n)
	}
	for n := range d.now.elements(y) {
		now = append(now, n)
	}
	switch {
	case p.unordered():
		d.unordered(p, then, now)
	case len(then) == len(now):
		for i := range then {
			d.values(p.at(i), then[i], now[i])
		}
	default:
		d.shifted(p, then, now)
	}
}

// at is the path of an element.
func (p path) at(i int) path { return p.below(strconv.Itoa(i)) }

// shifted compares elements of which some were added or are gone, so that the
// others have moved.
func (d *documents) shifted(p path, then, now []uint32) {
	i, j := 0, 0
	same := func(until int) { // though it may be written otherwise
		for ; i < until; i, j = i+1, j+1 {
			d.values(p.at(i), then[i], now[j])
		}
	}
	for _, g := range gaps(d.then.texts(p, then), d.now.texts(p, now)) {
		same(g.a)
		for ; i < g.aEnd && j < g.bEnd; i, j = i+1, j+1 {
			d.values(p.at(i), then[i], now[j])
		}
		for ; i < g.aEnd; i++ {
			d.gone(p.at(i), then[i])
		}
		for ; j < g.bEnd; j++ {
			d.came(p.at(j), now[j])
		}
	}
	same(len(then))
}

// unordered compares elements wherever they stand. Those without a like are
// compared in their order when there are as many of them on both sides.
func (d *documents) unordered(p path, then, now []uint32) {
	places := make(map[uint64][]int)
	for j, n := range now {
		hash := d.now.of(p.at(j), n)
		places[hash] = append(places[hash], j)
	}
	var gone []int
	for i, n := range then {
		hash := d.then.of(p.at(i), n)
		if len(places[hash]) == 0 {
			gone = append(gone, i)
			continue
		}
		j := places[hash][0]
		places[hash] = places[hash][1:]
		d.values(p.at(i), n, now[j])
	}
	var came []int
	for j, n := range now {
		hash := d.now.of(p.at(j), n)
		if left := places[hash]; len(left) > 0 && left[0] == j {
			came = append(came, j)
			places[hash] = left[1:]
		}
	}
	d.unmatched(p, then, now, gone, came)
}

func (d *documents) unmatched(p path, then, now []uint32, gone, came []int) {
	if len(gone) == len(came) {
		for n, i := range gone {
			d.values(p.at(i), then[i], now[came[n]])
		}
		return
	}
	for _, i := range gone {
		d.gone(p.at(i), then[i])
	}
	for _, j := range came {
		d.came(p.at(j), now[j])
	}
}

// hashes are the hashes of what the values of a tree say: those that do not differ
// have the same.
type hashes struct {
	*tree
	seed  maphash.Seed
	known []uint64 // by node; 0: not yet
}

// texts are the hashes of some elements of the array at p, as text.
func (h *hashes) texts(p path, elements []uint32) []string {
	texts := make([]string, len(elements))
	for i, n := range elements {
		texts[i] = strconv.FormatUint(h.of(p.at(i), n), 36)
	}
	return texts
}

// of is the hash of a value at a path; that of what is ignored is always the same.
func (h *hashes) of(p path, n uint32) uint64 {
	if h.known == nil {
		h.known = make([]uint64, len(h.nodes))
	}
	if h.known[n] == 0 {
		h.known[n] = max(1, h.hash(p, n))
	}
	return h.known[n]
}

func (h *hashes) hash(p path, n uint32) uint64 {
	if p.ignores() {
		return 1
	}
	switch h.kind(n) {
	case '{':
		return h.hashObject(p, n)
	case '[':
		return h.hashArray(p, n)
	case '"':
		return maphash.String(h.seed, `"`+h.str(n))
	case '0':
		normal, _ := number(string(h.raw(n)))
		return maphash.String(h.seed, normal)
	default:
		return maphash.Bytes(h.seed, h.raw(n))
	}
}

func (h *hashes) hashObject(p path, n uint32) (sum uint64) {
	keys, values := h.object(n)
	sum = maphash.String(h.seed, "{")
	for _, key := range keys {
		if below := p.below(key); !below.ignores() {
			sum += maphash.Comparable(h.seed, [2]uint64{maphash.String(h.seed, key), h.of(below, values[key])})
		}
	}
	return sum
}

func (h *hashes) hashArray(p path, n uint32) (sum uint64) {
	sum, i := maphash.String(h.seed, "["), 0
	for element := range h.elements(n) {
		below := p.at(i)
		i++
		if one := h.of(below, element); p.hasNoOrder() {
			sum += maphash.Comparable(h.seed, one)
		} else {
			sum = maphash.Comparable(h.seed, [2]uint64{sum, one})
		}
	}
	return sum
}
