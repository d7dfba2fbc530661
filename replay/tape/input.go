package tape

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"

	"github.com/klauspost/compress/gzip"
)

// input is the text of a WARC file, compressed or not, and where it is in the file.
type input interface {
	text() *bufio.Reader
	// offset is where in the file the text that comes next lies; of a compressed file, its gzip member.
	offset() int64
	// failed says why the text ended, where that is not because it is all; nil: it is.
	failed() error
	// unread is the error with which reading the file failed; nil: it did not.
	unread() error
	// seek goes on to what looks like the next WARC record. It returns io.EOF when there is none.
	seek() error
}

const (
	inputBuffer = 128 << 10
	seekStep    = 64 << 10
)

// plainInput is a file that is not compressed.
type plainInput struct {
	file  io.Reader
	ahead []io.LimitedReader // what is read again before the file goes on, the last one first
	at    int64              // in the file, of what comes next of them
	buf   *bufio.Reader
	err   error // of the file
}

func newPlainInput(r io.Reader) *plainInput {
	p := &plainInput{}
	p.file, p.buf = &noted{r, &p.err}, bufio.NewReaderSize(p, inputBuffer)
	return p
}

// Read reads what is ahead of the file, and lets go of it at once, and then the file. It is for buf.
func (p *plainInput) Read(b []byte) (n int, err error) {
	defer func() { p.at += int64(n) }()
	for last := len(p.ahead) - 1; last >= 0; last-- {
		n, err = p.ahead[last].Read(b)
		if err == io.EOF || p.ahead[last].N == 0 {
			p.ahead, err = slices.Delete(p.ahead, last, last+1), nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
	return p.file.Read(b)
}

// goOn reads on at an offset of the file, with what is ahead of its rest.
func (p *plainInput) goOn(at int64, ahead ...io.LimitedReader) {
	p.at, p.ahead = at, ahead
	p.buf.Reset(p)
}

// again is text that was read already.
func again(text []byte) io.LimitedReader {
	return io.LimitedReader{R: bytes.NewReader(bytes.Clone(text)), N: int64(len(text))}
}

// noted keeps the error that a reader ended with, unless it is io.EOF.
type noted struct {
	io.Reader
	err *error
}

func (n *noted) Read(p []byte) (int, error) {
	m, err := n.Reader.Read(p)
	if err != nil && err != io.EOF {
		*n.err = err
	}
	return m, err
}

func (p *plainInput) text() *bufio.Reader { return p.buf }
func (p *plainInput) offset() int64       { return p.at - int64(p.buf.Buffered()) }
func (p *plainInput) failed() error       { return p.err }
func (p *plainInput) unread() error       { return p.err }
func (p *plainInput) seek() error         { return seekRecord(p.buf) }

// seekRecord discards what is before a line that begins a WARC record.
func seekRecord(r *bufio.Reader) error {
	if beginsRecord(r) {
		return nil
	}
	return seekText(r, []byte("\n"+versionStart), 1)
}

func beginsRecord(r *bufio.Reader) bool {
	start, _ := r.Peek(len(versionStart))
	return string(start) == versionStart
}

// seekText discards what is before mark, and the first bytes of it.
func seekText(r *bufio.Reader, mark []byte, skip int) error {
	for {
		text, err := r.Peek(seekStep)
		if i := bytes.Index(text, mark); i >= 0 {
			_, err := r.Discard(i + skip)
			return err
		}
		if err != nil {
			return io.EOF
		}
		if _, err := r.Discard(len(text) - len(mark) + 1); err != nil {
			return io.EOF
		}
	}
}

// gzipInput is a file of gzip members: one for each WARC record, as they should be, or one for all.
type gzipInput struct {
	file   *recent
	raw    *plainInput
	member *gzip.Reader
	inside bool // of the member: it is not at its end
	buf    *bufio.Reader
	at     int64 // of the member in the file
	before int64 // bytes of text before it
	read   int64 // bytes of text that were decompressed
	past   int64 // the member before it
	looked int64 // bytes that were read once more
	err    error // why the text ended
}

var gzipMagic = []byte{0x1f, 0x8b, 8} // with deflate, the only method there is (RFC 1952)

func newGzipInput(r io.Reader) *gzipInput {
	g := &gzipInput{file: &recent{Reader: r}}
	g.raw = newPlainInput(g.file)
	g.buf = bufio.NewReaderSize(g, inputBuffer)
	return g
}

func (g *gzipInput) text() *bufio.Reader { return g.buf }

func (g *gzipInput) offset() int64 {
	if g.read-int64(g.buf.Buffered()) < g.before {
		return g.past
	}
	return g.at
}

func (g *gzipInput) failed() error {
	if g.raw.err != nil {
		return g.raw.err
	}
	return g.err
}

func (g *gzipInput) unread() error { return g.raw.err }

// Read gives the text of one member at a time, so that what is buffered is of the member at hand or the one before.
func (g *gzipInput) Read(p []byte) (int, error) {
	for {
		if g.err != nil {
			return 0, io.EOF
		}
		if !g.inside {
			if err := g.next(); err != nil {
				return 0, err
			}
		}
		n, err := g.member.Read(p)
		g.read += int64(n)
		switch err {
		case nil:
		case io.EOF:
			g.inside = false
		default:
			g.err = cutShort(err)
		}
		if n > 0 {
			return n, nil
		}
	}
}

// next begins the next member. io.EOF means that there is none.
func (g *gzipInput) next() error {
	if _, err := g.raw.buf.Peek(1); err != nil {
		return io.EOF
	}
	g.past, g.at, g.before = g.at, g.raw.offset(), g.read
	var err error
	if g.member == nil {
		g.member, err = gzip.NewReader(g.raw.buf)
	} else {
		err = g.member.Reset(g.raw.buf)
	}
	if err != nil {
		g.err = cutShort(err)
		return io.EOF
	}
	g.member.Multistream(false)
	g.inside = true
	return nil
}

// seek finds the next member that begins with a WARC record. What was decompressed already is looked through first.
func (g *gzipInput) seek() error {
	if g.err == nil || g.buf.Buffered() > 0 {
		if err := seekRecord(g.buf); err == nil {
			return nil
		}
	}
	g.lookBack()
	for {
		if err := seekText(g.raw.buf, gzipMagic, 0); err != nil {
			return io.EOF
		}
		at := g.raw.offset()
		g.err, g.inside = nil, false
		g.buf.Reset(g)
		if beginsRecord(g.buf) {
			return nil
		}
		if g.err == nil && g.raw.offset() == at {
			return io.EOF
		}
	}
}

// lookBack goes back to what is behind the beginning of the member at hand: one that is cut off may have taken the next ones
// for its own before that was noticed.
func (g *gzipInput) lookBack() {
	from := max(g.at+1, g.file.n-int64(len(g.file.last)))
	if back := g.file.n - from; back > 0 && g.looked < tornMax {
		g.looked += back
		g.raw.goOn(from, again(g.file.last[len(g.file.last)-int(back):]))
	}
}

// recent keeps what was read last: inputBuffer bytes of it, or up to twice as many.
type recent struct {
	io.Reader
	n    int64 // bytes that were read
	last []byte
}

func (r *recent) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.n += int64(n)
	if r.last = append(r.last, p[:n]...); len(r.last) > 2*inputBuffer {
		r.last = append(r.last[:0], r.last[len(r.last)-inputBuffer:]...)
	}
	return n, err
}

// sniff knows a file by its first bytes.
func sniff(r *bufio.Reader) (kind, error) {
	start, err := r.Peek(512)
	if len(start) == 0 {
		if err != io.EOF {
			return 0, err
		}
		return 0, errEmpty
	}
	text := bytes.TrimLeft(bytes.TrimPrefix(start, []byte("\ufeff")), " \t\r\n")
	switch {
	case bytes.HasPrefix(start, gzipMagic):
		return kindGzip, nil
	case bytes.HasPrefix(text, []byte(versionStart)):
		return kindWARC, nil
	case bytes.HasPrefix(text, []byte("{")):
		return kindHAR, nil
	}
	return 0, errUnknown
}

type kind int

const (
	kindWARC kind = iota + 1
	kindGzip
	kindHAR
)

// Why a file is no tape file.
var (
	errEmpty   = errors.New("the file is empty")
	errUnknown = errors.New("neither WARC nor HAR: it begins like neither")
)
