package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"slices"
)

// Pages as bbolt writes them, read without bbolt: from the file, not from mapped memory, and trusting no byte. So even a
// process that must go on can look at a damaged file. The layout is that of bbolt's internal/common; it has not changed
// since version 2 of bbolt's file format, and is in the machine's byte order, which is little-endian on all that we build
// for.
const (
	pageHead    = 16 // id, flags, count, overflow
	elementSize = 16
	bucketHead  = 16 // root, sequence

	flagBranch   = 0x01
	flagLeaf     = 0x02
	flagFreelist = 0x10

	bucketElement = 0x01

	metaMagic   = 0xED0CDAED
	metaVersion = 2
	metaSize    = 64 // with its checksum
	// depthMax is how deep a tree may be. Even with two children a page it would not fit on any disk.
	depthMax = 64
)

// pageSizes are the sizes of pages that tapes were ever made with. A new one has the first.
var pageSizes = [...]int64{pageSize, 4096}

// pages reads the pages of a database.
type pages struct {
	from io.ReaderAt
	size int64
	page int64 // how large each is
	meta pageMeta
	lost int // meta pages that can't be read
}

// pageMeta is what a meta page says.
type pageMeta struct {
	root, freelist, high, txid uint64
}

var errNoMeta = errors.New("neither of its two meta pages can be read")

// openPages reads the newer of the meta pages that are whole. When the error is errNoMeta, pages can be read nevertheless.
func openPages(from io.ReaderAt, size int64) (*pages, error) {
	p := &pages{from: from, size: size}
	if !slices.ContainsFunc(pageSizes[:], p.readMetas) {
		p.guessPage()
		p.meta.high = uint64(size / p.page)
		return p, errNoMeta
	}
	return p, checkEnd(size, int64(p.meta.high)*p.page)
}

// checkEnd makes sure that a file is large enough for its pages.
func checkEnd(size, pages int64) error {
	if size < pages {
		return fmt.Errorf("it ends at byte %d, but has pages up to %d", size, pages)
	}
	return nil
}

// readMetas says whether there is a meta page of a database whose pages have that size.
func (p *pages) readMetas(page int64) (found bool) {
	p.page, p.lost = page, 0
	for id := range int64(2) {
		m, ok := p.readMeta(id)
		if !ok {
			p.lost++
		} else if !found || m.txid > p.meta.txid {
			p.meta, found = m, true
		}
	}
	return found
}

func (p *pages) readMeta(id int64) (m pageMeta, ok bool) {
	var b [pageHead + metaSize]byte
	if _, err := p.from.ReadAt(b[:], id*p.page); err != nil {
		return m, false
	}
	meta := b[pageHead:]
	sum := fnv.New64a()
	sum.Write(meta[:metaSize-8])
	le := binary.LittleEndian
	if le.Uint32(meta) != metaMagic || le.Uint32(meta[4:]) != metaVersion || int64(le.Uint32(meta[8:])) != p.page ||
		le.Uint64(meta[metaSize-8:]) != sum.Sum64() {
		return m, false
	}
	return pageMeta{
		root: le.Uint64(meta[16:]), freelist: le.Uint64(meta[32:]), high: le.Uint64(meta[40:]), txid: le.Uint64(meta[48:]),
	}, true
}

// page is a page whose elements all lie within it.
type page struct {
	id       uint64
	flags    uint16
	count    int
	overflow uint64 // pages that follow and belong to it
	b        []byte
}

// read reads a page with those that belong to it.
func (p *pages) read(id uint64) (*page, error) {
	var head [pageHead]byte
	if id < 2 || id >= p.meta.high {
		return nil, fmt.Errorf("page %d: there is none", id)
	}
	if _, err := p.from.ReadAt(head[:], int64(id)*p.page); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	g, err := parseHead(head[:])
	if err != nil || g.id != id {
		return nil, fmt.Errorf("page %d: not what was written", id)
	}
	if g.overflow >= p.meta.high-id {
		return nil, fmt.Errorf("page %d: goes on for %d pages, beyond the end", id, g.overflow)
	}
	g.b = make([]byte, int64(1+g.overflow)*p.page)
	if _, err := p.from.ReadAt(g.b, int64(id)*p.page); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	if err := g.check(); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	return g, nil
}

func parseHead(b []byte) (*page, error) {
	le := binary.LittleEndian
	g := &page{id: le.Uint64(b), flags: le.Uint16(b[8:]), count: int(le.Uint16(b[10:])), overflow: uint64(le.Uint32(b[12:])), b: b}
	switch g.flags {
	case flagBranch, flagLeaf, flagFreelist:
		return g, nil
	}
	return nil, errors.New("no kind of page")
}

var errElements = errors.New("its elements are not in order, or not within it")

