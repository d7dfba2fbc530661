package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// pageWalk goes through all that hangs on the root, and goes on past what is damaged.
type pageWalk struct {
	*pages
	only    []string                         // the buckets to go through; nil: all
	row     func(bucket string, k, v []byte) // gets every row; k and v are valid during the call
	damaged func(error)
	seen    map[uint64]bool // pages that were visited; false: they belong to the one before them
}

// visit goes through the rows of some buckets, as far as they can be read.
func (p *pages) visit(row func(bucket string, k, v []byte), buckets ...[]byte) {
	w := &pageWalk{pages: p, row: row, damaged: func(error) {}, seen: map[uint64]bool{}}
	for _, name := range buckets {
		w.only = append(w.only, string(name))
	}
	w.all()
}

// checkFormat refuses what a later hooktape wrote, whose contents we can't know. A format that can't be read is taken for
// ours.
func (p *pages) checkFormat() (err error) {
	p.visit(func(_ string, k, v []byte) {
		if !bytes.Equal(k, metaFormat) || len(v) != 4 {
			return
		}
		if format := int(binary.BigEndian.Uint32(v)); format > formatVersion {
			err = &NewerError{Format: format, Know: formatVersion}
		}
	}, bucketMeta)
	return err
}

// all visits every bucket.
func (w *pageWalk) all() {
	w.tree("", w.meta.root, nil, nil, depthMax, func(g *page) {
		if g.count == 0 {
			w.damaged(fmt.Errorf("page %d: the list of buckets is empty", g.id))
		}
		for i := range g.count {
			name := string(g.key(i))
			if w.only != nil && !slices.Contains(w.only, name) {
				continue
			}
			if !g.isBucket(i) {
				w.damaged(fmt.Errorf("page %d: %q is no bucket", g.id, name))
				continue
			}
			root, small, err := inline(g.value(i))
			switch {
			case err != nil:
				w.damaged(fmt.Errorf("bucket %q, page %d: %w", name, g.id, err))
			case small != nil:
				w.rows(name, small)
			default:
				w.tree(name, root, nil, nil, depthMax, func(g *page) { w.rows(name, g) })
			}
		}
	})
}

func (w *pageWalk) rows(bucket string, g *page) {
	for i := range g.count {
		w.row(bucket, g.key(i), g.value(i))
	}
}

// tree visits the leaves below a page, whose keys must be from low to before high.
func (w *pageWalk) tree(bucket string, id uint64, low, high []byte, depth int, leaf func(*page)) {
	g, err := w.enter(id, depth)
	if err == nil && g.count > 0 &&
		(bytes.Compare(g.key(0), low) < 0 || high != nil && bytes.Compare(g.key(g.count-1), high) >= 0) {
		err = fmt.Errorf("page %d: its keys belong elsewhere", id)
		w.leave(g)
	}
	if err != nil {
		w.damaged(fmt.Errorf("bucket %q: %w", bucket, err))
		return
	}
	if g.flags == flagLeaf {
		leaf(g)
		return
	}
	for i := range g.count {
		next := high
		if i+1 < g.count {
			next = g.key(i + 1)
		}
		w.tree(bucket, g.child(i), g.key(i), next, depth-1, leaf)
	}
}

// enter reads a page of a tree that was not visited before.
func (w *pageWalk) enter(id uint64, depth int) (*page, error) {
	g, err := w.read(id)
	switch {
	case err != nil:
		return nil, err
	case g.flags == flagFreelist:
		return nil, fmt.Errorf("page %d: not what was written", id)
	case depth == 0:
		return nil, fmt.Errorf("page %d: too deep", id)
	case g.count == 0 && depth < depthMax:
		return nil, fmt.Errorf("page %d: has no rows", id) // only a root may
	}
	return g, w.claim(g)
}

// claim notes that a page was visited, with those that belong to it.
func (w *pageWalk) claim(g *page) error {
	for n := range 1 + g.overflow {
		if _, taken := w.seen[g.id+n]; taken {
			return fmt.Errorf("page %d: is in two places", g.id+n)
		}
		w.seen[g.id+n] = n == 0
	}
	return nil
}

// leave takes back that a page was visited.
func (w *pageWalk) leave(g *page) {
	for n := range 1 + g.overflow {
		delete(w.seen, g.id+n)
	}
}

// check makes sure that no link between pages leads astray, and, unless the database is only to be read, that those pages
// are whole without which nothing can be appended: a meta page, the list of free pages, and of every bucket the pages on
// the way to its first and its last row. They are few, whatever the size of the tape.
func (f *file) check(readOnly bool) error {
	p, err := f.pages()
	if p == nil {
		return err
	}
	var free map[uint64]bool
	if err == nil {
		free, err = p.free()
	}
	if err == nil {
		err = p.checkRoot()
	}
	if err == nil || readOnly && !errors.Is(err, errNoMeta) {
		err = p.checkLinks(free)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}

func (p *pages) checkRoot() error {
	var damaged []error
	err := p.leaves(p.meta.root, depthMax, func(root *page) error {
		for i := range root.count {
			if !root.isBucket(i) {
				return fmt.Errorf("page %d: %q is no bucket", root.id, root.key(i))
			}
			if err := p.checkEdges(root.value(i)); err != nil {
				damaged = append(damaged, fmt.Errorf("bucket %q: %w", root.key(i), err))
			}
		}
		return nil
	})
	return errors.Join(append(damaged, err)...)
}

// checkEdges reads the pages on the way to the first and the last row of a bucket.
func (p *pages) checkEdges(bucket []byte) error {
	id, _, err := inline(bucket)
	if err != nil || id == 0 {
		return err
	}
	_, first := p.edge(id, false)
	_, last := p.edge(id, true)
	return firstError(first, last)
}

// leaves visits the leaves below a page, in order. The list of buckets has several when small buckets lie in it.
func (p *pages) leaves(id uint64, depth int, visit func(*page) error) error {
	g, err := p.read(id)
	switch {
	case err != nil:
		return err
	case g.flags == flagLeaf && g.count == 0 && depth < depthMax:
		return fmt.Errorf("page %d: has no rows", id) // only a root may
	case g.flags == flagLeaf:
		return visit(g)
	case g.flags == flagFreelist:
		return fmt.Errorf("page %d: not what was written", id)
	case depth == 0:
		return fmt.Errorf("page %d: too deep", id)
	}
	for i := range g.count {
		if err := p.leaves(g.child(i), depth-1, visit); err != nil {
			return err
		}
	}
	return nil
}

// edge is the first or the last leaf below a page.
func (p *pages) edge(id uint64, last bool) (*page, error) {
	for range depthMax {
		g, err := p.read(id)
		if err != nil {
			return nil, err
		}
		switch g.flags {
		case flagLeaf:
			return g, nil
		case flagFreelist:
			return nil, fmt.Errorf("page %d: not what was written", id)
		}
		if id = g.child(0); last {
			id = g.child(g.count - 1)
		}
	}
	return nil, fmt.Errorf("page %d: too deep", id)
}
