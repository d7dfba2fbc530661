package store

import "fmt"

// A tree that leads back into itself sends bbolt round in circles until the stack or the memory is used up, and a page
// that claims to go on over others takes them along when it is freed. Nothing recovers from that, so the links between
// pages are followed here before bbolt follows them. What bbolt notices by itself is left to it: a page that is not what
// was written is an error only of the rows on it.

// wholeMax is the size up to which every page is looked at. In a larger file only the branches are, one page in about a
// hundred, since the leaves would mean to read all of it; that no leaf is in two places is seen from the branches.
const wholeMax = 64 << 20

// links follows the links of a database.
type links struct {
	*pages
	free    map[uint64]bool
	claimed []uint64 // a bit for each page
	whole   bool     // leaves are looked at
}

// checkLinks makes sure that no page is in two places. free are the pages that must be in none.
func (p *pages) checkLinks(free map[uint64]bool) error {
	l := &links{pages: p, free: free, claimed: make([]uint64, p.meta.high/64+1), whole: int64(p.meta.high)*p.page <= wholeMax}
	if err := l.tree(p.meta.freelist, 0, depthMax, nil); err != nil {
		return err
	}
	return l.tree(p.meta.root, l.levels(p.meta.root), depthMax, l.buckets)
}

func inFile(p *pages, id uint64) bool { return id >= 2 && id < p.meta.high }

// buckets follows the links of the buckets on a leaf of the root.
func (l *links) buckets(id uint64) error {
	g, err := l.read(id)
	if err != nil {
		return nil
	}
	for i := range g.count {
		if !g.isBucket(i) {
			continue
		}
		root, _, err := inline(g.value(i))
		if err != nil || root == 0 {
			continue
		}
		if err := l.tree(root, l.levels(root), depthMax, nil); err != nil {
			return fmt.Errorf("bucket %q: %w", g.key(i), err)
		}
	}
	return nil
}

// tree claims a page with all that hangs on it. levels is how many pages are on the way to a leaf, this one included;
// 0: it is not known. leaf, unless it is nil, is called with every leaf.
func (l *links) tree(id uint64, levels, depth int, leaf func(id uint64) error) error {
	if !inFile(l.pages, id) {
		return nil
	}
	if err := l.claim(id); err != nil {
		return err
	}
	if depth == 0 {
		return fmt.Errorf("page %d: too deep", id)
	}
	if levels == 1 && leaf == nil && !l.whole {
		return nil
	}
	g, err := l.glance(id)
	if err != nil {
		return nil
	}
	if g.overflow >= l.meta.high-id {
		return fmt.Errorf("page %d: goes on for %d pages, beyond the end", id, g.overflow)
	}
	for n := range g.overflow {
		if err := l.claim(id + 1 + n); err != nil {
			return err
		}
	}
	switch {
	case g.flags == flagLeaf && leaf != nil:
		return leaf(id)
	case g.flags != flagBranch:
		return nil
	}
	for i := range g.count {
		if err := l.tree(g.child(i), max(levels-1, 0), depth-1, leaf); err != nil {
			return err
		}
	}
	return nil
}

// levels is how many pages are on the way from a page to its first leaf; 0: it can't be told.
func (l *links) levels(id uint64) int {
	for n := 1; n < depthMax && inFile(l.pages, id); n++ {
		g, err := l.glance(id)
		switch {
		case err != nil, g.flags == flagBranch && g.count == 0:
			return 0
		case g.flags != flagBranch:
			return n
		}
		id = g.child(0)
	}
	return 0
}

// claim notes that a page is used.
func (l *links) claim(id uint64) error {
	word, bit := &l.claimed[id/64], uint64(1)<<(id%64)
	switch {
	case *word&bit != 0:
		return fmt.Errorf("page %d: is in two places", id)
	case l.free[id]:
		return fmt.Errorf("page %d: is free and in use", id)
	}
	*word |= bit
	return nil
}

// glance reads a page as far as bbolt would trust it: the head, and of a branch its links too, whatever its keys are.
func (l *links) glance(id uint64) (*page, error) {
	b := make([]byte, pageHead)
	if _, err := l.from.ReadAt(b, int64(id)*l.page); err != nil {
		return nil, err
	}
	g, err := parseHead(b)
	if err != nil || g.id != id || g.flags != flagBranch {
		if err == nil && g.id != id {
			err = fmt.Errorf("page %d: not what was written", id)
		}
		return g, err
	}
	g.b = make([]byte, pageHead+g.count*elementSize)
	if n, err := l.from.ReadAt(g.b, int64(id)*l.page); err != nil {
		g.count = max(0, n-pageHead) / elementSize
	}
	return g, nil
}
