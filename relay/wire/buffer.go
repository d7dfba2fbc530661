package wire

import (
	"io"
	"sync"
)

const (
	// smallBuffer is what a connection reads into: most messages fit.
	smallBuffer = 4 << 10
	// bigBuffer is what large bodies go through.
	bigBuffer = 64 << 10
)

// smallBuffers and bigBuffers are shared by all connections.
var (
	smallBuffers = sync.Pool{New: func() any { return new([smallBuffer]byte) }}
	bigBuffers   = sync.Pool{New: func() any { return new([bigBuffer]byte) }}
)

// A buffer holds bytes that were read from a connection and are not used yet. It
// grows for a large head, and shrinks again when it is empty.
type buffer struct {
	small *[smallBuffer]byte
	b     []byte // small, or larger
	r, w  int    // b[r:w] is what it holds
}

func newBuffer() buffer {
	small := smallBuffers.Get().(*[smallBuffer]byte)
	return buffer{small: small, b: small[:]}
}

// release gives the memory back. The buffer must not be used afterwards.
func (b *buffer) release() {
	smallBuffers.Put(b.small)
	*b = buffer{}
}

func (b *buffer) bytes() []byte { return b.b[b.r:b.w] }
func (b *buffer) empty() bool   { return b.r == b.w }

// isSmall says whether the buffer takes no more memory than an empty one.
func (b *buffer) isSmall() bool { return len(b.b) == smallBuffer }

// mustGrow says whether grow would take more memory.
func (b *buffer) mustGrow() bool { return b.w == len(b.b) && b.r == 0 }

// empties drops all bytes.
func (b *buffer) empties() { b.skip(b.w - b.r) }

// skip drops the first n bytes.
func (b *buffer) skip(n int) {
	if b.r += n; b.r == b.w {
		b.r, b.w, b.b = 0, 0, b.small[:]
	}
}

// fill reads once, into the room there is.
func (b *buffer) fill(r io.Reader) (int, error) {
	n, err := r.Read(b.b[b.w:])
	b.w += n
	if n == 0 && err == nil {
		return 0, io.ErrNoProgress
	}
	return n, err
}

// grow makes room, up to limit bytes in all.
func (b *buffer) grow(limit int) {
	if b.w < len(b.b) {
		return
	}
	room := b.b
	if b.r == 0 {
		room = make([]byte, max(min(4*len(b.b), limit), b.w))
	}
	b.w = copy(room, b.bytes())
	b.r, b.b = 0, room
}

// keep holds a copy of p. The buffer must be empty.
func (b *buffer) keep(p []byte) {
	if len(p) > len(b.b) {
		b.b = make([]byte, len(p))
	}
	b.r, b.w = 0, copy(b.b, p)
}