// check makes sure that key and value may be called.
func (g *page) check() error {
	if g.flags == flagFreelist {
		return nil
	}
	if pageHead+g.count*elementSize > len(g.b) || g.flags == flagBranch && g.count == 0 {
		return errElements
	}
	var before []byte
	for i := range g.count {
		pos, klen, vlen := g.element(i)
		if end := int64(pageHead+i*elementSize) + pos + klen + vlen; pos < elementSize || end > int64(len(g.b)) {
			return errElements
		}
		k := g.key(i)
		if i > 0 && bytes.Compare(before, k) >= 0 {
			return errElements
		}
		before = k
	}
	return nil
}

func (g *page) element(i int) (pos, klen, vlen int64) {
	le, e := binary.LittleEndian, g.b[pageHead+i*elementSize:]
	if g.flags == flagBranch {
		return int64(le.Uint32(e)), int64(le.Uint32(e[4:])), 0
	}
	return int64(le.Uint32(e[4:])), int64(le.Uint32(e[8:])), int64(le.Uint32(e[12:]))
}

func (g *page) key(i int) []byte {
	pos, klen, _ := g.element(i)
	at := int64(pageHead+i*elementSize) + pos
	return g.b[at : at+klen]
}

func (g *page) value(i int) []byte {
	pos, klen, vlen := g.element(i)
	at := int64(pageHead+i*elementSize) + pos + klen
	return g.b[at : at+vlen]
}

// isBucket says whether the value is a bucket.
func (g *page) isBucket(i int) bool {
	return binary.LittleEndian.Uint32(g.b[pageHead+i*elementSize:])&bucketElement != 0
}

func (g *page) child(i int) uint64 { return binary.LittleEndian.Uint64(g.b[pageHead+i*elementSize+8:]) }

// inline is the page inside the value of a bucket that is small; nil when it has a page of its own.
func inline(bucket []byte) (root uint64, g *page, err error) {
	if len(bucket) < bucketHead {
		return 0, nil, errElements
	}
	if root = binary.LittleEndian.Uint64(bucket); root != 0 {
		return root, nil, nil
	}
	if len(bucket) < bucketHead+pageHead {
		return 0, nil, errElements
	}
	if g, err = parseHead(bucket[bucketHead:]); err != nil || g.flags != flagLeaf {
		return 0, nil, errElements
	}
	return 0, g, g.check()
}

// openToSalvage opens a file in which pages are to be looked for, whole ones or not. The error wraps ErrNoTape when it can't have
// any.
func openToSalvage(path string) (*os.File, int64, error) {
	info, err := os.Stat(path) // first, since opening a pipe would wait for its writer
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%w: not a file", ErrNoTape)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	if err := isTape(f, info.Size()); err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// isTape makes sure that a file is a tape, damaged or not, and not some other file or another program's database. The
// error wraps ErrNoTape.
func isTape(f io.ReaderAt, size int64) error {
	p, err := openPages(f, size)
	if errors.Is(err, errNoMeta) {
		if !p.guessPage() {
			return fmt.Errorf("%w: it has no page of one", ErrNoTape)
		}
		return nil
	}
	root, err := p.read(p.meta.root)
	if err != nil || root.flags != flagLeaf || root.count == 0 {
		return nil
	}
	for i := range root.count {
		if bytes.Equal(root.key(i), bucketRecords) {
			return nil
		}
	}
	return fmt.Errorf("%w, but another's bbolt database", ErrNoTape)
}

// guessEnough is how many pages of one size are enough for that size to be believed. Fewer may be bytes of a body.
const guessEnough = 16

// guessPage finds out how large the pages are when no meta page tells, by the number with which each begins. It says
// whether it found any.
func (p *pages) guessPage() (any bool) {
	p.page = pageSize
	var head [pageHead]byte
	found := map[int64]int{}
	step := slices.Min(pageSizes[:])
	for at := 2 * step; at < p.size && found[p.page] < guessEnough; at += step {
		if _, err := p.from.ReadAt(head[:], at); err != nil {
			break
		}
		g, err := parseHead(head[:])
		if err != nil {
			continue
		}
		for _, page := range pageSizes {
			if at%page == 0 && g.id >= 2 && int64(g.id) == at/page {
				if found[page]++; found[page] > found[p.page] {
					p.page = page
				}
			}
		}
	}
	return found[p.page] > 0
}

// free are the pages that are free, by their ids.
func (p *pages) free() (map[uint64]bool, error) {
	g, err := p.read(p.meta.freelist)
	if err != nil {
		return nil, fmt.Errorf("list of free pages: %w", err)
	}
	ids, n := g.b[pageHead:], uint64(g.count)
	if n == 0xFFFF { // more than fit into the count
		n, ids = binary.LittleEndian.Uint64(ids), ids[8:]
	}
	if g.flags != flagFreelist || n > uint64(len(ids)/8) {
		return nil, fmt.Errorf("list of free pages: page %d: not what was written", g.id)
	}
	free := make(map[uint64]bool, n)
	for i := range n {
		id := binary.LittleEndian.Uint64(ids[8*i:])
		if id < 2 || id >= p.meta.high || free[id] {
			return nil, fmt.Errorf("list of free pages: page %d can't be free", id)
		}
		free[id] = true
	}
	return free, nil
}
