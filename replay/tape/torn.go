package tape

import (
	"errors"
	"io"
	"slices"
)

// torn is what is known of blocks that end before their heads say so: who wrote them was killed, and others went on behind
// them. What comes next of the file may be read from such a block.
type torn struct {
	blocks []tornBlock
	looked int64 // bytes of all of them
}

type tornBlock struct {
	Block
	end int64 // in the file
}

// In a hostile file, every block may have all that follows in it.
const (
	tornMax  = 1 << 30 // bytes that are read twice
	aheadMax = 64      // what is ahead of a file at once: each keeps a buffer
)

var errTorn = errors.New("it is cut off: another WARC record begins in the middle of it")

// lookBack finds a WARC record that begins within the block of p, and goes on there. at is where the block begins; err is
// the error of reading it. Nothing is looked for in what is as it was written, or ends where a WARC record may end.
func (r *Reader) lookBack(p *warcPart, at int64, err error) bool {
	plain, ok := r.in.(*plainInput) // the members of a compressed file are told apart by themselves
	if !ok || p.sound || p.block.Size == 0 || r.failure() != nil || err == nil && r.atRecord() {
		return false
	}
	unread, _ := plain.buf.Peek(plain.buf.Buffered())
	r.torn.looked += p.block.Size + int64(len(unread))
	if r.torn.looked > tornMax || len(plain.ahead) > aheadMax {
		return false
	}
	text, failed := p.block.Open()
	if failed != nil {
		return false
	}
	inner := newPlainInput(text)
	if inner.seek() != nil {
		return false
	}
	r.torn.blocks = append(r.torn.blocks, tornBlock{p.block, at + p.block.Size})
	rest := io.LimitedReader{R: &noted{inner.buf, &plain.err}, N: p.block.Size - inner.offset()}
	plain.goOn(at+inner.offset(), append(plain.ahead, again(unread), rest)...)
	if p.bad == nil {
		p.bad = errTorn
	}
	return true
}

// atRecord says whether a WARC record begins here, or the file ends.
func (r *Reader) atRecord() bool {
	text := r.in.text()
	skipBlank(text)
	_, err := text.Peek(1)
	return err != nil || beginsRecord(text)
}

// holdTorn keeps the blocks that are still read.
func (r *Reader) holdTorn() {
	at := r.in.offset
	r.torn.blocks = slices.DeleteFunc(r.torn.blocks, func(b tornBlock) bool { return b.end <= at() })
	for _, b := range r.torn.blocks {
		r.scratch.hold(b.Block)
	}
}
