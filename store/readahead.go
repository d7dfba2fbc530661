package store

import (
	"bytes"
	"slices"
	"sort"
)

// readahead reads leaves of a bucket from the file before bbolt touches them in mapped memory. There a leaf that the system
// has to fetch from the disk would be a page fault, which Go can't tell from work: the processor would do nothing else until
// it is over. Of a read, Go knows that it waits.
type readahead struct {
	bucket []byte
	until  []byte // it is done for the keys before this one; nil: it has not begun
}

// from sees to it that the leaves from a key on are in memory, about evictAhead bytes of them, unless that was done already.
// What can't be read now is no loss: whoever needs it will say so.
func (r *readahead) from(s *Store, key []byte) {
	if bytes.Compare(key, r.until) < 0 {
		return
	}
	s.fileMu.RLock()
	defer s.fileMu.RUnlock()
	if s.file == nil {
		return
	}
	p, err := s.file.pages()
	if err != nil {
		return
	}
	ids, until, err := p.leavesFrom(r.bucket, key, int(evictAhead/p.page))
	if err != nil { // the pages may have been written over while they were read
		return
	}
	if r.until = until; until == nil { // they are the last for now: look again the next time
		r.until = bytes.Clone(key)
	}
	p.fetch(ids)
}

// leavesFrom finds the leaf of a bucket that has key, or would have it, and those behind it, up to n of them and as far as
// they hang on the same branch. All keys from key to before until are on them; nil: to the end. A bucket that lies in the
// list of buckets has none.
func (p *pages) leavesFrom(bucket, key []byte, n int) (ids []uint64, until []byte, err error) {
	id, err := p.rootOf(bucket)
	if err != nil || id == 0 {
		return nil, nil, err
	}
	var branch *page // the last one above the leaf, which is its child number at
	at := 0
	leaf, err := p.descend(id, key, func(g *page, child int) {
		if branch != nil && at+1 < branch.count {
			until = branch.key(at + 1)
		}
		branch, at = g, child
	})
	if err != nil {
		return nil, nil, err
	}
	if branch == nil {
		return []uint64{leaf.id}, nil, nil
	}
	ids, next := branch.children(at, n)
	if next == nil {
		next = until
	}
	return ids, next, nil
}

// descend goes from a page down to the leaf that has key, or would have it, and shows each branch on the way with the number
// of the child that it goes on to.
func (p *pages) descend(id uint64, key []byte, show func(branch *page, child int)) (leaf *page, err error) {
	for range depthMax {
		g, err := p.read(id)
		switch {
		case err != nil:
			return nil, err
		case g.flags == flagFreelist: // it was put there after its parent was read
			return nil, errElements
		case g.flags == flagLeaf:
			return g, nil
		}
		child := g.childWith(key)
		show(g, child)
		id = g.child(child)
	}
	return nil, errElements
}

// childWith is the child of a branch that has key, or would have it.
func (g *page) childWith(key []byte) int {
	return max(0, sort.Search(g.count, func(i int) bool { return bytes.Compare(g.key(i), key) > 0 })-1)
}

// children are up to n children of a branch, and the key of the next one; nil: there is none.
func (g *page) children(from, n int) (ids []uint64, next []byte) {
	end := min(from+n, g.count)
	for i := from; i < end; i++ {
		ids = append(ids, g.child(i))
	}
	if end < g.count {
		next = g.key(end)
	}
	return ids, next
}

// rootOf is the root of a bucket; 0: it lies in the list of buckets.
func (p *pages) rootOf(bucket []byte) (root uint64, err error) {
	leaf, err := p.descend(p.meta.root, bucket, func(*page, int) {})
	if err != nil {
		return 0, err
	}
	i, found := sort.Find(leaf.count, func(i int) int { return bytes.Compare(bucket, leaf.key(i)) })
	if !found {
		return 0, nil
	}
	root, _, err = inline(leaf.value(i))
	return root, err
}

// fetchGap is the distance, in bytes, up to which two leaves are read at once, with what is between them. A read from the
// disk takes some 40 µs of the processor, whatever its size up to this one; a page between them that is in memory adds 1.5 µs.
const fetchGap = 64 << 10

// fetch reads pages and throws away what it reads: from then on the system has it in memory.
func (p *pages) fetch(ids []uint64) {
	slices.Sort(ids)
	buf := largeBuffers.Get().(*[largeBuffer]byte)
	defer largeBuffers.Put(buf)
	for i := 0; i < len(ids); i++ {
		from := ids[i]
		for i+1 < len(ids) && int64(ids[i+1]-ids[i])*p.page <= fetchGap {
			i++
		}
		end := int64(ids[i]+1) * p.page
		for at := int64(from) * p.page; at < end; at += int64(len(buf)) {
			_, _ = p.from.ReadAt(buf[:min(int64(len(buf)), end-at)], at)
		}
	}
}
